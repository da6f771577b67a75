// PathAllowance: how much a server writes to an address that has not been validated.
//
// RFC 9000, 8.1 allows three times what came from there, and ngtcp2 keeps to it. But where it
// reaches the limit, ngtcp2 (1.11) cancels its loss detection timer and does not set it again when
// more is allowed: with the congestion window full of what an address translation swallowed, such
// a connection never sends again, though its peer is alive. So we stay a byte below the limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/clock.h"

namespace mirror::quic {

class PathAllowance {
 public:
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  // Longer than any validation that ends well. What ngtcp2 holds for validated without telling us
  // is not held back for longer.
  static constexpr std::chrono::seconds kLongest{3};

  // The peer was seen at a new address.
  void moved(SteadyTime now) {
    until_ = now + kLongest;
    received_ = sent_ = 0;
    unproven_ = true;
  }
  void proven() { unproven_ = false; }

  // Bytes of datagrams from and to that address.
  void received(std::size_t bytes) { received_ += bytes; }
  void sent(std::size_t bytes) { sent_ += bytes; }

  // When nothing is held back any more, whatever comes.
  SteadyTime until() const { return until_; }

  // What the next datagram may have at most; less than kLeast is nothing.
  std::size_t left(SteadyTime now) {
    if (!unproven_) return kUnlimited;
    if (now >= until_) {
      unproven_ = false;
      return kUnlimited;
    }
    const std::uint64_t most = 3 * received_;
    if (most < sent_ + 1 + kLeast) return 0;
    return static_cast<std::size_t>(most - sent_ - 1);
  }

 private:
  static constexpr std::uint64_t kLeast = 64;  // header, tag and the smallest frames

  bool unproven_ = false;
  SteadyTime until_{};
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace mirror::quic
