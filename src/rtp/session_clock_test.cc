#include "rtp/session_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace mirror::rtp {
namespace {

using namespace std::chrono_literals;
using media::MediaTime;

Instant at(std::chrono::microseconds time) {
  return {SteadyTime(1000s + time), WallTime(5000s + time)};
}

// 2^32 units to the second.
NtpTime ntp(double seconds) {
  return static_cast<NtpTime>((3'900'000'000.0 + seconds) * 1000) * ((NtpTime{1} << 32U) / 1000);
}

SenderReport report(NtpTime time, std::uint32_t timestamp) {
  return {.ssrc = 1, .ntp = time, .rtp_timestamp = timestamp};
}

double ms(MediaTime time) { return static_cast<double>(time.count()) / 90; }

SdpMedia medium(std::string kind, std::uint32_t clock_rate) {
  SdpMedia out;
  out.kind = std::move(kind);
  out.clock_rate = clock_rate;
  return out;
}

// The video leads, wherever the description has it.
class SessionClockTest : public testing::Test {
 protected:
  SessionClock clock_;
  SessionClock::Track& audio_ = clock_.add_track(medium("audio", 48'000));
  SessionClock::Track& video_ = clock_.add_track(medium("video", 90'000));
};

TEST_F(SessionClockTest, BeginsByArrivalAndCountsTicks) {
  EXPECT_EQ(video_.date(0xffff'ff00, at(0ms)).time.count(), 0);
  EXPECT_EQ(ms(audio_.date(77, at(20ms)).time), 20);
  // Over the wrap, whenever it arrives.
  EXPECT_EQ(video_.date(0xffff'ff00 + 3600, at(90ms)).time.count(), 3600);
  EXPECT_EQ(audio_.date(77 + 1024, at(91ms)).time.count(), 1800 + 1920);
}

TEST_F(SessionClockTest, ReorderedPicturesGoBackwards) {
  video_.date(1000, at(0ms));
  EXPECT_EQ(ms(video_.date(1000 + 4 * 3600, at(40ms)).time), 160);
  const auto back = video_.date(1000 + 2 * 3600, at(80ms));
  EXPECT_EQ(ms(back.time), 80);
  EXPECT_FALSE(back.discontinuity);
  EXPECT_EQ(ms(video_.date(1000 - 3600, at(81ms)).time), -40);
}

TEST_F(SessionClockTest, ReportsBeforeTheFirstUnitLeaveNothingToCorrect) {
  video_.on_sender_report(report(ntp(10), 1000));
  audio_.on_sender_report(report(ntp(10.1), 500));
  EXPECT_EQ(video_.date(1000, at(0ms)).time.count(), 0);
  // The sound that belongs beside the first picture comes 300 ms after it.
  const auto sound = audio_.date(500 - 4800, at(300ms));
  EXPECT_NEAR(ms(sound.time), 0, 0.1);
  EXPECT_FALSE(sound.discontinuity);
}

TEST_F(SessionClockTest, FirstReportIsOneStepAndTheLeaderNeverMoves) {
  video_.date(1000, at(0ms));
  audio_.date(500, at(300ms));
  audio_.on_sender_report(report(ntp(10), 500));
  EXPECT_EQ(ms(audio_.date(500 + 960, at(320ms)).time), 320);  // the leader has said nothing yet
  video_.on_sender_report(report(ntp(10), 1000));
  const auto sound = audio_.date(500 + 1920, at(340ms));
  EXPECT_NEAR(ms(sound.time), 40, 0.1);
  EXPECT_TRUE(sound.discontinuity);
  EXPECT_FALSE(audio_.date(500 + 2880, at(360ms)).discontinuity);
  EXPECT_EQ(ms(video_.date(1000 + 3600, at(361ms)).time), 40);
}

TEST_F(SessionClockTest, LaterReportsSlewHalfAMillisecondASecond) {
  video_.date(0, at(0ms));
  video_.on_sender_report(report(ntp(0), 0));
  audio_.on_sender_report(report(ntp(0), 0));
  std::uint32_t sound = 0;
  audio_.date(sound, at(0ms));
  audio_.on_sender_report(report(ntp(0.010), 0));  // 10 ms later than thought
  MediaTime before{};
  for (int i = 1; i <= 20 * 50; ++i) {
    sound += 960;
    const auto date = audio_.date(sound, at(i * 20ms));
    EXPECT_FALSE(date.discontinuity);
    const auto step = date.time - before;
    ASSERT_GE(step.count(), 1800);
    ASSERT_LE(step.count(), 1801);
    before = date.time;
    if (i == 500) {
      EXPECT_NEAR(ms(date.time), 10'005, 0.1);
    }
  }
  EXPECT_NEAR(ms(before), 20'010, 0.1);
  sound += 960 * 50;
  EXPECT_NEAR(ms(audio_.date(sound, at(21s)).time), 21'010, 0.1);  // and no further
}

TEST_F(SessionClockTest, AStepOfTheSendersWallClockMovesNothing) {
  video_.date(0, at(0ms));
  audio_.date(0, at(0ms));
  video_.on_sender_report(report(ntp(0), 0));
  audio_.on_sender_report(report(ntp(0), 0));
  // The sound's report tells the new time first; the picture's follows.
  audio_.on_sender_report(report(ntp(6.0), 5 * 48'000));
  audio_.date(5 * 48'000, at(5s));
  video_.on_sender_report(report(ntp(6.0), 5 * 90'000));
  EXPECT_EQ(ms(video_.date(5 * 90'000, at(5s)).time), 5000);
  EXPECT_NEAR(ms(audio_.date(10 * 48'000, at(10s)).time), 10'000, 0.1);
}

TEST_F(SessionClockTest, ReportsThatSayNonsenseAreCounted) {
  video_.date(0, at(0ms));
  audio_.date(0, at(0ms));
  video_.on_sender_report(report(ntp(0), 0));
  audio_.on_sender_report(report(ntp(60), 0));  // clocks of two machines, a minute apart
  EXPECT_EQ(clock_.reports_ignored(), 1U);
  EXPECT_EQ(ms(audio_.date(960, at(20ms)).time), 20);
  audio_.on_sender_report(report(0, 0));  // no clock at all
  EXPECT_EQ(clock_.reports_ignored(), 1U);
}

TEST_F(SessionClockTest, AJumpGoesOnByArrivalBehindADiscontinuity) {
  video_.date(0, at(0ms));
  video_.date(9000, at(100ms));
  const auto jumped = video_.date(0x7000'0000, at(140ms));
  EXPECT_TRUE(jumped.discontinuity);
  EXPECT_EQ(ms(jumped.time), 140);
  const auto next = video_.date(0x7000'0000 + 3600, at(180ms));
  EXPECT_FALSE(next.discontinuity);
  EXPECT_EQ(ms(next.time), 180);
}

TEST_F(SessionClockTest, SilenceIsNoJump) {
  video_.date(0, at(0ms));
  const auto later = video_.date(60 * 90'000, at(60s));
  EXPECT_FALSE(later.discontinuity);
  EXPECT_EQ(ms(later.time), 60'000);
  // A sender that was held up and goes on where it stopped.
  const auto resumed = video_.date(60 * 90'000 + 3600, at(90s));
  EXPECT_FALSE(resumed.discontinuity);
  EXPECT_EQ(ms(resumed.time), 60'040);
}

TEST_F(SessionClockTest, ARestartForgetsReportsAndTiesAnew) {
  video_.date(0, at(0ms));
  audio_.date(0, at(0ms));
  video_.on_sender_report(report(ntp(0), 0));
  audio_.on_sender_report(report(ntp(0), 0));
  video_.restart();
  audio_.restart();
  // Both senders begin again, the sound's report ahead of its packets.
  audio_.on_sender_report(report(ntp(20), 900));
  const auto picture = video_.date(100, at(20s));
  EXPECT_TRUE(picture.discontinuity);
  EXPECT_EQ(ms(picture.time), 20'000);
  video_.on_sender_report(report(ntp(20), 100));
  const auto sound = audio_.date(900, at(20'200ms));
  EXPECT_TRUE(sound.discontinuity);
  EXPECT_NEAR(ms(sound.time), 20'000, 0.1);
}

TEST_F(SessionClockTest, RestartBeforeTheFirstPacketIsNothing) {
  video_.restart();
  EXPECT_FALSE(video_.date(100, at(0ms)).discontinuity);
}

TEST_F(SessionClockTest, DriftOfTheTwoClocksIsFollowed) {
  // The sound's clock runs 100 ppm fast for an hour; reports come every 5 s.
  double worst = 0;
  for (int second = 0; second <= 3600; ++second) {
    const auto ticks = static_cast<std::uint32_t>(48'000.0 * second * 1.0001);
    const auto picture =
        video_.date(static_cast<std::uint32_t>(second) * 90'000, at(std::chrono::seconds(second)));
    const auto sound = audio_.date(ticks, at(std::chrono::seconds(second)));
    if (second > 0) worst = std::max(worst, std::abs(ms(sound.time - picture.time)));
    if (second % 5 == 0) {
      video_.on_sender_report(report(ntp(second), static_cast<std::uint32_t>(second) * 90'000));
      audio_.on_sender_report(report(ntp(second), ticks));
    }
    EXPECT_FALSE(sound.discontinuity && second > 1);
  }
  EXPECT_LT(worst, 2);
}

TEST_F(SessionClockTest, RunawayTimestampsStayWithinReason) {
  std::uint32_t timestamp = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    timestamp += 440'000;  // almost a jump, each time
    const auto date = video_.date(timestamp, at(std::chrono::microseconds(i)));
    ASSERT_LT(std::chrono::abs(date.time), std::chrono::hours(24 * 365 * 101));
  }
}

}  // namespace
}  // namespace mirror::rtp
