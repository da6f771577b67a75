#include "api/push_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "api/fake_exchange.h"
#include "api/feed_directory.h"
#include "api/push_doors.h"
#include "base/fake_clock.h"
#include "push/frame_reader.h"

namespace mirror::api {
namespace {

using testing::HasSubstr;

// Two loops' routes, on one loop.
class PushRoutesTest : public testing::Test {
 protected:
  PushRoutesTest() {
    for (auto& routes : routes_) {
      routes = std::make_unique<PushRoutes>(settings_, environment_, cors_, *loop_);
    }
  }

  static http::Request ask(http::Method method, std::string query = {}, std::string body = {}) {
    http::Request request;
    request.method = method;
    request.path = "/push";
    request.query = std::move(query);
    request.body = std::move(body);
    return request;
  }
  // Opens a session that subscribes to nothing; returns its id.
  std::string open(FakeExchange& exchange, std::size_t loop = 0, const std::string& query = {}) {
    routes_[loop]->open(ask(http::Method::kGet, query), exchange);
    routes_[loop]->on_wake();
    const std::string bytes = exchange.body();
    push::FrameReader reader;
    reader.append({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    const auto frame = reader.next();
    const auto* hello = frame && *frame ? std::get_if<push::Hello>(&**frame) : nullptr;
    return hello == nullptr ? std::string() : std::string(hello->session);
  }
  void post(std::string_view session, std::string body, FakeExchange& exchange,
            std::size_t loop = 0) {
    routes_[loop]->control(session, ask(http::Method::kPost, {}, std::move(body)), exchange);
  }
  // Lets the loop run what was posted, and what that posts.
  void run_posted() {
    std::function<void(int)> next = [&](int left) {
      if (left == 0) return loop_->stop();
      loop_->post([&next, left] { next(left - 1); });
    };
    loop_->post([&next] { next(4); });
    loop_->run();
  }

  FakeClock clock_;
  Metrics metrics_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
  WakeList wake_list_{{}};
  stream::Registry registry_{25, "e", {}, {wake_list_, clock_, metrics_, log_}};
  PushDoors doors_;
  FeedDirectory feeds_;
  std::atomic<bool> draining_{false};
  const ApiEnvironment environment_{registry_, doors_, feeds_, metrics_, clock_, draining_};
  const Cors cors_{{"*"}};
  push::HubSettings settings_{.sessions_max = 2};
  std::unique_ptr<net::EventLoop> loop_ = net::EventLoop::create("test").value();
  std::array<std::unique_ptr<PushRoutes>, 2> routes_;
};

constexpr const char* kUnsubscribe =
    "{\"type\":\"unsubscribe\",\"stream\":\"cam\",\"rendition\":\"v360\"}\n";

TEST_F(PushRoutesTest, ASessionBeginsWithHelloAndNamesItsLoop) {
  FakeExchange exchange;
  const std::string session = open(exchange, 1);
  EXPECT_EQ(exchange.response().status, 200);
  EXPECT_EQ(exchange.header("content-type"), "application/vnd.mirror.push");
  EXPECT_EQ(exchange.header("cache-control"), "no-store");
  EXPECT_EQ(session.substr(0, 2), "1-");
  EXPECT_EQ(session.size(), 2u + 32);
  FakeExchange other;
  EXPECT_NE(open(other, 1), session);
}

TEST_F(PushRoutesTest, HeadTellsAndOpensNothing) {
  FakeExchange exchange;
  routes_[0]->open(ask(http::Method::kHead), exchange);
  EXPECT_EQ(exchange.response().status, 200);
  EXPECT_FALSE(exchange.held());
}

TEST_F(PushRoutesTest, WhatCannotBeIsSaid) {
  FakeExchange bad;
  routes_[0]->open(ask(http::Method::kGet, "subscribe=nothing"), bad);
  EXPECT_EQ(bad.response().status, 400);
  FakeExchange first, second, third;
  open(first);
  open(second);
  routes_[0]->open(ask(http::Method::kGet), third);
  EXPECT_EQ(third.response().status, 503);
  EXPECT_EQ(third.header("retry-after"), "1");
  first.leave();
  FakeExchange fourth;
  EXPECT_NE(open(fourth), "");
  draining_ = true;
  FakeExchange late;
  routes_[1]->open(ask(http::Method::kGet), late);
  EXPECT_EQ(late.response().status, 503);
}

TEST_F(PushRoutesTest, ControlOnTheSameLoop) {
  FakeExchange exchange;
  const std::string session = open(exchange);
  FakeExchange taken;
  post(session, kUnsubscribe, taken);
  EXPECT_EQ(taken.response().status, 202);
  EXPECT_TRUE(nlohmann::json::parse(taken.body()).contains("now_us"));
  FakeExchange bad;
  post(session, "{\"type\":\"dance\"}\n", bad);
  EXPECT_EQ(bad.response().status, 400);
  int limited = 0;
  for (int i = 0; i < 130; ++i) {
    FakeExchange one;
    post(session, kUnsubscribe, one);
    if (one.response().status != 429) continue;
    EXPECT_EQ(one.header("retry-after"), "1");
    ++limited;
  }
  EXPECT_GT(limited, 0);
}

TEST_F(PushRoutesTest, ControlOfWhatIsNotThere) {
  for (const char* session : {"", "0", "0-", "-1-5", "2-77", "99999999999999999999-1", "x-1",
                              "0-00000000000000000000000000000000"}) {
    FakeExchange exchange;
    post(session, kUnsubscribe, exchange);
    ASSERT_TRUE(exchange.answered()) << session;
    EXPECT_EQ(exchange.response().status, 404) << session;
  }
  FakeExchange get;
  routes_[0]->control("0-1", ask(http::Method::kGet), get);
  EXPECT_EQ(get.response().status, 405);
  EXPECT_EQ(get.header("allow"), "POST, OPTIONS");
  FakeExchange options;
  routes_[0]->control("0-1", ask(http::Method::kOptions), options);
  EXPECT_EQ(options.response().status / 100, 2);
}

TEST_F(PushRoutesTest, ControlFromAnotherLoopIsBroughtThereAndAnswered) {
  FakeExchange exchange;
  const std::string session = open(exchange, 0);
  FakeExchange there, nobodys, left;
  post(session, kUnsubscribe, there, 1);
  post("0-00000000000000000000000000000000", kUnsubscribe, nobodys, 1);
  post(session, kUnsubscribe, left, 1);
  EXPECT_TRUE(there.held());
  left.leave();
  run_posted();
  ASSERT_TRUE(there.answered());
  EXPECT_EQ(there.response().status, 202);
  EXPECT_THAT(there.body(), HasSubstr("now_us"));
  EXPECT_EQ(nobodys.response().status, 404);
  EXPECT_FALSE(left.answered());
}

TEST_F(PushRoutesTest, WhoWaitsForAnAnswerMayOutliveTheRoutes) {
  FakeExchange exchange, waiting;
  const std::string session = open(exchange, 0);
  post(session, kUnsubscribe, waiting, 1);
  routes_[1].reset();
  waiting.leave();
  routes_[0].reset();
  exchange.leave();
}

TEST_F(PushRoutesTest, SessionsEndWhenTheServerDrains) {
  FakeExchange exchange;
  open(exchange);
  EXPECT_TRUE(exchange.held());
  draining_ = true;
  routes_[0]->on_tick();
  EXPECT_FALSE(exchange.held()) << "nothing that it subscribes to is live";
}

}  // namespace
}  // namespace mirror::api
