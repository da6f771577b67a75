// What one endpoint lets its peers do and take, and how it speaks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mirror::quic {

struct Limits {
  // --- Connections.
  std::size_t connections_max = 10'000;  // of one loop; one more gets CONNECTION_REFUSED
  std::size_t handshakes_max = 2'000;    // in progress; one more is dropped
  // With more handshakes than this in progress a client must first show that it is where it says
  // (Retry, RFC 9000 8.1.2), unless it brings a token of an earlier connection.
  std::size_t handshakes_unproven_max = 200;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  // Something is sent after so long a silence: for clients that only listen, or a NAT forgets them.
  // 0: never.
  std::chrono::milliseconds keep_alive{0};

  // --- What a peer may send before the application has taken it (RFC 9000, 4). A server of
  // requests needs little; a client of a server that pushes sets more.
  std::uint64_t stream_window_bytes = 64 * 1024;
  std::uint64_t connection_window_bytes = 256 * 1024;
  std::uint64_t bidirectional_streams_max = 100;
  std::uint64_t unidirectional_streams_max = 16;
  std::size_t datagram_bytes_max = 0;       // RFC 9221; 0: not offered
  std::size_t datagrams_queued_max = 64;    // of one connection, to send
  std::size_t datagram_payload_max = 1452;  // UDP payload that path MTU discovery may reach

  // --- Floods: so many at once and so many a second in the long run, then CONNECTION_CLOSE with
  // `flood_error`. Cancelled are streams that either side broke off (CVE-2023-44487).
  double streams_opened_burst = 5'000;
  double streams_opened_per_second = 5'000;
  double streams_cancelled_burst = 200;
  double streams_cancelled_per_second = 50;
  std::uint64_t flood_error = 0x107;  // H3_EXCESSIVE_LOAD (RFC 9114, 8.1)

  // --- Answers that cost us nothing and must not serve anybody as a reflector: each kind, a second
  // (version negotiation, Retry, stateless reset, refusal). None is longer than what it answers.
  double stateless_answers_per_second = 1'000;

  // --- Early data (RFC 9001, 4.6). Needs a ReplayGuard; without one it is refused.
  bool early_data = false;
};

}  // namespace mirror::quic
