#include "api/held_requests.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "api/fake_exchange.h"

namespace mirror::api {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{};

// Something that publishes: `ready` says whether waiting requests can be answered.
struct Publisher {
  std::shared_ptr<std::uint64_t> object = std::make_shared<std::uint64_t>(1);
  std::uint64_t& version = *object;
  bool ready = false;
  std::vector<int> order;  // who was tried

  HeldRequests::Source source() const {
    return {object, [](const void* o) { return *static_cast<const std::uint64_t*>(o); }};
  }
  HeldRequests::Attempt attempt(int who) {
    return [this, who](http::Exchange& exchange, HeldRequests::Occasion occasion) {
      if (occasion == HeldRequests::Occasion::kTimeOut) {
        exchange.respond(http::Response::text(503, "late"));
        return true;
      }
      order.push_back(who);
      if (ready) exchange.respond(http::Response::text(200, "now"));
      return ready;
    };
  }
};

class HeldRequestsTest : public ::testing::Test {
 protected:
  void hold(FakeExchange& exchange, Publisher& publisher, int who = 0,
            SteadyTime deadline = kStart + 3s) {
    held_.hold(exchange, publisher.source(), publisher.version, publisher.attempt(who), deadline);
  }

  HeldRequests held_{100};
};

TEST_F(HeldRequestsTest, IsAnsweredByThePublicationItWaitsFor) {
  Publisher publisher;
  FakeExchange exchange;
  hold(exchange, publisher);
  held_.on_wake();
  EXPECT_TRUE(publisher.order.empty()) << "nothing changed, nothing is tried";

  ++publisher.version;
  held_.on_wake();
  EXPECT_FALSE(exchange.answered()) << "published, but not what it waits for";

  ++publisher.version;
  publisher.ready = true;
  held_.on_wake();
  EXPECT_EQ(exchange.body(), "now");
  EXPECT_EQ(held_.size(), 0u);
}

TEST_F(HeldRequestsTest, LooksOnlyAtWhatChanged) {
  Publisher one, other;
  FakeExchange a, b;
  hold(a, one);
  hold(b, other);
  one.ready = other.ready = true;
  ++one.version;
  held_.on_wake();
  EXPECT_TRUE(a.answered());
  EXPECT_TRUE(other.order.empty());
  EXPECT_EQ(held_.size(), 1u);
}

TEST_F(HeldRequestsTest, APublicationBetweenLookAndHoldIsNotMissed) {
  Publisher publisher;
  FakeExchange first, second;
  hold(first, publisher);
  const std::uint64_t seen = publisher.version++;  // the caller looked, then this was published
  held_.on_wake();
  publisher.order.clear();
  publisher.ready = true;
  held_.hold(second, publisher.source(), seen, publisher.attempt(2), kStart + 3s);
  held_.on_wake();
  EXPECT_TRUE(second.answered());
}

TEST_F(HeldRequestsTest, AClientThatLeavesIsForgottenAtOnce) {
  Publisher publisher;
  FakeExchange exchange;
  hold(exchange, publisher);
  exchange.leave();
  EXPECT_EQ(held_.size(), 0u);
  ++publisher.version;
  held_.on_wake();
  EXPECT_TRUE(publisher.order.empty());
}

TEST_F(HeldRequestsTest, AnAnswerMayEndOtherRequestsOfTheSameList) {
  Publisher publisher;
  std::deque<FakeExchange> exchanges(4);
  const auto leave_all = [&](http::Exchange& exchange, HeldRequests::Occasion) {
    for (FakeExchange& other : exchanges) {
      if (&other != &exchange) other.leave();
    }
    exchange.respond(http::Response::text(200, "the last one here"));
    return true;
  };
  for (FakeExchange& exchange : exchanges) {
    held_.hold(exchange, publisher.source(), publisher.version, leave_all, kStart + 3s);
  }
  ++publisher.version;
  held_.on_wake();
  EXPECT_EQ(held_.size(), 0u);
  EXPECT_EQ(std::ranges::count_if(exchanges, &FakeExchange::answered), 1);
}

TEST_F(HeldRequestsTest, AnotherOneIsServedFirstEachTime) {
  Publisher publisher;
  std::deque<FakeExchange> exchanges(3);
  for (int i = 0; i < 3; ++i) hold(exchanges[static_cast<std::size_t>(i)], publisher, i);
  std::vector<int> firsts;
  for (int turn = 0; turn < 3; ++turn) {
    publisher.order.clear();
    ++publisher.version;
    held_.on_wake();
    firsts.push_back(publisher.order.front());
  }
  EXPECT_NE(firsts[0], firsts[1]);
}

TEST_F(HeldRequestsTest, DoesNotHoldForEver) {
  Publisher publisher;
  FakeExchange early, late;
  hold(early, publisher, 0, kStart + 1s);
  hold(late, publisher, 1, kStart + 3s);
  held_.on_tick(kStart + 2s);
  EXPECT_EQ(early.response().status, 503);
  EXPECT_FALSE(late.answered());
  EXPECT_EQ(held_.size(), 1u);
}

TEST_F(HeldRequestsTest, MayGoBeforeItsRequests) {
  Publisher publisher;
  FakeExchange exchange;
  {
    HeldRequests held(1);
    held.hold(exchange, publisher.source(), 0, publisher.attempt(0), kStart);
    EXPECT_TRUE(held.full());
  }
  exchange.leave();
}

}  // namespace
}  // namespace mirror::api
