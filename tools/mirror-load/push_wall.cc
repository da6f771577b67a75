#include "push_wall.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace mirror::load {

namespace {

using namespace std::chrono_literals;

// So that a server in trouble is not asked as fast as it can refuse.
constexpr auto kPauseBeforeRestart = 1000ms;
// A session says something within seconds (PING); the first frames come at once.
constexpr auto kSilence = 15s;

}  // namespace

PushWall::PushWall(PartLedger& ledger, std::string target,
                   std::optional<std::chrono::seconds> leave_after, const MakeCarrier& make_carrier)
    : target_(std::move(target)),
      leave_after_(leave_after),
      judge_(ledger),
      carrier_(make_carrier(*this)) {}

void PushWall::start(Stats& stats) {
  stats_ = &stats;
  join(std::chrono::steady_clock::now());
}

void PushWall::join(SteadyTime now) {
  state_ = State::kJoining;
  joined_at_ = now;
  readers_.clear();
  judge_.begin(carrier_->in_order());
  carrier_->open(target_);
}

void PushWall::tick(SteadyTime now, Stats& stats) {
  stats_ = &stats;
  if (state_ == State::kPausing) {
    if (now < resume_at_) return;
    ++stats.restarts;
    return join(now);
  }
  if (state_ != State::kJoining && state_ != State::kFollowing) return;
  judge_.check_time(now, stats);
  if (state_ == State::kJoining && now - joined_at_ > kSilence) {
    stats.note(Fault::kTimeout, fmt::format("{}: no part within {} s", target_, kSilence / 1s));
    return restart_later();
  }
  if (leave_after_ && now - joined_at_ >= *leave_after_) {
    carrier_->close();
    join(now);
  }
}

void PushWall::finish(SteadyTime now) {
  if (state_ == State::kFollowing && stats_ != nullptr) judge_.finish(now, *stats_);
}

void PushWall::restart_later() {
  carrier_->close();
  state_ = State::kPausing;
  resume_at_ = std::chrono::steady_clock::now() + kPauseBeforeRestart;
}

void PushWall::broken(std::string_view why) {
  stats_->note(Fault::kProtocol, fmt::format("{}: {}", target_, why));
  restart_later();
}

void PushWall::on_push_bytes(std::uint64_t stream, std::span<const std::uint8_t> bytes, bool fin) {
  if (readers_.size() == kStreamsMax && !readers_.contains(stream)) {
    return broken("too many streams at once");
  }
  push::FrameReader& reader = readers_[stream];
  reader.append(bytes);
  const auto now = std::chrono::steady_clock::now();
  const auto wall =
      std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  for (;;) {
    const auto frame = reader.next();
    if (!frame) return broken(frame.error().message);
    if (!*frame) break;
    judge_.take(**frame, now, wall, *stats_);
  }
  if (judge_.is_playing()) state_ = State::kFollowing;
  if (!fin) return;
  const bool cut = reader.unread() > 0;
  readers_.erase(stream);
  if (cut) broken("a stream ended within a frame");
}

void PushWall::on_push_ended() {
  readers_.clear();
  state_ = State::kEnded;
}

void PushWall::on_push_failed(Fault fault, int status, std::string_view why) {
  if (fault == Fault::kStatus) {
    stats_->note_status(status, fmt::format("{}: {}", target_, why));
  } else {
    stats_->note(fault, fmt::format("{}: {}", target_, why));
  }
  restart_later();
}

std::string target_of_wall(std::string_view path, std::span<const std::string> subscriptions,
                           std::size_t tiles, std::size_t index, bool chunks) {
  std::string target(path);
  char mark = target.find('?') == std::string::npos ? '?' : '&';
  for (std::size_t i = 0; i < tiles; ++i) {
    const std::string& each = subscriptions[(index * tiles + i) % subscriptions.size()];
    fmt::format_to(std::back_inserter(target), "{}subscribe={}", std::exchange(mark, '&'), each);
  }
  if (chunks) fmt::format_to(std::back_inserter(target), "{}chunks=1", mark);
  return target;
}

}  // namespace mirror::load
