// RateLimit: a token bucket, for what a peer may do often but not endlessly. One thread, no clock.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace mirror {

class RateLimit {
 public:
  // `burst` at once, `per_second` in the long run.
  RateLimit(double burst, double per_second)
      : burst_(burst), per_second_(per_second), tokens_(burst) {}

  bool take(SteadyTime now) {
    if (last_ != SteadyTime{}) {
      const std::chrono::duration<double> passed = now - last_;
      tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
    }
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  const double burst_;
  const double per_second_;
  double tokens_;
  SteadyTime last_{};
};

}  // namespace mirror
