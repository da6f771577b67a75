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

// When what a part holds passed each stage, by the wall clock; the beginning of time where nobody
// looked. Capture is that of its first sample, as estimated (a player that shows the part begins
// there); the others are of its last one, without which it is not complete.
struct PartTimes {
  WallTime captured{};
  WallTime ingested{};   // the access unit behind it was complete
  WallTime encoded{};    // the encoder gave it
  WallTime published{};  // it was handed to the network loops
};

// In Mirror a part is one or more CMAF chunks (moof + mdat), with a prft in front of the first.
struct Part {
  Bytes bytes;                // empty in a gap
  std::uint32_t samples = 0;  // slots of the grid: times its sample_duration is the duration
  bool independent = false;   // begins with a sync sample
  bool gap = false;           // GAP=YES: its time passes, its media never came
  // In timescale units; set by the window, and so is the time of publication.
  std::int64_t decode_time = 0;
  PartTimes times;
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
