#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "codec/nal.h"
#include "transcode/picture_scaler.h"
#include "transcode/test_feed.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {
namespace {

using namespace std::chrono_literals;
using test::AccessUnit;
using test::Feed;
using test::make_video;
using test::MediaTime;
using test::Recorder;
using test::shifted;
using test::VideoSpec;

struct Line {
  explicit Line(media::Codec codec = media::Codec::kHevc, VideoSettings settings = {}) {
    auto created = VideoTranscoder::create(settings, codec, timeline, video);
    EXPECT_TRUE(created) << created.error().message;
    transcoder = std::move(*created);
  }
  void push(const Feed& feed) {
    for (const auto& unit : feed) {
      const auto status = transcoder->push(unit);
      ASSERT_TRUE(status) << status.error().message;
    }
  }
  void end() { ASSERT_TRUE(transcoder->end_turn()); }
  const TranscodeStats& stats() const { return transcoder->stats(); }

  Timeline timeline;
  Recorder video;
  std::unique_ptr<VideoTranscoder> transcoder;
};

struct RateCase {
  media::FrameRate source;
  media::FrameRate proxy;
  media::Codec codec;
  AVPixelFormat format;
};

class Rates : public testing::TestWithParam<RateCase> {};

TEST_P(Rates, EveryPictureGetsItsSlot) {
  const auto& param = GetParam();
  const int frames = static_cast<int>(2 * param.source.hz() + 0.5);
  Line line(param.codec);
  line.push(make_video(
      {.codec = param.codec, .format = param.format, .rate = param.source, .frames = frames}));
  line.end();
  ASSERT_EQ(line.video.descriptions.size(), 1U);
  const auto& description = std::get<media::VideoDescription>(line.video.descriptions[0]);
  EXPECT_EQ(description.frame_rate, param.proxy);
  EXPECT_EQ(description.grid, media::SampleGrid::for_video(param.proxy));
  EXPECT_EQ(description.width, 640);
  EXPECT_EQ(description.height, 360);
  EXPECT_EQ(description.sps[0] & 0x1f, 7);
  EXPECT_EQ(description.pps[0] & 0x1f, 8);
  expect_grid(line.video);
  const int halving = static_cast<int>(std::lround(param.source.hz() / param.proxy.hz()));
  EXPECT_EQ(line.video.samples.size(), static_cast<std::size_t>((frames + halving - 1) / halving));
  EXPECT_EQ(line.stats().slots_duplicated, 0U);
  EXPECT_EQ(line.stats().pictures_dropped, 0U);
  EXPECT_EQ(line.stats().decode_errors, 0U);
  EXPECT_EQ(test::luma_of(line.video).size(), line.video.samples.size());
}

INSTANTIATE_TEST_SUITE_P(
    Video, Rates,
    testing::Values(
        RateCase{{24'000, 1001}, {24'000, 1001}, media::Codec::kHevc, AV_PIX_FMT_YUV420P},
        RateCase{{25, 1}, {25, 1}, media::Codec::kHevc, AV_PIX_FMT_YUV420P10LE},
        RateCase{{30'000, 1001}, {30'000, 1001}, media::Codec::kHevc, AV_PIX_FMT_YUV420P10LE},
        RateCase{{30, 1}, {30, 1}, media::Codec::kH264, AV_PIX_FMT_YUV420P10LE},
        RateCase{{50, 1}, {25, 1}, media::Codec::kH264, AV_PIX_FMT_YUV420P},
        RateCase{{60'000, 1001}, {30'000, 1001}, media::Codec::kHevc, AV_PIX_FMT_YUV420P},
        RateCase{{60, 1}, {30, 1}, media::Codec::kHevc, AV_PIX_FMT_YUV420P}));

TEST(VideoTranscoder, StartsInMidGopAtTheNextRandomAccessPoint) {
  auto feed = make_video({.frames = 75});
  feed.erase(feed.begin(), feed.begin() + 11);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_GT(line.stats().access_units_skipped, 10U);
  EXPECT_GE(line.video.samples.size(), 43U);
  EXPECT_LE(line.video.samples.size(), 45U);
}

TEST(VideoTranscoder, AHoleIsFilledWithTheLastPicture) {
  auto feed = make_video({.frames = 60, .b_frames = 0});
  feed.erase(feed.begin() + 30 + 7, feed.begin() + 30 + 7 + 5);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 60U);
  EXPECT_EQ(line.stats().slots_duplicated, 5U);
  EXPECT_EQ(line.stats().discontinuities, 0U);
}

TEST(VideoTranscoder, ALongHoleIsADiscontinuityAtASegmentStart) {
  const auto feed = make_video({.frames = 70, .b_frames = 0});
  Feed with_hole(feed.begin(), feed.begin() + 34);
  with_hole.insert(with_hole.end(), feed.begin() + 60, feed.end());
  Line line;
  line.push(with_hole);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().discontinuities, 1U);
  ASSERT_EQ(line.video.samples.size(), 44U);
  EXPECT_TRUE(line.video.samples[34].discontinuity);
  EXPECT_EQ(line.video.samples[34].decode_time / line.video.grid().sample_duration, 45);
}

TEST(VideoTranscoder, ARunBeginsBehindTheAudio) {
  const auto feed = make_video({.frames = 70, .b_frames = 0});
  Line line;
  line.push({feed.begin(), feed.begin() + 34});
  line.timeline.audio_reached(1700ms);
  line.push(shifted({feed.begin() + 30, feed.end()}, 10s, 10s));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples[34].decode_time / line.video.grid().sample_duration, 60);
}

// User cases 4, 24: odd timestamps never reach decode_time.
TEST(VideoTranscoder, TimestampsThatJumpBackAreABreak) {
  const auto feed = make_video({.frames = 60});
  Line line;
  line.push(feed);
  line.push(shifted(feed, -3600s, 2s));
  line.push(shifted(feed, 100'000s, 4s));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().discontinuities, 2U);
  EXPECT_EQ(line.video.samples.size(), 180U);
}

TEST(VideoTranscoder, OneStrayTimestampIsNoBreak) {
  auto feed = make_video({.frames = 60, .b_frames = 0});
  feed[20].pts += 500s;
  feed[33].pts -= 5s;
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().discontinuities, 0U);
  EXPECT_EQ(line.stats().pictures_dropped, 2U);
  EXPECT_EQ(line.stats().slots_duplicated, 2U);
  EXPECT_EQ(line.video.samples.size(), 60U);
}

TEST(VideoTranscoder, RandomTimestampsNeverReachTheGrid) {
  auto feed = make_video({.frames = 60});
  std::minstd_rand random(3);
  for (auto& unit : feed) unit.pts = MediaTime(static_cast<std::int64_t>(random()) << 10);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_GT(line.video.samples.size(), 10U);
}

TEST(VideoTranscoder, JitteredTimestampsKeepEveryPicture) {
  auto feed = make_video({.frames = 60});
  std::minstd_rand random(3);
  for (std::size_t i = 1; i < feed.size(); ++i) {
    const auto jitter = MediaTime(static_cast<int>(random() % 2400) - 1200);
    feed[i].pts += jitter;
    feed[i].dts -= jitter;
  }
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 60U);
  EXPECT_EQ(line.stats().pictures_dropped, 0U);
}

// User case 35.
TEST(VideoTranscoder, GoesOnPastTheWrapOf33Bits) {
  Line line;
  line.push(make_video({.frames = 60, .start = MediaTime((std::int64_t{1} << 33) - 80'000)}));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 60U);
  EXPECT_EQ(line.stats().discontinuities, 0U);
}

TEST(VideoTranscoder, APublisherReturnsWithAnotherCodecAndSize) {
  Line line;
  line.push(make_video({.frames = 40}));
  line.end();
  const auto before = line.video.samples.size();
  ASSERT_TRUE(line.transcoder->begin_turn(media::Codec::kH264));
  EXPECT_FALSE(line.timeline.anchored());
  line.push(shifted(make_video({.codec = media::Codec::kH264,
                                .width = 360,
                                .height = 288,
                                .frames = 40,
                                .start = MediaTime(77)}),
                    0s, 12s));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.descriptions.size(), 1U) << "the same grid is the same rendition";
  ASSERT_EQ(line.video.samples.size(), 80U);
  EXPECT_TRUE(line.video.samples[before].discontinuity);
  EXPECT_EQ(line.stats().discontinuities, 1U);
  // The date tells of the outage.
  EXPECT_GT(line.video.samples[before].captured - line.video.samples[before - 1].captured, 10s);
}

TEST(VideoTranscoder, ACodecThatChangesWithoutAWordIsANewTurn) {
  Line line;
  line.push(make_video({.frames = 40}));
  line.push(make_video({.codec = media::Codec::kH264, .frames = 40, .start = 1000s}));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 80U);
}

TEST(VideoTranscoder, AnotherRateIsAnotherDescription) {
  Line line;
  line.push(make_video({.frames = 40}));
  line.end();
  ASSERT_TRUE(line.transcoder->begin_turn(media::Codec::kHevc));
  const auto before = line.video.samples.size();
  line.push(make_video({.rate = {25, 1}, .frames = 40}));
  line.end();
  ASSERT_EQ(line.video.descriptions.size(), 2U);
  ASSERT_EQ(line.video.samples.size(), before + 40);
  const auto& sample = line.video.samples[before];
  EXPECT_TRUE(sample.discontinuity);
  EXPECT_EQ(sample.decode_time / 1000 % 12, 0);
  EXPECT_GE(line.video.seconds(sample), 40.0 / 30);
}

TEST(VideoTranscoder, AChangeOfSizeInMidStreamChangesNothingOutside) {
  const auto small = make_video({.frames = 45, .gop = 15});
  const auto large = make_video({.width = 640, .height = 480, .frames = 45, .start = 90'000s});
  Line line;
  line.push(small);
  line.push(shifted(large, small.front().pts + MediaTime(45 * 3000) - large.front().pts, 0s));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 90U);
  EXPECT_EQ(line.stats().discontinuities, 0U);
}

TEST(VideoTranscoder, DamageIsCountedAndNeverStopsTheLine) {
  auto feed = make_video({.frames = 120});
  std::minstd_rand random(5);
  for (std::size_t i = 35; i < 60; i += 3) {
    const auto bytes = feed[i].data.span();
    std::vector<std::uint8_t> broken(bytes.begin(), bytes.end());
    for (std::size_t j = 6; j < broken.size(); j += 1 + random() % 40) {
      broken[j] = static_cast<std::uint8_t>(random());
    }
    if (i % 2) broken.resize(broken.size() / 2);
    feed[i].data = Bytes::take(std::move(broken));
    feed[i].damaged = true;
  }
  feed[70].data = Bytes::copy_of(std::vector<std::uint8_t>(500, 0xff));
  feed[71].data = {};
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().access_units_damaged, 9U);
  EXPECT_GE(line.video.samples.size(), 100U);
}

// --- Damage.

// A 'w' for each white picture, a '.' for any other.
std::string shades(const Recorder& video) {
  std::string out;
  for (const double luma : test::luma_of(video)) out += luma > 200 ? 'w' : '.';
  return out;
}

// Bytes in its middle are lost, and its demuxer says so.
void damage(AccessUnit& unit) {
  const auto bytes = unit.data.span();
  std::vector<std::uint8_t> broken(bytes.begin(), bytes.end());
  broken.erase(broken.begin() + static_cast<std::ptrdiff_t>(broken.size() / 3),
               broken.begin() + static_cast<std::ptrdiff_t>(broken.size() / 2));
  unit.data = Bytes::take(std::move(broken));
  unit.damaged = true;
}

TEST(VideoTranscoder, ADamagedPictureIsNotShownNorWhatRefersToIt) {
  auto feed = make_video({.frames = 90, .gop = 30, .b_frames = 0});
  damage(feed[40]);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 90U);
  EXPECT_EQ(line.stats().access_units_damaged, 1U);
  EXPECT_EQ(line.stats().pictures_held, 20U) << "up to the random access point";
  EXPECT_EQ(line.stats().discontinuities, 0U);
  const auto luma = test::luma_of(line.video);
  for (std::size_t i = 41; i < 60; ++i) EXPECT_NEAR(luma[i], luma[39], 1) << i;
}

TEST(VideoTranscoder, DamageToAPictureThatNoOtherRefersToEndsWithIt) {
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    auto feed = make_video({.codec = codec, .frames = 90, .gop = 30, .b_frames = 1});
    const auto hit = std::find_if(feed.begin() + 40, feed.end(), [&](const AccessUnit& unit) {
      return !codec::may_be_referred_to(codec, unit.data.span());
    });
    ASSERT_NE(hit, feed.end());
    damage(*hit);
    Line line(codec);
    line.push(feed);
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.video.samples.size(), 90U);
    EXPECT_EQ(line.stats().pictures_held, 1U);
  }
}

// Of a feed that is never whole, smeared pictures are better than none.
TEST(VideoTranscoder, DamageHoldsThePictureForASecondAtMost) {
  auto feed = make_video({.frames = 120, .gop = 20, .b_frames = 0});
  for (std::size_t i = 40; i < feed.size(); i += 5) damage(feed[i]);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().pictures_held, 30U);
  EXPECT_GE(line.video.samples.size(), 118U);
}

TEST(VideoTranscoder, ADamagedBeginningIsShown) {
  auto feed = make_video({.frames = 60, .gop = 30, .b_frames = 0});
  damage(feed[0]);
  Line line;
  line.push(feed);
  line.end();
  expect_grid(line.video);
  EXPECT_GE(line.video.samples.size(), 29U);
}

// --- Overload.

TEST(VideoTranscoder, WithoutNonReferencePicturesTheGridIsTheSame) {
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    const auto feed = make_video({.codec = codec, .frames = 120, .gop = 60, .b_frames = 2});
    Line line(codec);
    line.push({feed.begin(), feed.begin() + 30});
    line.transcoder->set_effort(Effort::kReferenceOnly);
    line.push({feed.begin() + 30, feed.begin() + 90});
    line.transcoder->set_effort(Effort::kAll);
    line.push({feed.begin() + 90, feed.end()});
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.video.samples.size(), 120U);
    EXPECT_GE(line.stats().slots_duplicated, 20U);
    EXPECT_EQ(line.stats().decode_errors, 0U);
    EXPECT_EQ(line.stats().pictures_held, 0U);
    EXPECT_EQ(line.stats().discontinuities, 0U);
  }
}

// A key frame every two seconds: the grid goes on between them, with the clock.
TEST(VideoTranscoder, KeyFramesOnlyAreNoBreaks) {
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    const auto feed = make_video({.codec = codec, .frames = 300, .gop = 60, .b_frames = 2});
    Line line(codec);
    line.push({feed.begin(), feed.begin() + 70});
    line.transcoder->set_effort(Effort::kKeyFramesOnly);
    std::size_t least_behind = 1000;
    for (std::size_t i = 70; i < 200; ++i) {
      ASSERT_TRUE(line.transcoder->push(feed[i]));
      const auto slot = static_cast<std::size_t>((feed[i].pts - feed[0].pts).count() / 3000);
      ASSERT_GE(line.video.samples.size() + 6, slot) << "follows the clock";
      if (slot >= line.video.samples.size()) {
        least_behind = std::min(least_behind, slot - line.video.samples.size());
      }
    }
    EXPECT_LE(least_behind, 1U);
    EXPECT_LE(line.stats().pictures_decoded, 74U + 2U);
    line.transcoder->set_effort(Effort::kAll);
    line.push({feed.begin() + 200, feed.end()});
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.video.samples.size(), 300U);
    EXPECT_EQ(line.stats().discontinuities, 0U);
    EXPECT_EQ(line.stats().decode_errors, 0U);
    EXPECT_GE(line.stats().pictures_decoded, 70U + 2U + 57U);
    EXPECT_GE(line.stats().access_units_omitted, 120U);
  }
}

// A white picture that alone is decoded is shown until the next one.
TEST(VideoTranscoder, AKeyFrameIsShownAtOnceAndStands) {
  const auto feed = make_video({.frames = 180, .gop = 60, .b_frames = 2, .flash_at = 60});
  Line line;
  line.push({feed.begin(), feed.begin() + 40});
  line.transcoder->set_effort(Effort::kKeyFramesOnly);
  line.push({feed.begin() + 40, feed.end()});
  line.end();
  expect_grid(line.video);
  const auto seen = shades(line.video);
  EXPECT_EQ(seen.substr(58, 64), ".." + std::string(60, 'w') + "..") << seen;
}

TEST(VideoTranscoder, WhatIsSkippedIsNoBreak) {
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    const auto feed = make_video({.codec = codec, .frames = 240, .gop = 60, .b_frames = 2});
    Line line(codec);
    line.push({feed.begin(), feed.begin() + 75});
    std::size_t i = 75;
    for (; i < 140 || !feed[i].random_access; ++i) ASSERT_TRUE(line.transcoder->skip(feed[i]));
    line.push({feed.begin() + static_cast<std::ptrdiff_t>(i), feed.end()});
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.video.samples.size(), 240U);
    EXPECT_EQ(line.stats().discontinuities, 0U);
    EXPECT_EQ(line.stats().decode_errors, 0U);
  }
}

// Two seconds are lost on our side: filled, because the source's clock shows the time that passed.
TEST(VideoTranscoder, AHoleOfOurMakingIsBridged) {
  const auto feed = make_video({.frames = 180, .gop = 30, .b_frames = 0});
  Line line;
  line.push({feed.begin(), feed.begin() + 40});
  line.transcoder->note_lost();
  line.push({feed.begin() + 120, feed.end()});
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 180U);
  EXPECT_EQ(line.stats().discontinuities, 0U);
}

TEST(VideoTranscoder, AJumpOfTheSourcesClockIsABreakEvenThen) {
  const auto feed = make_video({.frames = 180, .gop = 30, .b_frames = 0});
  Line line;
  line.push({feed.begin(), feed.begin() + 40});
  line.transcoder->note_lost();
  line.push(shifted({feed.begin() + 120, feed.end()}, 0s, -2600ms));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.stats().discontinuities, 1U);
}

// Each look at it takes as long as a picture does to encode.
class SlowClock final : public Clock {
 public:
  explicit SlowClock(std::chrono::milliseconds step) : step_(step) {}
  Instant now() const override { return test::at(step_ * ++looks_); }

 private:
  const std::chrono::milliseconds step_;
  mutable int looks_ = 0;
};

// Filling a hole with a slow encoder would only make it longer.
TEST(VideoTranscoder, AHoleThatTakesLongToFillIsABreak) {
  const auto feed = make_video({.frames = 180, .gop = 30, .b_frames = 0});
  for (const auto& [step, breaks] : {std::pair{1ms, 0U}, {20ms, 1U}}) {
    const SlowClock clock(step);
    Line line(media::Codec::kHevc, {.clock = &clock});
    line.push({feed.begin(), feed.begin() + 40});
    line.transcoder->note_lost();
    line.push({feed.begin() + 120, feed.end()});
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.stats().discontinuities, breaks);
    EXPECT_GE(line.video.samples.size(), 100U);
  }
}

// --- Splices: the codec, the depth or the size is another, the time goes on.

TEST(VideoTranscoder, AChangeOfCodecInMidStreamChangesNothingOutside) {
  const auto first = make_video({.frames = 45, .gop = 15});
  const auto second = make_video({.codec = media::Codec::kH264, .width = 640, .frames = 45});
  Line line;
  line.push(first);
  line.push(shifted(second, MediaTime(45 * 3000), 1500ms));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 90U);
  EXPECT_EQ(line.stats().discontinuities, 0U);
  EXPECT_EQ(line.timeline.run(), 1U);
}

TEST(VideoTranscoder, AChangeOfDepthInMidStreamChangesNothingOutside) {
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    const auto ten =
        make_video({.codec = codec, .format = AV_PIX_FMT_YUV420P10LE, .frames = 45, .gop = 15});
    const auto eight = make_video({.codec = codec, .frames = 45});
    Line line(codec);
    line.push(ten);
    line.push(shifted(eight, MediaTime(45 * 3000), 1500ms));
    line.end();
    expect_grid(line.video);
    EXPECT_EQ(line.video.samples.size(), 90U);
    EXPECT_EQ(line.stats().discontinuities, 0U);
    EXPECT_EQ(line.stats().pictures_held, 0U);
  }
}

TEST(VideoTranscoder, NoiseInsteadOfVideoGivesNothing) {
  std::minstd_rand random(5);
  Line line;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::uint8_t> noise(1 + random() % 3000);
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
    AccessUnit unit;
    unit.codec = media::Codec::kHevc;
    unit.pts = unit.dts = MediaTime(i * 3000);
    unit.random_access = i % 10 == 0;
    unit.data = Bytes::take(std::move(noise));
    ASSERT_TRUE(line.transcoder->push(unit));
  }
  line.end();
  EXPECT_TRUE(line.video.samples.empty());
}

TEST(VideoTranscoder, AFewUnitsAreNotLostWhenTheTurnEndsEarly) {
  Line line;
  line.push(make_video({.frames = 3}));
  line.end();
  expect_grid(line.video);
  EXPECT_EQ(line.video.samples.size(), 3U);
}

TEST(VideoTranscoder, EachPictureComesOutAtOnce) {
  const auto feed = make_video({.frames = 60, .b_frames = 0});
  Line line;
  for (std::size_t i = 0; i < feed.size(); ++i) {
    ASSERT_TRUE(line.transcoder->push(feed[i]));
    if (i >= 12) {
      ASSERT_EQ(line.video.samples.size(), i + 1) << "no frame of delay";
    }
  }
  EXPECT_EQ(line.video.samples.back().received, feed.back().received.steady);
}

TEST(VideoTranscoder, KeepsTheConfiguredBitrate) {
  VideoSpec spec{.codec = media::Codec::kH264,
                 .width = 640,
                 .height = 360,
                 .frames = 600,
                 .bitrate_bps = 3'000'000,
                 .noise = true};
  Line line(spec.codec);
  line.push(make_video(spec));
  line.end();
  expect_grid(line.video);
  std::size_t bytes = 0;
  std::size_t largest = 0;
  for (const auto& sample : line.video.samples) {
    bytes += sample.data.size();
    largest = std::max(largest, sample.data.size());
  }
  const double bps = static_cast<double>(bytes) * 8 / 20;
  RecordProperty("bits_per_second", static_cast<int>(bps));
  RecordProperty("largest_sample", static_cast<int>(largest));
  EXPECT_NEAR(bps, 400'000, 40'000);
  EXPECT_LT(largest, 16'000U);
}

TEST(VideoTranscoder, RefusesWhatItCannotDo) {
  Timeline timeline;
  Recorder sink;
  EXPECT_FALSE(VideoTranscoder::create({}, media::Codec::kAac, timeline, sink));
  EXPECT_FALSE(VideoTranscoder::create({}, media::Codec::kUnsupported, timeline, sink));
  EXPECT_FALSE(VideoTranscoder::create({.width = 641}, media::Codec::kHevc, timeline, sink));
  const auto bad = VideoTranscoder::create({.preset = "x"}, media::Codec::kHevc, timeline, sink);
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("preset x"), std::string::npos) << bad.error().message;
}

TEST(PlaceOnCanvas, KeepsTheAspectRatio) {
  const AVRational square{1, 1};
  EXPECT_EQ(place_on_canvas(640, 360, 1920, 1080, square), (Placement{0, 0, 640, 360}));
  EXPECT_EQ(place_on_canvas(640, 360, 3840, 2160, {0, 1}), (Placement{0, 0, 640, 360}));
  EXPECT_EQ(place_on_canvas(640, 360, 720, 576, {64, 45}), (Placement{0, 0, 640, 360}));
  EXPECT_EQ(place_on_canvas(640, 360, 640, 480, square), (Placement{80, 0, 480, 360}));
  EXPECT_EQ(place_on_canvas(640, 360, 2048, 858, square), (Placement{0, 46, 640, 268}));
  EXPECT_EQ(place_on_canvas(640, 360, 1080, 1920, square), (Placement{218, 0, 202, 360}));
  EXPECT_EQ(place_on_canvas(640, 360, 8192, 2, square), (Placement{0, 178, 640, 2}));
}

TEST(PictureScaler, PaintsBordersAndConvertsTheRange) {
  PictureScaler scaler(640, 360);
  auto picture = av::make_frame();
  picture->width = 640;
  picture->height = 480;
  picture->format = AV_PIX_FMT_YUVJ420P;
  picture->color_range = AVCOL_RANGE_JPEG;
  ASSERT_EQ(av_frame_get_buffer(picture.get(), 0), 0);
  std::memset(picture->data[0], 255, static_cast<std::size_t>(picture->linesize[0]) * 480);
  std::memset(picture->data[1], 128, static_cast<std::size_t>(picture->linesize[1]) * 240);
  std::memset(picture->data[2], 128, static_cast<std::size_t>(picture->linesize[2]) * 240);
  auto canvas = scaler.make_canvas();
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  const auto luma = [&](int x, int y) { return canvas->data[0][y * canvas->linesize[0] + x]; };
  for (const int y : {0, 180, 359}) {
    EXPECT_EQ(luma(0, y), 16);
    EXPECT_EQ(luma(79, y), 16);
    EXPECT_NEAR(luma(84, y), 235, 1);
    EXPECT_NEAR(luma(555, y), 235, 1);
    EXPECT_EQ(luma(560, y), 16);
    EXPECT_EQ(luma(639, y), 16);
  }
}

}  // namespace
}  // namespace mirror::transcode
