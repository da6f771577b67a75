// AudioFramer: PES payloads of one audio stream → single frames.
//
// Owned by an ElementaryStream, on the demuxer's thread. Holds less than one frame (8191 bytes at
// most) and one packet's payload between calls.
//
// A PES packet's stamp belongs to the first frame that begins in it (ISO/IEC 13818-1, 2.4.3.7); the
// frames after it are dated by counting samples. Where bytes are missing, the frame that they
// belong to and all up to the next stamped PES packet are dropped: a frame is never emitted
// damaged, nor with a guessed time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "codec/audio_frame.h"
#include "media/access_unit.h"
#include "mpegts/unit_outlet.h"

namespace mirror::mpegts {

class AudioFramer {
 public:
  AudioFramer(const media::Track& track, UnitOutlet& outlet)
      : track_(track.id),
        codec_(track.codec),
        opus_channels_(track.opus_channels),
        outlet_(outlet) {}

  // A PES packet begins; its stamp, if it has one.
  void begin(std::optional<Stamp> stamp);
  void append(std::span<const std::uint8_t> payload, Instant now);
  // Bytes are missing. What follows up to the next begin() should be kept away.
  void lose();

 private:
  // Where the frame at `at` ends, or how much of what is there is no frame.
  struct Look {
    enum class Kind { kFrame, kNeedMore, kSkip } kind;
    codec::AudioFrame frame{};
    std::size_t header_size = 0;  // what goes in front of an Opus packet
  };
  Look look_at(std::size_t at);
  Look look_for_sync(std::size_t at) const;
  // By the header that `rest` begins with, whether the frame ends within it or not.
  Look read_header(std::span<const std::uint8_t> rest) const;
  void date_frame_at(std::size_t at);
  void emit(std::size_t at, const Look& look, Instant now);
  Bytes unit_at(std::size_t at, const Look& look) const;

  const media::TrackId track_;
  const media::Codec codec_;
  const std::uint8_t opus_channels_;
  UnitOutlet& outlet_;

  std::vector<std::uint8_t> held_;
  bool in_sync_ = false;            // a frame is known to begin where the last one ended
  std::size_t pes_at_ = 0;          // where in held_ the last PES payload begins
  std::optional<Stamp> pes_stamp_;  // until a frame takes it
  std::optional<Stamp> base_;       // of the last frame that had a stamp
  std::uint64_t samples_since_base_ = 0;
  bool discontinuity_ = false;
};

}  // namespace mirror::mpegts
