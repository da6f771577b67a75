#include "stream/audience.h"

#include <algorithm>
#include <chrono>

#include "hls/playlist.h"

namespace mirror::stream {

Audience::Reports Audience::reports() const {
  return {.reports = reports_.load(std::memory_order_relaxed),
          .starvations = starvations_.load(std::memory_order_relaxed),
          .buffer_reports = buffer_reports_.load(std::memory_order_relaxed),
          .buffer_ms = buffer_ms_.load(std::memory_order_relaxed),
          .throughput_reports = throughput_reports_.load(std::memory_order_relaxed),
          .throughput_kbps = throughput_kbps_.load(std::memory_order_relaxed)};
}

void Audience::count_glass_to_glass(std::chrono::microseconds delay) {
  const auto& bounds = GlassToGlass::kBoundsSeconds;
  const auto bound = std::ranges::lower_bound(bounds, std::chrono::duration<double>(delay).count());
  delays_[static_cast<std::size_t>(bound - bounds.begin())].fetch_add(1, std::memory_order_relaxed);
  delays_us_.fetch_add(static_cast<std::uint64_t>(delay.count()), std::memory_order_relaxed);
}

GlassToGlass Audience::glass_to_glass() const {
  GlassToGlass totals;
  for (std::size_t i = 0; i < delays_.size(); ++i) {
    totals.counts[i] = delays_[i].load(std::memory_order_relaxed);
  }
  totals.seconds = static_cast<double>(delays_us_.load(std::memory_order_relaxed)) / 1e6;
  return totals;
}

double Audience::estimate(SteadyTime now, std::uint64_t parts) {
  // Smooths over about two seconds at two estimates a second.
  constexpr double kSmoothing = 0.7;
  const Stock stock{now, blocking_.load(std::memory_order_relaxed),
                    plain_.load(std::memory_order_relaxed), parts};
  const Stock before = last_;
  last_ = stock;
  const double seconds = std::chrono::duration<double>(now - before.at).count();
  const auto pushed = static_cast<double>(std::max<std::int64_t>(0, pushed_.load()));
  if (before.at == SteadyTime{} || seconds <= 0) return polling_ + pushed;
  const auto published = stock.parts - before.parts;
  const auto low_latency = published > 0 ? static_cast<double>(stock.blocking - before.blocking) /
                                               static_cast<double>(published)
                                         : 0.0;
  const double plain =
      static_cast<double>(stock.plain - before.plain) / seconds * hls::kTargetDurationSeconds;
  polling_ = kSmoothing * polling_ + (1 - kSmoothing) * (low_latency + plain);
  return polling_ + pushed;
}

}  // namespace mirror::stream
