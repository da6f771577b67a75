#include <gtest/gtest.h>

#include <limits>

#include "transcode/aac_encoder.h"
#include "transcode/audio_run.h"
#include "transcode/test_feed.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {
namespace {

using namespace std::chrono_literals;
using test::AudioSpec;
using test::Feed;
using test::make_audio;
using test::make_video;
using test::MediaTime;
using test::Recorder;
using test::shifted;
using test::VideoSpec;

// Audio alone, on a timeline that "video" anchored at the source's second 1.
struct AudioLine {
  explicit AudioLine(media::Codec codec = media::Codec::kAac) {
    auto created = AudioTranscoder::create({.language = "deu"}, codec, timeline, audio);
    EXPECT_TRUE(created);
    transcoder = std::move(*created);
  }
  void anchor() { timeline.restart(MediaTime(90'000), timeline.furthest(), test::at(0s)); }
  void push(const Feed& feed) {
    for (const auto& unit : feed) ASSERT_TRUE(transcoder->push(unit));
  }
  // As the stream does: video goes along, audio is filled up.
  void push_with_video(const Feed& feed) {
    for (const auto& unit : feed) {
      timeline.video_reached(timeline.presented_at(unit.pts));
      ASSERT_TRUE(transcoder->push(unit));
      ASSERT_TRUE(transcoder->fill_to(timeline.video_end()));
    }
  }

  Timeline timeline;
  Recorder audio;
  std::unique_ptr<AudioTranscoder> transcoder;
};

TEST(AudioTranscoder, DescribesItselfFromTheBeginning) {
  const AudioLine line;
  const auto& description = line.transcoder->description();
  EXPECT_EQ(description.sample_rate, 48'000U);
  EXPECT_EQ(description.channels, 2);
  EXPECT_EQ(description.language, "deu");
  EXPECT_EQ(description.grid, media::SampleGrid::for_aac_48k());
  ASSERT_GE(description.audio_specific_config.size(), 2U);
  // ISO/IEC 14496-3, 1.6.2.1: AAC-LC (2), 48 kHz (3), stereo (2).
  EXPECT_EQ(description.audio_specific_config[0], 0x11);
  EXPECT_EQ(description.audio_specific_config[1] & 0xf8, 0x90);
}

TEST(AudioTranscoder, RefusesVideo) {
  Timeline timeline;
  Recorder sink;
  EXPECT_FALSE(AudioTranscoder::create({}, media::Codec::kHevc, timeline, sink));
}

class Codecs : public testing::TestWithParam<AudioSpec> {};

TEST_P(Codecs, ABlipKeepsItsTime) {
  auto spec = GetParam();
  spec.blip_at = 1.5;
  AudioLine line(spec.codec);
  line.anchor();
  line.push_with_video(make_audio(spec));
  expect_gapless(line.audio);
  EXPECT_GT(line.audio.samples.size(), 120U);
  EXPECT_EQ(line.transcoder->stats().decode_errors, 0U);
  EXPECT_NEAR(test::blip_in(line.audio), 1.5, 0.002);
}

INSTANTIATE_TEST_SUITE_P(
    Audio, Codecs,
    testing::Values(AudioSpec{}, AudioSpec{.rate = 44'100}, AudioSpec{.rate = 32'000},
                    AudioSpec{.channels = 1}, AudioSpec{.channels = 6},
                    AudioSpec{.codec = media::Codec::kMpegAudio},
                    AudioSpec{.codec = media::Codec::kMpegAudio, .rate = 44'100},
                    AudioSpec{.codec = media::Codec::kAc3, .channels = 6},
                    AudioSpec{.codec = media::Codec::kEac3},
                    AudioSpec{.codec = media::Codec::kOpus},
                    AudioSpec{.codec = media::Codec::kOpus, .channels = 1},
                    AudioSpec{.codec = media::Codec::kOpus, .channels = 6}));

TEST(AudioTranscoder, WaitsForTheAnchorAndLosesNothing) {
  AudioLine line;
  const auto feed = make_audio({.seconds = 2, .blip_at = 0.3});
  line.push({feed.begin(), feed.begin() + 40});
  EXPECT_TRUE(line.audio.samples.empty());
  line.anchor();
  line.push({feed.begin() + 40, feed.end()});
  expect_gapless(line.audio);
  EXPECT_NEAR(test::blip_in(line.audio), 0.3, 0.002);
  EXPECT_EQ(line.transcoder->stats().access_units_skipped, 0U);
}

TEST(AudioTranscoder, HoldsNoMoreThanItsLimit) {
  AudioLine line;
  const auto feed = make_audio({.seconds = 3});
  line.push(feed);
  EXPECT_EQ(line.transcoder->stats().access_units_skipped,
            feed.size() - AudioTranscoder::kHeldUnits);
}

TEST(AudioTranscoder, HolesBecomeSilenceAndOverlapsAreCut) {
  auto feed = make_audio({.seconds = 4, .blip_at = 3});
  feed.erase(feed.begin() + 30, feed.begin() + 35);                      // 107 ms lost
  feed.insert(feed.begin() + 60, feed.begin() + 57, feed.begin() + 60);  // three come twice
  AudioLine line;
  line.anchor();
  line.push_with_video(feed);
  expect_gapless(line.audio);
  EXPECT_NEAR(test::blip_in(line.audio), 3, 0.002);
  EXPECT_EQ(line.transcoder->stats().slots_duplicated, 5U);
  EXPECT_EQ(line.transcoder->stats().pictures_dropped, 3U + 1U) << "and the source's priming";
}

TEST(AudioTranscoder, JitterOfTimestampsIsNotHeard) {
  auto feed = make_audio({.seconds = 10, .blip_at = 9});
  std::minstd_rand random(1);
  for (std::size_t i = 1; i < feed.size(); ++i) {
    feed[i].pts += MediaTime(static_cast<int>(random() % 900) - 450);  // ±5 ms
  }
  AudioLine line;
  line.anchor();
  line.push_with_video(feed);
  expect_gapless(line.audio);
  EXPECT_NEAR(test::blip_in(line.audio), 9, 0.005);
  EXPECT_EQ(line.transcoder->stats().slots_duplicated, 0U);
  EXPECT_EQ(line.transcoder->stats().pictures_dropped, 1U) << "the source's priming";
}

TEST(AudioTranscoder, ASampleClockThatDriftsAgainstItsTimestampsIsFollowed) {
  for (const double ppm : {300.0, -300.0}) {
    auto feed = make_audio({.seconds = 60, .blip_at = 58});
    for (auto& unit : feed) {
      const auto elapsed = static_cast<double>((unit.pts - MediaTime(90'000)).count());
      unit.pts += MediaTime(std::llround(elapsed * ppm * 1e-6));
    }
    AudioLine line;
    line.anchor();
    line.push_with_video(feed);
    expect_gapless(line.audio);
    EXPECT_NEAR(test::blip_in(line.audio), 58 * (1 + ppm * 1e-6), 0.004) << ppm;
    EXPECT_EQ(line.transcoder->stats().slots_duplicated, 0U);
  }
}

TEST(AudioTranscoder, SilenceFollowsVideoWhenAudioStops) {
  AudioLine line;
  line.anchor();
  const auto feed = make_audio({.seconds = 1});
  line.push_with_video(feed);
  const auto spoken = line.audio.samples.size();
  for (int i = 0; i < 300; ++i) {
    line.timeline.video_reached(1s + i * 33ms);
    ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
  }
  expect_gapless(line.audio);
  EXPECT_GT(line.audio.samples.size(), spoken + 400);
  const double behind = 10.867 - line.audio.seconds(line.audio.samples.back());
  EXPECT_GT(behind, 0.6);
  EXPECT_LT(behind, 1.15);
  // It comes back, and is where it belongs.
  auto later = make_audio({.seconds = 2, .blip_at = 1});
  line.push_with_video(shifted(later, 10s, 10s));
  expect_gapless(line.audio);
  const auto sound = test::sound_of(line.audio);
  const auto loud =
      std::find_if(sound.begin() + 60'000, sound.end(), [](float v) { return std::abs(v) > 0.2F; });
  EXPECT_NEAR(static_cast<double>(loud - sound.begin()) / kAudioRate, 11, 0.002);
}

TEST(AudioTranscoder, AJumpThatAudioSeesFirstWaitsForVideo) {
  AudioLine line;
  line.anchor();
  line.push_with_video(make_audio({.seconds = 2}));
  const auto before = line.audio.samples.size();
  const auto jumped = shifted(make_audio({.seconds = 2, .blip_at = 1}), -5000s, 2s);
  line.push({jumped.begin(), jumped.begin() + 20});
  EXPECT_EQ(line.audio.samples.size(), before);
  const PresentationTime restart_at = 2500ms;
  ASSERT_GE(restart_at, line.timeline.furthest());
  line.timeline.restart(MediaTime(90'000) - 5000s, restart_at, test::at(2s));
  line.push({jumped.begin() + 20, jumped.end()});
  expect_gapless(line.audio);
  const auto first = std::find_if(line.audio.samples.begin(), line.audio.samples.end(),
                                  [](const auto& sample) { return sample.discontinuity; });
  ASSERT_NE(first, line.audio.samples.end());
  EXPECT_EQ(first->decode_time, 120'000);
  EXPECT_EQ(line.transcoder->stats().discontinuities, 1U);
  Recorder second;
  second.descriptions = line.audio.descriptions;
  second.samples.assign(first + 10, line.audio.samples.end());
  EXPECT_NEAR(test::blip_in(second), 3.5, 0.002);
}

TEST(AudioTranscoder, AStrayTimestampLosesOneFrame) {
  auto feed = make_audio({.seconds = 2});
  feed[40].pts += 900s;
  feed[60].pts -= 900s;
  AudioLine line;
  line.anchor();
  for (const auto& unit : feed) ASSERT_TRUE(line.transcoder->push(unit));
  expect_gapless(line.audio);
  EXPECT_EQ(line.transcoder->stats().access_units_skipped, 2U);
}

TEST(AudioTranscoder, NoiseInsteadOfAudioIsSilence) {
  std::minstd_rand random(9);
  for (const auto codec : {media::Codec::kAac, media::Codec::kMpegAudio, media::Codec::kAc3}) {
    AudioLine line(codec);
    line.anchor();
    Feed feed;
    for (int i = 0; i < 200; ++i) {
      std::vector<std::uint8_t> noise(1 + random() % 800);
      for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
      test::AccessUnit unit;
      unit.codec = codec;
      unit.pts = unit.dts = MediaTime(90'000 + i * 1920);
      unit.data = Bytes::take(std::move(noise));
      feed.push_back(std::move(unit));
    }
    line.push_with_video(feed);
    if (!line.audio.samples.empty()) expect_gapless(line.audio);
  }
}

// --- The end of a run.

TEST(AudioTranscoder, RunsThatVideoBeganAtOnceEachHaveSound) {
  AudioLine line;
  for (int run = 0; run < 5; ++run) {
    line.timeline.restart(MediaTime(90'000), run * 100ms + PresentationTime(5'000),
                          test::at(run * 1s));
    line.timeline.video_reached(run * 100ms + 33ms);
  }
  ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
  EXPECT_EQ(line.audio.samples.size(), 4U) << "the present one has time";
  ASSERT_TRUE(line.transcoder->end_turn());
  ASSERT_EQ(line.audio.samples.size(), 5U);
  for (std::size_t run = 0; run < 5; ++run) {
    const auto& sample = line.audio.samples[run];
    EXPECT_EQ(sample.decode_time, static_cast<std::int64_t>(run) * 4800 + 1) << "rounded up";
    EXPECT_EQ(sample.discontinuity, run > 0);
  }
}

TEST(AudioTranscoder, SilenceAtARunsEndNeverReachesIntoTheNext) {
  AudioLine line;
  line.anchor();
  line.push_with_video(make_audio({.seconds = 1}));
  line.timeline.video_reached(1500ms);
  line.timeline.restart(MediaTime(90'000), 1500ms, test::at(2s));  // on its heels
  line.timeline.video_reached(1600ms);
  ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
  ASSERT_TRUE(line.transcoder->end_turn());
  expect_gapless(line.audio);
  const auto second = std::ranges::find_if(line.audio.samples,
                                           [](const auto& sample) { return sample.discontinuity; });
  ASSERT_NE(second, line.audio.samples.end());
  EXPECT_EQ(second->decode_time, 72'000);
  EXPECT_GT(std::prev(second)->decode_time, 72'000 - 2 * 1024);
}

TEST(AudioTranscoder, AllComesOutWhenTheTurnEndsAndNothingLater) {
  AudioLine line;
  line.anchor();
  line.push_with_video(make_audio({.seconds = 1, .blip_at = 0.97}));
  ASSERT_TRUE(line.transcoder->end_turn());
  expect_gapless(line.audio);
  EXPECT_NEAR(test::blip_in(line.audio), 0.97, 0.002);
  const auto before = line.audio.samples.size();
  const auto furthest = line.timeline.furthest();
  EXPECT_EQ(line.audio.samples.back().decode_time + 1024,
            furthest / PresentationTime(705'600'000 / 48'000));
  ASSERT_TRUE(line.transcoder->end_turn()) << "once more changes nothing";
  ASSERT_TRUE(line.transcoder->fill_to(10s));
  EXPECT_EQ(line.audio.samples.size(), before);

  line.timeline.suspend();
  ASSERT_TRUE(line.transcoder->begin_turn(media::Codec::kAac));
  line.timeline.restart(MediaTime(90'000), 2s, test::at(5s));
  auto feed = make_audio({.seconds = 1, .blip_at = 0.5});
  for (auto& unit : feed) unit.received = test::at(6s);
  line.push_with_video(feed);
  ASSERT_TRUE(line.transcoder->end_turn());
  expect_gapless(line.audio);
  ASSERT_GT(line.audio.samples.size(), before);
  EXPECT_EQ(line.audio.samples[before].decode_time, 96'000);
  EXPECT_TRUE(line.audio.samples[before].discontinuity);
  EXPECT_EQ(line.audio.samples[before].received, test::at(6s).steady);
  Recorder second;
  second.descriptions = line.audio.descriptions;
  second.samples.assign(line.audio.samples.begin() + static_cast<std::ptrdiff_t>(before),
                        line.audio.samples.end());
  EXPECT_NEAR(test::blip_in(second), 2.5, 0.002);
}

TEST(AudioTranscoder, ACodecThatChangesWithoutAWordGoesOnInTheRun) {
  AudioLine line;
  line.anchor();
  line.push_with_video(make_audio({.seconds = 1}));
  line.push_with_video(
      shifted(make_audio({.codec = media::Codec::kMpegAudio, .seconds = 1}), 1s, 1s));
  ASSERT_TRUE(line.transcoder->end_turn());
  expect_gapless(line.audio);
  EXPECT_EQ(line.transcoder->stats().discontinuities, 0U);
  EXPECT_GT(line.audio.seconds(line.audio.samples.back()), 1.9);
}

// --- Sound that comes late.

// Each unit arrives when video has come so much further.
void push_late(AudioLine& line, const Feed& feed, std::chrono::milliseconds lag) {
  for (const auto& unit : feed) {
    const auto time = line.timeline.presented_at(unit.pts) + lag;
    while (line.timeline.video_end() < time) {
      line.timeline.video_reached(
          std::min<PresentationTime>(time, line.timeline.video_end() + 33ms));
      ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
    }
    ASSERT_TRUE(line.transcoder->push(unit));
  }
}

TEST(AudioTranscoder, SoundThatComesLateIsHeard) {
  for (const auto lag : {300ms, 900ms, 1050ms, 1250ms, 1600ms, 2000ms, 2900ms}) {
    AudioLine line;
    line.anchor();
    push_late(line, make_audio({.seconds = 8, .blip_at = 5}), lag);
    expect_gapless(line.audio);
    EXPECT_NEAR(test::blip_in(line.audio), 5, 0.002) << lag.count();
    const auto& stats = line.transcoder->stats();
    EXPECT_EQ(stats.discontinuities, 0U);
    if (lag > 1200ms) {
      EXPECT_GT(stats.access_units_skipped + stats.pictures_dropped, 8U) << lag.count();
    }
    // Once it is in step, nothing more is lost.
    const auto lost = stats.access_units_skipped + stats.pictures_dropped;
    const auto silent = stats.slots_duplicated;
    push_late(line, shifted(make_audio({.seconds = 5, .blip_at = 3}), 8s, 8s), lag);
    EXPECT_LE(stats.access_units_skipped + stats.pictures_dropped, lost + 1) << "its priming";
    EXPECT_LE(stats.slots_duplicated, silent + 1) << lag.count();
  }
}

TEST(AudioTranscoder, LateSoundIsKnownBeforeItsRunBegins) {
  AudioLine line;
  line.anchor();
  push_late(line,
            make_audio(
                {.seconds = 6, .start = MediaTime(90'000) - MediaTime(2 * 90'000), .blip_at = 2.1}),
            2000ms);
  expect_gapless(line.audio);
  EXPECT_NEAR(test::blip_in(line.audio), 0.1, 0.002);
  EXPECT_EQ(line.transcoder->stats().slots_duplicated, 0U);
}

TEST(AudioTranscoder, SilenceAlsoFollowsLateSound) {
  AudioLine line;
  line.anchor();
  push_late(line, make_audio({.seconds = 6}), 2000ms);
  const auto end = line.timeline.video_end() + 10s;
  while (line.timeline.video_end() < end) {
    line.timeline.video_reached(line.timeline.video_end() + 33ms);
    ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
  }
  expect_gapless(line.audio);
  EXPECT_GT(line.audio.seconds(line.audio.samples.back()), 18 - 2.5);
}

TEST(AudioTranscoder, SoundThatIsTooLateIsCountedAndTheSilenceGoesOn) {
  AudioLine line;
  line.anchor();
  const auto feed = make_audio({.seconds = 8});
  push_late(line, feed, 3500ms);
  expect_gapless(line.audio);
  EXPECT_GT(line.audio.seconds(line.audio.samples.back()), 8 + 3.5 - 1.2);
  const auto& stats = line.transcoder->stats();
  EXPECT_EQ(stats.access_units_skipped, feed.size() - AudioTranscoder::kHeldUnits);
}

TEST(AudioTranscoder, AFewLateUnitsTeachNothing) {
  AudioLine line;
  line.anchor();
  auto feed = make_audio({.seconds = 6});
  for (std::size_t i = 100; i < 100 + AudioTranscoder::kLateUnits - 1; ++i) feed[i].pts -= 2s;
  push_late(line, feed, 100ms);
  expect_gapless(line.audio);
  for (int i = 0; i < 60; ++i) {
    line.timeline.video_reached(line.timeline.video_end() + 33ms);
    ASSERT_TRUE(line.transcoder->fill_to(line.timeline.video_end()));
  }
  const double end = std::chrono::duration<double>(line.timeline.video_end()).count();
  EXPECT_GT(line.audio.seconds(line.audio.samples.back()), end - 1.15);
}

// --- Both together, as a stream drives them.

struct Stream {
  explicit Stream(media::Codec codec) {
    auto v = VideoTranscoder::create({}, codec, timeline, video_out);
    auto a = AudioTranscoder::create({}, media::Codec::kAac, timeline, audio_out);
    EXPECT_TRUE(v && a);
    video = std::move(*v);
    audio = std::move(*a);
  }
  void push(const Feed& feed) {
    for (const auto& unit : feed) {
      const bool is_video = media::kind_of(unit.codec) == media::TrackKind::kVideo;
      ASSERT_TRUE(is_video ? video->push(unit) : audio->push(unit));
      ASSERT_TRUE(audio->fill_to(timeline.video_end()));
    }
  }
  Timeline timeline;
  Recorder video_out;
  Recorder audio_out;
  std::unique_ptr<VideoTranscoder> video;
  std::unique_ptr<AudioTranscoder> audio;
};

TEST(AudioAndVideo, BlipAndFlashComeOutTogether) {
  for (const media::FrameRate rate : {media::FrameRate{30'000, 1001}, {25, 1}}) {
    const int flash = 45;
    const double seconds = flash / rate.hz();
    Stream stream(media::Codec::kHevc);
    stream.push(test::merged(make_video({.rate = rate, .frames = 90, .flash_at = flash}),
                             make_audio({.seconds = 3,
                                         .start = MediaTime(90'000 - 20'000),
                                         .blip_at = seconds + 20'000.0 / 90'000})));
    ASSERT_TRUE(stream.video->end_turn());
    expect_grid(stream.video_out);
    expect_gapless(stream.audio_out);
    const auto luma = test::luma_of(stream.video_out);
    const auto brightest = std::max_element(luma.begin(), luma.end()) - luma.begin();
    const double flash_at =
        stream.video_out.seconds(stream.video_out.samples[static_cast<std::size_t>(brightest)]);
    EXPECT_NEAR(test::blip_in(stream.audio_out), flash_at, 0.002);
    EXPECT_NEAR(flash_at, seconds, 1e-6);
  }
}

TEST(AudioAndVideo, ABreakRestartsBothAtOneInstant) {
  const auto video = make_video({.frames = 60});
  const auto audio = make_audio({.seconds = 2});
  const auto feed = test::merged(video, audio);
  Stream stream(media::Codec::kHevc);
  stream.push(feed);
  stream.push(shifted(feed, -1000s, 2s));       // the source's clock is set back
  stream.push(shifted(feed, -1000s + 7s, 9s));  // and then five seconds are lost
  expect_grid(stream.video_out);
  expect_gapless(stream.audio_out);
  std::vector<double> video_breaks;
  std::vector<double> audio_breaks;
  std::vector<WallTime> video_dates;
  std::vector<WallTime> audio_dates;
  for (const auto& sample : stream.video_out.samples) {
    if (!sample.discontinuity) continue;
    video_breaks.push_back(stream.video_out.seconds(sample));
    video_dates.push_back(sample.program_date);
  }
  for (const auto& sample : stream.audio_out.samples) {
    if (!sample.discontinuity) continue;
    audio_breaks.push_back(stream.audio_out.seconds(sample));
    audio_dates.push_back(sample.program_date);
  }
  EXPECT_EQ(video_breaks.size(), 2U);
  EXPECT_EQ(video_breaks, audio_breaks);
  EXPECT_EQ(video_dates, audio_dates);
}

TEST(AudioAndVideo, APublisherReturns) {
  const auto feed = test::merged(make_video({.frames = 50}), make_audio({.seconds = 1.7}));
  Stream stream(media::Codec::kHevc);
  stream.push(feed);
  ASSERT_TRUE(stream.video->end_turn());
  ASSERT_TRUE(stream.audio->end_turn());
  ASSERT_TRUE(stream.video->begin_turn(media::Codec::kH264));
  ASSERT_TRUE(stream.audio->begin_turn(media::Codec::kMpegAudio));
  stream.push(shifted(
      test::merged(make_video({.codec = media::Codec::kH264, .frames = 60}),
                   make_audio({.codec = media::Codec::kMpegAudio, .seconds = 2, .blip_at = 1})),
      12'345s, 10s));
  expect_grid(stream.video_out);
  expect_gapless(stream.audio_out);
  EXPECT_EQ(stream.video->stats().discontinuities, 1U);
  EXPECT_EQ(stream.audio->stats().discontinuities, 1U);
  EXPECT_EQ(stream.timeline.run(), 2U);
}

std::vector<double> breaks_of(const Recorder& recorder) {
  std::vector<double> out;
  for (const auto& sample : recorder.samples) {
    if (sample.discontinuity) out.push_back(recorder.seconds(sample));
  }
  return out;
}

TEST(AudioAndVideo, EveryRunOfVideoHasSoundFromItsStart) {
  const auto mute = make_video({.frames = 15});
  const auto both = test::merged(make_video({.frames = 50}), make_audio({.seconds = 1.7}));
  Stream stream(media::Codec::kHevc);
  stream.push(mute);  // runs too short to be filled on the way
  stream.push(shifted(mute, -1000s, 2s));
  stream.push(shifted(both, 3000s, 4s));
  stream.push(shifted(mute, -500s, 6s));
  for (const auto* feed : {&mute, &both, &mute}) {
    ASSERT_TRUE(stream.video->end_turn());
    ASSERT_TRUE(stream.audio->end_turn());
    ASSERT_TRUE(stream.video->begin_turn(media::Codec::kHevc));
    ASSERT_TRUE(stream.audio->begin_turn(media::Codec::kAac));
    stream.push(shifted(*feed, 0s, 8s));
  }
  // The feed's track and time change without a word, with pictures still in video's hands.
  stream.push(shifted(make_video({.codec = media::Codec::kH264, .frames = 20}), 50s, 10s));
  ASSERT_TRUE(stream.video->end_turn());
  ASSERT_TRUE(stream.audio->end_turn());
  expect_grid(stream.video_out);
  expect_gapless(stream.audio_out);
  const auto breaks = breaks_of(stream.video_out);
  EXPECT_EQ(breaks.size(), 7U);
  EXPECT_EQ(breaks, breaks_of(stream.audio_out));
  EXPECT_EQ(stream.audio->stats().discontinuities, 7U);
  EXPECT_EQ(stream.audio_out.samples.front().decode_time, 0);
  // Both end together, to one audio sample.
  EXPECT_NEAR(stream.audio_out.seconds(stream.audio_out.samples.back()) + 1024.0 / 48'000,
              std::chrono::duration<double>(stream.timeline.video_end()).count(), 1024.0 / 48'000);
}

TEST(AudioAndVideo, ATurnOfFewPicturesHasSoundToo) {
  Stream stream(media::Codec::kHevc);
  for (int turn = 0; turn < 3; ++turn) {
    // Too few for the frame rate to be known: the run begins as the turn ends.
    stream.push(make_video({.frames = 3}));
    ASSERT_TRUE(stream.video->end_turn());
    ASSERT_TRUE(stream.audio->end_turn());
    ASSERT_TRUE(stream.video->begin_turn(media::Codec::kHevc));
    ASSERT_TRUE(stream.audio->begin_turn(media::Codec::kAac));
  }
  expect_gapless(stream.audio_out);
  EXPECT_EQ(breaks_of(stream.video_out).size(), 2U);
  EXPECT_EQ(breaks_of(stream.video_out), breaks_of(stream.audio_out));
}

TEST(AacEncoder, TakesWhatADamagedStreamDecodesTo) {
  const auto encoder = AacEncoder::create({}).value();
  for (const float value : {1e30F, -1e30F, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(), 0.5F}) {
    StereoBlock block;
    block.left.fill(value);
    block.right.fill(-value);
    for (int i = 0; i < 3; ++i) {
      const auto frame = encoder->encode(block);
      ASSERT_TRUE(frame) << value << ": " << frame.error().message;
    }
  }
}

}  // namespace
}  // namespace mirror::transcode
