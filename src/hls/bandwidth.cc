#include "hls/bandwidth.h"

#include <algorithm>

#include "hls/playlist.h"

namespace mirror::hls {

namespace {
constexpr std::uint64_t kShortestTicks = kTargetDurationSeconds * kTicksPerSecond / 2;
constexpr std::uint64_t kLongestTicks = 3 * kShortestTicks;
}  // namespace

void Bandwidth::add_segment(std::uint64_t bytes, std::uint64_t samples) {
  if (samples == 0) return;
  total_.bytes += bytes;
  total_.samples += samples;
  recent_.push_back({bytes, samples});
  measure_peak();
}

std::uint64_t Bandwidth::peak_bps() const { return peak_bps_ != 0 ? peak_bps_ : average_bps(); }

std::uint64_t Bandwidth::average_bps() const { return bps(total_); }

// Rounded up. A day of 400 kbps is 2^32 bytes: no overflow in centuries.
std::uint64_t Bandwidth::bps(const Run& run) const {
  const double seconds = static_cast<double>(run.samples) * grid_.sample_duration / grid_.timescale;
  return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(run.bytes) * 8 / seconds) + 1
                     : 0;
}

// Looks at each run of segments that ends with the newest, and forgets what no run can reach.
void Bandwidth::measure_peak() {
  Run run;
  std::size_t used = 0;
  for (auto it = recent_.rbegin(); it != recent_.rend(); ++it, ++used) {
    run.bytes += it->bytes;
    run.samples += it->samples;
    const auto ticks = duration_ticks(grid_, run.samples, Rounding::kNearest);
    if (ticks > kLongestTicks) break;
    if (ticks >= kShortestTicks) peak_bps_ = std::max(peak_bps_, bps(run));
  }
  recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(used));
}

}  // namespace mirror::hls
