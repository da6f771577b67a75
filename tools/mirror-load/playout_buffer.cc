#include "playout_buffer.h"

namespace mirror::load {

namespace {

PlayoutBuffer::Duration between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration_cast<PlayoutBuffer::Duration>(to - from);
}

}  // namespace

std::optional<PlayoutBuffer::Duration> PlayoutBuffer::take(SteadyTime now, Duration duration) {
  if (playing_ && now <= dry_at_) {
    dry_at_ += duration;
    return std::nullopt;
  }
  if (playing_) {
    playing_ = false;
    filled_ = Duration(0);
    stalled_since_ = dry_at_;
  }
  filled_ += duration;
  if (filled_ < kTarget) return std::nullopt;
  playing_ = true;
  dry_at_ = now + filled_;
  if (!stalled_since_) return std::nullopt;
  const Duration stall = between(*stalled_since_, now);
  stalled_since_.reset();
  return stall;
}

std::optional<PlayoutBuffer::Duration> PlayoutBuffer::stalled_at(SteadyTime now) const {
  if (playing_ && now > dry_at_) return between(dry_at_, now);
  if (stalled_since_) return between(*stalled_since_, now);
  return std::nullopt;
}

}  // namespace mirror::load
