// What a viewer costs the server before it has asked for anything: CPU time of a QUIC handshake and
// memory of a connection, on the server's side alone. Endpoints without sockets, in one thread.
//
//   mirror-bench-quic [CONNECTIONS]        (2000)
#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <cstdlib>

#include "quic/simulated_link.h"

namespace {

using namespace mirror;
using namespace mirror::quic;

double cpu_us() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// Adds what the calls made within its life cost.
struct Account {
  double cpu = 0;
  double bytes = 0;
};
class Charge {
 public:
  explicit Charge(Account& account)
      : account_(account), bytes_(::mallinfo2().uordblks), cpu_(cpu_us()) {}
  ~Charge() {
    account_.cpu += cpu_us() - cpu_;
    account_.bytes += static_cast<double>(::mallinfo2().uordblks) - static_cast<double>(bytes_);
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

 private:
  Account& account_;
  const std::size_t bytes_;
  const double cpu_;
};

// What the core has to say, datagram by datagram.
std::vector<std::vector<std::uint8_t>> written(SimulatedLink::Node& node, Account& account) {
  std::vector<std::vector<std::uint8_t>> packets;
  for (bool all = false; !all;) {
    {
      const Charge charge(account);
      all = node.core.write(node.out);
    }
    for (const auto& batch : node.out.batches()) {
      auto bytes = node.out.bytes_of(batch);
      while (!bytes.empty()) {
        const auto packet = bytes.first(std::min(bytes.size(), batch.segment_bytes));
        bytes = bytes.subspan(packet.size());
        packets.emplace_back(packet.begin(), packet.end());
      }
    }
    node.out.drop(node.out.batches().size());
  }
  return packets;
}

}  // namespace

int main(int argc, char** argv) {
  const int connections = argc > 1 ? std::atoi(argv[1]) : 2'000;
  ::mallopt(M_ARENA_MAX, 1);
  Limits limits;
  limits.connections_max = 1'000'000;
  limits.handshakes_unproven_max = 1'000'000;
  SimulatedLink link(1, {}, limits, limits);
  Account server;
  Account ignored;
  for (int i = 0; i < connections; ++i) {
    link.connect();
    for (int flight = 0; flight < 8; ++flight) {
      link.now += std::chrono::milliseconds(5);
      for (const auto& packet : written(link.client, ignored)) {
        const Charge charge(server);
        link.server.core.receive(packet, {link.server_address, link.client_address}, 0);
      }
      for (const auto& packet : written(link.server, server)) {
        link.client.core.receive(packet, {link.client_address, link.server_address}, 0);
      }
      link.client.core.expire();
      const Charge charge(server);
      link.server.core.expire();
      link.server.core.bury();
    }
  }
  fmt::print("connections {}  completed {}\n", connections,
             link.server.metrics.handshakes_completed.Value());
  fmt::print("server CPU per handshake  {:.0f} us\n", server.cpu / connections);
  fmt::print("server memory per connection  {:.1f} KB\n", server.bytes / connections / 1024);
  return 0;
}
