// What a part of media says of itself: ISO BMFF boxes (ISO/IEC 14496-12), without allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/result.h"

namespace mirror::load {

struct MediaFacts {
  std::optional<WallTime> captured;          // the first prft (8.16.5): the producer's clock
  std::optional<std::uint64_t> decode_time;  // tfdt (8.8.12) of the first track fragment
  // Of all chunks together, in the same units; absent where only the init segment knows it.
  std::optional<std::uint64_t> duration;
};

// A part is one chunk (moof and mdat) or several. Errors: it does not begin as a part begins (styp,
// prft, emsg, sidx or moof), has no moof, or a box does not fit. Of several tracks the first
// counts.
Result<MediaFacts> probe_part(std::span<const std::uint8_t> bytes);

// Whether the bytes begin as an init segment does: ftyp, somewhere then moov.
Status probe_init(std::span<const std::uint8_t> bytes);

}  // namespace mirror::load
