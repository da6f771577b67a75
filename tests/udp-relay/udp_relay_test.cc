#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "command.h"
#include "impairment.h"

namespace mirror::relay {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using ::testing::HasSubstr;

class ImpairmentTest : public ::testing::Test {
 protected:
  struct Arrival {
    int number;
    SteadyTime at;
  };

  // Sends `count` datagrams of `bytes` bytes, one each `every`, and takes what arrives on the way.
  std::vector<Arrival> send(Impairment& link, int count, microseconds every = 1ms,
                            std::size_t bytes = 100) {
    std::vector<Arrival> arrived;
    for (int i = 0; i < count; ++i, now_ += every) {
      std::vector<std::uint8_t> datagram(bytes);
      datagram[0] = static_cast<std::uint8_t>(i);
      datagram[1] = static_cast<std::uint8_t>(i >> 8);
      link.push(datagram, now_);
      take(link, arrived);
    }
    while (const auto next = link.next_arrival()) {
      now_ = *next;
      take(link, arrived);
    }
    return arrived;
  }

  void take(Impairment& link, std::vector<Arrival>& arrived) {
    std::vector<std::uint8_t> datagram;
    while (link.pop(now_, datagram)) arrived.push_back({datagram[0] | datagram[1] << 8, now_});
  }

  Conditions conditions_;
  Counts counts_;
  SteadyTime now_{1h};
};

TEST_F(ImpairmentTest, AGoodLinkIsNoLink) {
  Impairment link(conditions_, counts_, 1);
  const SteadyTime began = now_;
  const auto arrived = send(link, 100);
  ASSERT_EQ(arrived.size(), 100u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(arrived[i].number, i);
    EXPECT_EQ(arrived[i].at, began + i * 1ms);
  }
  EXPECT_EQ(counts_.forwarded, 100u);
}

TEST_F(ImpairmentTest, LosesItsShareAndTheSameForTheSameSeed) {
  conditions_.loss = 0.05;
  std::vector<std::vector<int>> runs;
  for (const std::uint64_t seed : {7u, 7u, 8u}) {
    Impairment link(conditions_, counts_, seed);
    std::vector<int> numbers;
    for (const Arrival& arrival : send(link, 10'000)) numbers.push_back(arrival.number);
    EXPECT_NEAR(static_cast<double>(numbers.size()), 9'500, 100);
    runs.push_back(numbers);
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
  EXPECT_EQ(counts_.lost + counts_.forwarded, counts_.received);
}

TEST_F(ImpairmentTest, LosesInRows) {
  conditions_.loss = 0.05;
  conditions_.loss_burst = 10;
  Impairment link(conditions_, counts_, 3);
  const auto arrived = send(link, 50'000);
  int rows = 0;
  for (std::size_t i = 1; i < arrived.size(); ++i) {
    if (arrived[i].number != arrived[i - 1].number + 1) ++rows;
  }
  EXPECT_NEAR(static_cast<double>(counts_.lost), 2'500, 600);
  EXPECT_NEAR(static_cast<double>(counts_.lost) / rows, 10, 2);
}

TEST_F(ImpairmentTest, ALinkThatLosesAllLosesAll) {
  conditions_.loss = 1;
  conditions_.loss_burst = 4;
  Impairment link(conditions_, counts_, 1);
  EXPECT_TRUE(send(link, 1'000).empty());
}

TEST_F(ImpairmentTest, DelaysAndKeepsTheOrderOfOneInstant) {
  conditions_.delay = 150ms;
  Impairment link(conditions_, counts_, 1);
  const SteadyTime began = now_;
  const auto arrived = send(link, 50, 0us);
  ASSERT_EQ(arrived.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(arrived[i].number, i);
    EXPECT_EQ(arrived[i].at, began + 150ms);
  }
}

TEST_F(ImpairmentTest, JitterStaysWithinItsLimitAndReorders) {
  conditions_.delay = 10ms;
  conditions_.jitter = 20ms;
  Impairment link(conditions_, counts_, 1);
  const SteadyTime began = now_;
  bool reordered = false;
  int before = -1;
  const auto arrived = send(link, 1'000);
  ASSERT_EQ(arrived.size(), 1'000u);
  for (const Arrival& arrival : arrived) {
    const auto took = arrival.at - (began + arrival.number * 1ms);
    EXPECT_GE(took, 10ms);
    EXPECT_LE(took, 31ms) << "a step of the test included";
    reordered = reordered || arrival.number < before;
    before = arrival.number;
  }
  EXPECT_TRUE(reordered);
}

TEST_F(ImpairmentTest, HoldsAShareBack) {
  conditions_.reorder = 0.02;
  conditions_.reorder_by = 5ms;
  Impairment link(conditions_, counts_, 1);
  const auto arrived = send(link, 5'000);
  ASSERT_EQ(arrived.size(), 5'000u);
  int behind = 0;
  for (std::size_t i = 1; i < arrived.size(); ++i) {
    if (arrived[i].number < arrived[i - 1].number) ++behind;
  }
  EXPECT_NEAR(behind, 100, 40);
  EXPECT_GE(counts_.held_back, static_cast<std::uint64_t>(behind));
}

TEST_F(ImpairmentTest, SendsAShareTwice) {
  conditions_.duplicate = 0.1;
  Impairment link(conditions_, counts_, 1);
  const auto arrived = send(link, 5'000);
  EXPECT_EQ(arrived.size(), 5'000u + counts_.duplicated);
  EXPECT_NEAR(static_cast<double>(counts_.duplicated), 500, 100);
}

TEST_F(ImpairmentTest, ARateLetsOnlySoMuchWait) {
  conditions_.rate_bps = 1'000'000;  // 1000 bytes each 8 ms
  conditions_.queue = 80ms;
  Impairment link(conditions_, counts_, 1);
  const SteadyTime began = now_;
  const auto arrived = send(link, 500, 4ms, 1'000);  // twice as much for two seconds
  EXPECT_NEAR(static_cast<double>(arrived.size()), 260, 5);
  EXPECT_EQ(arrived.size() + counts_.dropped_by_rate, 500u);
  for (const Arrival& arrival : arrived) {
    EXPECT_LE(arrival.at - (began + arrival.number * 4ms), 100ms);
  }
}

TEST_F(ImpairmentTest, AnOutageEndsByItself) {
  conditions_.down_until = now_ + 50ms;
  Impairment link(conditions_, counts_, 1);
  const auto arrived = send(link, 100);
  ASSERT_EQ(arrived.size(), 50u);
  EXPECT_EQ(arrived[0].number, 50);
  EXPECT_EQ(counts_.lost_in_outage, 50u);
}

TEST_F(ImpairmentTest, HoldsOnlySoMany) {
  conditions_.delay = 10s;
  Impairment link(conditions_, counts_, 1);
  const int count = static_cast<int>(Impairment::kDatagramsMax) + 10;
  EXPECT_EQ(send(link, count, 1us).size(), Impairment::kDatagramsMax);
  EXPECT_EQ(counts_.dropped_when_full, 10u);
}

class CommandTest : public ::testing::Test {
 protected:
  Status apply_line(std::string_view line) { return apply(line, link_, SteadyTime{1h}); }
  Link link_;
};

TEST_F(CommandTest, ChangesWhatItNames) {
  ASSERT_TRUE(apply_line("up loss=2% loss_burst=5 delay=150ms"));
  EXPECT_DOUBLE_EQ(link_.up.loss, 0.02);
  EXPECT_DOUBLE_EQ(link_.up.loss_burst, 5);
  EXPECT_EQ(link_.up.delay, 150ms);
  EXPECT_DOUBLE_EQ(link_.down.loss, 0);
  ASSERT_TRUE(apply_line("both jitter=250us rate=1.5M reorder=0.1 reorder_by=1s duplicate=1%"));
  EXPECT_DOUBLE_EQ(link_.up.loss, 0.02) << "what is not named stays";
  EXPECT_EQ(link_.down.jitter, 250us);
  EXPECT_EQ(link_.down.rate_bps, 1'500'000);
  EXPECT_EQ(link_.down.reorder_by, 1s);
  ASSERT_TRUE(apply_line("both queue=50ms outage=5s"));
  EXPECT_EQ(link_.down.down_until, SteadyTime{1h} + 5s);
  ASSERT_TRUE(apply_line("both clear loss=1"));
  EXPECT_EQ(link_.up.delay, 0us);
  EXPECT_EQ(link_.up.down_until, SteadyTime{});
  EXPECT_DOUBLE_EQ(link_.up.loss, 1);
}

TEST_F(CommandTest, SaysWhatIsWrongAndChangesNothing) {
  const std::vector<std::pair<const char*, const char*>> lines{
      {"", "no direction"},          {"sideways loss=1", "no direction"},
      {"up", "nothing to change"},   {"up loss", "has no value"},
      {"up loss=", "number"},        {"up loss=101%", "no share"},
      {"up loss=-1", "number"},      {"up loss=nan", "number"},
      {"up delay=5", "units"},       {"up delay=61s", "60 s"},
      {"up delay=1e400s", "number"}, {"up rate=1T", "no rate"},
      {"up loss_burst=0.5", "1 to"}, {"up colour=1", "unknown name"},
      {"up loss=50% x=1", "unknown"}};
  for (const auto& [line, why] : lines) {
    const Status status = apply_line(line);
    ASSERT_FALSE(status) << line;
    EXPECT_THAT(status.error().message, HasSubstr(why)) << line;
    EXPECT_DOUBLE_EQ(link_.up.loss, 0) << line;
  }
}

}  // namespace
}  // namespace mirror::relay
