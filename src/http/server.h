// Server: HTTP over TCP listeners on several loops, plain or TLS, HTTP/1.1 or HTTP/2 by ALPN.
//
// Built by `app` before the loops run. Each loop has its own listening sockets (SO_REUSEPORT) and
// its own Handler; a connection stays on the loop that accepted it.
#pragma once

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
#include "http/limits.h"
#include "net/event_loop.h"
#include "quic/transport.h"

namespace mirror::net {
class TlsCredentials;
}

namespace mirror::http {

struct Listen {
  std::string address;  // "0.0.0.0", "::", "127.0.0.1"; "*" is both families
  std::uint16_t port = 0;
  std::shared_ptr<const net::TlsCredentials> tls;  // none: plain HTTP
};

class Server {
 public:
  using HandlerFactory = std::function<std::unique_ptr<Handler>(net::EventLoop&)>;

  // Opens every listener on every loop. A port in use or a forbidden one is an error that names it.
  static Result<std::unique_ptr<Server>> create(std::span<net::EventLoop* const> loops,
                                                const std::vector<Listen>& listens,
                                                const Limits& limits,
                                                const HandlerFactory& make_handler,
                                                Metrics& metrics, const Log& log);
  ~Server();  // after the loops have stopped

  // What the listener of this index got: of use when `port` was 0.
  std::uint16_t port(std::size_t listen_index) const;

  // HTTP/3 on the loop of this index, on its thread: what a QUIC endpoint there asks for each new
  // connection (Shard::accept). Endpoints are destroyed before the Server.
  std::unique_ptr<quic::Application> accept(std::size_t loop, quic::Transport& transport);

  // Any thread: the certificate of the TLS handshakes that begin from now on, on every listener
  // that has one. False: a loop has too many tasks waiting and keeps the old one.
  bool set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials);
  // Any thread: stop accepting; HTTP/1.1 connections close after their answer, HTTP/2 and 3
  // get GOAWAY.
  // `done` runs on some loop once every connection is gone. Requests in progress are not hurried:
  // whoever holds one answers it, or the caller stops waiting and stops the loops.
  void drain(std::function<void()> done);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::http
