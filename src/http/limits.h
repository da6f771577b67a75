// What one server lets its peers do and take.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mirror::http {

struct Limits {
  std::size_t header_bytes_max = 16 * 1024;  // request line and header fields, as sent
  std::size_t header_count_max = 100;
  std::size_t target_bytes_max = 8 * 1024;
  std::size_t body_bytes_max = 64 * 1024;
  std::size_t connections_per_loop_max = 10'000;
  std::uint32_t concurrent_streams_max = 100;  // HTTP/2 and 3
  std::size_t queued_bytes_per_connection_max = 4 * 1024 * 1024;
  std::chrono::milliseconds header_timeout{10'000};  // TLS handshake and request head, each
  std::chrono::milliseconds body_timeout{20'000};    // the whole request body
  std::chrono::milliseconds idle_timeout{60'000};    // no request in progress
  std::chrono::milliseconds write_timeout{20'000};   // peer takes nothing while we have bytes

  // HTTP/3, each per connection.
  std::uint32_t pushes_max = 64;                 // promised and not yet delivered
  std::uint32_t webtransport_sessions_max = 16;  // 0: WebTransport is not offered
  // What the peer may send on WebTransport streams before their session is accepted.
  std::size_t webtransport_held_streams_max = 16;
  std::size_t webtransport_held_bytes_max = 64 * 1024;

  // The value of Alt-Svc (RFC 7838) in answers over TLS by HTTP/1.1 and 2: `h3=":8443"; ma=86400`.
  // Empty: no HTTP/3 to tell of.
  std::string alt_svc;
};

}  // namespace mirror::http
