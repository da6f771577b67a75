#include "transcode/timeline.h"

#include <gtest/gtest.h>

#include <random>

namespace mirror::transcode {
namespace {

using namespace std::chrono_literals;
using media::MediaTime;

constexpr WallTime kEpoch{std::chrono::seconds(1'700'000'000)};

Instant at(std::chrono::microseconds since_epoch) {
  return {SteadyTime(since_epoch), kEpoch + since_epoch};
}

TEST(Timeline, UnitIsExactForFramesAndAudioSamples) {
  constexpr auto kPerSecond = PresentationTime::period::den;
  for (const auto rate : {24'000, 30'000, 60'000, 120'000}) EXPECT_EQ(kPerSecond * 1001 % rate, 0);
  for (const auto rate : {24, 25, 30, 48, 50, 60, 90'000, 48'000, 44'100}) {
    EXPECT_EQ(kPerSecond % rate, 0);
  }
}

TEST(Timeline, MapsFromItsAnchorAcrossThe33BitWrap) {
  Timeline timeline;
  EXPECT_FALSE(timeline.anchored());
  const MediaTime start((std::int64_t{1} << 33) - 3003);
  timeline.restart(start, PresentationTime(0), at(0s));
  EXPECT_TRUE(timeline.anchored());
  EXPECT_EQ(timeline.presented_at(start).count(), 0);
  EXPECT_EQ(timeline.presented_at(start + MediaTime(90'000)), PresentationTime(1s));
  EXPECT_EQ(timeline.presented_at(start - MediaTime(45'000)), PresentationTime(-500ms));
}

TEST(Timeline, TimestampsBeyondReasonDoNotOverflow) {
  Timeline timeline;
  timeline.restart(MediaTime(0), PresentationTime(0), at(0s));
  EXPECT_GT(timeline.presented_at(MediaTime(std::int64_t{1} << 62)), PresentationTime(1h));
  EXPECT_LT(timeline.presented_at(MediaTime(-(std::int64_t{1} << 62))), PresentationTime(-1h));
}

TEST(Timeline, ARunBeginsBehindWhatAnyRenditionReached) {
  Timeline timeline;
  timeline.restart(MediaTime(0), PresentationTime(0), at(0s));
  timeline.video_reached(PresentationTime(2s));
  timeline.audio_reached(PresentationTime(2300ms));
  EXPECT_EQ(timeline.furthest(), PresentationTime(2300ms));
  EXPECT_EQ(timeline.video_end(), PresentationTime(2s));
  timeline.suspend();
  EXPECT_FALSE(timeline.anchored());
  timeline.restart(MediaTime(5), PresentationTime(2500ms), at(30s));
  EXPECT_EQ(timeline.run(), 2U);
  EXPECT_EQ(timeline.presented_at(MediaTime(5)), PresentationTime(2500ms));
  EXPECT_EQ(timeline.captured_at(PresentationTime(2500ms)), kEpoch + 30s);
}

// A day of 25 pictures a second from a source whose clock is wrong, through a jittery network.
void follow_drift(double ppm) {
  Timeline timeline;
  std::minstd_rand random(7);
  WallTime last{};
  std::chrono::microseconds worst{};
  for (std::int64_t i = 0; i < 24 * 3600 * 25; ++i) {
    const MediaTime pts(i * 3600);
    const auto sent = std::chrono::microseconds(
        std::llround(static_cast<double>(i) * 40'000.0 * (1 + ppm * 1e-6)));
    const auto received = at(sent + 20ms + std::chrono::microseconds(random() % 30'000));
    if (i == 0) timeline.restart(pts, PresentationTime(0), received);
    timeline.observe(pts, received);
    const auto date = timeline.captured_at(timeline.presented_at(pts));
    if (i > 0) {
      ASSERT_GT(date, last);
      const auto step = date - last;
      ASSERT_GE(step, i < 6 * 25 ? 37ms : 39'900us) << i;
      ASSERT_LE(step, i < 6 * 25 ? 43ms : 40'100us) << i;
    }
    last = date;
    timeline.video_reached(timeline.presented_at(pts) + 40ms);
    if (i > 60 * 25) {
      const auto error = std::chrono::abs(date - (kEpoch + sent + 20ms));
      worst = std::max(worst, std::chrono::duration_cast<std::chrono::microseconds>(error));
    }
  }
  EXPECT_LT(worst, 4ms) << worst.count() << " us";
}

TEST(Timeline, FollowsADriftingClockForADay) {
  follow_drift(100);
  follow_drift(-100);
  follow_drift(0);
}

TEST(Timeline, TheSameTimeHasTheSameDateForEveryRendition) {
  Timeline timeline;
  timeline.restart(MediaTime(0), PresentationTime(0), at(200ms));
  std::vector<WallTime> video;
  for (int i = 0; i < 250; ++i) {
    const MediaTime pts(i * 3600);
    timeline.observe(pts, at(i * 40ms + (i < 50 ? 200ms : 10ms)));
    video.push_back(timeline.captured_at(timeline.presented_at(pts)));
    // Audio asks for the same instants a second later.
    if (i >= 25) {
      const auto j = static_cast<std::size_t>(i - 25);
      EXPECT_EQ(timeline.captured_at(PresentationTime(std::chrono::milliseconds(40 * j))),
                video[j]);
    }
  }
}

TEST(Timeline, WhatCameBeforeTheRunWasBegunTellsItsDate) {
  Timeline timeline;
  // The first picture is 300 ms late, the others less and less; the run begins with the tenth.
  for (int i = 0; i < 10; ++i)
    timeline.observe(MediaTime(i * 3600), at(i * 40ms + 20ms + (9 - i) * 30ms));
  timeline.restart(MediaTime(0), PresentationTime(0), at(290ms));
  EXPECT_EQ(timeline.captured_at(PresentationTime(0)), kEpoch + 20ms);
  EXPECT_EQ(timeline.program_date_at(PresentationTime(0)), kEpoch + 20ms);
}

TEST(Timeline, ArrivalsOfAnotherRunTellNothing) {
  Timeline timeline;
  timeline.observe(MediaTime(90'000), at(1s));
  timeline.observe(MediaTime(900'000), at(1s));
  timeline.restart(MediaTime(0), PresentationTime(0), at(60s));
  EXPECT_EQ(timeline.program_date_at(PresentationTime(0)), kEpoch + 60s);
}

TEST(Timeline, ProgramDatesAdvanceExactlyAsTheMediaDoes) {
  Timeline timeline;
  for (int i = 0; i < 60 * 25; ++i) {
    const MediaTime pts(i * 3600);
    // A start that the date of capture follows for seconds, and jitter.
    const auto received = at(i * 40ms + (i < 50 ? 90ms : 10ms) + std::chrono::milliseconds(i % 7));
    if (i == 0) timeline.restart(pts, PresentationTime(0), received);
    timeline.observe(pts, received);
    const PresentationTime time = timeline.presented_at(pts);
    ASSERT_EQ(timeline.program_date_at(time), kEpoch + 90ms + i * 40ms);
    timeline.video_reached(time + 40ms);
  }
  EXPECT_EQ(timeline.captured_at(PresentationTime(59s)), kEpoch + 59s + 10ms);
}

// A source that is wrong by 100 ppm is 100 ms off after 1,000 s: the date steps, rarely and at
// once.
TEST(Timeline, ProgramDatesStepWhenTheSourcesClockHasDriftedFar) {
  for (const double ppm : {100.0, -100.0}) {
    Timeline timeline;
    int steps = 0;
    std::chrono::microseconds offset{};
    for (int i = 0; i < 3600 * 25; ++i) {
      const MediaTime pts(i * 3600);
      const auto sent = std::chrono::microseconds(std::llround(i * 40'000.0 * (1 + ppm * 1e-6)));
      if (i == 0) timeline.restart(pts, PresentationTime(0), at(sent));
      timeline.observe(pts, at(sent));
      const PresentationTime time = timeline.presented_at(pts);
      const auto date = timeline.program_date_at(time);
      const auto now =
          std::chrono::duration_cast<std::chrono::microseconds>(date - kEpoch - i * 40ms);
      if (now != offset) ++steps;
      offset = now;
      ASSERT_LE(std::chrono::abs(date - (kEpoch + sent)), 105ms);
      timeline.video_reached(time + 40ms);
    }
    EXPECT_EQ(steps, 3) << ppm;
  }
}

TEST(Timeline, DatesNeverGoBackThoughTheWallClockDoes) {
  Timeline timeline;
  timeline.restart(MediaTime(0), PresentationTime(0), at(100s));
  const auto before = timeline.captured_at(PresentationTime(1s));
  const auto dated_before = timeline.program_date_at(PresentationTime(1s));
  timeline.video_reached(PresentationTime(1s));
  timeline.restart(MediaTime(0), PresentationTime(1500ms), at(40s));
  // `before` is the date of the end of what was handed out: none of that is as late.
  EXPECT_GE(timeline.captured_at(PresentationTime(1500ms)), before);
  EXPECT_GE(timeline.program_date_at(PresentationTime(1500ms)), dated_before);
}

TEST(Timeline, RemembersHowFarVideoCameInEachRun) {
  Timeline timeline;
  for (std::int64_t i = 1; i <= 100; ++i) {
    timeline.restart(MediaTime(0), std::chrono::seconds(2 * i), {});
    timeline.video_reached(std::chrono::seconds(2 * i + 1));
  }
  for (std::int64_t i = 101 - static_cast<std::int64_t>(Timeline::kRuns); i <= 100; ++i) {
    const auto& run = timeline.run_of(static_cast<std::uint64_t>(i));
    EXPECT_EQ(run.start, std::chrono::seconds(2 * i));
    EXPECT_EQ(run.video_end, std::chrono::seconds(2 * i + 1));
  }
}

}  // namespace
}  // namespace mirror::transcode
