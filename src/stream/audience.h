// Audience: who watches a stream, estimated from what they ask for; no viewer has a session.
//
// Network loops count, the stream's media thread takes stock twice a second. A viewer behind a
// shared cache is not seen.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace mirror::stream {

// What a player says of itself (CTA-5004, Common Media Client Data).
struct ClientReport {
  std::uint32_t buffer_ms = 0;        // bl; 0 when it is not said
  std::uint32_t throughput_kbps = 0;  // mtp; likewise
  bool starved = false;               // bs: its buffer ran dry since the last report
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

  // The media thread's.
  struct Stock {
    SteadyTime at{};
    std::uint64_t blocking = 0;
    std::uint64_t plain = 0;
    std::uint64_t parts = 0;
  };
  Stock last_;
  double viewers_ = 0;
};

}  // namespace mirror::stream
