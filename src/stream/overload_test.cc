// A stream's media thread in virtual time: what it decodes and encodes costs what the test says.
#include "stream/overload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>
#include <utility>
#include <vector>

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Level = Overload::Level;

constexpr milliseconds kBound{1'000};
constexpr SteadyTime kStart{1'000s};

// 30 pictures a second, every second one of them not referred to.
struct Costs {
  int gop = 60;
  nanoseconds decoding{10ms};  // a picture
  nanoseconds encoding{2ms};   // a slot of the proxy's grid, repeated or not
};

class World {
 public:
  explicit World(Costs costs = {}) : costs_(costs) {}

  // The machine at this time: multiplies all costs.
  std::function<double(seconds)> load = [](seconds) { return 1.0; };
  // The thread stands still for so long before it takes the next unit, once.
  nanoseconds freeze{};

  // --- What came of it.
  std::vector<std::pair<seconds, Level>> levels;  // each change
  nanoseconds latency_max{};                      // of what was encoded, since the last look
  std::size_t queued_max = 0;
  nanoseconds queued_age_max{};
  std::uint64_t decoded = 0;
  std::uint64_t cut = 0;  // at the queue
  Overload overload{kBound};

  void run(seconds length) {
    const auto end = now_ + length;
    while (now_ < end) {
      if (freeze > 0ns) {
        now_ += std::exchange(freeze, {});
      }
      arrive();
      if (queue_.empty()) {
        now_ = arrival_of(next_);
        continue;
      }
      const auto unit = queue_.front();
      queue_.pop_front();
      taken_ = arrival_of(unit);
      take(unit);
    }
  }
  seconds at() const { return std::chrono::floor<seconds>(now_ - kStart); }

 private:
  static SteadyTime arrival_of(std::int64_t unit) {
    return kStart + nanoseconds(unit * 33'333'333);
  }
  bool key(std::int64_t unit) const { return unit % costs_.gop == 0; }

  // As Stream::Turn does it.
  void arrive() {
    for (; arrival_of(next_) <= now_; ++next_) {
      const bool behind =
          !queue_.empty() && arrival_of(next_) - std::max(taken_, refilled_) > kBound;
      if ((cutting_ && !key(next_)) || behind || queue_.size() >= kUnitsMax) {
        cutting_ = true;
        ++cut;
        continue;
      }
      cutting_ = false;
      if (queue_.empty()) refilled_ = arrival_of(next_);
      queue_.push_back(next_);
      queued_max = std::max(queued_max, queue_.size());
      queued_age_max = std::max(queued_age_max, arrival_of(next_) - arrival_of(queue_.front()));
    }
  }

  void take(std::int64_t unit) {
    const Level before = overload.level();
    const auto action = overload.take(
        {now_,
         WallTime(1h + std::chrono::floor<std::chrono::microseconds>(now_.time_since_epoch()))},
        now_ - arrival_of(unit), key(unit));
    if (overload.level() != before) levels.emplace_back(at(), overload.level());
    if (action == Overload::Action::kDrop) return;
    const Level level = overload.level();
    const bool skipped = action == Overload::Action::kSkip ||
                         (level == Level::kReferenceOnly && unit % 2 != 0) ||
                         (level == Level::kKeyFramesOnly && !key(unit));
    const double factor = load(at());
    const auto cost = costs_.encoding + (skipped ? 0ns : costs_.decoding);
    now_ += nanoseconds(static_cast<std::int64_t>(static_cast<double>(cost.count()) * factor));
    latency_max = std::max(latency_max, now_ - arrival_of(unit));
    decoded += skipped ? 0 : 1;
  }

  static constexpr std::size_t kUnitsMax = 200;

  const Costs costs_;
  SteadyTime now_ = kStart;
  std::deque<std::int64_t> queue_;
  std::int64_t next_ = 0;
  bool cutting_ = false;
  SteadyTime taken_{};
  SteadyTime refilled_{};
};

TEST(OverloadTest, NothingIsGivenUpWhileTheThreadKeepsUp) {
  World world;
  std::minstd_rand random(1);
  for (int i = 0; i < 60; ++i) {  // now and then it waits for a processor
    world.freeze = milliseconds(random() % 400);
    world.run(5s);
  }
  EXPECT_TRUE(world.levels.empty());
  EXPECT_EQ(world.overload.status().skipped_units, 0U);
  EXPECT_EQ(world.cut, 0U);
}

// First a drop, then no more non-reference pictures, then key frames only.
TEST(OverloadTest, PicturesAreGivenUpInOrder) {
  World world({.decoding = 160ms});
  world.run(60s);
  ASSERT_GE(world.levels.size(), 2U);
  EXPECT_EQ(world.levels[0].second, Level::kReferenceOnly);
  EXPECT_EQ(world.levels[1].second, Level::kKeyFramesOnly);
  EXPECT_GE(world.overload.status().catch_ups, 3U) << "before each level, one drop";
  EXPECT_FALSE(world.overload.status().why.empty());
  EXPECT_GT(world.overload.status().since, WallTime{});
}

// One overload that a drop gets over costs no level.
TEST(OverloadTest, AFreezeCostsOneDrop) {
  World world;
  world.run(10s);
  world.freeze = 2s;
  world.run(10s);
  EXPECT_TRUE(world.levels.empty());
  EXPECT_EQ(world.overload.status().catch_ups, 1U);
  EXPECT_LE(world.queued_age_max, kBound + 34ms);
  EXPECT_LE(world.latency_max, kBound);
  world.latency_max = {};
  world.run(10s);
  EXPECT_LT(world.latency_max, 50ms);
}

TEST(OverloadTest, AThirdTooMuchCostsTheNonReferencePicturesOnly) {
  World world({.decoding = 42ms});
  world.run(600s);
  ASSERT_FALSE(world.levels.empty());
  for (const auto& [at, level] : world.levels)
    EXPECT_NE(level, Level::kKeyFramesOnly) << at.count();
}

TEST(OverloadTest, LatencyAndQueueStayBoundedWhateverItCosts) {
  for (const milliseconds decoding : {20ms, 34ms, 45ms, 70ms, 200ms, 450ms}) {
    for (const milliseconds encoding : {2ms, 30ms, 60ms}) {
      for (const int gop : {15, 60, 300}) {
        World world({.gop = gop, .decoding = decoding, .encoding = encoding});
        world.run(300s);
        // What is worked on waited no longer than three quarters of the bound.
        EXPECT_LE(world.latency_max, kBound * 3 / 4 + decoding + encoding)
            << decoding.count() << "+" << encoding.count() << " ms, " << gop;
        EXPECT_LE(world.queued_age_max, kBound + 34ms);
        EXPECT_LE(world.queued_max, 40U);
        EXPECT_GT(world.decoded, 0U);
      }
    }
  }
}

// All that costs more than it takes, for a minute; then the machine is free again.
TEST(OverloadTest, AnEncoderSlowerThanRealTimeForAMinute) {
  World world({.encoding = 20ms});
  world.load = [](seconds at) { return at >= 60s && at < 120s ? 3.0 : 1.0; };
  world.run(60s);
  EXPECT_TRUE(world.levels.empty());
  world.run(60s);
  EXPECT_EQ(world.overload.level(), Level::kKeyFramesOnly);
  EXPECT_LE(world.latency_max, kBound);
  world.run(seconds(2 * Overload::kCalmMax));
  EXPECT_EQ(world.overload.level(), Level::kAll);
  world.latency_max = {};
  world.run(10s);
  EXPECT_LT(world.latency_max, 50ms);
}

TEST(OverloadTest, PicturesComeBackOneLevelAtATime) {
  World world({.decoding = 160ms});
  world.load = [](seconds at) { return at < 60s ? 1.0 : 0.05; };
  world.run(60s);
  ASSERT_EQ(world.overload.level(), Level::kKeyFramesOnly);
  const auto before = world.levels.size();
  world.run(seconds(2 * Overload::kCalmMax));
  ASSERT_EQ(world.levels.size(), before + 2);
  EXPECT_EQ(world.levels[before].second, Level::kReferenceOnly);
  EXPECT_EQ(world.levels[before + 1].second, Level::kAll);
  EXPECT_GE(world.levels[before + 1].first - world.levels[before].first, Overload::kCalm);
  EXPECT_TRUE(world.overload.status().why.empty());
}

// For an hour the load lies between two levels: the lower one is tried less and less often.
TEST(OverloadTest, ALoadBetweenTwoLevelsDoesNotFlap) {
  for (const milliseconds decoding : {33ms, 36ms, 42ms, 50ms, 80ms, 160ms}) {
    World world({.decoding = decoding});
    world.run(3'600s);
    EXPECT_FALSE(world.levels.empty()) << decoding.count();
    // Down and up again: once in kCalmMax, the first tries apart.
    EXPECT_LE(world.levels.size(), 2 * (3'600 / Overload::kCalmMax.count() + 8))
        << decoding.count();
  }
}

}  // namespace
}  // namespace mirror::stream
