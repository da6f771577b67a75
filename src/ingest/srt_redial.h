// Redial: when a source is dialled again. Pure, in virtual time; one for each source.
//
// The first wait is about kFirst and each further one twice the last, up to about kLongest, for
// ever; a connection that lasted kStable begins anew. Each wait is drawn from the upper half of its
// span, so that the callers of a far end that comes back do not all call at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

#include "base/clock.h"

namespace mirror::ingest {

class Redial {
 public:
  static constexpr std::chrono::milliseconds kFirst{500};
  static constexpr std::chrono::milliseconds kLongest{15'000};
  static constexpr std::chrono::milliseconds kStable{10'000};

  explicit Redial(std::uint64_t seed) : random_(seed) {}

  void connected(SteadyTime now) { connected_at_ = now; }

  // What was begun has failed, or what stood has ended: when to dial again.
  SteadyTime next(SteadyTime now) {
    if (connected_at_ != SteadyTime{} && now - connected_at_ >= kStable) span_ = kFirst;
    connected_at_ = {};
    const std::uniform_int_distribution<std::int64_t> upper_half(span_.count() / 2, span_.count());
    const std::chrono::milliseconds wait(draw(upper_half));
    span_ = std::min(2 * span_, kLongest);
    return now + wait;
  }

  // The same where trying soon is of no use: the longest wait.
  SteadyTime next_after_refusal(SteadyTime now) {
    span_ = kLongest;
    return next(now);
  }

 private:
  std::int64_t draw(std::uniform_int_distribution<std::int64_t> distribution) {
    return distribution(random_);
  }

  std::mt19937_64 random_;
  std::chrono::milliseconds span_ = kFirst;
  SteadyTime connected_at_{};
};

}  // namespace mirror::ingest
