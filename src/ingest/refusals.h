// Refusals: how often and why publishers were turned away, as a metric and in the log.
//
// Thread-safe: libsrt's thread refuses in the handshake, the ingest thread at accept. A stranger
// may hammer, so at most kLinesPerSecond lines a second are written (kBurst after a quiet time);
// what was left out is counted in the next one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

namespace mirror::ingest {

enum class RefusalReason {
  kBadStreamId,
  kBadMode,
  kConflict,
  kOverload,
  kShuttingDown,
  kUnauthorized
};
constexpr std::size_t kRefusalReasons = 6;

class Refusals {
 public:
  Refusals(const Log& log, Metrics& metrics);

  // `stream_id` is what the stranger sent; the log escapes and cuts it.
  void tell(RefusalReason reason, std::string_view why, std::string_view remote,
            std::string_view stream_id, SteadyTime now);

 private:
  static constexpr double kLinesPerSecond = 1;
  static constexpr double kBurst = 10;

  bool may_write(SteadyTime now, std::uint64_t& left_out);

  const Log& log_;
  std::array<Counter*, kRefusalReasons> counters_;

  std::mutex mutex_;
  double tokens_ = kBurst;  // guarded by mutex_, as all below
  SteadyTime last_{};
  std::uint64_t left_out_ = 0;
};

}  // namespace mirror::ingest
