// Window: the segments of one rendition that viewers can fetch, and "is this part ready?".
//
// Written by the stream's media thread through a Segmenter; read by network loops through immutable
// views (WindowView). Each publication renders the media playlist once, for all viewers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "media/sample.h"

namespace mirror::hls {

using MediaSequence = std::uint64_t;
using PartIndex = std::uint32_t;

// In Mirror a part is exactly one CMAF chunk (moof + mdat, with a prft in front).
struct Part {
  Bytes bytes;
  std::uint32_t samples = 0;  // times the grid's sample_duration is its duration
  bool independent = false;   // begins with a sync sample
};

struct Segment {
  MediaSequence number = 0;
  bool discontinuity = false;  // EXT-X-DISCONTINUITY stands before it
  bool complete = false;
  std::int64_t decode_time = 0;  // of its first sample, in timescale units
  WallTime date{};               // EXT-X-PROGRAM-DATE-TIME
  std::vector<Part> parts;

  std::uint64_t samples() const;
  std::size_t size() const;  // bytes; the segment is the concatenation of its parts
};

// What a network loop sees: everything that exists at one moment. Immutable.
struct WindowView {
  std::vector<std::shared_ptr<const Segment>> segments;  // oldest first; only the last may be open
  MediaSequence first_listed = 0;  // older ones are kept a while for those who still fetch them
  Bytes playlist;                  // media.m3u8 in full, UTF-8
  bool ended = false;              // ENDLIST; nothing will be added

  const Segment* find(MediaSequence number) const;
  // The newest complete part's position: what a RENDITION-REPORT says. Empty before the first part.
  struct Position {
    MediaSequence segment;
    PartIndex part;
  };
  std::optional<Position> last_part() const;
};

// RFC 8216bis, 6.2.5.2: the delivery directives of a media playlist request.
struct PlaylistQuestion {
  std::optional<MediaSequence> msn;
  std::optional<PartIndex> part;
};

enum class Readiness {
  kReady,      // answer now
  kNotYet,     // hold the request, ask again after the next wake
  kTooFar,     // more than is reasonable ahead: refuse (400)
  kNotFound,   // never existed, or no longer exists (404)
};

Readiness readiness_of(const WindowView& view, const PlaylistQuestion& question);
Readiness readiness_of_segment(const WindowView& view, MediaSequence number);
// A request for the part that the playlist hints at is held; parts further ahead are not found.
Readiness readiness_of_part(const WindowView& view, MediaSequence number, PartIndex part);

}  // namespace mirror::hls
