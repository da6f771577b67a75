#include "media/frame_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace mirror::media {
namespace {

struct Row {
  FrameRate rate;
  SampleGrid grid;  // timescale, tick, frames per part, frames per segment
};

// facts/media.md, 7: the whole table.
TEST(SampleGrid, FollowsTheTable) {
  const Row rows[] = {
      {{24'000, 1'001}, {24'000, 1'001, 2, 12}}, {{24, 1}, {24'000, 1'000, 2, 12}},
      {{25, 1}, {25'000, 1'000, 2, 12}},         {{30'000, 1'001}, {30'000, 1'001, 3, 15}},
      {{30, 1}, {30'000, 1'000, 3, 15}},         {{50, 1}, {50'000, 1'000, 5, 25}},
      {{60'000, 1'001}, {60'000, 1'001, 6, 30}}, {{60, 1}, {60'000, 1'000, 6, 30}},
  };
  for (const Row& row : rows) EXPECT_EQ(SampleGrid::for_video(row.rate), row.grid) << row.rate.hz();
  EXPECT_EQ(SampleGrid::for_aac_48k(), (SampleGrid{48'000, 1'024, 5, 25}));
}

// Whatever the rate: whole parts in a segment, as near to 100 ms and 500 ms as frames allow, and
// never so long that EXTINF would round above a TARGETDURATION of 1.
TEST(SampleGrid, HoldsItsRuleForEveryRate) {
  for (std::uint32_t tenths = 10; tenths <= 1'200; ++tenths) {
    const SampleGrid grid = SampleGrid::for_video({tenths, 10});
    const double sample_s = static_cast<double>(grid.sample_duration) / grid.timescale;
    SCOPED_TRACE(tenths);
    EXPECT_NEAR(1 / sample_s, tenths / 10.0, 1e-9);
    ASSERT_GE(grid.samples_per_part, 1u);
    ASSERT_EQ(grid.samples_per_segment % grid.samples_per_part, 0u);
    if (grid.samples_per_part > 1) {
      EXPECT_LE(std::abs(grid.samples_per_part * sample_s - 0.1), sample_s / 2 + 1e-9);
    }
    EXPECT_LT(grid.samples_per_segment * sample_s, 1.5);
    EXPECT_LE(std::abs(grid.samples_per_segment * sample_s - 0.5),
              std::max(grid.samples_per_part * sample_s / 2, sample_s - 0.5) + 1e-9);
  }
}

TEST(SnapFrameRate, TellsNtscFromWholeRates) {
  EXPECT_EQ(snap_frame_rate(29.97), (FrameRate{30'000, 1'001}));
  EXPECT_EQ(snap_frame_rate(29.995), (FrameRate{30, 1}));
  EXPECT_EQ(snap_frame_rate(30.0), (FrameRate{30, 1}));
  EXPECT_EQ(snap_frame_rate(59.94), (FrameRate{60'000, 1'001}));
  EXPECT_EQ(snap_frame_rate(23.976), (FrameRate{24'000, 1'001}));
  EXPECT_EQ(snap_frame_rate(23.999), (FrameRate{24, 1}));
  EXPECT_EQ(snap_frame_rate(12.5), (FrameRate{25, 2}));
}

TEST(SnapFrameRate, AcceptsAJitteryMeasurementWithinThreePercent) {
  EXPECT_EQ(snap_frame_rate(25.6), (FrameRate{25, 1}));
  EXPECT_EQ(snap_frame_rate(49.0), (FrameRate{50, 1}));
}

TEST(SnapFrameRate, RoundsRatesThatNobodyNamed) {
  EXPECT_EQ(snap_frame_rate(20.2), (FrameRate{20, 1}));
  EXPECT_EQ(snap_frame_rate(90), (FrameRate{90, 1}));
  EXPECT_EQ(snap_frame_rate(0.2), (FrameRate{1, 1}));
  EXPECT_EQ(snap_frame_rate(1e9), (FrameRate{120, 1}));
  EXPECT_EQ(snap_frame_rate(-5), (FrameRate{1, 1}));
  EXPECT_EQ(snap_frame_rate(std::numeric_limits<double>::quiet_NaN()), (FrameRate{1, 1}));
}

TEST(ProxyFrameRate, HalvesUntilItFits) {
  EXPECT_EQ(proxy_frame_rate({60, 1}, 30), (FrameRate{30, 1}));
  EXPECT_EQ(proxy_frame_rate({60'000, 1'001}, 30), (FrameRate{30'000, 1'001}));
  EXPECT_EQ(proxy_frame_rate({50, 1}, 30), (FrameRate{25, 1}));
  EXPECT_EQ(proxy_frame_rate({25, 1}, 30), (FrameRate{25, 1}));
  EXPECT_EQ(proxy_frame_rate({25, 1}, 15), (FrameRate{25, 2}));
  EXPECT_EQ(proxy_frame_rate({120, 1}, 30), (FrameRate{30, 1}));
  EXPECT_EQ(proxy_frame_rate({50, 1}, 50), (FrameRate{50, 1}));
}

}  // namespace
}  // namespace mirror::media
