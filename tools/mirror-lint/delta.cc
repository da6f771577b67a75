#include "delta.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mirror::lint {
namespace {

void merge_dateranges(const Playlist& before, Playlist& merged) {
  if (!merged.skip->removes_dateranges) return;
  std::vector<DateRange> kept;
  for (const DateRange& range : before.dateranges) {
    const bool removed = std::ranges::count(merged.skip->removed_dateranges, range.id) > 0;
    const bool renewed = std::ranges::count(merged.dateranges, range.id, &DateRange::id) > 0;
    if (!removed && !renewed) kept.push_back(range);
  }
  kept.insert(kept.end(), merged.dateranges.begin(), merged.dateranges.end());
  merged.dateranges = std::move(kept);
}

bool same_date(const std::optional<Date>& a, const std::optional<Date>& b) { return a == b; }

std::string parts_difference(const Segment& a, const Segment& b) {
  for (std::size_t i = 0; i < std::min(a.parts.size(), b.parts.size()); ++i) {
    const Part& x = a.parts[i];
    const Part& y = b.parts[i];
    const auto where = [&] { return to_string({a.msn, i}); };
    if (x.resource != y.resource) return fmt::format("part {}: its URI", where());
    if (x.duration != y.duration) return fmt::format("part {}: its DURATION", where());
    if (x.independent != y.independent) return fmt::format("part {}: INDEPENDENT", where());
    if (x.gap != y.gap) return fmt::format("part {}: GAP", where());
  }
  return {};
}

// There may be several tags of one ID, which add to each other (4.4.5.1).
bool has_daterange(const Playlist& playlist, const DateRange& range) {
  return std::ranges::any_of(playlist.dateranges, [&](const DateRange& other) {
    return other.id == range.id && other.attributes == range.attributes;
  });
}

std::string dateranges_difference(const Playlist& a, const Playlist& b) {
  for (const DateRange& range : a.dateranges) {
    if (!has_daterange(b, range)) return fmt::format("the date range {}", range.id);
  }
  for (const DateRange& range : b.dateranges) {
    if (!has_daterange(a, range)) return fmt::format("the date range {}", range.id);
  }
  return {};
}

}  // namespace

Result<Playlist> merge_delta(const Playlist& before, const Playlist& delta) {
  Playlist merged = delta;
  if (!delta.skip) return merged;
  std::vector<Segment> skipped;
  skipped.reserve(std::min<std::size_t>(delta.skip->segments, before.segments.size()));
  for (std::uint64_t i = 0; i < delta.skip->segments; ++i) {
    const Segment* segment = before.find(delta.media_sequence + i);
    if (segment == nullptr || !segment->complete) {
      return fail("segment {} is skipped and was never listed", delta.media_sequence + i);
    }
    skipped.push_back(*segment);
    // As old as it is, its parts are no longer listed in the full playlist either.
    skipped.back().parts.clear();
    skipped.back().line = skipped.back().date_line = 0;  // of another text
  }
  // What the last skipped segment stood under holds until the delta says otherwise.
  for (Segment& segment : merged.segments) {
    if (segment.map || skipped.empty()) break;
    segment.map = skipped.back().map;
  }
  merged.segments.insert(merged.segments.begin(), std::make_move_iterator(skipped.begin()),
                         std::make_move_iterator(skipped.end()));
  merge_dateranges(before, merged);
  merged.skip.reset();
  merged.merged = true;
  number_segments(merged);
  return merged;
}

std::string segment_difference(const Segment& a, const Segment& b) {
  if (a.discontinuity != b.discontinuity) return "EXT-X-DISCONTINUITY";
  if (!same_date(a.date, b.date)) return "EXT-X-PROGRAM-DATE-TIME";
  if (a.map != b.map) return "EXT-X-MAP";
  if (a.complete && b.complete) {
    if (a.duration != b.duration) return "EXTINF";
    if (a.resource != b.resource) return "the URI";
    if (a.gap != b.gap) return "EXT-X-GAP";
  }
  if (a.complete && !b.complete) return "it was complete and is not any more";
  return parts_difference(a, b);
}

std::string first_difference(const Playlist& a, const Playlist& b, DateRanges dateranges) {
  if (a.target_duration != b.target_duration) return "EXT-X-TARGETDURATION";
  if (a.part_target != b.part_target) return "PART-TARGET";
  if (a.media_sequence != b.media_sequence) return "EXT-X-MEDIA-SEQUENCE";
  if (a.discontinuity_sequence != b.discontinuity_sequence) return "EXT-X-DISCONTINUITY-SEQUENCE";
  if (a.ended() != b.ended()) return "EXT-X-ENDLIST";
  if (a.segments.size() != b.segments.size()) {
    return fmt::format("{} segments and {}", a.segments.size(), b.segments.size());
  }
  for (std::size_t i = 0; i < a.segments.size(); ++i) {
    std::string what = segment_difference(a.segments[i], b.segments[i]);
    if (!what.empty()) return fmt::format("segment {}: {}", a.segments[i].msn, what);
    // Among skipped segments parts are not known; every other part has to be there in both.
    const bool known = !a.segments[i].parts.empty() && !b.segments[i].parts.empty();
    if (known && a.segments[i].parts.size() != b.segments[i].parts.size()) {
      return fmt::format("segment {}: {} parts and {}", a.segments[i].msn,
                         a.segments[i].parts.size(), b.segments[i].parts.size());
    }
  }
  return dateranges == DateRanges::kLeaveOut ? std::string{} : dateranges_difference(a, b);
}

}  // namespace mirror::lint
