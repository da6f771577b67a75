#include "transcode/audio_decoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "transcode/test_feed.h"

namespace mirror::transcode {
namespace {

using media::Codec;
using test::AudioSpec;
using test::make_audio;

struct Levels {
  double left = 0;  // of the tone's own
  double right = 0;
};

double root_mean_square(std::span<const float> samples) {
  double squares = 0;
  for (const float sample : samples) squares += double{sample} * sample;
  return std::sqrt(squares / static_cast<double>(samples.size()));
}

// What becomes of the tone, away from both ends, where encoders fade.
Levels levels_of(const AudioSpec& spec) {
  auto decoder = AudioDecoder::create(spec.codec);
  EXPECT_TRUE(decoder);
  std::vector<float> left;
  std::vector<float> right;
  for (const auto& unit : make_audio(spec)) {
    EXPECT_TRUE((*decoder)->push(unit));
    while ((*decoder)->take() == AudioDecoder::Taken::kSound) {
      const Stereo sound = (*decoder)->sound();
      left.insert(left.end(), sound.left.begin(), sound.left.end());
      right.insert(right.end(), sound.right.begin(), sound.right.end());
    }
  }
  EXPECT_GT(left.size(), 2U * kAudioRate / 3);
  const auto middle = [](const std::vector<float>& side) {
    return std::span(side).subspan(side.size() / 4, side.size() / 2);
  };
  Levels levels;
  const double tone = 0.5 * M_SQRT1_2;
  levels.left = root_mean_square(middle(left)) / tone;
  levels.right = root_mean_square(middle(right)) / tone;
  return levels;
}

struct DownMix {
  Codec codec;
  int channels;
  // Left and right of each channel, in the order of channels that libavutil has.
  std::vector<std::pair<double, double>> expected;
};

void PrintTo(const DownMix& mix, std::ostream* out) {
  *out << media::name_of(mix.codec) << ", " << mix.channels << " channels";
}

class DownMixes : public testing::TestWithParam<DownMix> {};

TEST_P(DownMixes, EachChannelHasItsLevel) {
  const auto& [codec, channels, expected] = GetParam();
  for (int channel = 0; channel < channels; ++channel) {
    SCOPED_TRACE(testing::Message() << "channel " << channel);
    const bool effects = channels >= 6 && channel == 3;  // encoders cut them at 120 Hz
    const Levels levels = levels_of({.codec = codec,
                                     .channels = channels,
                                     .seconds = 1,
                                     .tone_hz = effects ? 60.0 : 1000.0,
                                     .only_channel = channel});
    const auto [left, right] = expected[static_cast<std::size_t>(channel)];
    EXPECT_NEAR(levels.left, left, 0.02);
    EXPECT_NEAR(levels.right, right, 0.02);
  }
}

// The same tone on every channel adds up to no more than there was on one.
TEST_P(DownMixes, AllTogetherAreNoLouderThanOne) {
  const auto& [codec, channels, expected] = GetParam();
  double left = 0;
  double right = 0;
  for (const auto& [to_left, to_right] : expected) {
    left += to_left;
    right += to_right;
  }
  EXPECT_LT(std::max(left, right), 1.0001);
  const Levels levels = levels_of({.codec = codec, .channels = channels, .seconds = 1});
  EXPECT_NEAR(levels.left, left, 0.04);
  EXPECT_NEAR(levels.right, right, 0.04);
}

// ITU-R BS.775: L + 0.7071 C + 0.7071 Ls, over the sum of what is in it.
constexpr double kFront = 1 / (1 + 2 * M_SQRT1_2);
constexpr double kOther = M_SQRT1_2 * kFront;
constexpr double kFrontOf7 = 1 / (1 + 3 * M_SQRT1_2);
constexpr double kOtherOf7 = M_SQRT1_2 * kFrontOf7;
const std::vector<std::pair<double, double>> kMono = {{M_SQRT1_2, M_SQRT1_2}};
const std::vector<std::pair<double, double>> kStereo = {{1, 0}, {0, 1}};
const std::vector<std::pair<double, double>> kFiveOne = {{kFront, 0}, {0, kFront}, {kOther, kOther},
                                                         {0, 0},      {kOther, 0}, {0, kOther}};
const std::vector<std::pair<double, double>> kSevenOne = {
    {kFrontOf7, 0}, {0, kFrontOf7}, {kOtherOf7, kOtherOf7}, {0, 0},
    {kOtherOf7, 0}, {0, kOtherOf7}, {kOtherOf7, 0},         {0, kOtherOf7}};

INSTANTIATE_TEST_SUITE_P(
    Audio, DownMixes,
    testing::Values(DownMix{Codec::kAac, 1, kMono}, DownMix{Codec::kAac, 2, kStereo},
                    DownMix{Codec::kAac, 6, kFiveOne}, DownMix{Codec::kMpegAudio, 1, kMono},
                    DownMix{Codec::kAc3, 1, kMono}, DownMix{Codec::kAc3, 6, kFiveOne},
                    DownMix{Codec::kEac3, 6, kFiveOne}, DownMix{Codec::kOpus, 2, kStereo},
                    DownMix{Codec::kOpus, 6, kFiveOne}, DownMix{Codec::kOpus, 8, kSevenOne}));

// Two programmes of one channel, of which each keeps its side. (A mono Opus stream is decoded as
// one; libavcodec has no encoder of dual mono AC-3 or AAC.)
TEST(AudioDecoder, DualMonoKeepsItsSides) {
  for (int channel = 0; channel < 2; ++channel) {
    const Levels levels = levels_of(
        {.codec = Codec::kOpus, .seconds = 1, .only_channel = channel, .dual_mono = true});
    EXPECT_NEAR(levels.left, channel == 0 ? 1 : 0, 0.02);
    EXPECT_NEAR(levels.right, channel == 1 ? 1 : 0, 0.02);
  }
}

TEST(AudioDecoder, OpusMayChangeItsChannels) {
  auto decoder = AudioDecoder::create(Codec::kOpus);
  ASSERT_TRUE(decoder);
  for (const int channels : {2, 6, 1, 8}) {
    std::size_t samples = 0;
    for (const auto& unit :
         make_audio({.codec = Codec::kOpus, .channels = channels, .seconds = 0.3})) {
      EXPECT_TRUE((*decoder)->push(unit));
      while ((*decoder)->take() == AudioDecoder::Taken::kSound) {
        samples += (*decoder)->sound().size();
      }
    }
    EXPECT_GT(samples, kAudioRate / 4U) << channels << " channels";
  }
}

TEST(AudioDecoder, RefusesOpusOfUnknownChannelsAndGoesOn) {
  auto decoder = AudioDecoder::create(Codec::kOpus);
  ASSERT_TRUE(decoder);
  auto feed = make_audio({.codec = Codec::kOpus, .seconds = 0.1});
  for (const std::vector<std::uint8_t>& bytes :
       {std::vector<std::uint8_t>{0x82, 0xfc, 1}, std::vector<std::uint8_t>{}}) {
    media::AccessUnit strange = feed[0];
    strange.data = Bytes::copy_of(bytes);
    EXPECT_FALSE((*decoder)->push(strange));
  }
  EXPECT_TRUE((*decoder)->push(feed[0]));
  EXPECT_EQ((*decoder)->take(), AudioDecoder::Taken::kSound);
}

}  // namespace
}  // namespace mirror::transcode
