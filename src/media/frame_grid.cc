#include "media/frame_grid.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

namespace mirror::media {

namespace {

// What cameras and encoders really use, and the halves that proxies make of it.
constexpr std::array kKnownRates = {
    FrameRate{10, 1},          FrameRate{25, 2},         FrameRate{15'000, 1'001},
    FrameRate{15, 1},          FrameRate{24'000, 1'001}, FrameRate{24, 1},
    FrameRate{25, 1},          FrameRate{30'000, 1'001}, FrameRate{30, 1},
    FrameRate{48'000, 1'001},  FrameRate{48, 1},         FrameRate{50, 1},
    FrameRate{60'000, 1'001},  FrameRate{60, 1},         FrameRate{100, 1},
    FrameRate{120'000, 1'001}, FrameRate{120, 1}};

constexpr double kSurelyThisRate = 0.000'4;
constexpr double kProbablyThisRate = 0.03;
constexpr double kRateMinHz = 1;
constexpr double kRateMaxHz = 120;

double relative_distance(FrameRate rate, double hz) { return std::abs(hz / rate.hz() - 1); }

// The nearest known rate, if within `tolerance` (relative).
const FrameRate* nearest_known(double hz, double tolerance) {
  const auto nearest = std::ranges::min_element(
      kKnownRates, {}, [hz](FrameRate rate) { return relative_distance(rate, hz); });
  return relative_distance(*nearest, hz) <= tolerance ? &*nearest : nullptr;
}

// numerator / denominator, halves rounded down; both positive.
constexpr std::uint64_t divide_half_down(std::uint64_t numerator, std::uint64_t denominator) {
  return (2 * numerator + denominator - 1) / (2 * denominator);
}

FrameRate halved(FrameRate rate) {
  if (rate.num % 2 == 0) return {rate.num / 2, rate.den};
  return {rate.num, rate.den * 2};
}

}  // namespace

FrameRate snap_frame_rate(double measured_hz) {
  // Written so that NaN ends here too.
  if (!(measured_hz > kRateMinHz)) return {static_cast<std::uint32_t>(kRateMinHz), 1};
  if (measured_hz > kRateMaxHz) return {static_cast<std::uint32_t>(kRateMaxHz), 1};
  for (const double tolerance : {kSurelyThisRate, kProbablyThisRate}) {
    if (const FrameRate* known = nearest_known(measured_hz, tolerance)) return *known;
  }
  return {static_cast<std::uint32_t>(std::lround(measured_hz)), 1};
}

SampleGrid SampleGrid::for_rate(std::uint32_t timescale, std::uint32_t sample_duration) {
  assert(timescale > 0 && sample_duration > 0);
  const std::uint64_t sample = sample_duration;
  const std::uint64_t per_part =
      std::max<std::uint64_t>(1, divide_half_down(timescale, 10 * sample));
  const std::uint64_t parts =
      std::max<std::uint64_t>(1, divide_half_down(timescale, 2 * per_part * sample));
  return {.timescale = timescale,
          .sample_duration = sample_duration,
          .samples_per_part = static_cast<std::uint32_t>(per_part),
          .samples_per_segment = static_cast<std::uint32_t>(per_part * parts)};
}

SampleGrid SampleGrid::for_video(FrameRate rate) {
  // A timescale of thousands leaves room for players that round; 30000/1001 has it already.
  const std::uint32_t factor = rate.num >= 1'000 ? 1 : 1'000;
  return for_rate(rate.num * factor, rate.den * factor);
}

FrameRate proxy_frame_rate(FrameRate source, double max_hz) {
  assert(source.num > 0 && source.den > 0);
  FrameRate rate = source;
  while (rate.hz() > max_hz && rate.hz() > kRateMinHz) rate = halved(rate);
  return rate;
}

}  // namespace mirror::media
