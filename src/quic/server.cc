#include "quic/server.h"

#include <atomic>
#include <utility>

namespace mirror::quic {

Result<std::unique_ptr<Server>> Server::create(
    std::span<net::EventLoop* const> loops, const std::vector<Listen>& listens,
    const std::shared_ptr<const net::TlsCredentials>& credentials, const Options& options,
    const ApplicationFactory& make_application, Metrics& metrics) {
  if (loops.size() > kLoopsMax)
    return fail("QUIC on {} loops: at most {}", loops.size(), kLoopsMax);
  auto guard = options.limits.early_data ? std::make_shared<ReplayGuard>() : nullptr;
  auto tls = ServerTls::create(options.alpn, std::move(guard));
  if (!tls) return std::unexpected(std::move(tls.error()));
  Secret secret{};
  SystemRandom().fill(secret);
  secret = options.secret.value_or(secret);

  std::unique_ptr<Server> made(new Server);
  std::vector<Endpoint*> workers;
  for (net::EventLoop* loop : loops) {
    const std::size_t worker = workers.size();
    made->endpoints_.push_back(std::make_unique<Endpoint>(*loop, options.limits, secret,
                                                          static_cast<std::uint8_t>(worker),
                                                          metrics, std::to_string(worker)));
    made->endpoints_.back()->serve({*tls, credentials, make_application(*loop)});
    workers.push_back(made->endpoints_.back().get());
  }
  for (Endpoint* endpoint : workers) endpoint->set_workers(workers);
  for (const Listen& listen : listens) {
    auto sockets = UdpSocket::listen(listen.address, listen.port, loops.size(), options.offload);
    if (!sockets) return std::unexpected(std::move(sockets.error()));
    made->ports_.push_back(sockets->empty() ? 0 : sockets->front().local().port());
    for (std::size_t i = 0; i < sockets->size(); ++i) {
      if (auto status = workers[i]->add(std::move((*sockets)[i])); !status) {
        return std::unexpected(std::move(status.error()));
      }
    }
  }
  return made;
}

Server::~Server() = default;

std::uint16_t Server::port(std::size_t listen_index) const { return ports_[listen_index]; }

bool Server::set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials) {
  bool all = true;
  for (auto& endpoint : endpoints_) {
    const bool posted = endpoint->loop().post(
        [&target = *endpoint, credentials] { target.set_credentials(credentials); });
    all = all && posted;
  }
  return all;
}

void Server::on_each(const std::function<void(Endpoint&, std::function<void()>)>& what,
                     std::function<void()> done) {
  struct Countdown {
    std::atomic<std::size_t> left;
    std::function<void()> done;
  };
  auto countdown = std::make_shared<Countdown>();
  countdown->left = endpoints_.size();
  countdown->done = std::move(done);
  const auto one_done = [countdown] {
    if (countdown->left.fetch_sub(1) == 1) countdown->done();
  };
  for (auto& endpoint : endpoints_) {
    const bool posted =
        endpoint->loop().post([&target = *endpoint, what, one_done] { what(target, one_done); });
    if (!posted) one_done();
  }
}

void Server::drain(std::function<void()> done) {
  on_each([](Endpoint& endpoint, std::function<void()> one) { endpoint.drain(std::move(one)); },
          std::move(done));
}

void Server::close_all(std::uint64_t error, std::function<void()> done) {
  on_each(
      [error](Endpoint& endpoint, const std::function<void()>& one) {
        endpoint.close_all(error, "the server stops");
        one();
      },
      std::move(done));
}

}  // namespace mirror::quic
