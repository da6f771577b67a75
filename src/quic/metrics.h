// EndpointMetrics: the counters of one endpoint, label `loop`. Resolved once; cheap to raise.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/metrics.h"

namespace mirror::quic {

// Why a connection ended, or never began.
enum class End : std::uint8_t {
  kPeer,         // CONNECTION_CLOSE from the peer
  kApplication,  // ours
  kIdle,
  kHandshakeTimeout,
  kTls,
  kProtocol,  // the peer broke a rule of RFC 9000
  kReset,     // stateless reset
  kFlood,
  kRefused,  // over a limit, or draining
  kInternal,
};
inline constexpr std::size_t kEnds = 10;

struct EndpointMetrics {
  EndpointMetrics(Metrics& metrics, const std::string& loop);
  Counter& ended(End why) const { return *ended_[static_cast<std::size_t>(why)]; }

  Gauge& connections;
  Gauge& handshakes;
  Counter& handshakes_begun;
  Counter& handshakes_completed;
  Counter& early_data;
  Counter& received_packets;
  Counter& received_bytes;
  Counter& sent_packets;
  Counter& sent_bytes;
  Counter& dropped_packets;  // received, and nobody's
  Counter& strays_handed_on;
  Counter& strays_taken;
  Counter& strays_dropped;
  Counter& version_negotiations;
  Counter& retries;
  Counter& resets;
  Counter& answers_withheld;  // by the rate limits on the three above and on refusals
  Counter& migrations;
  Counter& key_updates;
  Counter& datagrams_dropped;
  Counter& send_blocked;  // the socket took no more for now
  Counter& send_errors;

 private:
  std::array<Counter*, kEnds> ended_{};
};

}  // namespace mirror::quic
