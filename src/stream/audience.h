// Audience: who watches a stream. Those who poll have no session and are estimated from what they
// ask for; those with a push session are counted.
//
// Network loops count, the stream's media thread takes stock twice a second. A viewer behind a
// shared cache is not seen.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace mirror::stream {

// What a player says of itself (CTA-5004, Common Media Client Data).
struct ClientReport {
  std::uint32_t buffer_ms = 0;        // bl; 0 when it is not said
  std::uint32_t throughput_kbps = 0;  // mtp; likewise
  bool starved = false;               // bs: its buffer ran dry since the last report
};

// From capture to a viewer's screen, as players measured it: counts by upper bound.
struct GlassToGlass {
  static constexpr std::array<double, 14> kBoundsSeconds = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8,
                                                            1,   1.5, 2,   3,   5,   10,  30};
  std::array<std::uint64_t, kBoundsSeconds.size() + 1> counts{};
  double seconds = 0;  // sum
};

class Audience {
 public:
  // Network loops, with each answered reload of the first rendition's playlist.
  void count_blocking_reload() { blocking_.fetch_add(1, std::memory_order_relaxed); }
  void count_plain_reload() { plain_.fetch_add(1, std::memory_order_relaxed); }
  void count(const ClientReport& report) {
    reports_.fetch_add(1, std::memory_order_relaxed);
    if (report.starved) starvations_.fetch_add(1, std::memory_order_relaxed);
    if (report.buffer_ms > 0) {
      buffer_reports_.fetch_add(1, std::memory_order_relaxed);
      buffer_ms_.fetch_add(report.buffer_ms, std::memory_order_relaxed);
    }
    if (report.throughput_kbps > 0) {
      throughput_reports_.fetch_add(1, std::memory_order_relaxed);
      throughput_kbps_.fetch_add(report.throughput_kbps, std::memory_order_relaxed);
    }
  }

  // Network loops: so many more (or fewer) push sessions show the first rendition.
  void add_pushed(std::int64_t difference) {
    pushed_.fetch_add(difference, std::memory_order_relaxed);
  }
  void count_glass_to_glass(std::chrono::microseconds delay);
  GlassToGlass glass_to_glass() const;

  // Totals since the start.
  struct Reports {
    std::uint64_t reports = 0;
    std::uint64_t starvations = 0;
    std::uint64_t buffer_reports = 0;
    std::uint64_t buffer_ms = 0;
    std::uint64_t throughput_reports = 0;
    std::uint64_t throughput_kbps = 0;
  };
  Reports reports() const;

  // The media thread. `parts` is how many the first rendition has published in all. A low-latency
  // viewer asks once for each; another one about once a target duration.
  double estimate(SteadyTime now, std::uint64_t parts);

 private:
  std::atomic<std::uint64_t> blocking_{0};
  std::atomic<std::uint64_t> plain_{0};
  std::atomic<std::uint64_t> reports_{0};
  std::atomic<std::uint64_t> starvations_{0};
  std::atomic<std::uint64_t> buffer_reports_{0};
  std::atomic<std::uint64_t> buffer_ms_{0};
  std::atomic<std::uint64_t> throughput_reports_{0};
  std::atomic<std::uint64_t> throughput_kbps_{0};

  std::atomic<std::int64_t> pushed_{0};
  std::array<std::atomic<std::uint64_t>, GlassToGlass::kBoundsSeconds.size() + 1> delays_{};
  std::atomic<std::uint64_t> delays_us_{0};

  // The media thread's.
  struct Stock {
    SteadyTime at{};
    std::uint64_t blocking = 0;
    std::uint64_t plain = 0;
    std::uint64_t parts = 0;
  };
  Stock last_;
  double polling_ = 0;
};

}  // namespace mirror::stream
