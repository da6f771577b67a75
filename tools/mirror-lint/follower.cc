#include "follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "playlist_parser.h"

namespace mirror::lint {
namespace {

constexpr Seconds kPlainEvery{5};
constexpr std::uint64_t kFullEvery = 4;      // reloads, of which the others ask for a delta
constexpr std::uint64_t kAgainEvery = 10;    // parts, of which one is fetched twice
constexpr std::uint64_t kProbesEvery = 300;  // reloads
constexpr std::uint64_t kUnhintedEvery = 4;  // hints, of which one is not followed

std::string with_directives(const std::string& url, const Directives& directives) {
  std::string full = url;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, const std::string& value) {
    full += fmt::format("{}{}={}", separator, name, value);
    separator = '&';
  };
  // In this order, so that caches know them (6.3.2).
  if (directives.msn) add("_HLS_msn", std::to_string(*directives.msn));
  if (directives.part) add("_HLS_part", std::to_string(*directives.part));
  if (directives.skip != SkipDirective::kNone) {
    add("_HLS_skip", directives.skip == SkipDirective::kV2 ? "v2" : "YES");
  }
  return full;
}

}  // namespace

Follower::Follower(std::string name, std::string url, Fetcher& fetcher, Sink sink)
    : name_(std::move(name)), url_(std::move(url)), fetcher_(fetcher), sink_(std::move(sink)) {}

void Follower::start() {
  plain_at_ = fetcher_.now() + kPlainEvery;
  ask_playlist(Purpose::kPlain, {}, true);
}

Seconds Follower::target_duration() const {
  return latest_ ? latest_->target_duration.value_or(Seconds(1)) : Seconds(1);
}

void Follower::ask(Exchange exchange, std::function<void(const Exchange&)> then) {
  // A server gives up on what it holds after three Target Durations (6.2.5.2).
  const Seconds timeout = 3 * target_duration() + Seconds(10);
  exchange.rendition = name_;
  ++in_flight_;
  fetcher_.start(std::move(exchange), timeout, [this, then = std::move(then)](Exchange answer) {
    --in_flight_;
    if (is_playlist(answer.purpose) && answer.status == 200) {
      answer.playlist = std::make_shared<const Playlist>(parse_playlist(answer.body));
    }
    sink_(answer);
    if (then) then(answer);
  });
}

void Follower::ask_playlist(Purpose purpose, const Directives& directives, bool main) {
  Exchange exchange;
  exchange.purpose = purpose;
  exchange.asked = directives;
  exchange.url = with_directives(url_, directives);
  if (main) main_in_flight_ = true;
  ask(std::move(exchange), [this, main](const Exchange& answer) { take_playlist(answer, main); });
}

void Follower::ask_later(Seconds delay, Exchange exchange) {
  if (later_.size() < kLaterMax) later_.push_back({fetcher_.now() + delay, std::move(exchange)});
}

bool Follower::first_time(const std::string& key) {
  if (!asked_.insert(key).second) return false;
  asked_order_.push_back(key);
  if (asked_order_.size() > kRemembered) {
    asked_.erase(asked_order_.front());
    asked_order_.pop_front();
  }
  return true;
}

Exchange Follower::resource(Purpose purpose, const Resource& resource, Position position) const {
  Exchange exchange;
  exchange.purpose = purpose;
  exchange.url = resolve(url_, resource.uri);
  exchange.range = resource.range;
  exchange.position = position;
  return exchange;
}

void Follower::tick() {
  const Seconds now = fetcher_.now();
  for (std::size_t i = 0; i < later_.size();) {
    if (later_[i].due > now) {
      ++i;
      continue;
    }
    Exchange exchange = std::move(later_[i].exchange);
    later_.erase(later_.begin() + static_cast<std::ptrdiff_t>(i));
    ask(std::move(exchange));
  }
  if (ended_) return;
  if (now >= plain_at_) {
    plain_at_ = now + kPlainEvery;
    ask_playlist(Purpose::kPlain, {}, false);
  }
  if (retry_at_ && now >= *retry_at_ && !main_in_flight_) {
    retry_at_.reset();
    go_on();
  }
}

void Follower::take_playlist(const Exchange& exchange, bool main) {
  if (main) main_in_flight_ = false;
  if (exchange.playlist && !exchange.playlist->multivariant) {
    const Playlist& playlist = *exchange.playlist;
    const bool newer =
        !latest_ || next_position(playlist) >= next_position(*latest_) || playlist.ended();
    if (newer) latest_ = exchange.playlist;
    fetch_listed(playlist);
    if (newer) fetch_hints(playlist);
    if (newer) watch_removals(playlist);
    ended_ = ended_ || playlist.ended();
  }
  if (!main || ended_) return;
  if (exchange.playlist && can_wait()) {
    reload();
  } else {
    // A server that gave up waiting is asked again; any other one is given time, or is polled.
    constexpr Seconds kSoon{0.05};
    retry_at_ = fetcher_.now() + (exchange.status == 503 ? kSoon : target_duration() / 2);
  }
}

bool Follower::can_wait() const {
  return latest_ && latest_->server_control && latest_->server_control->can_block_reload;
}

void Follower::go_on() {
  if (can_wait()) return reload();
  ask_playlist(Purpose::kPlain, {}, true);
}

void Follower::reload() {
  ++reloads_;
  const Position next = next_position(*latest_);
  const ServerControl& control = *latest_->server_control;
  Directives directives{.msn = next.msn};
  if (latest_->part_target) directives.part = next.part;
  const Purpose purpose = directives.part ? Purpose::kReload : Purpose::kSegmentReload;
  if (control.can_skip_until) {
    // Beside a delta now and then the whole, to compare the merge with.
    if (reloads_ % kFullEvery == 0) ask_playlist(purpose, directives, false);
    const bool dateranges = control.can_skip_dateranges && reloads_ % 2 == 0;
    directives.skip = dateranges ? SkipDirective::kV2 : SkipDirective::kYes;
  }
  ask_playlist(purpose, directives, true);
  probe();
}

// What a server has to refuse or to answer otherwise, one at a time.
void Follower::probe() {
  const Position next = next_position(*latest_);
  switch (reloads_ % kProbesEvery) {
    case 5:
      return ask_playlist(Purpose::kPartAlone, {.part = 0}, false);
    case 7:
      return ask_playlist(Purpose::kFarAhead, {.msn = next.msn + 1000, .part = 0}, false);
    case 9:
      return ask_playlist(Purpose::kPast, {.msn = latest_->media_sequence, .part = 0}, false);
    case 11:
      return ask_playlist(Purpose::kSegmentReload, {.msn = next.msn}, false);
    case 13: {
      const auto& segments = latest_->segments;
      const auto complete = std::find_if(segments.rbegin(), segments.rend(), [](const Segment& s) {
        return s.complete && !s.parts.empty();
      });
      if (complete == segments.rend()) return;
      return ask_playlist(Purpose::kPartPastEnd,
                          {.msn = complete->msn, .part = complete->parts.size()}, false);
    }
    case 15:
      return ask(
          resource(Purpose::kNothing, {"mirror-lint-asks-for-what-is-not-there.m4s", {}}, {}));
    default:
      return;
  }
}

void Follower::fetch_listed(const Playlist& playlist) {
  if (!fetch_from_ && !playlist.segments.empty()) {
    const auto first =
        std::ranges::find_if(playlist.segments, [](const Segment& s) { return !s.parts.empty(); });
    constexpr std::uint64_t kWithoutParts = 3;
    const std::uint64_t last = playlist.segments.back().msn;
    fetch_from_ = first != playlist.segments.end()
                      ? first->msn
                      : last - std::min<std::uint64_t>(last - playlist.segments.front().msn,
                                                       kWithoutParts - 1);
  }
  for (const Segment& segment : playlist.segments) {
    if (segment.msn >= fetch_from_.value_or(0)) fetch_segment(segment);
  }
}

void Follower::fetch_segment(const Segment& segment) {
  if (segment.map) {
    const Exchange map = resource(Purpose::kInit, *segment.map, {segment.msn, 0});
    if (first_time(resource_key(map.url, map.range))) {
      ask(map);
      Exchange again = map;
      again.purpose = Purpose::kAgain;
      ask_later(2 * target_duration(), again);
    }
  }
  for (std::size_t i = 0; i < segment.parts.size(); ++i) {
    const Part& part = segment.parts[i];
    const Position position{segment.msn, i};
    if (!listed_parts_.empty() && position <= listed_parts_.back().position) continue;
    if (part.gap) continue;
    Exchange exchange = resource(Purpose::kPart, part.resource, position);
    listed_parts_.push_back({exchange.url, exchange.range, position});
    if (listed_parts_.size() > kRemembered) listed_parts_.pop_front();
    // What was asked for as a hint is on its way.
    std::optional<ByteRange> open = exchange.range;
    if (open) open->length.reset();
    const bool hinted = open && asked_.contains(resource_key(exchange.url, open));
    const bool fetch = first_time(resource_key(exchange.url, exchange.range)) && !hinted;
    if (++parts_ % kAgainEvery == 0 && !open) {
      Exchange again = exchange;
      again.purpose = Purpose::kAgain;
      ask_later(target_duration(), again);
    }
    if (fetch) ask(std::move(exchange));
  }
  if (!segment.complete || segment.gap) return;
  Exchange exchange = resource(Purpose::kSegment, segment.resource, {segment.msn, 0});
  if (first_time(resource_key(exchange.url, exchange.range))) ask(std::move(exchange));
}

void Follower::fetch_hints(const Playlist& playlist) {
  for (const std::string_view type : {"PART", "MAP"}) {
    const Hint* hint = playlist.hint(type);
    if (hint == nullptr || playlist.ended()) continue;
    const bool part = type == "PART";
    Exchange exchange =
        resource(part ? Purpose::kHint : Purpose::kInit, hint->resource, next_position(playlist));
    const std::string key = resource_key(exchange.url, exchange.range);
    // Some parts are left until they are listed: they have to be there by then without a hint too.
    if (part && key != hinted_) {
      hinted_ = key;
      if (++hints_ % kUnhintedEvery == 0) continue;
    }
    if (part && hints_ % kUnhintedEvery == 0) continue;
    if (first_time(key))
      ask(std::move(exchange), [this, key](const Exchange& answer) { take_hint(answer, key); });
  }
}

// A hint that was refused says nothing about the part, if that is listed all the same.
void Follower::take_hint(const Exchange& answer, const std::string& key) {
  if (answer.ok() || answer.purpose != Purpose::kHint) return;
  asked_.erase(key);
  for (const ListedPart& part : listed_parts_) {
    if (part.url != answer.url || part.range != answer.range) continue;
    Exchange exchange;
    exchange.purpose = Purpose::kPart;
    exchange.url = part.url;
    exchange.range = part.range;
    exchange.position = part.position;
    if (first_time(key)) ask(std::move(exchange));
    return;
  }
}

// 6.2.2: what leaves the playlist can be fetched for a while. One at a time is tried, shortly
// before that while ends.
void Follower::watch_removals(const Playlist& playlist) {
  const Seconds now = fetcher_.now();
  constexpr double kShortlyBefore = 0.9;
  const auto listed = [&](const ListedPart& part) {
    const Segment* segment = playlist.find(part.position.msn);
    return segment != nullptr && part.position.part < segment->parts.size();
  };
  while (!listed_parts_.empty() && !listed(listed_parts_.front())) {
    const ListedPart part = listed_parts_.front();
    if (listed_parts_.size() == 1) break;  // the newest one is remembered for its position
    listed_parts_.pop_front();
    if (now < part_check_at_) continue;
    const Seconds owed = kShortlyBefore * 3 * target_duration();
    part_check_at_ = now + owed;
    Exchange exchange;
    exchange.purpose = Purpose::kRemovedPart;
    exchange.url = part.url;
    exchange.range = part.range;
    exchange.position = part.position;
    ask_later(owed, std::move(exchange));
  }
  if (oldest_ && oldest_->complete && !oldest_->gap && playlist.media_sequence > oldest_->msn) {
    if (now >= segment_check_at_) {
      const Seconds owed = kShortlyBefore * (oldest_->duration + longest_);
      segment_check_at_ = now + owed;
      ask_later(owed, resource(Purpose::kRemovedSegment, oldest_->resource, {oldest_->msn, 0}));
    }
    oldest_.reset();
  }
  if (playlist.skip || playlist.segments.empty()) return;
  longest_ = std::max(longest_, playlist.duration());
  oldest_ = playlist.segments.front();
}

}  // namespace mirror::lint
