// Pace: when the next frame is due. Real time sleeps; a file is written as fast as it goes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace mirror::source {

using std::chrono::microseconds;

class Pace {
 public:
  enum class Mode { kRealTime, kUnpaced };

  // `stop` becomes true from a signal handler, which also interrupts a wait.
  Pace(Mode mode, const std::atomic<bool>& stop);

  // The wall clock at the start; it then runs on by the monotonic clock, so that a step of the
  // system's clock neither stalls the feed nor makes it hurry.
  std::chrono::sys_time<microseconds> start() const { return start_wall_; }
  // Time since start; unpaced, the last instant waited for.
  microseconds elapsed() const;
  // False once stopped.
  bool wait_until(microseconds elapsed);

 private:
  const Mode mode_;
  const std::atomic<bool>& stop_;
  const std::chrono::sys_time<microseconds> start_wall_;
  const std::chrono::steady_clock::time_point start_;
  microseconds reached_{0};
};

}  // namespace mirror::source
