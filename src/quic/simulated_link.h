// For tests: endpoints joined by a simulated link in virtual time. Seeded; a failure prints the
// seed. Also the applications that speak over it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "quic/endpoint_core.h"

namespace mirror::quic {

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(engine_());
  }
  bool chance(double probability) { return std::bernoulli_distribution(probability)(engine_); }
  std::int64_t below(std::int64_t limit) {
    return limit <= 0 ? 0 : std::uniform_int_distribution<std::int64_t>(0, limit - 1)(engine_);
  }

 private:
  std::mt19937_64 engine_;
};

// A certificate made once for all tests of the program.
inline std::shared_ptr<const net::TlsCredentials> test_credentials(const std::string& name = "a") {
  static std::map<std::string, std::shared_ptr<const net::TlsCredentials>> made;
  auto& credentials = made[name];
  if (!credentials) {
    std::string pattern = std::filesystem::temp_directory_path() / "mirror_quic.XXXXXX";
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    auto loaded = net::TlsCredentials::load_or_generate(folder, {"mirror.test", "127.0.0.1"},
                                                        SystemClock().now().wall);
    std::filesystem::remove_all(folder);
    if (!loaded) throw std::runtime_error(loaded.error().message);
    credentials = *loaded;
  }
  return credentials;
}

// Byte `offset` of what the server sends on `stream`.
inline std::uint8_t blob_byte(StreamId stream, std::uint64_t offset) {
  return static_cast<std::uint8_t>((offset * 31 + static_cast<std::uint64_t>(stream) * 7) >> 3);
}

inline Bytes blob(StreamId stream, std::uint64_t offset, std::size_t size) {
  return Bytes::build(size, [&](std::span<std::uint8_t> room) {
    for (std::size_t i = 0; i < size; ++i) room[i] = blob_byte(stream, offset + i);
  });
}

// Answers each request, eight bytes that say how much, with so many bytes of blob, piece by piece
// as the peer takes them.
class BlobServer : public Application {
 public:
  explicit BlobServer(Transport& transport) : transport_(transport) {}

  void on_open() override { opened = true; }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
    auto& request = requests[stream];
    request.text.insert(request.text.end(), bytes.begin(), bytes.end());
    transport_.consumed(stream, bytes.size());
    early = early || transport_.early_data();
    if (!fin || request.text.size() < 8) return;
    std::memcpy(&request.left, request.text.data(), 8);
    more(stream, request);
  }
  void on_stream_reset(StreamId stream, std::uint64_t error) override {
    resets[stream] = error;
    transport_.reset(stream, error);
  }
  void on_stop_sending(StreamId stream, std::uint64_t) override { ++stopped[stream]; }
  void on_writable(StreamId stream) override {
    const auto found = requests.find(stream);
    if (found != requests.end()) more(stream, found->second);
  }
  void on_stream_closed(StreamId stream) override {
    ++streams_closed;
    requests.erase(stream);
  }
  void on_streams_available() override {}
  void on_datagram(std::span<const std::uint8_t> bytes) override {
    datagrams.emplace_back(bytes.begin(), bytes.end());
    transport_.send_datagram(bytes);
  }
  void on_drain() override { ++drains; }
  void on_closed(std::string_view reason) override { closed_reason = reason; }

  Transport& transport() { return transport_; }

  struct Request {
    std::vector<std::uint8_t> text;
    std::uint64_t left = 0;
    std::uint64_t sent = 0;
  };
  bool opened = false;
  bool early = false;
  int drains = 0;
  std::size_t streams_closed = 0;
  std::size_t queued_bytes_max = 0;
  std::map<StreamId, Request> requests;
  std::map<StreamId, std::uint64_t> resets;
  std::map<StreamId, int> stopped;
  std::vector<std::vector<std::uint8_t>> datagrams;
  std::string closed_reason;

 private:
  void more(StreamId stream, Request& request) {
    while (request.left > 0 && transport_.queued_bytes(stream) < kQueuedBytesHigh) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(request.left, 20'000));
      transport_.send(stream, blob(stream, request.sent, size));
      request.sent += size;
      request.left -= size;
    }
    queued_bytes_max = std::max(queued_bytes_max, transport_.queued_bytes());
    if (request.left == 0) transport_.finish(stream);
  }

  Transport& transport_;
};

// Asks for blobs and checks every byte of them.
class BlobClient : public Application {
 public:
  struct Reply {
    std::uint64_t received = 0;
    bool finished = false;
    bool wrong = false;
    bool reset = false;
    bool closed = false;
  };

  void on_open() override {
    opened = true;
    if (when_open) when_open();
  }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
    Reply& reply = replies[stream];
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != blob_byte(stream, reply.received + i)) reply.wrong = true;
    }
    reply.received += bytes.size();
    reply.finished = reply.finished || fin;
    if (!hold) transport->consumed(stream, bytes.size());
  }
  void on_stream_reset(StreamId stream, std::uint64_t) override { replies[stream].reset = true; }
  void on_stop_sending(StreamId, std::uint64_t) override {}
  void on_writable(StreamId) override {}
  void on_stream_closed(StreamId stream) override { replies[stream].closed = true; }
  void on_streams_available() override {
    if (when_streams_available) when_streams_available();
  }
  void on_datagram(std::span<const std::uint8_t> bytes) override {
    datagrams.emplace_back(bytes.begin(), bytes.end());
  }
  void on_closed(std::string_view reason) override {
    closed = true;
    if (ended != nullptr) *ended = reason.empty() ? std::string("-") : std::string(reason);
  }

  StreamId ask(std::uint64_t size) {
    const auto stream = transport->open_bidirectional();
    if (!stream) return -1;
    std::array<std::uint8_t, 8> request{};
    std::memcpy(request.data(), &size, 8);
    transport->send_copy(*stream, request);
    transport->finish(*stream);
    replies[*stream];
    return *stream;
  }
  bool all_whole(std::uint64_t size) const {
    for (const auto& [stream, reply] : replies) {
      if (!reply.finished || reply.wrong || reply.received != size) return false;
    }
    return true;
  }

  Transport* transport = nullptr;
  std::function<void()> when_open;
  std::function<void()> when_streams_available;
  bool opened = false;
  bool closed = false;
  bool hold = false;  // release nothing
  std::string* ended = nullptr;
  std::map<StreamId, Reply> replies;
  std::vector<std::vector<std::uint8_t>> datagrams;
};

struct LinkConditions {
  double loss = 0;
  double duplicates = 0;
  std::chrono::microseconds rtt{20'000};
  std::chrono::microseconds jitter{0};  // each way; reorders
  std::size_t mtu = 1500;               // of IPv4: 28 bytes are headers
  std::chrono::milliseconds rebind_every{0};
  // What goes to the client in a second, behind a queue of kQueueMax; 0: without end.
  std::uint64_t to_client_bytes_per_second = 0;
  static constexpr std::chrono::milliseconds kQueueMax{200};
};

inline Address test_address(const char* text, std::uint16_t port) {
  return Address::parse(text, port).value();
}

// One server and one client endpoint, and what is between them.
class SimulatedLink {
 public:
  struct Node final : EndpointCore::Host {
    Node(SimulatedLink& owner, const Limits& limits, const Secret& secret, std::uint8_t worker,
         std::uint64_t seed, const std::string& name)
        : link(owner),
          random(seed),
          metrics(owner.registry, name),
          core(*this, limits, secret, worker, metrics, random) {}

    SteadyTime turn_time() const override { return link.now; }
    WallTime wall_time() const override {
      return WallTime(std::chrono::duration_cast<std::chrono::microseconds>(
          link.now.time_since_epoch() + link.wall_ahead));
    }
    void something_due() override {}
    bool has_worker(std::uint8_t worker) const override { return worker < workers; }
    bool stray(std::uint8_t worker, std::span<const std::uint8_t>, const Path&,
               std::uint8_t) override {
      strays.push_back(worker);
      return true;
    }

    SimulatedLink& link;
    SeededRandom random;
    EndpointMetrics metrics;
    EndpointCore core;
    SendBuffer out;
    std::vector<std::uint8_t> strays;
    std::size_t workers = 256;
  };

  explicit SimulatedLink(std::uint64_t seed, const LinkConditions& conditions = {},
                         const Limits& server_limits = {}, const Limits& client_limits = {})
      : conditions_(conditions),
        random_(seed),
        server(*this, server_limits, Secret{1}, 0, seed + 1, "server"),
        client(*this, client_limits, Secret{2}, 0, seed + 2, "client") {
    next_rebind_ =
        conditions.rebind_every.count() > 0 ? now + conditions.rebind_every : SteadyTime::max();
    serve(server_limits.early_data);
    client_tls = ClientTls::create({"blob"}, ClientTls::Verify::kOff, "").value();
  }

  void serve(bool early_data) {
    serve_on(server, early_data ? std::make_shared<ReplayGuard>() : nullptr);
  }
  void serve_on(Node& node, std::shared_ptr<ReplayGuard> replay_guard) {
    guard = replay_guard;
    node.core.serve({ServerTls::create({"blob"}, std::move(replay_guard)).value(),
                     test_credentials(), [this](Transport& transport) {
                       auto made = std::make_unique<BlobServer>(transport);
                       blob_server = made.get();
                       ++applications;
                       return made;
                     }});
  }

  // The client's Application, alive until the connection is over.
  std::shared_ptr<Impairment> client_impairment;  // of those that connect from now on
  BlobClient& connect(std::shared_ptr<Resumption> resumption = nullptr, bool early_data = false,
                      std::function<void(BlobClient&)> when_open = {}) {
    auto made = std::make_unique<BlobClient>();
    BlobClient& application = *made;
    application.ended = &ended;
    ended.clear();
    if (when_open) {
      application.when_open = [&application, when_open] { when_open(application); };
    }
    auto connection = client.core.connect(
        {client_address, server_address},
        {"mirror.test", client_tls, std::move(resumption), early_data, client_impairment},
        std::move(made));
    if (!connection) throw std::runtime_error(connection.error().message);
    application.transport = client_connection = *connection;
    return application;
  }

  void run_for(std::chrono::microseconds time) {
    run_until([] { return false; }, time);
  }

  // Whether `done` came true within `limit` of virtual time.
  bool run_until(const std::function<bool()>& done,
                 std::chrono::microseconds limit = std::chrono::seconds(120)) {
    const SteadyTime end = now + limit;
    turn();
    while (!done()) {
      const SteadyTime next =
          std::min({wire_.empty() ? SteadyTime::max() : wire_.top().arrival,
                    server.core.next_expiry(), client.core.next_expiry(), next_rebind_, wake_at});
      if (next > end) {
        now = end;
        turn();
        return done();
      }
      now = std::max(now, next);
      turn();
    }
    return true;
  }

  // From the next packet on.
  void set_conditions(const LinkConditions& conditions) { conditions_ = conditions; }

  void rebind() {
    nat_address.set_port(static_cast<std::uint16_t>(nat_address.port() + 1));
    ++rebinds;
  }

  // A datagram from somebody else, straight into the server.
  void inject(std::span<const std::uint8_t> datagram, const Address& from) {
    server.core.receive(datagram, {server_address, from}, 0);
  }

  void turn() {
    if (now >= next_rebind_) {
      // RFC 9000, 9: not before the handshake is confirmed.
      if (server.metrics.handshakes_completed.Value() > 0) rebind();
      next_rebind_ = now + conditions_.rebind_every;
    }
    while (!wire_.empty() && wire_.top().arrival <= now) {
      const Flight flight = wire_.top();
      wire_.pop();
      Node& to = flight.to_server ? server : client;
      to.core.receive(flight.bytes, flight.path, flight.ecn);
    }
    if (at_turn) at_turn();
    for (Node* node : {&server, &client}) {
      node->core.expire();
      for (int round = 0; round < 100; ++round) {
        const bool all = node->core.write(node->out);
        carry(*node);
        if (all) break;
      }
      node->core.bury();
    }
  }

 private:
  LinkConditions conditions_;
  SeededRandom random_;

 public:
  SteadyTime now{std::chrono::hours(1000)};
  std::chrono::hours wall_ahead{0};  // of `now`, whose zero is the start of the machine
  Metrics registry;
  std::string ended;  // why the latest client connection did; outlives the nodes
  Node server;
  Node client;
  const Address server_address = test_address("192.0.2.1", 443);
  const Address client_address = test_address("198.51.100.7", 50'000);
  Address nat_address = test_address("203.0.113.9", 1'000);  // as the server sees the client
  std::shared_ptr<ReplayGuard> guard;
  std::shared_ptr<const ClientTls> client_tls;
  BlobServer* blob_server = nullptr;  // the latest
  Connection* client_connection = nullptr;
  std::size_t applications = 0;
  std::size_t rebinds = 0;
  SteadyTime client_spoke = now;  // sent anything at all
  std::size_t carried_bytes = 0;
  std::size_t packets_max_in_batch = 0;
  // What else belongs to a turn, between receiving and sending, and when it wants the next one.
  std::function<void()> at_turn;
  SteadyTime wake_at = SteadyTime::max();
  // Sees every datagram before it is sent; false: it is lost.
  std::function<bool(bool to_server, std::span<const std::uint8_t>)> tap;

 private:
  struct Flight {
    SteadyTime arrival;
    std::uint64_t number = 0;
    bool to_server = false;
    std::vector<std::uint8_t> bytes;
    Path path;
    std::uint8_t ecn = 0;
    bool operator<(const Flight& other) const {
      return std::pair(arrival, number) > std::pair(other.arrival, other.number);
    }
  };

  void carry(Node& from) {
    for (const SendBuffer::Batch& batch : from.out.batches()) {
      packets_max_in_batch = std::max(packets_max_in_batch, batch.packets);
      auto bytes = from.out.bytes_of(batch);
      while (!bytes.empty()) {
        const auto packet = bytes.first(std::min(bytes.size(), batch.segment_bytes));
        bytes = bytes.subspan(packet.size());
        send(&from == &client, packet, batch);
      }
    }
    from.out.drop(from.out.batches().size());
  }

  void send(bool to_server, std::span<const std::uint8_t> packet, const SendBuffer::Batch& batch) {
    carried_bytes += packet.size();
    if (to_server) client_spoke = now;
    if (tap && !tap(to_server, packet)) return;
    if (packet.size() + 28 > conditions_.mtu || random_.chance(conditions_.loss)) return;
    Flight flight;
    flight.to_server = to_server;
    flight.bytes.assign(packet.begin(), packet.end());
    flight.ecn = batch.ecn;
    // A NAT is before the client: outside, there is one address only that still works.
    if (!to_server && !(batch.path.remote == nat_address)) return;
    SteadyTime departure = now;
    if (!to_server && conditions_.to_client_bytes_per_second > 0) {
      busy_until_ = std::max(busy_until_, now);
      if (busy_until_ - now > LinkConditions::kQueueMax) return;
      busy_until_ += std::chrono::microseconds(packet.size() * 1'000'000 /
                                               conditions_.to_client_bytes_per_second);
      departure = busy_until_;
    }
    if (to_server) client_now_ = batch.path.local;  // who moved is reached where it is
    flight.path =
        to_server ? Path{server_address, nat_address} : Path{client_now_, batch.path.local};
    const int copies = random_.chance(conditions_.duplicates) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      flight.number = flights_++;
      flight.arrival = departure + conditions_.rtt / 2 +
                       std::chrono::microseconds(random_.below(conditions_.jitter.count()));
      wire_.push(flight);
    }
  }

  std::priority_queue<Flight> wire_;
  std::uint64_t flights_ = 0;
  SteadyTime next_rebind_;
  SteadyTime busy_until_{};
  Address client_now_ = client_address;
};

}  // namespace mirror::quic
