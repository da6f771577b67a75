#include "path_model.h"

#include <gtest/gtest.h>

namespace mirror::load {
namespace {

using namespace std::chrono_literals;
using Way = PathModel::Way;

constexpr SteadyTime kStart{1h};

TEST(PathModel, LosesNothingOfAPerfectPath) {
  PathModel path({}, 1);
  EXPECT_TRUE(PathQuality{}.is_perfect());
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(path.loses(Way::kIn, 1200, kStart));
}

TEST(PathModel, LosesItsShareEachWay) {
  for (const Way way : {Way::kIn, Way::kOut}) {
    PathModel path({.loss = 0.03}, 7);
    int lost = 0;
    for (int i = 0; i < 100'000; ++i) lost += path.loses(way, 1200, kStart) ? 1 : 0;
    EXPECT_NEAR(lost, 3000, 300);
  }
}

TEST(PathModel, TheSameSeedLosesTheSame) {
  PathModel one({.loss = 0.5}, 3);
  PathModel same({.loss = 0.5}, 3);
  PathModel other({.loss = 0.5}, 4);
  int differ = 0;
  for (int i = 0; i < 200; ++i) {
    const bool lost = one.loses(Way::kIn, 1200, kStart);
    EXPECT_EQ(same.loses(Way::kIn, 1200, kStart), lost);
    differ += other.loses(Way::kIn, 1200, kStart) != lost ? 1 : 0;
  }
  EXPECT_GT(differ, 50);
}

TEST(PathModel, LetsThroughItsRateAndNoMore) {
  constexpr std::size_t kRate = 20'000;
  PathModel path({.bytes_per_second = kRate}, 1);
  std::size_t through = 0;
  for (auto now = kStart; now < kStart + 10s; now += 1ms) {
    if (!path.loses(Way::kIn, 1000, now)) through += 1000;
  }
  EXPECT_NEAR(static_cast<double>(through), 10.0 * kRate + PathModel::kBurstBytes, 1500);
}

TEST(PathModel, TheRateIsTowardsTheViewer) {
  PathModel path({.bytes_per_second = 1}, 1);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(path.loses(Way::kOut, 1200, kStart));
}

TEST(PathModel, APauseSavesUpNoMoreThanABurst) {
  PathModel path({.bytes_per_second = 10'000}, 1);
  EXPECT_FALSE(path.loses(Way::kIn, 1000, kStart));
  std::size_t through = 0;
  for (int i = 0; i < 100; ++i) {
    if (!path.loses(Way::kIn, 1000, kStart + 1h)) through += 1000;
  }
  EXPECT_EQ(through, PathModel::kBurstBytes / 1000 * 1000);
}

}  // namespace
}  // namespace mirror::load
