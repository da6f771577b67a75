#include "judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "delta.h"

namespace mirror::lint {

void Judge::add_rendition(const std::string& name, const std::string& url) {
  renditions_.try_emplace(name, std::make_unique<Rendition>(name, url));
}

ServerFacts Judge::facts_of(const Rendition* rendition) const {
  ServerFacts facts;
  if (rendition == nullptr || !rendition->full) return facts;
  facts.target_duration = rendition->full->target_duration.value_or(Seconds(1));
  facts.live = !rendition->full->ended();
  return facts;
}

void Judge::take(const Exchange& exchange) {
  const Scribe scribe = scribe_for(exchange.rendition, exchange.finished);
  const auto found = renditions_.find(exchange.rendition);
  Rendition* const rendition = found == renditions_.end() ? nullptr : found->second.get();
  if (http_major_ >= 2 && exchange.status != 0 && exchange.http_major < http_major_ &&
      !http_told_) {
    http_told_ = true;
    scribe("http2-missing"_rule,
           fmt::format("{} was answered over HTTP/{}", exchange.url, exchange.http_major));
  }
  ServerFacts facts = facts_of(rendition);
  // The first playlist is judged by what it says itself.
  if (exchange.playlist && exchange.playlist->target_duration)
    facts.target_duration = *exchange.playlist->target_duration;
  if (exchange.playlist && exchange.playlist->ended()) facts.live = false;
  judge_directives(exchange, facts, scribe);
  judge_transport(exchange, facts, scribe);
  if (exchange.playlist) judge_syntax(*exchange.playlist, scribe);
  if (exchange.purpose == Purpose::kMultivariant) return take_multivariant(exchange, scribe);
  if (rendition == nullptr) return;
  if (exchange.playlist) {
    take_media_playlist(*rendition, exchange, scribe);
  } else if (!is_playlist(exchange.purpose)) {
    if (exchange.purpose == Purpose::kHint)
      rendition->hints.take_hint(exchange, rendition->full.get(), scribe);
    rendition->media.take(exchange, scribe);
  }
  settle_claims(exchange.finished, false);
}

void Judge::take_multivariant(const Exchange& exchange, const Scribe& scribe) {
  if (!exchange.playlist) return;
  multivariant_ = exchange.playlist;
  multivariant_url_ = exchange.url;
  judge_multivariant_playlist(*multivariant_, scribe);
}

// The complete version that the answer stands for; null when its delta cannot be merged.
std::shared_ptr<const Playlist> Judge::merged(const Rendition& rendition, const Exchange& exchange,
                                              const Scribe& scribe) const {
  const Playlist before = rendition.full ? Playlist{} : *exchange.playlist;
  const Playlist& base = rendition.full ? *rendition.full : before;
  if (exchange.asked.skip != SkipDirective::kNone || exchange.playlist->skip)
    judge_delta(base, exchange, scribe);
  if (!exchange.playlist->skip) return exchange.playlist;
  Result<Playlist> playlist = merge_delta(base, *exchange.playlist);
  if (!playlist) return nullptr;
  return std::make_shared<const Playlist>(std::move(*playlist));
}

// Two versions that end at the same part say the same, whichever of them came as a delta. False
// when the newer one must not take the older one's place.
bool Judge::judge_same_end(const Playlist& before, const Playlist& after, SameEnd how,
                           const Scribe& scribe) {
  // A date range may come or go without a new part.
  const std::string what =
      first_difference(before, after, how.at_once ? DateRanges::kCompare : DateRanges::kLeaveOut);
  if (what.empty()) return true;
  if (before.ended()) {
    scribe("endlist-then-changed"_rule, what, quote(before, {before.end_line}));
  } else if (how.as_delta || before.merged) {
    scribe("delta-merge"_rule, what);
    return !how.as_delta;
  } else {
    return judge_reload(before, after, scribe);
  }
  return true;
}

void Judge::take_media_playlist(Rendition& rendition, const Exchange& exchange,
                                const Scribe& scribe) {
  judge_media_playlist(*exchange.playlist, scribe);
  const auto playlist = merged(rendition, exchange, scribe);
  if (!playlist) return;
  // What was asked for before the newest answer came may be older than that.
  const bool in_order = !rendition.full_at || exchange.started >= *rendition.full_at;
  const bool newer = !rendition.full || next_position(*playlist) > next_position(*rendition.full);
  const bool same_end = rendition.full &&
                        next_position(*playlist) == next_position(*rendition.full) &&
                        rendition.full->ended() == playlist->ended();
  if (same_end) {
    const SameEnd how{.as_delta = exchange.playlist->skip.has_value(), .at_once = !in_order};
    if (!judge_same_end(*rendition.full, *playlist, how, scribe)) return;
  } else if (rendition.full && (newer || (in_order && exchange.purpose != Purpose::kPlain))) {
    // Without directives a cache may answer, with what was true half a Target Duration ago.
    if (!judge_reload(*rendition.full, *playlist, scribe)) return;
  }
  const bool fresh = exchange.purpose == Purpose::kReload;
  if (fresh) judge_reports(rendition, exchange, scribe);
  if (!newer && !(same_end && in_order) && !playlist->ended()) return;
  rendition.hints.take_playlist(*playlist, fresh, scribe);
  judge_pace(rendition, *playlist, exchange, scribe);
  judge_uris(rendition, *playlist, scribe);
  rendition.full = playlist;
  rendition.full_at = exchange.finished;
  rendition.media.take_playlist(playlist, scribe);
}

// 6.2.1: how long nothing new came.
void Judge::judge_pace(Rendition& rendition, const Playlist& playlist, const Exchange& exchange,
                       const Scribe& scribe) {
  const Position next = next_position(playlist);
  const Position before = rendition.full ? next_position(*rendition.full) : Position{};
  const bool has_new_segment = rendition.full && next.msn > before.msn;
  const bool has_new_part = rendition.full && next > before;
  const Seconds target = playlist.target_duration.value_or(Seconds(1));
  bool interrupted = false;
  for (auto it = playlist.segments.rbegin();
       it != playlist.segments.rend() && it->msn >= before.msn; ++it) {
    interrupted = interrupted || it->discontinuity;
  }
  const auto tell = [&](const RuleName& rule, std::string what) {
    if (interrupted) return scribe("source-interrupted"_rule, std::move(what));
    // Of a source that went away the last segment is closed late, and a discontinuity follows it.
    const std::uint64_t newest = next.part > 0 || next.msn == 0 ? next.msn : next.msn - 1;
    constexpr std::size_t kLateMax = 64;
    if (rendition.late.size() < kLateMax)
      rendition.late.push_back({rule, scribe.at, std::move(what), newest});
  };
  if (has_new_segment && rendition.segment_at) {
    const Seconds gap = exchange.finished - *rendition.segment_at;
    if (gap > 1.5 * target + kSlack) {
      tell("update-late"_rule, fmt::format("{:.3f} s without a new segment", gap.count()));
    }
  }
  const bool waited =
      exchange.purpose == Purpose::kReload && rendition.part_at && playlist.part_target;
  if (has_new_part && waited && !playlist.ended()) {
    const Seconds gap = exchange.finished - *rendition.part_at;
    if (gap > *playlist.part_target + target) {
      tell("part-late"_rule, fmt::format("{:.3f} s without a new part", gap.count()));
    }
  }
  settle_late(rendition, playlist, false);
  if (has_new_segment || !rendition.segment_at) rendition.segment_at = exchange.finished;
  if (has_new_part || !rendition.part_at) {
    rendition.part_at = exchange.finished;
    constexpr std::size_t kReachedMax = 256;
    rendition.reached.emplace_back(exchange.finished, next);
    if (rendition.reached.size() > kReachedMax) rendition.reached.pop_front();
  }
}

void Judge::settle_late(Rendition& rendition, const Playlist& playlist, bool all) {
  while (!rendition.late.empty()) {
    const Late late = rendition.late.front();
    const Segment* following = playlist.find(late.msn + 1);
    if (following == nullptr && !all && !playlist.ended()) return;
    const bool interrupted = following != nullptr && following->discontinuity;
    scribe_for(rendition.name, late.at)(interrupted ? "source-interrupted"_rule : late.rule,
                                        late.what);
    rendition.late.pop_front();
  }
}

// Only what was not there before is looked at.
void Judge::judge_uris(Rendition& rendition, const Playlist& playlist, const Scribe& scribe) {
  const Position known = rendition.full ? next_position(*rendition.full) : Position{};
  constexpr std::size_t kUrisMax = 100'000;
  const auto check = [&](const Resource& resource, Position position, int line) {
    if (rendition.uris.size() >= kUrisMax) rendition.uris.clear();
    const auto [it, fresh] =
        rendition.uris.emplace(resource_key(resource.uri, resource.range), position);
    if (fresh || it->second == position) return;
    scribe("uri-reused"_rule,
           fmt::format("{} was {} and is {}", resource.uri, to_string(it->second),
                       to_string(position)),
           quote(playlist, {line}));
  };
  for (const Segment& segment : playlist.segments) {
    if (segment.msn < known.msn) continue;
    for (std::size_t i = 0; i < segment.parts.size(); ++i) {
      const Part& part = segment.parts[i];
      // A segment of one part may be that part.
      if (Position{segment.msn, i} >= known && part.resource != segment.resource) {
        check(part.resource, {segment.msn, i + 1}, part.line);
      }
    }
    if (segment.complete) check(segment.resource, {segment.msn, 0}, segment.line);
  }
}

void Judge::finish(Seconds now) {
  for (const auto& [name, rendition] : renditions_) {
    const Scribe scribe = scribe_for(name, now);
    rendition->hints.finish(scribe);
    if (rendition->full) settle_late(*rendition, *rendition->full, true);
    if (!rendition->full || rendition->full->ended() || !rendition->segment_at) continue;
    const Seconds gap = now - *rendition->segment_at;
    if (gap > 1.5 * rendition->full->target_duration.value_or(Seconds(1)) + kSlack) {
      scribe("update-late"_rule,
             fmt::format("{:.3f} s without a new segment at the end", gap.count()));
    }
  }
  settle_claims(now, true);
  if (multivariant_) judge_variants(now);
  judge_alignment(now);
}

}  // namespace mirror::lint
