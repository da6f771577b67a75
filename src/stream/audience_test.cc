#include "stream/audience.h"

#include <gtest/gtest.h>

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;

TEST(Audience, CountsLowLatencyViewersByTheirReloads) {
  Audience audience;
  double viewers = 0;
  SteadyTime now{1s};
  std::uint64_t parts = 0;
  for (int step = 0; step < 40; ++step) {
    viewers = audience.estimate(now, parts);
    now += 500ms;
    parts += 5;
    for (int i = 0; i < 5 * 12; ++i) audience.count_blocking_reload();
  }
  EXPECT_NEAR(viewers, 12, 0.1);
}

TEST(Audience, CountsOthersByTheTargetDuration) {
  Audience audience;
  double viewers = 0;
  SteadyTime now{1s};
  for (int step = 0; step < 40; ++step) {
    viewers = audience.estimate(now, static_cast<std::uint64_t>(step) * 5);
    now += 500ms;
    for (int i = 0; i < 2; ++i) audience.count_plain_reload();
  }
  EXPECT_NEAR(viewers, 4, 0.1);
}

TEST(Audience, CountsThoseWithAPushSessionAsTheyAre) {
  Audience audience;
  SteadyTime now{1s};
  audience.add_pushed(7);
  EXPECT_EQ(audience.estimate(now, 0), 7);
  audience.add_pushed(-4);
  EXPECT_EQ(audience.estimate(now += 500ms, 5), 3);
}

TEST(Audience, SortsGlassToGlass) {
  Audience audience;
  audience.count_glass_to_glass(50ms);
  audience.count_glass_to_glass(400ms);
  audience.count_glass_to_glass(59s);
  const GlassToGlass totals = audience.glass_to_glass();
  EXPECT_EQ(totals.counts.front(), 1u);
  EXPECT_EQ(totals.counts[3], 1u);
  EXPECT_EQ(totals.counts.back(), 1u);
  EXPECT_NEAR(totals.seconds, 59.45, 0.001);
}

TEST(Audience, ForgetsThoseWhoLeft) {
  Audience audience;
  SteadyTime now{1s};
  audience.estimate(now, 0);
  for (int i = 0; i < 50; ++i) audience.count_blocking_reload();
  EXPECT_GT(audience.estimate(now += 500ms, 5), 1);
  double viewers = 0;
  for (int step = 0; step < 40; ++step) viewers = audience.estimate(now += 500ms, 5);
  EXPECT_LT(viewers, 0.01) << "and nothing is divided by no parts";
}

TEST(Audience, SumsWhatPlayersReport) {
  Audience audience;
  audience.count({.buffer_ms = 300, .starved = true});
  audience.count({.throughput_kbps = 5'000});
  const auto reports = audience.reports();
  EXPECT_EQ(reports.reports, 2u);
  EXPECT_EQ(reports.starvations, 1u);
  EXPECT_EQ(reports.buffer_reports, 1u);
  EXPECT_EQ(reports.buffer_ms, 300u);
  EXPECT_EQ(reports.throughput_kbps, 5'000u);
}

}  // namespace
}  // namespace mirror::stream
