// NalAssembler: the NAL units of one video track → access units, one per picture.
//
// Between a payload format (hevc_payload.h, h264_payload.h), which tells it the NAL units and
// fragments of each packet, and an AccessUnitSink. Owned by a Depacketizer, on its thread. Holds
// one open unit of at most kAccessUnitBytesMax; a longer one is dropped whole.
//
// 1. Packets of one timestamp make one unit; so does what a marker ends. Markers in mid-picture
//    (some encoders set one on every slice) are noticed and not believed for a while. Several
//    pictures under one timestamp are cut between them.
// 2. Where packets are missing, the unit that was open is damaged. The one that follows is damaged,
//    too, unless it begins with what only stands at the start of a unit. Delimiters, SEI and
//    parameter sets lost in front of that cannot be noticed.
// 3. A NAL unit keeps what came before a missing fragment; what comes behind is dropped. A unit in
//    which no coded picture data is left is dropped.
// 4. Parameter sets and SEI that come alone wait for their picture, up to kPrefixBytesMax.
// 5. A random access unit without parameter sets is given the newest ones, each time: whoever had
//    to drop the first such unit needs them at the next.
// 6. dts equals pts: RTP carries no decoding times, and who decodes in the order of arrival needs
//    none.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "codec/nal.h"
#include "media/access_unit.h"
#include "media/publish.h"
#include "rtp/depacketizer.h"
#include "rtp/packet.h"
#include "rtp/parameter_sets.h"

namespace mirror::rtp {

class NalAssembler {
 public:
  static constexpr std::size_t kPrefixBytesMax = 4096;
  // Two pictures' time at 24 Hz, and longer than a reorder window (50 ms by default).
  static constexpr std::chrono::milliseconds kQuiet{100};
  static constexpr int kUnitsWithoutMarkers = 500;

  // `sink`, `clock` and `stats` outlive this.
  NalAssembler(media::TrackId track, media::Codec codec, ParameterSets parameter_sets,
               media::AccessUnitSink& sink, TrackClock& clock, media::DemuxStats& stats)
      : track_(track),
        codec_(codec),
        sink_(sink),
        clock_(clock),
        stats_(stats),
        parameter_sets_(std::move(parameter_sets)) {}

  // Around what a packet holds.
  void begin_packet(const Packet& packet, bool gap, Instant received);
  void end_packet(bool marker);

  // What the payload format found, between the two. NAL units come without start code.
  void nal(std::span<const std::uint8_t> nal);
  // Part of a NAL unit: `header` is its NAL unit header (2 bytes at most), `payload` what follows.
  struct Fragment {
    std::span<const std::uint8_t> header;
    std::span<const std::uint8_t> payload;
    bool first = false;
    bool last = false;
  };
  void fragment(const Fragment& fragment);
  // Bytes that cannot be read, or that nobody supports.
  void skip(std::size_t bytes);

  // As in Depacketizer.
  void idle(SteadyTime now);
  void flush();

 private:
  enum class State {
    kClosed,    // nothing is held
    kOpen,      // unit_ holds something
    kDropping,  // until the timestamp changes
  };
  // What was found out about the NAL units of a picture.
  struct Facts {
    bool random_access = false;
    bool sps = false;
    bool pps = false;
    std::size_t delimiter_bytes = 0;  // of an access unit delimiter at its front
  };
  // The beginning of a NAL unit in one piece: enough for its role and the fields of a slice header
  // that tell field from picture.
  struct Head {
    std::array<std::uint8_t, 16> bytes{};
    std::size_t size = 0;
    std::span<const std::uint8_t> span() const { return std::span(bytes).first(size); }
  };
  static Head head_of(std::span<const std::uint8_t> header, std::span<const std::uint8_t> payload);

  bool begin_nal(std::span<const std::uint8_t> header, std::span<const std::uint8_t> payload);
  bool admit(codec::NalRole role, bool second_field);
  bool room_for(std::size_t bytes);
  void append(std::span<const std::uint8_t> bytes);
  void note_role(codec::NalRole role);
  void end_nal();
  void abandon_fragment();
  std::span<const std::uint8_t> current_nal() const;

  void open(codec::NalRole role);
  void date();
  void cut_at(std::size_t offset);
  void finish();
  void give_up_waiting();
  void emit(std::vector<std::uint8_t> data, const Facts& facts);
  std::vector<std::uint8_t> with_parameter_sets(std::span<const std::uint8_t> unit,
                                                const Facts& facts) const;
  Facts facts_of(std::span<const std::uint8_t> unit) const;
  void drop_unit();
  bool trusts_markers() const { return markers_seen_ && units_without_markers_ == 0; }

  const media::TrackId track_;
  const media::Codec codec_;
  media::AccessUnitSink& sink_;
  TrackClock& clock_;
  media::DemuxStats& stats_;
  ParameterSets parameter_sets_;
  codec::H264FieldPairing fields_;

  // The packet at hand, and what its timestamp has seen.
  std::optional<std::uint32_t> timestamp_;
  Instant packet_received_{};
  bool start_unknown_ = true;     // packets are missing since the end of the last unit
  bool start_damaged_ = false;    // bytes were dropped of a unit that is not open
  bool emitted_ = false;          // a unit of this timestamp
  bool ended_by_marker_ = false;  // that unit

  bool markers_seen_ = false;
  int units_without_markers_ = 0;

  // The open unit.
  State state_ = State::kClosed;
  std::vector<std::uint8_t> unit_;
  std::size_t last_unit_bytes_ = 0;
  Facts facts_;
  media::MediaTime time_{};
  bool discontinuity_ = false;
  bool damaged_ = false;
  bool has_slice_ = false;
  std::optional<std::size_t> prefix_;  // where what may belong to the next picture begins
  Instant received_{};

  // The NAL unit that is being appended.
  std::size_t nal_at_ = 0;  // its start code in unit_
  bool in_fragment_ = false;
  Head fragment_header_;
};

}  // namespace mirror::rtp
