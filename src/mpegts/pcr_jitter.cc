#include "mpegts/pcr_jitter.h"

#include <algorithm>
#include <cmath>
#include <ratio>
#include <span>

#include "mpegts/timestamps.h"

namespace mirror::mpegts {
namespace {

using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, 27'000'000>>;

// `a` - `b`, over the wrap of the 33 bits of the base.
Ticks difference(std::uint64_t a, std::uint64_t b) {
  return Ticks(TimestampUnwrap::difference(a / 300, b / 300) * 300 +
               static_cast<std::int64_t>(a % 300) - static_cast<std::int64_t>(b % 300));
}

}  // namespace

void PcrJitter::add(std::uint64_t pcr, SteadyTime received) {
  Offset offset{};
  if (count_ > 0) {
    const Offset step = std::chrono::duration_cast<Offset>(received - last_received_) -
                        std::chrono::duration_cast<Offset>(difference(pcr, last_pcr_));
    const Offset before = offsets_[(count_ - 1) % kWindow];
    if (std::chrono::abs(step) > kJump || std::chrono::abs(before) > kOffsetMax) {
      restart();
    } else {
      offset = before + step;
      if (received == last_received_) --count_;  // takes the place of the one before
    }
  }
  offsets_[count_++ % kWindow] = offset;
  last_pcr_ = pcr;
  last_received_ = received;
}

double PcrJitter::milliseconds() const {
  if (count_ < 2) return 0;
  const auto kept = std::span(offsets_).first(std::min(count_, kWindow));
  // From one of them, so that the sum stays small however long a clock has drifted.
  const Offset base = kept.front();
  double sum = 0;
  for (const Offset offset : kept) sum += static_cast<double>((offset - base).count());
  const double mean = sum / static_cast<double>(kept.size());
  double largest = 0;
  for (const Offset offset : kept) {
    largest = std::max(largest, std::abs(static_cast<double>((offset - base).count()) - mean));
  }
  return largest / 1e6;
}

}  // namespace mirror::mpegts
