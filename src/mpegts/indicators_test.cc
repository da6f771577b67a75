// The first priority of ETSI TR 101 290 (5.2.1), the CRC error of the second, and the jitter of the
// clock references, as the demuxer counts them.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "mpegts/demuxer.h"
#include "mpegts/pcr_jitter.h"
#include "mpegts/test_stream.h"

namespace mirror::mpegts {
namespace {

using namespace test;
using std::chrono::microseconds;

constexpr int kVideo = 0x100;
constexpr int kAudio = 0x101;
constexpr int kPmt = 0x1000;
const std::vector<EsInfo> kStreams = {{0x1b, kVideo}, {0x0f, kAudio}};

class IndicatorsTest : public testing::Test {
 protected:
  // What comes every 20 ms from `begin_ms` until before `end_ms`: a packet of picture and one of
  // sound, and every 100 ms both tables, except those in `without` (a PID).
  void run(int begin_ms, int end_ms, int without = -1) {
    for (int ms = begin_ms; ms < end_ms; ms += 20) {
      ByteVector bytes;
      if (ms % 100 == 0) {
        if (without != 0) append(bytes, mux_.section(0, pat({{1, kPmt}})));
        if (without != kPmt) append(bytes, mux_.section(kPmt, pmt(kStreams)));
      }
      if (without != kVideo) {
        append(bytes, mux_.unit(kVideo, pes({.pts = 90 * ms}, h264_picture(ms % 100 == 0, 100))));
      }
      if (without != kAudio) {
        append(bytes, mux_.unit(kAudio, pes({.pts = 90 * ms, .bounded = true, .stream_id = 0xc0},
                                            adts(100))));
      }
      demuxer_.push(bytes, at_ms(ms));
    }
  }
  const media::DemuxStats& stats() const { return demuxer_.stats(); }
  void expect_silences(std::uint64_t pat, std::uint64_t pmt, std::uint64_t pid) const {
    EXPECT_EQ(stats().pat_errors, pat);
    EXPECT_EQ(stats().pmt_errors, pmt);
    EXPECT_EQ(stats().pid_errors, pid);
  }

  RecordingSink sink_;
  Demuxer demuxer_{DemuxerOptions{}, sink_};
  Muxer mux_;
};

TEST_F(IndicatorsTest, CleanFeedHasNoError) {
  run(0, 60'000);
  expect_silences(0, 0, 0);
  EXPECT_EQ(stats().sync_losses + stats().sync_byte_errors + stats().continuity_errors, 0U);
}

TEST_F(IndicatorsTest, EachHalfSecondWithoutPatIsAnError) {
  run(0, 1'000);
  run(1'000, 1'400, 0);  // 500 ms from the last one at 900 to the next at 1400
  run(1'400, 2'000);
  expect_silences(0, 0, 0);
  run(2'000, 2'500, 0);  // 600 ms
  run(2'500, 3'000);
  expect_silences(1, 0, 0);
  run(3'000, 6'000, 0);
  EXPECT_NEAR(static_cast<double>(stats().pat_errors), 6, 1);
  EXPECT_EQ(stats().pmt_errors, 0U);
}

TEST_F(IndicatorsTest, FeedThatNeverHadAPatIsInError) {
  run(0, 2'100, 0);
  EXPECT_NEAR(static_cast<double>(stats().pat_errors), 4, 1);
  EXPECT_EQ(stats().pmt_errors, 0U) << "nobody named it";
}

TEST_F(IndicatorsTest, EachHalfSecondWithoutPmtIsAnError) {
  run(0, 1'000);
  run(1'000, 1'500, kPmt);
  run(1'500, 2'000);
  expect_silences(0, 1, 0);
}

TEST_F(IndicatorsTest, EachFiveSecondsWithoutAStreamAreAnError) {
  run(0, 1'000);
  run(1'000, 5'900, kAudio);
  run(5'900, 7'000);
  expect_silences(0, 0, 0);
  run(7'000, 12'200, kAudio);
  expect_silences(0, 0, 1);
  run(12'200, 17'400, kAudio);
  expect_silences(0, 0, 2);
}

TEST_F(IndicatorsTest, OutageIsNotTheMultiplexersFault) {
  run(0, 1'000);
  run(61'000, 62'000);
  expect_silences(0, 0, 0);
  // Thirty seconds that waited somewhere and come at once, without tables.
  ByteVector burst;
  for (int i = 0; i < 1'000; ++i) append(burst, mux_.packet(kVideo, false, ByteVector(100, 0x55)));
  demuxer_.push(burst, at_ms(92'000));
  run(92'020, 93'000);
  expect_silences(0, 0, 0);
}

TEST_F(IndicatorsTest, WhatIsNoPatOnItsPidIsAnError) {
  demuxer_.push(mux_.section(0, pmt(kStreams)), at_ms(0));
  run(20, 100);
  EXPECT_EQ(stats().pat_errors, 1U);
}

TEST_F(IndicatorsTest, ScrambledTablesAreErrors) {
  run(0, 200);
  auto table = mux_.section(0, pat({{1, kPmt}}));
  table[3] |= 0x80;
  auto map = mux_.section(kPmt, pmt(kStreams));
  map[3] |= 0x80;
  demuxer_.push(cat({table, map}), at_ms(200));
  run(200, 400);
  expect_silences(1, 1, 0);
}

TEST_F(IndicatorsTest, TableWithABadCrcCounts) {
  run(0, 200);
  auto section = pmt(kStreams);
  section[14] ^= 1;
  demuxer_.push(mux_.section(kPmt, section), at_ms(200));
  run(200, 400);
  EXPECT_EQ(stats().section_crc_errors, 1U);
}

TEST_F(IndicatorsTest, LostPacketIsOneContinuityError) {
  run(0, 200);
  mux_.counter(kVideo) += 3;
  run(200, 400);
  EXPECT_EQ(stats().continuity_errors, 1U);
}

// Twice is allowed (ISO/IEC 13818-1, 2.4.3.3).
TEST_F(IndicatorsTest, PacketThatComesThreeTimesIsAnErrorButNoLoss) {
  run(0, 200);
  const auto packet = mux_.unit(kVideo, pes({.pts = 18'000}, h264_picture(false, 100)));
  demuxer_.push(cat({packet, packet}), at_ms(200));
  EXPECT_EQ(stats().continuity_errors, 0U);
  demuxer_.push(packet, at_ms(200));
  run(220, 400);
  EXPECT_EQ(stats().continuity_errors, 1U);
  EXPECT_EQ(stats().damaged_access_units, 0U);
}

TEST_F(IndicatorsTest, GarbageOfSomeLengthIsOneLossOfSynchronisation) {
  run(0, 200);
  demuxer_.push(ByteVector(1000, 0x11), at_ms(190));
  run(200, 400);
  EXPECT_EQ(stats().sync_losses, 1U);
  EXPECT_EQ(stats().sync_byte_errors, 1U);
}

// --- The clock references.

class PcrJitterTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kPcrWrap = (std::uint64_t{1} << 33) * 300;

  // `count` references, 40 ms apart on the source's clock, each received as `delay` says (the
  // number of the reference → late by so much).
  void run(int count, const std::function<microseconds(int)>& delay, double ppm = 0) {
    for (int i = 0; i < count; ++i, ++number_) {
      const auto ticks = static_cast<std::uint64_t>(number_ * 40.0 * 27'000 * (1 + ppm / 1e6));
      const auto late = delay(i);
      jitter_.add((begin_ + ticks) % kPcrWrap,
                  SteadyTime(std::chrono::milliseconds(40) * number_ + late));
    }
  }
  static microseconds none(int) { return microseconds(0); }

  PcrJitter jitter_;
  std::uint64_t begin_ = 0;
  int number_ = 0;
};

TEST_F(PcrJitterTest, EvenArrivalHasNone) {
  EXPECT_EQ(jitter_.milliseconds(), 0);
  run(1000, none);
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
}

TEST_F(PcrJitterTest, IsTheLargestDistanceFromTheMean) {
  run(1000, [](int i) { return microseconds(i % 2 == 0 ? 0 : 6000); });
  EXPECT_NEAR(jitter_.milliseconds(), 3, 0.001);
}

TEST_F(PcrJitterTest, ForgetsWhatLeftTheWindow) {
  run(100, none);
  run(1, [](int) { return microseconds(30'000); });
  EXPECT_NEAR(jitter_.milliseconds(), 30, 1);
  run(PcrJitter::kWindow, none);
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
}

TEST_F(PcrJitterTest, RunsOverTheWrap) {
  begin_ = kPcrWrap - 27'000'000;
  run(1000, none);
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
}

TEST_F(PcrJitterTest, DriftIsNoJitter) {
  for (const double ppm : {100.0, -100.0}) {
    run(100'000, none, ppm);
    EXPECT_LT(jitter_.milliseconds(), 0.2);
  }
}

// A sender that hands over 200 ms of stream every 200 ms: even, for one who takes it so.
TEST_F(PcrJitterTest, ReferencesOfOneBurstCountOnce) {
  run(1000, [](int i) { return std::chrono::milliseconds(40) * (4 - i % 5); });
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
}

TEST_F(PcrJitterTest, JumpBeginsAnew) {
  run(100, none);
  begin_ = 27'000'000ULL * 3600;
  run(2, none);
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
  begin_ = 0;
  run(100, none);
  EXPECT_NEAR(jitter_.milliseconds(), 0, 0.001);
}

TEST_F(PcrJitterTest, HostileClockOverflowsNothing) {
  std::minstd_rand random(1);
  for (int i = 0; i < 200'000; ++i) {
    // Just under a jump each time, backwards; the arrival runs on.
    jitter_.add((kPcrWrap - static_cast<std::uint64_t>(i) % 1000 * 4 * 27'000'000) % kPcrWrap,
                SteadyTime(std::chrono::milliseconds(random() % 3 + i)));
    ASSERT_LE(jitter_.milliseconds(), 5'000.0 * PcrJitter::kWindow);
  }
}

TEST_F(IndicatorsTest, JitterOfTheClockReferencesIsTold) {
  demuxer_.push(mux_.tables(kStreams), at_ms(0));
  for (int i = 0; i < 100; ++i) {
    const auto base = static_cast<std::uint64_t>(i) * 3600;  // 40 ms
    const ByteVector adaptation = {0x10,
                                   static_cast<std::uint8_t>(base >> 25),
                                   static_cast<std::uint8_t>(base >> 17),
                                   static_cast<std::uint8_t>(base >> 9),
                                   static_cast<std::uint8_t>(base >> 1),
                                   static_cast<std::uint8_t>((base & 1) << 7 | 0x7e),
                                   0};
    demuxer_.push(mux_.packet(kVideo, false, {}, adaptation), at_ms(40 * i + (i % 2) * 8));
  }
  demuxer_.flush();
  EXPECT_NEAR(stats().pcr_jitter_ms, 4, 0.1);
}

}  // namespace
}  // namespace mirror::mpegts
