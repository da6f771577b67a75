#include "pace.h"

#include <ctime>

namespace mirror::source {

Pace::Pace(Mode mode, const std::atomic<bool>& stop)
    : mode_(mode),
      stop_(stop),
      start_wall_(std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now())),
      start_(std::chrono::steady_clock::now()) {}

microseconds Pace::elapsed() const {
  if (mode_ == Mode::kUnpaced) return reached_;
  return std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start_);
}

bool Pace::wait_until(microseconds elapsed) {
  reached_ = elapsed;
  if (mode_ == Mode::kUnpaced) return !stop_;
  // On Linux the steady clock is CLOCK_MONOTONIC. A signal ends the sleep early; one that comes
  // just before it is seen after the sleep, a frame later.
  const auto until = (start_ + elapsed).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(until);
  const timespec deadline{
      seconds.count(),
      std::chrono::duration_cast<std::chrono::nanoseconds>(until - seconds).count()};
  while (!stop_ && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) != 0) {
  }
  return !stop_;
}

}  // namespace mirror::source
