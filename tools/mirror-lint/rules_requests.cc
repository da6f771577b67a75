// Rules about what a request is answered with: delivery directives (RFC 8216bis, 6.2.5.2), and
// what HTTP says about the answer.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "judging.h"

namespace mirror::lint {
namespace {

bool is_refusal(const Exchange& exchange) {
  return exchange.status >= 400 && exchange.status < 500;
}

std::string answer_of(const Exchange& exchange) {
  if (exchange.status == 0) return fmt::format("{}: {}", exchange.url, exchange.error);
  return fmt::format("{}: {} after {:.3f} s", exchange.url, exchange.status,
                     (exchange.finished - exchange.started).count());
}

void judge_blocking(const Exchange& exchange, const Scribe& scribe, RuleName early) {
  if (exchange.status == 503) return scribe("blocking-timeout"_rule, answer_of(exchange));
  if (!exchange.playlist) return scribe("blocking-refused"_rule, answer_of(exchange));
  if (contains(*exchange.playlist, *exchange.asked.msn, exchange.asked.part)) return;
  scribe(early, fmt::format("{}, and it ends before {}", answer_of(exchange),
                            to_string(next_position(*exchange.playlist))));
}

void judge_past(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe) {
  const bool held = exchange.finished - exchange.started > 1.5 * facts.target_duration + kSlack;
  if (held || !exchange.playlist) scribe("past-held"_rule, answer_of(exchange));
}

void judge_far_ahead(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe) {
  const bool held = exchange.finished - exchange.started > facts.target_duration + kSlack;
  if (held || !is_refusal(exchange)) scribe("far-ahead-accepted"_rule, answer_of(exchange));
}

bool is_media(Purpose purpose) {
  constexpr std::array kMedia = {Purpose::kInit, Purpose::kPart, Purpose::kHint, Purpose::kSegment};
  return std::ranges::find(kMedia, purpose) != kMedia.end();
}

bool known_as_playlist(const Exchange& exchange) {
  const std::string_view type = exchange.header("content-type");
  for (const std::string_view known : {"application/vnd.apple.mpegurl", "audio/mpegurl"}) {
    if (type.starts_with(known)) return true;
  }
  const std::string_view path =
      std::string_view(exchange.url).substr(0, exchange.url.find_first_of("?#"));
  return path.ends_with(".m3u8") || path.ends_with(".m3u");
}

bool known_as_media(std::string_view type) {
  for (const std::string_view known :
       {"video/", "audio/", "text/vtt", "application/mp4", "application/ttml"}) {
    if (type.starts_with(known)) return true;
  }
  return false;
}

void judge_types(const Exchange& exchange, const Scribe& scribe) {
  if (exchange.playlist && !known_as_playlist(exchange)) {
    scribe("content-type-playlist"_rule,
           fmt::format("{}: content-type \"{}\"", exchange.url, exchange.header("content-type")));
  }
  if (is_media(exchange.purpose) && !known_as_media(exchange.header("content-type"))) {
    scribe("content-type-media"_rule,
           fmt::format("{}: content-type \"{}\"", exchange.url, exchange.header("content-type")));
  }
  if (exchange.header("access-control-allow-origin").empty()) {
    scribe("cors-missing"_rule, fmt::format("{}: no access-control-allow-origin", exchange.url));
  }
  constexpr std::size_t kWorthCompressing = 400;
  if (exchange.playlist && exchange.header("content-encoding").empty() &&
      exchange.body.size() > kWorthCompressing) {
    scribe("gzip-missing"_rule,
           fmt::format("{}: {} bytes as they are", exchange.url, exchange.body.size()));
  }
}

void judge_caching(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe) {
  const auto fresh = fresh_for(exchange);
  const auto what = [&] {
    return fmt::format("{}: {} with cache-control \"{}\"", exchange.url, exchange.status,
                       exchange.header("cache-control"));
  };
  if (exchange.purpose == Purpose::kPlain && exchange.playlist && facts.live && fresh &&
      *fresh > facts.target_duration) {
    scribe("cache-plain"_rule, what());
  }
  if (exchange.purpose == Purpose::kReload && exchange.playlist && facts.live &&
      fresh.value_or(Seconds{}) <= Seconds{}) {
    scribe("cache-directed"_rule, what());
  }
  if (is_media(exchange.purpose) && exchange.ok() &&
      fresh.value_or(Seconds{}) < facts.target_duration) {
    scribe("cache-media"_rule, what());
  }
  if (exchange.status >= 400 && fresh.value_or(Seconds{}) > 4 * facts.target_duration) {
    scribe("cache-error"_rule, what());
  }
}

}  // namespace

void judge_directives(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe) {
  switch (exchange.purpose) {
    case Purpose::kReload:
      return judge_blocking(exchange, scribe, "blocking-early"_rule);
    case Purpose::kSegmentReload:
      return judge_blocking(exchange, scribe, "blocking-segment-early"_rule);
    case Purpose::kPartPastEnd:
      return judge_blocking(exchange, scribe, "part-past-end"_rule);
    case Purpose::kPartAlone:
      if (!is_refusal(exchange)) scribe("part-without-msn"_rule, answer_of(exchange));
      return;
    case Purpose::kFarAhead:
      return judge_far_ahead(exchange, facts, scribe);
    case Purpose::kPast:
      return judge_past(exchange, facts, scribe);
    case Purpose::kMultivariant:
    case Purpose::kPlain:
      if (!exchange.playlist) scribe("playlist-unavailable"_rule, answer_of(exchange));
      return;
    case Purpose::kInit:
      if (!exchange.ok()) scribe("init-unavailable"_rule, answer_of(exchange));
      return;
    case Purpose::kPart:
      if (!exchange.ok()) scribe("part-unavailable"_rule, answer_of(exchange));
      return;
    case Purpose::kSegment:
      if (!exchange.ok()) scribe("segment-unavailable"_rule, answer_of(exchange));
      return;
    case Purpose::kRemovedPart:
      if (!exchange.ok()) scribe("part-removed-too-early"_rule, answer_of(exchange));
      return;
    case Purpose::kRemovedSegment:
      if (!exchange.ok()) scribe("segment-removed-too-early"_rule, answer_of(exchange));
      return;
    case Purpose::kHint:  // judged when it is known whether the part came
    case Purpose::kAgain:
    case Purpose::kNothing:
      return;
  }
}

void judge_transport(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe) {
  if (exchange.status == 0) return;
  if (exchange.ok()) judge_types(exchange, scribe);
  judge_caching(exchange, facts, scribe);
}

}  // namespace mirror::lint
