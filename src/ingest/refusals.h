// Refusals: how often and why publishers were turned away: as a metric, in the log, and the last
// ones as a list.
//
// Thread-safe: libsrt's thread refuses in the handshake, the ingest thread at accept. A stranger
// may hammer, so at most kLinesPerSecond lines a second are written (kBurst after a quiet time);
// what was left out is counted in the next one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "media/feed_state.h"

namespace mirror::ingest {

enum class RefusalReason {
  kBadStreamId,
  kBadMode,
  kConflict,
  kOverload,
  kShuttingDown,
  kUnauthorized,
  kHandshake  // libsrt's own: a wrong or missing passphrase, above all
};
inline constexpr std::size_t kRefusalReasons = 7;
std::string_view name_of(RefusalReason reason);

// Of what a stranger sent, so much is kept.
inline constexpr std::size_t kRefusedIdBytesMax = 128;

class Refusals {
 public:
  Refusals(const Log& log, Metrics& metrics);

  // `stream_id` is what the stranger sent; the log escapes and cuts it, and a token in it is left
  // out: it may be right.
  void tell(RefusalReason reason, std::string_view why, std::string_view remote,
            std::string_view stream_id, Instant now);

  // The last kRecentMax, oldest first.
  std::vector<media::TurnedAway> recent() const;

 private:
  static constexpr std::size_t kRecentMax = 32;
  static constexpr double kLinesPerSecond = 1;
  static constexpr double kBurst = 10;

  // With mutex_ held.
  bool may_write(SteadyTime now, std::uint64_t& left_out);

  const Log& log_;
  std::array<Counter*, kRefusalReasons> counters_;

  mutable std::mutex mutex_;
  double tokens_ = kBurst;  // guarded by mutex_, as all below
  SteadyTime last_{};
  std::uint64_t left_out_ = 0;
  std::deque<media::TurnedAway> recent_;
};

}  // namespace mirror::ingest
