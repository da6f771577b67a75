// Server: QUIC over UDP listeners on several loops. Built by `app` before the loops run.
//
// Each loop has its own sockets (SO_REUSEPORT), its own connections and its own way to make
// applications; a connection stays on the loop that accepted it, also when its peer's address
// changes and the kernel hands its datagrams to another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quic/endpoint.h"

namespace mirror::quic {

struct Listen {
  std::string address;  // "0.0.0.0", "::", "127.0.0.1"; "*" is both families
  std::uint16_t port = 0;
};

class Server {
 public:
  static constexpr std::size_t kLoopsMax = 256;  // a worker's index is one byte

  using ApplicationFactory = std::function<EndpointCore::MakeApplication(net::EventLoop&)>;

  struct Options {
    std::vector<std::string> alpn;  // {"h3"}
    Limits limits;
    std::optional<Secret> secret;  // none: random, and no reset outlives the process
    Offload offload = Offload::kAuto;
  };

  // Opens every listener on every loop. Errors name address, port and fault.
  static Result<std::unique_ptr<Server>> create(
      std::span<net::EventLoop* const> loops, const std::vector<Listen>& listens,
      const std::shared_ptr<const net::TlsCredentials>& credentials, const Options& options,
      const ApplicationFactory& make_application, Metrics& metrics);
  ~Server();  // after the loops have stopped

  std::uint16_t port(std::size_t listen_index) const;
  Endpoint& endpoint(std::size_t loop_index) { return *endpoints_[loop_index]; }

  // Any thread: the certificate of the handshakes that begin from now on. False: a loop has too
  // many tasks waiting and keeps the old one.
  bool set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials);
  // Any thread: no new connections, Application::on_drain() to those that are there. `done` runs on
  // some loop once all are gone; nobody is hurried.
  void drain(std::function<void()> done);
  // Any thread: CONNECTION_CLOSE to every peer that is left, with the application's `error`. `done`
  // runs on some loop, in the turn in which the last of them are written.
  void close_all(std::uint64_t error, std::function<void()> done);

 private:
  Server() = default;
  // Any thread: runs `what` on each endpoint's loop with a callback that it is to call once; the
  // last of those calls `done`.
  void on_each(const std::function<void(Endpoint&, std::function<void()>)>& what,
               std::function<void()> done);
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // by worker
  std::vector<std::uint16_t> ports_;                  // by listen
};

}  // namespace mirror::quic
