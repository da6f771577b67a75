// ElementaryStream: one audio or video PID, from packets to access units.
//
// Owned by a Demuxer, on its thread. Follows the continuity counter, reads PES headers, dates them,
// and hands payloads to the assembler of its kind. Limits: those of PesReader and the assemblers.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "base/clock.h"
#include "media/access_unit.h"
#include "mpegts/audio_framer.h"
#include "mpegts/continuity.h"
#include "mpegts/packet.h"
#include "mpegts/pes.h"
#include "mpegts/timestamps.h"
#include "mpegts/unit_outlet.h"
#include "mpegts/video_assembler.h"

namespace mirror::mpegts {

class ElementaryStream {
 public:
  // `track.codec` is a supported one. `outlet` and `clock` outlive this.
  ElementaryStream(const media::Track& track, UnitOutlet& outlet, TimestampUnwrap& clock);
  ElementaryStream(const ElementaryStream&) = delete;
  ElementaryStream& operator=(const ElementaryStream&) = delete;

  media::TrackId id() const { return id_; }
  media::Codec codec() const { return codec_; }

  void push(const Packet& packet, Instant now);
  // Emits an open video unit if its end is likely: its last packet was stuffed (or its bounded PES
  // packet is complete), and nothing has come for `quiet`. Neither sign is safe alone: multiplexers
  // of constant rate stuff packets in mid-unit, and a busy machine delays any packet.
  void idle(SteadyTime now, std::chrono::milliseconds quiet);
  // No more packets: emits an open video unit, as damaged unless its end is likely.
  void finish();
  // Packets are missing here, perhaps ones of this PID, perhaps a whole round of its counter: an
  // open video unit counts as damaged, unless its end is likely.
  void suspect();
  // The programme's clock was announced to jump.
  void break_timeline() { timeline_broken_ = true; }

  // For PesReader.
  void on_pes_header(const PesHeader& header);
  void on_pes_malformed();
  void on_pes_payload(std::span<const std::uint8_t> payload);
  void on_pes_end(const PesHeader& header);

 private:
  void lose();
  std::optional<Stamp> stamp_of(const PesHeader& header);
  bool end_is_likely() const { return last_stuffed_ || bounded_complete_; }

  const media::TrackId id_;
  const media::Codec codec_;
  UnitOutlet& outlet_;
  TimestampUnwrap& clock_;

  Continuity continuity_;
  PesReader pes_;
  std::variant<VideoAssembler, AudioFramer> assembler_;
  std::optional<media::MediaTime> last_dts_;
  bool timeline_broken_ = false;
  bool last_stuffed_ = false;
  bool bounded_complete_ = false;
  Instant last_packet_{};
};

}  // namespace mirror::mpegts
