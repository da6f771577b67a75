#include "stream/audience.h"

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

double Audience::estimate(SteadyTime now, std::uint64_t parts) {
  // Smooths over about two seconds at two estimates a second.
  constexpr double kSmoothing = 0.7;
  const Stock stock{now, blocking_.load(std::memory_order_relaxed),
                    plain_.load(std::memory_order_relaxed), parts};
  const Stock before = last_;
  last_ = stock;
  const double seconds = std::chrono::duration<double>(now - before.at).count();
  if (before.at == SteadyTime{} || seconds <= 0) return viewers_;
  const auto published = stock.parts - before.parts;
  const auto low_latency = published > 0 ? static_cast<double>(stock.blocking - before.blocking) /
                                               static_cast<double>(published)
                                         : 0.0;
  const double plain =
      static_cast<double>(stock.plain - before.plain) / seconds * hls::kTargetDurationSeconds;
  viewers_ = kSmoothing * viewers_ + (1 - kSmoothing) * (low_latency + plain);
  return viewers_;
}

}  // namespace mirror::stream
