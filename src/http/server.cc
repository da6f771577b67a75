#include "http/server.h"

#include <atomic>
#include <utility>

#include "http/shard.h"
#include "net/tcp.h"

namespace mirror::http {

struct Server::Impl {
  std::vector<net::EventLoop*> loops;
  std::vector<std::unique_ptr<Shard>> shards;  // one per loop
  std::vector<std::uint16_t> ports;            // one per listen
};

Result<std::unique_ptr<Server>> Server::create(std::span<net::EventLoop* const> loops,
                                               const std::vector<Listen>& listens,
                                               const Limits& limits,
                                               const HandlerFactory& make_handler, Metrics& metrics,
                                               const Log& log) {
  auto impl = std::make_unique<Impl>();
  impl->loops.assign(loops.begin(), loops.end());
  for (net::EventLoop* loop : loops) {
    impl->shards.push_back(std::make_unique<Shard>(*loop, limits, make_handler(*loop), metrics,
                                                   std::to_string(impl->shards.size()), log));
  }
  for (const Listen& listen : listens) {
    auto sockets = net::listen_tcp(listen.address, listen.port, loops.size());
    if (!sockets) return std::unexpected(std::move(sockets.error()));
    impl->ports.push_back(sockets->empty() ? 0 : net::local_port(sockets->front().get()));
    for (std::size_t i = 0; i < sockets->size(); ++i) {
      auto status = impl->shards[i]->listen({std::move((*sockets)[i]), listen.tls});
      if (!status) return std::unexpected(std::move(status.error()));
    }
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::uint16_t Server::port(std::size_t listen_index) const { return impl_->ports[listen_index]; }

std::unique_ptr<quic::Application> Server::accept(std::size_t loop, quic::Transport& transport) {
  return impl_->shards[loop]->accept(transport);
}

bool Server::set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials) {
  bool all = true;
  for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
    Shard& shard = *impl_->shards[i];
    const bool posted =
        impl_->loops[i]->post([&shard, credentials] { shard.set_credentials(credentials); });
    all = all && posted;
  }
  return all;
}

void Server::drain(std::function<void()> done) {
  struct Countdown {
    std::atomic<std::size_t> left;
    std::function<void()> done;
  };
  auto countdown = std::make_shared<Countdown>();
  countdown->left = impl_->shards.size();
  countdown->done = std::move(done);
  const auto one_done = [countdown] {
    if (countdown->left.fetch_sub(1) == 1) countdown->done();
  };
  for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
    Shard& shard = *impl_->shards[i];
    const bool posted = impl_->loops[i]->post([&shard, one_done] { shard.drain(one_done); });
    if (!posted) one_done();
  }
}

}  // namespace mirror::http
