#include "hls/date_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "hls/playlist.h"

namespace mirror::hls {

void DateRanges::set(DateRange range, MediaSequence now) {
  ++revision_;
  const auto found =
      std::ranges::find(entries_, range.id, [](const Entry& e) { return e.range.id; });
  if (found != entries_.end()) {
    *found = {std::move(range), now};
    return;
  }
  if (entries_.size() == kRangesMax) remove_front(now);
  entries_.push_back({std::move(range), now});
}

void DateRanges::slide(WallTime begin, MediaSequence now) {
  while (!entries_.empty()) {
    const auto& end = entries_.front().range.end;
    if (!end || *end >= begin) return;
    remove_front(now);
  }
}

void DateRanges::remove_front(MediaSequence now) {
  ++revision_;
  if (removals_.size() == kRangesMax) removals_.erase(removals_.begin());
  removals_.push_back({std::move(entries_.front().range.id), now});
  entries_.erase(entries_.begin());
}

std::string DateRanges::tags(MediaSequence since) const {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const auto& [range, changed] : entries_) {
    if (changed < since) continue;
    fmt::format_to(out, "#EXT-X-DATERANGE:ID=\"{}\",CLASS=\"{}\",START-DATE=\"{}\"", range.id,
                   range.class_name, format_date(range.start));
    if (range.end) {
      const auto ms = std::chrono::floor<std::chrono::milliseconds>(*range.end) -
                      std::chrono::floor<std::chrono::milliseconds>(range.start);
      fmt::format_to(out, ",END-DATE=\"{}\",DURATION={}.{:03}", format_date(*range.end),
                     ms.count() / 1'000, ms.count() % 1'000);
    }
    text += '\n';
  }
  return text;
}

std::string DateRanges::removed(MediaSequence since) const {
  std::string ids;
  for (const Removal& removal : removals_) {
    if (removal.at < since) continue;
    if (!ids.empty()) ids += '\t';
    ids += removal.id;
  }
  return ids;
}

}  // namespace mirror::hls
