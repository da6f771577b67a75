// ChunkWriter: the CMAF chunks of one track, [prft +] moof + mdat each.
//
// Owned by a rendition's Segmenter, used on the stream's media thread. Holds nothing but the
// sequence number. Each chunk is one allocation, shared afterwards by all who store and send it.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "media/sample.h"

namespace mirror::cmaf {

// Whether a chunk tells when its first sample was captured (a prft box in front).
enum class Prft : std::uint8_t { kWith, kWithout };

class ChunkWriter {
 public:
  // The samples of one chunk; far more than a part of any frame rate has.
  static constexpr std::size_t kSamplesMax = 4'096;
  // A chunk's media must fit the 32-bit sizes of mdat and trun with room to spare.
  static constexpr std::size_t kMediaBytesMax = std::size_t{1} << 30;

  explicit ChunkWriter(const media::TrackDescription& track);

  // Invariants, which the Segmenter holds: 1 to kSamplesMax samples of consecutive decode times on
  // the track's grid, kMediaBytesMax in all; in video only the first may be a sync sample.
  Bytes write(std::span<const media::Sample> samples, Prft prft = Prft::kWith);

 private:
  enum class Kind : std::uint8_t { kVideo, kAudio };
  const Kind kind_;
  const std::uint32_t sample_duration_;
  std::uint32_t sequence_number_ = 0;
};

}  // namespace mirror::cmaf
