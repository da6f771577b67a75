// Demuxer: an MPEG-2 transport stream (ISO/IEC 13818-1) → the access units of one programme.
//
// Sans-IO: bytes and instants go in, access units come out through the sink, within the call. Owned
// by one connection, used on its thread only.
//
// Limits: kElementaryStreamsMax streams; one open unit per video stream, of at most
// access_unit_bytes_max; less than one frame and one packet per audio stream; one section of 1024
// bytes each for the PAT and the PMT; two changes of programme or streams per second in the long
// run. What goes over them is dropped and counted. A packet makes no
// allocation of its own; an access unit makes few.
//
// What it promises about damage: a unit that lacks bytes is emitted with `damaged`, or (audio) not
// at all. It goes by continuity counters, the error indicator and PES lengths; the loss of exactly
// sixteen packets in a row of one PID, from within an unbounded PES packet, leaves no trace unless
// the transport tells of it (lose()).
//
// Its statistics are the first priority of ETSI TR 101 290 (5.2.1) for the programme in use: what
// other programmes lack is not looked for.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/rate_limit.h"
#include "media/access_unit.h"
#include "media/publish.h"
#include "mpegts/continuity.h"
#include "mpegts/counters.h"
#include "mpegts/elementary_stream.h"
#include "mpegts/packet.h"
#include "mpegts/packet_sync.h"
#include "mpegts/pcr_jitter.h"
#include "mpegts/presence.h"
#include "mpegts/psi.h"
#include "mpegts/section.h"
#include "mpegts/timestamps.h"
#include "mpegts/unit_outlet.h"

namespace mirror::mpegts {

struct DemuxerOptions {
  std::uint16_t programme_number = 0;  // 0: the first one in the PAT
  std::size_t access_unit_bytes_max = 4U << 20;
  // How long a video stream must be silent before idle() takes its unit for complete.
  std::chrono::milliseconds quiet{10};
};

class Demuxer {
 public:
  // The last program clock reference, on the time line of the timestamps.
  struct Pcr {
    std::int64_t ticks_27mhz = 0;
    Instant received{};
  };

  // `sink` outlives this.
  Demuxer(const DemuxerOptions& options, media::AccessUnitSink& sink);
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;

  // Any cut of the stream, in order; `now` is when it came in.
  void push(std::span<const std::uint8_t> bytes, Instant now);
  // The transport knows that about `packets` of the stream are missing before the next push(). The
  // continuity counters show it by themselves, unless sixteen of one PID are, or their double:
  // where that can be, a picture that lies open is taken for damaged.
  void lose(std::size_t packets);
  // Call every few milliseconds: emits early the units whose end is likely, so that a picture need
  // not wait for the next one.
  void idle(Instant now);
  // End of the feed: emits what is left; a unit that may lack its tail as damaged.
  void flush();

  const media::DemuxStats& stats() const { return counters_.common; }
  const Counters& counters() const { return counters_; }
  const std::vector<media::Track>& tracks() const { return tracks_; }
  const std::optional<Pcr>& pcr() const { return pcr_; }

 private:
  // A PID that carries tables.
  struct TablePid {
    TablePid(media::DemuxStats& counters, std::uint64_t& table_errors)
        : errors(table_errors), sections(counters) {}
    std::uint64_t& errors;
    Continuity continuity;
    SectionAssembler sections;
    std::optional<std::uint32_t> last_crc;  // of the section last acted upon
  };

  void on_packet(PacketSync::PacketBytes bytes);
  void follow_clock(const Packet& packet);
  template <class OnSection>
  void push_table(TablePid& table, const Packet& packet, OnSection&& on_section);
  void on_pat(std::span<const std::uint8_t> section);
  void on_pmt(std::span<const std::uint8_t> section);
  std::optional<Programme> choose(const PatSection& pat) const;
  bool select(const Programme& programme);
  bool may_change_tables();
  void replace_streams(const Pmt& pmt);
  void route_pids();

  // What becomes of a PID's packets: nothing, a table, or streams_[route - kFirstStream].
  static constexpr std::uint8_t kIgnored = 0;
  static constexpr std::uint8_t kPat = 1;
  static constexpr std::uint8_t kPmt = 2;
  static constexpr std::uint8_t kFirstStream = 3;

  const DemuxerOptions options_;
  media::AccessUnitSink& sink_;
  Counters counters_;
  UnitOutlet outlet_;
  PacketSync sync_;
  Instant now_{};

  TablePid pat_;
  TablePid pmt_;
  RateLimit table_changes_;
  std::optional<Programme> programme_;
  std::uint16_t pcr_pid_ = kNullPid;
  bool tracks_told_ = false;
  std::vector<media::Track> tracks_;
  std::vector<std::unique_ptr<ElementaryStream>> streams_;
  std::array<std::uint8_t, kPidCount> routes_{};

  TimestampUnwrap clock_;
  std::optional<Pcr> pcr_;
  Presence presence_;
  PcrJitter pcr_jitter_;
};

}  // namespace mirror::mpegts
