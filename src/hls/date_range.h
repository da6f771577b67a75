// EXT-X-DATERANGE (RFC 8216bis, 4.4.5.1) and which of them a playlist lists.
//
// Owned by a Window, used on the stream's media thread. Holds at most kRangesMax; beyond that the
// oldest go.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "hls/segment.h"

namespace mirror::hls {

struct DateRange {
  std::string id;          // of letters, digits, '-', '.'
  std::string class_name;  // CLASS: reverse DNS
  WallTime start{};
  std::optional<WallTime> end;  // unset while it lasts
};

class DateRanges {
 public:
  static constexpr std::size_t kRangesMax = 64;

  // Adds a range, or gives the one of this id its end. `now` is the segment that comes next.
  void set(DateRange range, MediaSequence now);
  // Forgets what ended before `begin`, the date of the playlist's first segment.
  void slide(WallTime begin, MediaSequence now);

  // The tags, a line each, of those set at or after segment `since`.
  std::string tags(MediaSequence since) const;
  // RECENTLY-REMOVED-DATERANGES: ids of those removed at or after `since`, separated by tabs.
  std::string removed(MediaSequence since) const;
  // Another number after each change.
  std::uint64_t revision() const { return revision_; }

 private:
  struct Entry {
    DateRange range;
    MediaSequence changed = 0;
  };
  struct Removal {
    std::string id;
    MediaSequence at = 0;
  };
  void remove_front(MediaSequence now);

  std::vector<Entry> entries_;
  std::vector<Removal> removals_;  // at most kRangesMax, oldest first
  std::uint64_t revision_ = 0;
};

}  // namespace mirror::hls
