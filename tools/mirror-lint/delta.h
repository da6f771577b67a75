// Playlist Delta Updates (RFC 8216bis, 6.2.5.1 and 6.3.7): the merge that a client does.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "playlist.h"

namespace mirror::lint {

// `delta` with the segments that its EXT-X-SKIP leaves out taken from `before`; lines and their
// numbers are those of the delta. An error when `before` lacks a skipped segment: then the client
// has to ask for the full playlist.
Result<Playlist> merge_delta(const Playlist& before, const Playlist& delta);

// In words, the first thing that two versions of one playlist say differently about segments,
// parts, date ranges and header; empty when they say the same. Hints and reports, which may change
// without a new part, are left out.
enum class DateRanges { kCompare, kLeaveOut };
std::string first_difference(const Playlist& a, const Playlist& b,
                             DateRanges dateranges = DateRanges::kCompare);

// What a segment says that may not change while it is listed; empty when it is the same in both.
// `b` may have more parts, or be complete where `a` is open; old parts may be gone from either.
std::string segment_difference(const Segment& a, const Segment& b);

}  // namespace mirror::lint
