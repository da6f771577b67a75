// Real sockets on loopback, real loops.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "quic/server.h"
#include "quic/simulated_link.h"

namespace mirror::quic {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A server on `loops` loops, and a client on a loop of its own; each loop in its thread.
class Loopback {
 public:
  explicit Loopback(std::size_t loops = 1, Offload offload = Offload::kAuto,
                    const Limits& limits = {}) {
    std::vector<net::EventLoop*> list;
    for (std::size_t i = 0; i < loops; ++i) {
      server_loops_.push_back(net::EventLoop::create("quic-s").value());
      list.push_back(server_loops_.back().get());
    }
    Server::Options options;
    options.alpn = {"blob"};
    options.limits = limits;
    options.offload = offload;
    auto made = Server::create(
        list, {{"*", 0}}, test_credentials(), options,
        [](net::EventLoop&) {
          return [](Transport& transport) { return std::make_unique<BlobServer>(transport); };
        },
        registry);
    if (!made) throw std::runtime_error(made.error().message);
    server = std::move(*made);
    client_loop_ = net::EventLoop::create("quic-c").value();
    Limits wide;
    wide.stream_window_bytes = 4 << 20;
    wide.connection_window_bytes = 8 << 20;
    client = std::make_unique<Endpoint>(*client_loop_, wide, Secret{9}, std::uint8_t{0}, registry,
                                        "client");
    remote = test_address("127.0.0.1", server->port(0));
    if (!client->add(UdpSocket::client(remote, offload).value()))
      throw std::runtime_error("socket");
    tls = ClientTls::create({"blob"}, ClientTls::Verify::kOff, "").value();
    for (auto& loop : server_loops_) threads_.emplace_back([&loop] { loop->run(); });
    threads_.emplace_back([this] { client_loop_->run(); });
  }

  ~Loopback() {
    for (auto& loop : server_loops_) loop->stop();
    client_loop_->stop();
    for (auto& thread : threads_) thread.join();
  }

  // Runs `what` on the client's loop and waits for it.
  template <class F>
  auto on_client(F what) {
    std::promise<decltype(what())> result;
    client_loop_->post([&] {
      if constexpr (std::is_void_v<decltype(what())>) {
        what();
        result.set_value();
      } else {
        result.set_value(what());
      }
    });
    return result.get_future().get();
  }

  // Returns when every server loop has done what was posted to it before. Within one turn a loop
  // looks at its sockets before it runs what was posted.
  void settle() {
    for (auto& loop : server_loops_) {
      std::promise<void> done;
      loop->post([&done] { done.set_value(); });
      done.get_future().get();
    }
  }

  // A connection that fetches `size` bytes and says whether they were right.
  std::future<bool> fetch(std::uint64_t size) {
    struct Fetch final : BlobClient {
      std::promise<bool> whole;
      bool told = false;
      void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
        BlobClient::on_stream_data(stream, bytes, fin);
        if (fin && !std::exchange(told, true)) whole.set_value(all_whole(wanted));
      }
      void on_closed(std::string_view reason) override {
        if (!std::exchange(told, true)) whole.set_value(false);
        BlobClient::on_closed(reason);
      }
      std::uint64_t wanted = 0;
    };
    return on_client([&] {
      auto application = std::make_unique<Fetch>();
      Fetch& fetch = *application;
      fetch.wanted = size;
      fetch.when_open = [&fetch, size] { fetch.ask(size); };
      auto result = fetch.whole.get_future();
      fetch.transport =
          client->connect(remote, {"mirror.test", tls, nullptr}, std::move(application)).value();
      last = static_cast<Connection*>(fetch.transport);
      return result;
    });
  }

  double of_server(Counter& (*which)(const EndpointMetrics&)) {
    double sum = 0;
    for (std::size_t i = 0; i < server_loops_.size(); ++i) {
      sum += which(server->endpoint(i).metrics()).Value();
    }
    return sum;
  }

  Metrics registry;

 private:
  std::vector<std::unique_ptr<net::EventLoop>> server_loops_;
  std::unique_ptr<net::EventLoop> client_loop_;

 public:
  std::unique_ptr<Server> server;
  std::unique_ptr<Endpoint> client;
  std::shared_ptr<const ClientTls> tls;
  Address remote;
  Connection* last = nullptr;

 private:
  std::vector<std::thread> threads_;
};

TEST(Endpoint, CarriesBytesOverLoopback) {
  Loopback loopback;
  EXPECT_TRUE(loopback.fetch(5'000'000).get());
}

TEST(Endpoint, CarriesBytesWithoutOffload) {
  Loopback loopback(1, Offload::kOff);
  EXPECT_TRUE(loopback.fetch(5'000'000).get());
}

TEST(Endpoint, CarriesBytesOverIpv6) {
  Loopback loopback;
  const Address v6 = test_address("::1", loopback.server->port(0));
  auto socket = UdpSocket::client(v6);
  if (!socket) GTEST_SKIP() << socket.error().message;
  loopback.remote = v6;
  loopback.on_client([&] { ASSERT_TRUE(loopback.client->add(std::move(*socket))); });
  EXPECT_TRUE(loopback.fetch(100'000).get());
}

TEST(Endpoint, ManyConnectionsOverSeveralLoops) {
  Loopback loopback(3);
  std::vector<std::future<bool>> fetches;
  for (int i = 0; i < 50; ++i) fetches.push_back(loopback.fetch(50'000));
  for (auto& fetch : fetches) EXPECT_TRUE(fetch.get());
}

// The kernel picks the loop by the addresses: from another one of ours, some connections' datagrams
// come to a loop that does not own them.
TEST(Endpoint, StraysFindTheLoopThatOwnsThem) {
  Loopback loopback(2);
  double strays = 0;
  for (int i = 0; i < 40 && strays == 0; ++i) {
    ASSERT_TRUE(loopback.fetch(10'000).get());
    auto moved = UdpSocket::client(loopback.remote).value();
    const Address from = moved.local();
    std::promise<bool> whole;
    loopback.on_client([&] {
      const auto index = static_cast<std::uint32_t>(i + 1);
      ASSERT_TRUE(loopback.client->add(std::move(moved)));
      EXPECT_TRUE(loopback.last->migrate({from, loopback.remote, index}));
      auto& client = static_cast<BlobClient&>(*loopback.last->application());
      const StreamId stream = client.ask(10'000);
      EXPECT_GE(stream, 0);
    });
    for (bool done = false; !done;) {
      done = loopback.on_client([&] {
        auto& client = static_cast<BlobClient&>(*loopback.last->application());
        return client.all_whole(10'000);
      });
      std::this_thread::yield();
    }
    strays =
        loopback.of_server([](const EndpointMetrics& m) -> Counter& { return m.strays_taken; });
  }
  EXPECT_GT(strays, 0);
  EXPECT_GT(loopback.of_server([](const EndpointMetrics& m) -> Counter& { return m.migrations; }),
            0);
}

TEST(Endpoint, DrainTellsApplicationsAndEndsWhenTheyAreGone) {
  Loopback loopback(2);
  ASSERT_TRUE(loopback.fetch(1'000).get());
  std::promise<void> drained;
  loopback.server->drain([&] { drained.set_value(); });
  auto gone = drained.get_future();
  loopback.settle();
  EXPECT_FALSE(loopback.fetch(1'000).get()) << "refused";
  loopback.on_client([&] { loopback.client->close_all(0, "bye"); });
  gone.get();
}

TEST(Endpoint, CloseAllTellsThePeersThatAreLeft) {
  Loopback loopback(2);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(loopback.fetch(1'000).get());
  std::promise<void> closed;
  loopback.server->close_all(0x100, [&] { closed.set_value(); });
  closed.get_future().get();
  while (loopback.on_client([&] { return loopback.client->connections(); }) > 0) {
    std::this_thread::yield();
  }
}

TEST(UdpSocket, APortInUseIsNamed) {
  const auto first = UdpSocket::listen("127.0.0.1", 0, 1);
  ASSERT_TRUE(first) << first.error().message;
  const auto port = first->front().local().port();
  const auto second = UdpSocket::listen("127.0.0.1", port, 1);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            fmt::format("cannot listen on 127.0.0.1 port {}/udp: the port is in use by another "
                        "program",
                        port));
}

TEST(UdpSocket, SendsABatchAndSaysWhereItCame) {
  for (const Offload offload : {Offload::kAuto, Offload::kOff}) {
    auto server = std::move(UdpSocket::listen("*", 0, 1, offload).value().front());
    const Address remote = test_address("127.0.0.1", server.local().port());
    auto client = UdpSocket::client(remote, offload).value();
    SendBuffer out;
    for (int i = 0; i < 10; ++i) {
      std::ranges::fill(out.room().first(1'200), static_cast<std::uint8_t>(i));
      out.add(i == 9 ? 100 : 1'200, {client.local(), remote}, 2);
    }
    ASSERT_EQ(out.batches().size(), 1u);
    std::size_t errors = 0;
    EXPECT_EQ(client.send(out, out.batches(), errors), 1u);
    EXPECT_EQ(errors, 0u);
    UdpSocket::Inbox inbox;
    std::size_t bytes = 0;
    for (int tries = 0; tries < 100 && bytes < 10'900; ++tries) {
      for (const auto& received : server.receive(inbox)) {
        bytes += received.bytes.size();
        EXPECT_EQ(received.ecn, 2);
        EXPECT_EQ(received.path.local.port(), remote.port());
        EXPECT_EQ(received.path.local.name(), remote.name());
        EXPECT_EQ(received.path.remote.port(), client.local().port());
        EXPECT_LE(received.segment_bytes, 1'200u);
      }
    }
    EXPECT_EQ(bytes, 9 * 1'200u + 100u);
  }
}

}  // namespace
}  // namespace mirror::quic
