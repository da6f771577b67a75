// Rules about one version of a Media Playlist after another (RFC 8216bis, 6.2.1 and 6.2.2).
#include <fmt/format.h>

#include <algorithm>

#include "delta.h"
#include "judging.h"

namespace mirror::lint {
namespace {

// A line of the earlier version beside one of the later.
std::vector<Quote> both(const Playlist& before, int line_before, const Playlist& after,
                        int line_after) {
  std::vector<Quote> quotes = quote(before, {line_before});
  const std::vector<Quote> later = quote(after, {line_after});
  quotes.insert(quotes.end(), later.begin(), later.end());
  return quotes;
}

void judge_header(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  if (before.target_duration != after.target_duration) {
    scribe("target-duration-changed"_rule, "EXT-X-TARGETDURATION",
           both(before, before.target_duration_line, after, after.target_duration_line));
  }
  if (before.part_target != after.part_target) {
    scribe("part-target-changed"_rule, "PART-TARGET",
           both(before, before.part_inf_line, after, after.part_inf_line));
  }
  const auto fields = [](const Playlist& playlist) {
    const ServerControl control = playlist.server_control.value_or(ServerControl{});
    return std::tuple(control.can_block_reload, control.can_skip_dateranges, control.can_skip_until,
                      control.hold_back, control.part_hold_back);
  };
  // What a server can do for a live stream it need not promise for one that has ended.
  if (!after.ended() && fields(before) != fields(after)) {
    const auto line = [](const Playlist& playlist) {
      return playlist.server_control ? playlist.server_control->line : 0;
    };
    scribe("server-control-changed"_rule, "EXT-X-SERVER-CONTROL",
           both(before, line(before), after, line(after)));
  }
  // A delta may need a higher version than the full playlist (8).
  const bool one_is_delta = (before.version_needed >= 9) != (after.version_needed >= 9);
  if (before.version != after.version && !one_is_delta) {
    scribe("version-changed"_rule, "EXT-X-VERSION",
           both(before, before.version_line, after, after.version_line));
  }
}

// True when the first segments tell that the number at the top is wrong: then nothing else can be
// compared.
bool judge_media_sequence(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  const auto quotes = both(before, before.media_sequence_line, after, after.media_sequence_line);
  if (after.media_sequence < before.media_sequence) {
    scribe("media-sequence"_rule,
           fmt::format("it went back from {} to {}", before.media_sequence, after.media_sequence),
           quotes);
    return true;
  }
  if (after.segments.empty() || !after.segments.front().complete) return false;
  const Segment& front = after.segments.front();
  const Segment* same_number = before.find(front.msn);
  if (same_number != nullptr && same_number->complete && same_number->resource == front.resource)
    return false;
  for (const Segment& segment : before.segments) {
    if (!segment.complete || segment.resource != front.resource || segment.msn == front.msn)
      continue;
    scribe("media-sequence"_rule,
           fmt::format("{} was segment {} and is segment {} now", front.resource.uri, segment.msn,
                       front.msn),
           quotes);
    return true;
  }
  return false;
}

void judge_common_segments(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  bool discontinuities_told = false;
  // Where one came as a delta and the other as a whole, it is the delta that tells another story.
  const bool delta = before.merged != after.merged;
  for (const Segment& later : after.segments) {
    const Segment* earlier = before.find(later.msn);
    if (earlier == nullptr) continue;
    if (later.discontinuity_sequence != earlier->discontinuity_sequence && !discontinuities_told) {
      discontinuities_told = true;
      scribe(delta ? "delta-merge"_rule : "discontinuity-sequence"_rule,
             fmt::format("segment {} had number {} and has {} now", later.msn,
                         earlier->discontinuity_sequence, later.discontinuity_sequence),
             both(before, before.discontinuity_sequence_line, after,
                  after.discontinuity_sequence_line));
    }
    std::string what = segment_difference(*earlier, later);
    if (what.empty() && !later.complete && later.parts.size() < earlier->parts.size()) {
      what = "parts of the open segment are gone";
    }
    // A DISCONTINUITY that went wrong is told by its number already.
    if (what.empty() || (discontinuities_told && what == "EXT-X-DISCONTINUITY")) continue;
    scribe(delta ? "delta-merge"_rule : "segment-changed"_rule,
           fmt::format("segment {}: {}", later.msn, what),
           both(before, std::max(earlier->line, earlier->date_line), after,
                std::max(later.line, later.date_line)));
  }
}

void judge_removal(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  if (after.media_sequence <= before.media_sequence) return;
  if (after.playlist_type == "EVENT") {
    scribe("event-removed"_rule,
           fmt::format("{} segments", after.media_sequence - before.media_sequence),
           both(before, before.media_sequence_line, after, after.media_sequence_line));
  }
  Seconds whole{};
  for (const Segment& segment : after.segments) {
    if (segment.complete) whole += segment.duration;
  }
  if (after.ended() || !after.target_duration ||
      whole + Seconds(0.001) >= 3 * *after.target_duration)
    return;
  scribe("live-window-too-short"_rule,
         fmt::format("{:.3f} s are left, and the Target Duration is {} s", whole.count(),
                     after.target_duration->count()),
         both(before, before.media_sequence_line, after, after.media_sequence_line));
}

void judge_daterange_changes(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  for (const DateRange& later : after.dateranges) {
    const auto earlier = std::ranges::find(before.dateranges, later.id, &DateRange::id);
    if (earlier == before.dateranges.end()) continue;
    for (const Attribute& attribute : later.attributes.all()) {
      const Attribute* old = earlier->attributes.find(attribute.name);
      if (old == nullptr || old->value == attribute.value) continue;
      scribe("daterange-conflict"_rule, fmt::format("{}: {} changed", later.id, attribute.name),
             both(before, earlier->line, after, later.line));
    }
  }
}

}  // namespace

bool judge_reload(const Playlist& before, const Playlist& after, const Scribe& scribe) {
  judge_header(before, after, scribe);
  if (before.ended()) {
    const std::string what =
        after.ended() ? first_difference(before, after) : "EXT-X-ENDLIST is gone";
    if (!what.empty()) scribe("endlist-then-changed"_rule, what, quote(before, {before.end_line}));
    return true;
  }
  if (judge_media_sequence(before, after, scribe)) return false;
  if (next_position(after) < next_position(before)) {
    scribe("playlist-went-back"_rule, fmt::format("from {} to {}", to_string(next_position(before)),
                                                  to_string(next_position(after))));
    return true;
  }
  judge_common_segments(before, after, scribe);
  judge_removal(before, after, scribe);
  judge_daterange_changes(before, after, scribe);
  return true;
}

void judge_delta(const Playlist& before, const Exchange& exchange, const Scribe& scribe) {
  const Playlist& delta = *exchange.playlist;
  const bool asked = exchange.asked.skip != SkipDirective::kNone;
  if (!delta.skip) {
    // There has to be something to skip: segments further from the end than the Skip Boundary.
    const auto boundary =
        delta.server_control ? delta.server_control->can_skip_until : std::nullopt;
    if (!asked || !boundary || delta.ended() || delta.segments.empty()) return;
    if (delta.duration() - delta.segments.front().duration <= *boundary) return;
    scribe("delta-ignored"_rule,
           fmt::format("{:.1f} s are listed, and the Skip Boundary is {} s",
                       delta.duration().count(), boundary->count()),
           quote(delta, {delta.server_control->line}));
    return;
  }
  const auto quotes = quote(delta, {delta.skip->line});
  if (!asked) scribe("delta-unasked"_rule, "no _HLS_skip was sent", quotes);
  if (delta.skip->removes_dateranges != (exchange.asked.skip == SkipDirective::kV2) && asked) {
    scribe("delta-dateranges"_rule,
           delta.skip->removes_dateranges ? "_HLS_skip=YES"
                                          : "_HLS_skip=v2 without RECENTLY-REMOVED-DATERANGES",
           quotes);
  }
  const auto boundary = delta.server_control ? delta.server_control->can_skip_until : std::nullopt;
  // The last skipped segment ends where the first that is listed begins.
  const Seconds kept = delta.duration();
  if (delta.skip->segments > 0 && boundary && kept + Seconds(0.001) < *boundary) {
    scribe("delta-skips-too-much"_rule,
           fmt::format("{:.3f} s are left, and the Skip Boundary is {} s", kept.count(),
                       boundary->count()),
           quotes);
  }
  if (const auto merged = merge_delta(before, delta); !merged) {
    scribe("delta-base-missing"_rule, merged.error().message, quotes);
  }
}

}  // namespace mirror::lint
