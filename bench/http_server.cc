// mirror-bench-http: the real http::Server on one loop with one prepared answer, for measuring what
// a request costs without a stream that changes meanwhile (bench/pair-http.mjs and pair-h3.mjs run
// it).
//
//   mirror-bench-http BODY_FILE CERTIFICATE KEY
//
// Prints the port, the same for TLS over TCP and for HTTP/3, then serves until standard input ends:
//   /body     the file, at once
//   /held     the file, when kHeld requests wait for it: all in one wake of the loop. For each such
//             release it prints "release WALL CPU", microseconds: from the publisher's time stamp
//             until the last answer was handed to its socket, and of the loop's time on its core.
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "http/prepared.h"
#include "http/server.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "quic/server.h"

namespace mirror {
namespace {

using Clock = std::chrono::steady_clock;
using Answer = std::shared_ptr<const http::Prepared>;

constexpr std::size_t kHeld = 1000;

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// What the publishing thread and the loop tell each other.
struct Publication {
  std::atomic<bool> due{false};
  std::atomic<bool> stopping{false};
  std::atomic<Clock::time_point> published{};
};

class BenchHandler final : public http::Handler {
 public:
  BenchHandler(net::EventLoop& loop, Answer answer, Publication& publication)
      : loop_(loop), answer_(std::move(answer)), publication_(publication) {
    loop.on_wake([this] { release(); });
  }

  void handle(const http::Request& request, http::Exchange& exchange) override {
    if (request.path == "/body") return exchange.respond(answer_);
    if (request.path != "/held") return exchange.respond(http::Response::text(404, "no\n"));
    exchange.attach(std::make_unique<Held>(*this, exchange));
    if (held_.size() != kHeld) return;
    publication_.due = true;
    publication_.due.notify_one();
  }

 private:
  struct Held final : http::Exchange::Attachment {
    Held(BenchHandler& handler, http::Exchange& which) : owner(handler), exchange(which) {
      place = owner.held_.insert(owner.held_.end(), this);
    }
    ~Held() override { owner.held_.erase(place); }
    BenchHandler& owner;
    http::Exchange& exchange;
    std::list<Held*>::iterator place;
  };

  void release() {
    if (held_.empty()) return;
    const auto cpu_before = cpu_time();
    for (Held* held : held_) held->exchange.respond(answer_);
    // Behind the server's own deferred task, which hands everything to the sockets.
    loop_.defer([this, cpu_before] {
      using std::chrono::microseconds;
      const auto took = Clock::now() - publication_.published.load();
      fmt::print("release {} {}\n", std::chrono::duration_cast<microseconds>(took).count(),
                 std::chrono::duration_cast<microseconds>(cpu_time() - cpu_before).count());
      std::fflush(stdout);
    });
  }

  net::EventLoop& loop_;
  const Answer answer_;
  Publication& publication_;
  std::list<Held*> held_;
};

void publish(Publication& publication, net::EventLoop& loop) {
  for (;;) {
    publication.due.wait(false);
    publication.due = false;
    if (publication.stopping) return;
    publication.published = Clock::now();
    loop.wake();
  }
}

Answer answer_of(const char* file) {
  std::ifstream stream(file, std::ios::binary);
  std::string body((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return std::make_shared<const http::Prepared>(
      200,
      http::Headers{{"content-type", "application/vnd.apple.mpegurl"},
                    {"cache-control", "public, max-age=6"},
                    {"etag", "\"0123456789abcdef\""},
                    {"access-control-allow-origin", "*"}},
      std::vector{Bytes::take(std::move(body))});
}

void wait_for_end_of_input() {
  std::array<char, 256> ignored;
  while (::read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) {
  }
}

int run(const char* body, const char* certificate, const char* key) {
  auto tls = net::TlsCredentials::load(certificate, key, SystemClock().now().wall);
  if (!tls) {
    fmt::print(stderr, "{}\n", tls.error().message);
    return 1;
  }
  const Log log(LogLevel::kError, LogFormat::kReadable);
  Metrics metrics;
  Publication publication;
  auto loop = net::EventLoop::create("net-0").value();
  net::EventLoop* const loops[] = {loop.get()};
  const Answer answer = answer_of(body);
  auto server = http::Server::create(
      loops, {{"127.0.0.1", 0, *tls}}, {},
      [&](net::EventLoop& on) { return std::make_unique<BenchHandler>(on, answer, publication); },
      metrics, log);
  if (!server) {
    fmt::print(stderr, "{}\n", server.error().message);
    return 1;
  }
  const quic::Server::ApplicationFactory make_application = [&](net::EventLoop&) {
    return [&](quic::Transport& transport) { return (*server)->accept(0, transport); };
  };
  auto quic = quic::Server::create(loops, {{"127.0.0.1", (*server)->port(0)}}, *tls,
                                   {.alpn = {"h3"}}, make_application, metrics);
  if (!quic) {
    fmt::print(stderr, "{}\n", quic.error().message);
    return 1;
  }
  fmt::print("port {}\n", (*server)->port(0));
  std::fflush(stdout);
  std::jthread publisher([&] { publish(publication, *loop); });
  std::jthread network([&] { loop->run(); });
  wait_for_end_of_input();
  loop->stop();
  network.join();
  publication.stopping = true;
  publication.due = true;
  publication.due.notify_one();
  return 0;
}

}  // namespace
}  // namespace mirror

int main(int argc, char** argv) {
  if (argc == 4) return mirror::run(argv[1], argv[2], argv[3]);
  fmt::print(stderr, "usage: {} BODY_FILE CERTIFICATE KEY\n", argv[0]);
  return 2;
}
