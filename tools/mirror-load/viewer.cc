#include "viewer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace mirror::load {

namespace {

using namespace std::chrono_literals;

// So that a server in trouble is not asked as fast as it can refuse.
constexpr auto kPauseBeforeRestart = 1000ms;
constexpr auto kPauseBeforeRetry = 200ms;
constexpr int kServiceUnavailable = 503;

}  // namespace

Viewer::Viewer(const Assignment& assignment, Transport& playlists, Transport& parts)
    : assignment_(assignment),
      playlists_(*this, playlists),
      media_(*this, parts),
      takes_turns_(playlists_.shares_transport_with(media_)) {}

void Viewer::start(Stats& stats) {
  stats_ = &stats;
  join();
}

void Viewer::use_stats(Stats& stats) {
  stats_ = &stats;
  playlists_.use_stats(stats);
  media_.use_stats(stats);
}

void Viewer::tick(SteadyTime now, Stats& stats) {
  stats_ = &stats;
  playlists_.check_time(now);
  media_.check_time(now);
  const auto& leave_after = assignment_.leave_after;
  if (state_ == State::kFollowing && leave_after && now - joined_at_ >= *leave_after) {
    leave();
    return join();
  }
  if (state_ != State::kPausing || now < resume_at_) return;
  if (restart_) {
    ++stats.restarts;
    return join();
  }
  state_ = State::kFollowing;
  follow();
}

void Viewer::finish(SteadyTime now) {
  if (state_ == State::kEnded || stats_ == nullptr) return;
  if (const auto stall = buffer_.stalled_at(now)) {
    ++stats_->stalls;
    stats_->stalled += *stall;
  }
}

void Viewer::join() {
  state_ = State::kJoining;
  joined_at_ = std::chrono::steady_clock::now();
  restart_ = false;
  ended_ = false;
  init_pending_ = false;
  map_.clear();
  wanted_.clear();
  decode_time_.reset();
  buffer_.restart();
  document_ = assignment_.url.target;
  playlists_.send(document_, *stats_);
}

void Viewer::pause(std::chrono::milliseconds duration, bool restart) {
  state_ = State::kPausing;
  restart_ = restart_ || restart;
  resume_at_ = std::chrono::steady_clock::now() + duration;
}

// Whatever is under way is of no use any more.
void Viewer::restart_later() {
  playlists_.abandon();
  media_.abandon();
  pause(kPauseBeforeRestart, true);
}

void Viewer::leave() {
  playlists_.abandon();
  media_.abandon();
  if (assignment_.connections_are_shared) return;
  playlists_.hang_up();
  media_.hang_up();
}

void Viewer::on_answer(Lane& lane) {
  if (&lane == &media_) return init_pending_ ? take_init() : take_part();
  if (state_ == State::kJoining) return take_first(lane.text());
  take_reload();
}

void Viewer::on_no_answer(Lane& lane, int status) {
  if (state_ == State::kJoining) return restart_later();
  if (&lane == &playlists_) {
    // Held until the server's time-out: the position is still right (6.2.5.2).
    if (status == kServiceUnavailable) return pause(kPauseBeforeRetry, false);
    return restart_later();
  }
  // The part is lost; what follows does not continue what came before.
  decode_time_.reset();
  follow();
}

void Viewer::take_first(std::string_view text) {
  if (is_multivariant(text)) return take_multivariant(text);
  std::array<ListedPart, kNewPartsMax> ignored;
  // Nothing in it is new to a viewer who joins behind it.
  const auto scan = scan_media_playlist(text, {UINT64_MAX, 0}, ignored);
  if (!scan) {
    note(Fault::kBadPlaylist, fmt::format("{}: {}", document_, scan.error().message));
    return restart_later();
  }
  if (is_usable(*scan)) take_playlist_to_join(*scan);
}

void Viewer::take_multivariant(std::string_view text) {
  const auto uri = choose_rendition(text, assignment_.rendition);
  auto target = uri ? resolve_reference(assignment_.url, document_, *uri)
                    : Result<std::string>(std::unexpected(uri.error()));
  if (!target || *target == document_) {
    const std::string why = target ? "it names itself" : target.error().message;
    note(Fault::kBadPlaylist, fmt::format("{}: {}", document_, why));
    return restart_later();
  }
  document_ = std::move(*target);
  playlists_.send(document_, *stats_);
}

bool Viewer::is_usable(const PlaylistScan& scan) {
  std::string_view why;
  if (!scan.blocks && !scan.ended) why = "the server does not offer blocking reloads";
  if (scan.byte_ranges) why = "parts that are byte ranges are not known here";
  if (why.empty()) return true;
  note(Fault::kBadPlaylist, fmt::format("{}: {}", document_, why));
  restart_later();
  return false;
}

void Viewer::take_playlist_to_join(const PlaylistScan& scan) {
  next_ = scan.next;
  ended_ = scan.ended;
  map_ = scan.map_uri;
  if (map_.empty()) {
    state_ = State::kFollowing;
    return follow();
  }
  auto target = resolve_reference(assignment_.url, document_, map_);
  if (!target) {
    note(Fault::kBadPlaylist, fmt::format("EXT-X-MAP: {}", target.error().message));
    return restart_later();
  }
  init_pending_ = true;
  media_.send(*target, *stats_);
}

void Viewer::take_init() {
  init_pending_ = false;
  if (auto status = probe_init(media_.body()); !status) {
    note(Fault::kBadMedia, fmt::format("{}: {}", media_.target(), status.error().message));
  }
  state_ = State::kFollowing;
  follow();
}

// Sends whatever may be sent now.
void Viewer::follow() {
  if (state_ != State::kFollowing) return;
  if (!media_.is_busy() && !(takes_turns_ && playlists_.is_busy())) fetch_next_part();
  const bool all_fetched = wanted_.empty() && !media_.is_busy();
  if (ended_) {
    if (all_fetched) state_ = State::kEnded;
    return;
  }
  if (!playlists_.is_busy() && (!takes_turns_ || all_fetched)) reload();
}

void Viewer::reload() {
  const char mark = document_.find('?') == std::string::npos ? '?' : '&';
  query_ = document_;
  fmt::format_to(std::back_inserter(query_), "{}_HLS_msn={}&_HLS_part={}{}", mark, next_.msn,
                 next_.part, assignment_.delta_updates ? "&_HLS_skip=YES" : "");
  playlists_.send(query_, *stats_);
}

void Viewer::take_reload() {
  std::array<ListedPart, kNewPartsMax> parts;
  const auto scan = scan_media_playlist(playlists_.text(), next_, parts);
  if (!scan) {
    note(Fault::kBadPlaylist, fmt::format("{}: {}", playlists_.target(), scan.error().message));
    return restart_later();
  }
  ++stats_->reloads;
  stats_->held.record(playlists_.to_head());
  if (!is_usable(*scan)) return;
  // Another presentation took the place of the one that was followed.
  if (!scan->map_uri.empty() && scan->map_uri != map_) return restart_later();
  ended_ = scan->ended;
  if (scan->next <= next_ && !ended_) {
    note(Fault::kStale, fmt::format("{}: ends before {}.{}", playlists_.target(), scan->next.msn,
                                    scan->next.part));
    return pause(kPauseBeforeRetry, false);
  }
  if (!want_parts(*scan, std::span(parts).first(scan->new_parts))) return restart_later();
  next_ = std::max(next_, scan->next);
  follow();
}

// Puts what is new behind what is still to be fetched; false when it cannot.
bool Viewer::want_parts(const PlaylistScan& scan, std::span<const ListedPart> parts) {
  const bool jumped = parts.empty() ? scan.next > scan.expected : parts[0].at != scan.expected;
  if (jumped || scan.overflow > 0) {
    note(Fault::kGap, fmt::format("{}: {}.{} is not listed", playlists_.target(), scan.expected.msn,
                                  scan.expected.part));
    decode_time_.reset();
  }
  for (const ListedPart& part : parts) {
    if (part.gap) {
      decode_time_.reset();
      continue;
    }
    auto target = resolve_reference(assignment_.url, document_, part.uri);
    if (!target || wanted_.size() == kNewPartsMax) {
      const std::string why = target ? "too many parts wait" : target.error().message;
      note(target ? Fault::kGap : Fault::kBadPlaylist, why);
      return false;
    }
    wanted_.push_back({std::move(*target), part.duration, part.discontinuity});
  }
  return true;
}

void Viewer::fetch_next_part() {
  if (wanted_.empty()) return;
  current_ = std::move(wanted_.front());
  wanted_.pop_front();
  media_.send(current_.target, *stats_);
}

void Viewer::take_part() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const SteadyTime now = media_.ended_at();
  const auto wall = std::chrono::system_clock::now();
  const auto verdict = assignment_.ledger.check_part(current_.target, media_.body(), now);
  ++stats_->parts;
  stats_->fetched.record(media_.to_end());
  stats_->behind_fastest.record(duration_cast<microseconds>(now - verdict.first_arrival));
  if (verdict.facts.captured) {
    stats_->behind_capture.record(duration_cast<microseconds>(wall - *verdict.facts.captured));
  }
  if (!verdict.same) {
    note(Fault::kMismatch, fmt::format("{}: not what another viewer got", current_.target));
    decode_time_.reset();
  } else {
    if (!verdict.fault.empty()) {
      note(Fault::kBadMedia, fmt::format("{}: {}", current_.target, verdict.fault));
    }
    check_order(verdict.facts, current_.discontinuity);
  }
  if (const auto stall = buffer_.take(now, current_.duration)) {
    ++stats_->stalls;
    stats_->stalled += *stall;
  }
  follow();
}

// What comes next begins where this ends, to within half a part: some servers round.
void Viewer::check_order(const MediaFacts& facts, bool discontinuity) {
  const auto expected = std::exchange(decode_time_, std::nullopt);
  if (!facts.decode_time || !facts.duration) return;
  decode_time_ = *facts.decode_time + *facts.duration;
  if (!expected || discontinuity) return;
  const std::uint64_t slack = *facts.duration / 2;
  if (*facts.decode_time > *expected + slack) {
    note(Fault::kGap, fmt::format("{}: begins {} ticks behind the end of the part before",
                                  current_.target, *facts.decode_time - *expected));
  } else if (*facts.decode_time + slack < *expected) {
    note(Fault::kRepeat, fmt::format("{}: begins {} ticks before the end of the part before",
                                     current_.target, *expected - *facts.decode_time));
  }
}

}  // namespace mirror::load
