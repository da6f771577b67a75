// TestServer: a Server on ephemeral loopback ports with a handler of simple answers, for tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "http/server.h"
#include "net/event_loop.h"
#include "net/tls.h"

namespace mirror::http {

inline WallTime wall_now() { return SystemClock().now().wall; }

// A directory of its own for each test, removed afterwards.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "mirror_test.XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Requests that wait, counted over all loops of a TestServer.
struct HeldCount {
  std::atomic<int> now{0};
  std::atomic<int> most{0};

  void add() {
    const int n = now.fetch_add(1) + 1;
    int seen = most.load();
    while (seen < n && !most.compare_exchange_weak(seen, n)) {
    }
  }
  void remove() { now.fetch_sub(1); }
};

// /hello  /size/N  /echo  /held (until a wake)  /grow/N (N bytes, as fast as they are taken)
// /abort (breaks off a growing answer)  anything else: 404
class TestHandler final : public Handler {
 public:
  TestHandler(net::EventLoop& loop, HeldCount& held) : held_count_(held) {
    loop.on_wake([this] { release(); });
  }

  void handle(const Request& request, Exchange& exchange) override {
    const std::string& path = request.path;
    if (path == "/hello") {
      exchange.respond(Response::text(200, "hello\n"));
    } else if (path == "/echo") {
      exchange.respond(Response::text(200, request.body));
    } else if (path.starts_with("/size/")) {
      respond_with_bytes(path.substr(6), exchange);
    } else if (path == "/held") {
      exchange.attach(std::make_unique<Held>(*this, exchange));
    } else if (path.starts_with("/grow/")) {
      exchange.start(200, {{"content-type", "application/octet-stream"}});
      auto writer = std::make_unique<Writer>(exchange, std::stoull(path.substr(6)));
      Writer* raw = writer.get();
      exchange.attach(std::move(writer));
      raw->on_writable();
    } else if (path == "/abort") {
      exchange.start(200, {});
      exchange.write(Bytes::take(std::string(1000, 'a')));
      exchange.abort();
    } else {
      exchange.respond(Response::text(404, "404 Not Found: no such thing\n"));
    }
  }

 private:
  struct Held final : Exchange::Attachment {
    Held(TestHandler& handler, Exchange& which) : owner(handler), exchange(which) {
      owner.held_.push_back(this);
      place = std::prev(owner.held_.end());
      owner.held_count_.add();
    }
    ~Held() override {
      owner.held_.erase(place);
      owner.held_count_.remove();
    }
    TestHandler& owner;
    Exchange& exchange;
    std::list<Held*>::iterator place;
  };

  struct Writer final : Exchange::Attachment {
    Writer(Exchange& which, std::size_t bytes) : exchange(which), left(bytes) {}
    void on_writable() override {
      while (left > 0 && exchange.queued_bytes() < Exchange::kQueuedBytesHigh) {
        const std::size_t n = std::min<std::size_t>(left, 7000);
        left -= n;
        exchange.write(Bytes::take(std::string(n, 'g')));
      }
      if (left == 0) exchange.finish();
    }
    Exchange& exchange;
    std::size_t left;
  };

  void respond_with_bytes(const std::string& digits, Exchange& exchange) {
    const std::size_t size = std::stoull(digits);
    if (size != cached_.size()) cached_ = Bytes::take(std::string(size, 'x'));
    exchange.respond({200, {{"content-type", "application/octet-stream"}}, {cached_}});
  }

  void release() {
    // Attachments go at the end of the turn, so the list does not change here.
    for (Held* held : held_) held->exchange.respond(Response::text(200, "released\n"));
  }

  HeldCount& held_count_;
  std::list<Held*> held_;
  Bytes cached_;
};

class TestServer {
 public:
  explicit TestServer(const Limits& limits = {}, std::size_t loops = 1) {
    tls_ =
        net::TlsCredentials::load_or_generate(state_.path(), {"localhost", "127.0.0.1"}, wall_now())
            .value();
    std::vector<net::EventLoop*> pointers;
    for (std::size_t i = 0; i < loops; ++i) {
      loops_.push_back(net::EventLoop::create("test-loop").value());
      pointers.push_back(loops_.back().get());
    }
    server_ =
        Server::create(
            pointers, {{"127.0.0.1", 0, nullptr}, {"127.0.0.1", 0, tls_}}, limits,
            [this](net::EventLoop& loop) { return std::make_unique<TestHandler>(loop, held); },
            metrics, log_)
            .value();
    for (auto& loop : loops_) threads_.emplace_back([&loop] { loop->run(); });
  }

  ~TestServer() {
    for (auto& loop : loops_) loop->stop();
    threads_.clear();
    server_.reset();
  }

  std::uint16_t plain_port() const { return server_->port(0); }
  std::uint16_t tls_port() const { return server_->port(1); }
  std::string plain_url() const { return "http://127.0.0.1:" + std::to_string(plain_port()); }
  std::string tls_url() const { return "https://127.0.0.1:" + std::to_string(tls_port()); }
  Server& server() { return *server_; }
  void wake() {
    for (auto& loop : loops_) loop->wake();
  }

  double counter(const std::string& name, Metrics::Labels labels) {
    labels["loop"] = "0";
    return metrics.counter(name, "", labels).Value();
  }
  double connections() {
    return metrics.gauge("mirror_http_connections", "", {{"loop", "0"}}).Value();
  }

  Metrics metrics;
  HeldCount held;

 private:
  TemporaryDirectory state_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
  std::shared_ptr<net::TlsCredentials> tls_;
  std::vector<std::unique_ptr<net::EventLoop>> loops_;
  std::unique_ptr<Server> server_;
  std::vector<std::jthread> threads_;
};

}  // namespace mirror::http
