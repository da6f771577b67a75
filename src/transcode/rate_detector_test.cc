#include "transcode/rate_detector.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mirror::transcode {
namespace {

using media::FrameRate;
using media::MediaTime;

MediaTime tick(int index, FrameRate rate) {
  return MediaTime(std::llround(index * 90'000.0 * rate.den / rate.num));
}

std::optional<FrameRate> detect(FrameRate rate, double reported_hz, int units, int lost = -1) {
  RateDetector detector;
  for (int i = 0; i < units; ++i) {
    if (i != lost) detector.add(tick(i, rate), tick(i, rate));
  }
  return detector.rate(reported_hz);
}

TEST(RateDetector, TellsTheBroadcastRatesApartByTimestampsAlone) {
  for (const FrameRate rate : {FrameRate{24'000, 1001},
                               {24, 1},
                               {25, 1},
                               {30'000, 1001},
                               {30, 1},
                               {50, 1},
                               {60'000, 1001},
                               {60, 1}}) {
    EXPECT_EQ(detect(rate, 0, 10), rate) << rate.num << "/" << rate.den;
    EXPECT_EQ(detect(rate, 0, 11, 4), rate) << "one unit lost";
    EXPECT_EQ(detect(rate, 0, 9), std::nullopt) << "too early";
  }
}

TEST(RateDetector, IsQuickWhereTheParameterSetsAgree) {
  EXPECT_EQ(detect({30'000, 1001}, 30'000.0 / 1001, 4), (FrameRate{30'000, 1001}));
  EXPECT_EQ(detect({30'000, 1001}, 30'000.0 / 1001, 3), std::nullopt);
}

TEST(RateDetector, DoesNotBelieveParameterSetsThatTimestampsContradict) {
  EXPECT_EQ(detect({25, 1}, 50, 10), (FrameRate{25, 1}));
}

TEST(RateDetector, JitteredTimestampsTakeTheReportedRate) {
  RateDetector detector;
  const int jitter[] = {0, 40, -35, 20, -40, 10, 44, -20, 5, -44};
  for (int i = 0; i < 10; ++i) {
    const auto time = tick(i, {30, 1}) + MediaTime(jitter[i]);
    detector.add(time, time);
  }
  EXPECT_EQ(detector.rate(30), (FrameRate{30, 1}));
}

TEST(RateDetector, SoDoThoseWithHeavyJitter) {
  RateDetector detector;
  const int jitter[] = {0, 1100, -900, 700, -1200, 1000, -300, 900, -1100, 400};
  for (int i = 0; i < 10; ++i) {
    const auto time = tick(i, {30, 1}) + MediaTime(jitter[i]);
    detector.add(time, time);
  }
  EXPECT_EQ(detector.rate(30), (FrameRate{30, 1}));
}

TEST(RateDetector, SourceWithoutDts) {
  RateDetector detector;
  for (const int i : {0, 3, 1, 2, 6, 4, 5, 9, 7, 8}) {
    detector.add(tick(i, {25, 1}), tick(i, {25, 1}));
  }
  EXPECT_EQ(detector.rate(0), (FrameRate{25, 1}));
}

TEST(RateDetector, DecidesByADeadlineInMediaTime) {
  RateDetector detector;
  detector.add(MediaTime(0), MediaTime(0));
  EXPECT_EQ(detector.rate(0), std::nullopt);
  detector.add(MediaTime(90'000), MediaTime(90'000));
  EXPECT_EQ(detector.rate(0), RateDetector::kDefault);
  EXPECT_EQ(detector.rate(25), (FrameRate{25, 1}));
}

TEST(RateDetector, NonsenseGivesARateAllTheSame) {
  RateDetector detector;
  for (int i = 0; i < 20; ++i) detector.add(MediaTime(7), MediaTime(7));
  EXPECT_EQ(detector.rate(0), RateDetector::kDefault);
}

}  // namespace
}  // namespace mirror::transcode
