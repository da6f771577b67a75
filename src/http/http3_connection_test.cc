#include "http/http3_connection.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "http/http3_script.h"
#include "http/scripted_carrier.h"
#include "http/scripted_transport.h"
#include "http/shard.h"

namespace mirror::http {
namespace {

// Answers with the path, or never.
struct PathHandler final : Handler {
  void handle(const Request& request, Exchange& exchange) override {
    if (request.path != "/leave") exchange.respond(Response::text(200, request.path));
  }
};

class Http3Shard : public testing::Test {
 protected:
  Http3Shard() { limits.connections_per_loop_max = 2; }
  void start() {
    shard =
        std::make_unique<Shard>(*loop, limits, std::make_unique<PathHandler>(), metrics, "0", log);
  }
  // Each step in a turn of its own; what it defers is done before the next.
  void run(std::vector<std::function<void()>> steps) {
    std::function<void(std::size_t)> next = [&](std::size_t i) {
      if (i == steps.size()) return loop->stop();
      steps[i]();
      loop->post([&next, i] { next(i + 1); });
    };
    loop->post([&next] { next(0); });
    loop->run();
  }
  double counter(const std::string& name, Metrics::Labels labels = {}) {
    labels["loop"] = "0";
    return metrics.counter(name, "", labels).Value();
  }
  double connections() {
    return metrics.gauge("mirror_http_connections", "", {{"loop", "0"}}).Value();
  }

  Limits limits;
  Metrics metrics;
  Log log{LogLevel::kError, LogFormat::kReadable};
  std::unique_ptr<net::EventLoop> loop = net::EventLoop::create("test").value();
  std::unique_ptr<Shard> shard;
  ScriptedTransport transport{ScriptedTransport::Side::kServer};
};

TEST_F(Http3Shard, CountsItsConnectionsAndRequests) {
  start();
  ScriptedTransport others[2] = {ScriptedTransport(ScriptedTransport::Side::kServer),
                                 ScriptedTransport(ScriptedTransport::Side::kServer)};
  auto first = shard->accept(transport);
  auto second = shard->accept(others[0]);
  EXPECT_EQ(shard->accept(others[1]), nullptr);
  EXPECT_EQ(counter("mirror_http_connections_refused_total"), 1);
  EXPECT_EQ(connections(), 2);
  first->on_open();
  first->on_stream_data(2, bytes_of(h3::control()), false);
  first->on_stream_data(0, bytes_of(h3::request("GET", "/a")), true);
  first->on_stream_data(4, bytes_of(h3::request("GET", "/%zz")), true);
  EXPECT_EQ(counter("mirror_http_requests_total", {{"version", "HTTP/3"}, {"status", "2xx"}}), 1);
  EXPECT_EQ(counter("mirror_http_requests_total", {{"version", "HTTP/3"}, {"status", "4xx"}}), 1);
  EXPECT_EQ(counter("mirror_http_protocol_errors_total"), 1);
  first->on_datagram(bytes_of("\x05"));
  EXPECT_EQ(counter("mirror_http3_dropped_total", {{"what", "datagram"}}), 1);
  second->on_closed("gone");
  second.reset();
  EXPECT_EQ(connections(), 1);
  first.reset();  // while it is scheduled
  EXPECT_EQ(connections(), 0);
}

TEST_F(Http3Shard, DrainWaitsForTheLast) {
  start();
  auto connection = shard->accept(transport);
  connection->on_open();
  connection->on_stream_data(2, bytes_of(h3::control()), false);
  connection->on_stream_data(0, bytes_of(h3::request("GET", "/leave")), true);
  bool drained = false;
  run({[&] {
         shard->drain([&] { drained = true; });
         ScriptedTransport late(ScriptedTransport::Side::kServer);
         EXPECT_EQ(shard->accept(late), nullptr);
       },
       [&] {
         EXPECT_FALSE(drained);
         EXPECT_FALSE(transport.closed_with);
         connection->on_stop_sending(0, 0);
         connection->on_stream_closed(0);
       },
       [&] {
         EXPECT_FALSE(transport.closed_with) << "its last word is still due";
         transport.time += Http3Session::kGoawayGrace;
         static_cast<Http3Connection&>(*connection).check_timeouts();
       },
       [&] {
         EXPECT_EQ(transport.closed_with, h3::error::kNone);
         connection->on_closed("closed");
         connection.reset();
       },
       [] {}});
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace mirror::http
