// Rules about one Media Playlist by itself.
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "judging.h"

namespace mirror::lint {
namespace {

constexpr Seconds kRounding{1e-9};  // of decimals read into doubles

void judge_version(const Playlist& playlist, const Scribe& scribe) {
  if (playlist.version >= playlist.version_needed) return;
  scribe(
      "version-too-low"_rule,
      fmt::format("version {} is needed, {} declared", playlist.version_needed, playlist.version),
      quote(playlist, {playlist.version_line, playlist.version_needed_line}));
}

void judge_target_duration(const Playlist& playlist, const Scribe& scribe) {
  if (!playlist.target_duration) {
    scribe("target-duration-missing"_rule, "no EXT-X-TARGETDURATION");
    return;
  }
  for (const Segment& segment : playlist.segments) {
    if (!segment.complete ||
        std::round(segment.duration.count()) <= playlist.target_duration->count()) {
      continue;
    }
    scribe("target-duration-exceeded"_rule,
           fmt::format("segment {} of {:.3f} s against {} s", segment.msn, segment.duration.count(),
                       playlist.target_duration->count()),
           quote(playlist, {playlist.target_duration_line, segment.line}));
  }
}

void judge_server_control(const Playlist& playlist, const Scribe& scribe) {
  const ServerControl control = playlist.server_control.value_or(ServerControl{});
  const auto quotes = quote(playlist, {control.line, playlist.part_inf_line});
  const Seconds target = playlist.target_duration.value_or(Seconds{});
  if (control.hold_back && *control.hold_back + kRounding < 3 * target) {
    scribe("hold-back-too-small"_rule,
           fmt::format("{} s against 3 x {} s", control.hold_back->count(), target.count()),
           quotes);
  }
  if (control.can_skip_until && *control.can_skip_until + kRounding < 6 * target) {
    scribe("can-skip-until-too-small"_rule,
           fmt::format("{} s against 6 x {} s", control.can_skip_until->count(), target.count()),
           quotes);
  }
  if (control.can_skip_dateranges && !control.can_skip_until) {
    scribe("can-skip-dateranges-alone"_rule, "CAN-SKIP-DATERANGES without CAN-SKIP-UNTIL", quotes);
  }
  if (!playlist.part_target || playlist.ended()) return;
  if (!control.can_block_reload) {
    scribe("can-block-reload-missing"_rule, "no CAN-BLOCK-RELOAD=YES", quotes);
  }
  if (!control.part_hold_back) {
    scribe("part-hold-back-missing"_rule, "no PART-HOLD-BACK", quotes);
  } else if (*control.part_hold_back + kRounding < 2 * *playlist.part_target) {
    scribe("part-hold-back-too-small"_rule,
           fmt::format("{} s against 2 x {} s", control.part_hold_back->count(),
                       playlist.part_target->count()),
           quotes);
  } else if (*control.part_hold_back + kRounding < 3 * *playlist.part_target) {
    scribe("part-hold-back-below-recommended"_rule,
           fmt::format("{} s against 3 x {} s", control.part_hold_back->count(),
                       playlist.part_target->count()),
           quotes);
  }
}

// 4.4.4.9. The last listed part of an open segment may turn out to be its last one.
void judge_part_durations(const Playlist& playlist, const Segment& segment, const Scribe& scribe) {
  const Seconds target = *playlist.part_target;
  for (std::size_t i = 0; i < segment.parts.size(); ++i) {
    const Part& part = segment.parts[i];
    const auto quotes = [&] { return quote(playlist, {playlist.part_inf_line, part.line}); };
    const auto what = [&] {
      return fmt::format("part {} of {} s against {} s", to_string({segment.msn, i}),
                         part.duration.count(), target.count());
    };
    if (part.duration > target + kRounding) scribe("part-target-exceeded"_rule, what(), quotes());
    const bool last = i + 1 == segment.parts.size();
    const bool exempt = last || part.independent || part.gap || segment.parts[i + 1].gap;
    if (!exempt && part.duration + kRounding < 0.85 * target) {
      scribe("part-too-short"_rule, what(), quotes());
    }
  }
}

void judge_parts_of(const Playlist& playlist, const Segment& segment, bool oldest_with_parts,
                    const Scribe& scribe) {
  judge_part_durations(playlist, segment, scribe);
  if (!segment.complete || segment.parts.empty()) return;
  // Every decimal may be rounded to a millisecond.
  const Seconds tolerance(0.001 * static_cast<double>(segment.parts.size() + 1));
  const Seconds sum = segment.parts_duration();
  const bool some_may_be_gone = oldest_with_parts && sum < segment.duration;
  if (!some_may_be_gone && std::abs((sum - segment.duration).count()) > tolerance.count()) {
    scribe("parts-sum"_rule,
           fmt::format("segment {}: its parts last {:.5f} s, EXTINF is {:.5f} s", segment.msn,
                       sum.count(), segment.duration.count()),
           quote(playlist, {segment.parts.front().line, segment.line}));
  }
  bool all_gaps = true;
  for (const Part& part : segment.parts) all_gaps = all_gaps && part.gap;
  if (all_gaps && !segment.gap) {
    scribe("gap-segment"_rule, fmt::format("segment {}", segment.msn),
           quote(playlist, {segment.parts.front().line, segment.line}));
  }
}

// 6.2.2, from the end backwards.
void judge_part_window(const Playlist& playlist, const Scribe& scribe) {
  if (playlist.ended() || !playlist.target_duration) return;
  const Seconds target = *playlist.target_duration;
  Seconds behind{};  // from the end of the segment to the end of the playlist
  for (auto it = playlist.segments.rbegin(); it != playlist.segments.rend(); ++it) {
    const bool early =
        it->complete && it->parts.empty() && !it->gap && behind + Seconds(0.01) < 3 * target;
    if (early) {
      scribe("parts-removed-early"_rule,
             fmt::format("segment {} ends {:.3f} s from the end and lists no parts", it->msn,
                         behind.count()),
             quote(playlist, {it->line}));
    }
    if (!it->parts.empty() && behind > 4 * target) {
      scribe("parts-kept-long"_rule,
             fmt::format("segment {} ends {:.3f} s from the end", it->msn, behind.count()),
             quote(playlist, {it->parts.front().line}));
      return;
    }
    behind += it->complete ? it->duration : it->parts_duration();
  }
}

void judge_parts(const Playlist& playlist, const Scribe& scribe) {
  const Part* first = nullptr;
  for (const Segment& segment : playlist.segments) {
    if (segment.parts.empty()) continue;
    const bool oldest = first == nullptr;
    if (oldest) first = &segment.parts.front();
    if (playlist.part_target) judge_parts_of(playlist, segment, oldest, scribe);
  }
  if (first != nullptr && !playlist.part_target) {
    scribe("part-inf-missing"_rule, "EXT-X-PART without EXT-X-PART-INF",
           quote(playlist, {first->line}));
  }
  if (playlist.ended() || playlist.skip) return;
  if (!playlist.part_target && first == nullptr) {
    scribe("not-low-latency"_rule, "neither EXT-X-PART-INF nor EXT-X-PART");
  }
  if (playlist.part_target) judge_part_window(playlist, scribe);
}

void judge_hints(const Playlist& playlist, const Scribe& scribe) {
  std::map<std::string_view, int> seen;
  for (const Hint& hint : playlist.hints) {
    const auto [it, first] = seen.emplace(hint.type, hint.line);
    if (!first) {
      scribe("hint-duplicate"_rule, fmt::format("TYPE={}", hint.type),
             quote(playlist, {it->second, hint.line}));
    }
    if (playlist.ended()) {
      scribe("hint-after-endlist"_rule, hint.resource.uri,
             quote(playlist, {hint.line, playlist.end_line}));
    }
    for (const Segment& segment : playlist.segments) {
      for (const Part& part : segment.parts) {
        if (part.resource == hint.resource && hint.type == "PART") {
          scribe("hint-already-listed"_rule, hint.resource.uri,
                 quote(playlist, {part.line, hint.line}));
        }
      }
    }
  }
  if (playlist.part_target && !playlist.ended() && playlist.hint("PART") == nullptr) {
    scribe("hint-missing"_rule, "no EXT-X-PRELOAD-HINT of TYPE=PART");
  }
}

void judge_dates(const Playlist& playlist, const Scribe& scribe) {
  const Segment* before = nullptr;
  Seconds since{};  // media from `before` on
  bool continuous = true;
  for (const Segment& segment : playlist.segments) {
    continuous = continuous && !segment.discontinuity;
    if (segment.date) {
      if (before != nullptr) {
        const Seconds step = *segment.date - *before->date;
        const auto quotes = quote(playlist, {before->date_line, segment.date_line});
        if (step <= Seconds{}) {
          scribe("pdt-not-monotonic"_rule, fmt::format("segment {}", segment.msn), quotes);
        } else if (continuous && std::abs((step - since).count()) > 0.1) {
          scribe("pdt-jump"_rule,
                 fmt::format("segment {}: {:.3f} s later by date, {:.3f} s by EXTINF", segment.msn,
                             step.count(), since.count()),
                 quotes);
        }
      }
      before = &segment;
      since = {};
      continuous = true;
    }
    since += segment.duration;
  }
  if (before == nullptr && playlist.part_target && !playlist.segments.empty()) {
    scribe("pdt-missing"_rule, "no EXT-X-PROGRAM-DATE-TIME");
  }
  if (before == nullptr && !playlist.dateranges.empty() && !playlist.skip) {
    scribe("daterange-without-pdt"_rule, playlist.dateranges.front().id,
           quote(playlist, {playlist.dateranges.front().line}));
  }
}

// By the names that fragmented MP4 goes by; what is in the file is seen when it is fetched.
bool names_fragmented_mp4(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of("?#"));
  for (const std::string_view suffix : {".m4s", ".mp4", ".cmfv", ".cmfa", ".m4v", ".m4a"}) {
    if (uri.ends_with(suffix)) return true;
  }
  return false;
}

void judge_map(const Playlist& playlist, const Scribe& scribe) {
  if (playlist.skip) return;
  for (const Segment& segment : playlist.segments) {
    if (segment.map || !segment.complete || !names_fragmented_mp4(segment.resource.uri)) continue;
    scribe("map-missing"_rule, segment.resource.uri, quote(playlist, {segment.line}));
    return;
  }
}

}  // namespace

void judge_syntax(const Playlist& playlist, const Scribe& scribe) {
  for (const SyntaxFault& fault : playlist.faults) {
    scribe(RuleName{find_rule(fault.rule)}, fault.what, quote(playlist, {fault.line}));
  }
  judge_version(playlist, scribe);
}

void judge_media_playlist(const Playlist& playlist, const Scribe& scribe) {
  judge_target_duration(playlist, scribe);
  judge_server_control(playlist, scribe);
  judge_parts(playlist, scribe);
  judge_hints(playlist, scribe);
  judge_dates(playlist, scribe);
  judge_map(playlist, scribe);
  judge_dateranges(playlist, scribe);
}

}  // namespace mirror::lint
