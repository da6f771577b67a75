// FakeClock: virtual time for tests; advanced by the test, read from any thread.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace mirror {

class FakeClock final : public Clock {
 public:
  Instant now() const override {
    const std::chrono::microseconds passed(passed_us_.load(std::memory_order_acquire));
    return {SteadyTime(passed), WallTime(passed)};
  }
  void advance(std::chrono::microseconds by) {
    passed_us_.fetch_add(by.count(), std::memory_order_acq_rel);
  }

 private:
  // Begins well after the epoch, so that nothing takes the first instant for "never".
  std::atomic<std::int64_t> passed_us_{1'000'000'000'000};
};

}  // namespace mirror
