// mirror-bench-h3: as many GET requests over HTTP/3 as are asked for, one in flight on each
// connection; what h2load is for the other versions (bench/pair-h3.mjs runs it).
//
//   mirror-bench-h3 PORT TARGET REQUESTS CONNECTIONS
//
// To 127.0.0.1, any certificate. Prints "requests N seconds S bytes B"; 1 when one was not answered
// with 200.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint.h"
#include "http3_link.h"
#include "http3_transport.h"
#include "net/event_loop.h"

namespace mirror::load {
namespace {

using Clock = std::chrono::steady_clock;

struct Work {
  net::EventLoop& loop;
  std::string target;
  std::size_t left = 0;
  std::size_t under_way = 0;
  std::size_t failed = 0;
  std::uint64_t bytes = 0;
};

class Asker final : private ResponseSink {
 public:
  Asker(Work& work, Workplace& workplace) : work_(work), transport_(workplace) {}

  void ask() {
    if (work_.left == 0) return;
    --work_.left;
    ++work_.under_way;
    transport_.get(work_.target, *this);
  }

 private:
  void on_head(const ResponseHead& head) override { ok_ = head.status == 200; }
  void on_body(std::span<const std::uint8_t> piece) override { work_.bytes += piece.size(); }
  void on_end() override { over(ok_); }
  void on_failed(Fault, std::string_view why) override {
    fmt::print(stderr, "{}\n", why);
    over(false);
  }
  void over(bool ok) {
    if (!ok) ++work_.failed;
    --work_.under_way;
    ask();
    if (work_.under_way == 0) work_.loop.stop();
  }

  Work& work_;
  Http3Transport transport_;
  bool ok_ = false;
};

int run(const std::string& port, const std::string& target, std::size_t requests,
        std::size_t connections) {
  Destination destination;
  destination.url = Url{.secure = true,
                        .host = "127.0.0.1",
                        .port = static_cast<std::uint16_t>(std::atoi(port.c_str())),
                        .target = target};
  destination.authority = destination.url.authority();
  destination.endpoints = resolve(destination.url.host, destination.url.port).value();
  destination.quic_trust =
      quic::ClientTls::create({"h3"}, quic::ClientTls::Verify::kOff, "").value();
  auto loop = net::EventLoop::create("bench").value();
  Workplace workplace(*loop, destination);
  Stats stats;
  workplace.stats = &stats;
  auto door = QuicDoor::create(*loop, destination, connections).value();
  workplace.door = door.get();
  Work work{.loop = *loop, .target = target, .left = requests};
  std::vector<std::unique_ptr<Asker>> askers;
  for (std::size_t i = 0; i < connections; ++i) {
    askers.push_back(std::make_unique<Asker>(work, workplace));
  }
  const auto from = Clock::now();
  for (const auto& asker : askers) asker->ask();
  loop->run();
  fmt::print("requests {} seconds {:.3f} bytes {}\n", requests,
             std::chrono::duration<double>(Clock::now() - from).count(), work.bytes);
  return work.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mirror::load

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: {} PORT TARGET REQUESTS CONNECTIONS\n", argv[0]);
    return 2;
  }
  return mirror::load::run(argv[1], argv[2], std::strtoull(argv[3], nullptr, 10),
                           std::strtoull(argv[4], nullptr, 10));
}
