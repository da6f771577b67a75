// VideoAssembler: PES payloads of one H.264 or HEVC stream → access units, one per picture.
//
// Owned by an ElementaryStream, on the demuxer's thread. Holds one open unit of at most
// UnitOutlet::access_unit_bytes_max; a longer one is dropped whole.
//
// A PES packet with a timestamp begins a unit and completes the one before. One without a timestamp
// begins a unit only if its payload does; else it continues the open one. A unit that turns out to
// hold several pictures is cut between them. A bounded PES packet completes its unit at its last
// byte, unless it is so long that the muxer may have run out of length, or unless units of this
// stream were seen to span PES packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "codec/nal.h"
#include "media/access_unit.h"
#include "mpegts/unit_outlet.h"

namespace mirror::mpegts {

class VideoAssembler {
 public:
  VideoAssembler(media::TrackId track, media::Codec codec, UnitOutlet& outlet)
      : track_(track), codec_(codec), outlet_(outlet) {}

  // A PES packet begins; its stamp, if it has one.
  void begin(std::optional<Stamp> stamp);
  void append(std::span<const std::uint8_t> payload, Instant now);
  // A bounded PES packet of this PES_packet_length has ended.
  void end_bounded(std::uint16_t packet_length);
  // Bytes of the open unit, if there is one, are missing.
  void lose();
  // Emits what is open.
  void complete();
  // The same on a guess, but not for a while after a guess was wrong.
  void complete_early();

  bool is_open() const { return state_ == State::kOpen && !unit_.empty(); }

 private:
  enum class State {
    kClosed,  // the last unit has been emitted
    kOpen,
    kDropping,  // until the next unit begins
  };
  struct Cut;

  void open(std::optional<Stamp> stamp);
  void learn_duration(const Stamp& stamp);
  void emit_pictures();
  void emit_range(const Cut& cut);
  void keep_or_drop_prefix();
  void drop_unit();
  Stamp next_stamp();

  const media::TrackId track_;
  const media::Codec codec_;
  UnitOutlet& outlet_;

  State state_ = State::kClosed;
  bool undecided_ = false;    // a PES packet without stamp has begun and no payload of it came yet
  bool spans_pes_ = false;    // units of this stream were seen to go on in a further PES packet
  bool ended_early_ = false;  // the last unit was emitted on a guess
  int units_until_guess_ = 0;
  std::vector<std::uint8_t> unit_;
  std::size_t last_unit_bytes_ = 0;
  Instant received_{};
  bool damaged_ = false;
  bool discontinuity_ = false;
  std::optional<Stamp> stamp_;  // of the open unit, until its first picture takes it
  codec::H264FieldPairing fields_;

  std::optional<Stamp> last_stamp_;             // of the last picture emitted
  std::optional<media::MediaTime> last_dated_;  // dts of the last unit that had a stamp
  int pictures_since_dated_ = 0;
  media::MediaTime frame_duration_{3600};
};

}  // namespace mirror::mpegts
