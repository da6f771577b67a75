// Segment and part: the units of a rendition as playlists list them (RFC 8216bis, 3). Plain data,
// immutable once shared.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace mirror::hls {

using MediaSequence = std::uint64_t;
using PartIndex = std::uint32_t;

// In Mirror a part is one or more CMAF chunks (moof + mdat), with a prft in front of the first.
struct Part {
  Bytes bytes;                // empty in a gap
  std::uint32_t samples = 0;  // slots of the grid: times its sample_duration is the duration
  bool independent = false;   // begins with a sync sample
  bool gap = false;           // GAP=YES: its time passes, its media never came
};

struct Segment {
  MediaSequence number = 0;
  bool discontinuity = false;  // EXT-X-DISCONTINUITY stands before it
  bool complete = false;
  std::int64_t decode_time = 0;  // of its first slot, in timescale units
  WallTime date{};               // EXT-X-PROGRAM-DATE-TIME
  std::vector<Part> parts;       // never empty in a view

  std::uint64_t samples() const;
  std::size_t size() const;  // bytes; the segment is the concatenation of its parts
  bool gap() const;          // EXT-X-GAP: it has no media at all
};

// Where a part stands in its rendition.
struct PartPosition {
  MediaSequence segment = 0;
  PartIndex part = 0;
  friend auto operator<=>(const PartPosition&, const PartPosition&) = default;
};

}  // namespace mirror::hls
