// Time as a parameter. Only `app` and the loops read a real clock; everything below is given
// instants, so that tests run an hour in virtual time.
#pragma once

#include <chrono>
#include <cstdint>

namespace mirror {

using SteadyTime = std::chrono::steady_clock::time_point;
// Wall clock (UTC), microseconds. Only for what people and players read: capture times, dates.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

// One instant, read from both clocks together.
struct Instant {
  SteadyTime steady{};
  WallTime wall{};
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override {
    return {
        std::chrono::steady_clock::now(),
        std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now())};
  }
};

}  // namespace mirror
