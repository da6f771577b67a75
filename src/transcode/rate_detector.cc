#include "transcode/rate_detector.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <numeric>

namespace mirror::transcode {
namespace {

using media::MediaTime;

// The intervals between neighbours. Sources without dts give pts in decoding order: sorted, a few
// at the end are still missing, which the median forgives.
std::vector<std::int64_t> intervals(std::vector<MediaTime> pts, const std::vector<MediaTime>& dts) {
  const bool ordered =
      std::adjacent_find(dts.begin(), dts.end(), std::greater_equal<>()) == dts.end();
  if (!ordered) std::sort(pts.begin(), pts.end());
  const auto& times = ordered ? dts : pts;
  std::vector<std::int64_t> out;
  for (std::size_t i = 1; i < times.size(); ++i) {
    if (times[i] > times[i - 1]) out.push_back((times[i] - times[i - 1]).count());
  }
  return out;
}

bool agree(double a, double b, double tolerance) { return std::abs(a - b) <= b * tolerance; }

}  // namespace

void RateDetector::add(MediaTime pts, MediaTime dts) {
  if (pts_.size() >= kUnits) return;
  pts_.push_back(pts);
  dts_.push_back(dts);
}

std::optional<RateDetector::Measured> RateDetector::measure() const {
  auto gaps = intervals(pts_, dts_);
  if (gaps.size() < 2) return std::nullopt;
  std::sort(gaps.begin(), gaps.end());
  const auto median = gaps[gaps.size() / 2];
  // The mean of those near the median: 59.94 Hz comes as 1501 and 1502, lost units as the double.
  std::vector<std::int64_t> near;
  std::ranges::copy_if(gaps, std::back_inserter(near),
                       [median](auto gap) { return std::abs(gap - median) * 10 <= median; });
  const bool steady = near.size() * 4 >= gaps.size() * 3;
  const auto& counted = steady ? near : gaps;
  const auto sum = std::accumulate(counted.begin(), counted.end(), std::int64_t{0});
  return Measured{90'000.0 * static_cast<double>(counted.size()) / static_cast<double>(sum),
                  steady};
}

std::optional<media::FrameRate> RateDetector::rate(double reported_hz) const {
  if (pts_.empty()) return std::nullopt;
  const auto measured = measure();
  const bool confirmed = measured && pts_.size() >= kUnitsConfirming && reported_hz > 0 &&
                         agree(measured->hz, reported_hz, 0.0005);
  const auto [first, last] = std::minmax_element(dts_.begin(), dts_.end());
  const bool enough = pts_.size() >= kUnits || *last - *first >= kDeadline;
  if (!confirmed && !enough) return std::nullopt;
  return best(reported_hz);
}

media::FrameRate RateDetector::best(double reported_hz) const {
  const bool plausible = reported_hz >= 1 && reported_hz <= 120;
  const auto measured = measure();
  if (!measured) return plausible ? media::snap_frame_rate(reported_hz) : kDefault;
  // Jittered timestamps cannot tell 29.97 from 30, perhaps not even 25 from 30; the parameter sets
  // can.
  if (plausible && agree(measured->hz, reported_hz, measured->steady ? 0.03 : 0.25)) {
    return media::snap_frame_rate(reported_hz);
  }
  return media::snap_frame_rate(measured->hz);
}

}  // namespace mirror::transcode
