// PlayoutBuffer: would a player with 300 ms of buffer have stalled? Sans-IO, one per viewer.
//
// It starts once kTarget of media has come, plays at the pace of the clock, and runs dry when a
// part comes later than what it holds lasts; then it fills up to kTarget again, as a player does,
// and the stall ends when it plays on.
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace mirror::load {

class PlayoutBuffer {
 public:
  using Duration = std::chrono::microseconds;
  static constexpr Duration kTarget{300'000};

  // A part of this duration came whole. Gives the stall that ended with it, if one did.
  std::optional<Duration> take(SteadyTime now, Duration duration);
  // The stall that lasts at `now`, when nothing more will come.
  std::optional<Duration> stalled_at(SteadyTime now) const;
  void restart() { *this = {}; }

 private:
  bool playing_ = false;
  Duration filled_{};                        // while it does not play
  SteadyTime dry_at_{};                      // while it plays: when it has played what it has
  std::optional<SteadyTime> stalled_since_;  // while it fills up again
};

}  // namespace mirror::load
