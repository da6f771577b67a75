// Server: HTTP over TCP listeners on several loops, plain or TLS, HTTP/1.1 or HTTP/2 by ALPN.
//
// Built by `app` before the loops run. Each loop has its own listening sockets (SO_REUSEPORT) and
// its own Handler; a connection stays on the loop that accepted it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "http/http.h"
#include "net/event_loop.h"

namespace mirror::net {
class TlsCredentials;
}

namespace mirror::http {

struct Listen {
  std::string address;  // "0.0.0.0", "::", "127.0.0.1"; "*" is both families
  std::uint16_t port = 0;
  std::shared_ptr<net::TlsCredentials> tls;  // none: plain HTTP
};

struct Limits {
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 64 * 1024;
  std::size_t connections_per_loop_max = 10'000;
  std::uint32_t concurrent_streams_max = 100;          // HTTP/2
  std::size_t queued_bytes_per_connection_max = 4 * 1024 * 1024;
  std::chrono::milliseconds header_timeout{10'000};  // TLS handshake and request head, each
  std::chrono::milliseconds idle_timeout{60'000};    // no request in progress
  std::chrono::milliseconds write_timeout{20'000};   // peer takes nothing while we have bytes
};

class Server {
 public:
  using HandlerFactory = std::function<std::unique_ptr<Handler>(net::EventLoop&)>;

  // Opens every listener on every loop. A port in use or a forbidden one is an error that names it.
  static Result<std::unique_ptr<Server>> create(std::span<net::EventLoop* const> loops,
                                                const std::vector<Listen>& listens,
                                                const Limits& limits, HandlerFactory make_handler,
                                                Metrics& metrics, const Log& log);
  ~Server();  // after the loops have stopped

  // Any thread: stop accepting; HTTP/1.1 connections close after their answer, HTTP/2 gets GOAWAY.
  // `done` runs on some loop once every connection is gone.
  void drain(std::function<void()> done);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::http
