#include "transcode/still_maker.h"

#include <gtest/gtest.h>

#include <cmath>

#include "transcode/picture_scaler.h"
#include "transcode/test_feed.h"

namespace mirror::transcode {
namespace {

using namespace std::chrono_literals;
using test::make_video;
using test::MediaTime;
using test::shifted;

constexpr WallTime kCaptured{std::chrono::seconds(1'700'000'000)};

// What an independent reader (libavcodec's decoder) finds in a still.
av::Frame decoded(const media::Still& still) {
  const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_MJPEG);
  av::CodecContext context(avcodec_alloc_context3(codec));
  EXPECT_EQ(avcodec_open2(context.get(), codec, nullptr), 0);
  auto packet = av::make_packet();
  EXPECT_EQ(av_new_packet(packet.get(), static_cast<int>(still.jpeg.size())), 0);
  std::ranges::copy(still.jpeg.span(), packet->data);
  EXPECT_EQ(avcodec_send_packet(context.get(), packet.get()), 0);
  auto frame = av::make_frame();
  EXPECT_EQ(avcodec_receive_frame(context.get(), frame.get()), 0);
  return frame;
}

av::Frame canvas_of(int width, int height) {
  auto canvas = PictureScaler(width, height).make_canvas();
  std::minstd_rand random(1);
  test::paint(*canvas, {.width = width, .height = height}, 5, random);
  return canvas;
}

void fill(AVFrame& canvas, int y, int cb, int cr) {
  const std::array<int, 3> values = {y, cb, cr};
  for (int plane = 0; plane < 3; ++plane) {
    const int rows = plane == 0 ? canvas.height : canvas.height / 2;
    for (int row = 0; row < rows; ++row) {
      std::memset(canvas.data[plane] + std::ptrdiff_t{row} * canvas.linesize[plane], values[plane],
                  static_cast<std::size_t>(plane == 0 ? canvas.width : canvas.width / 2));
    }
  }
}

media::Still made(StillMaker& maker, const AVFrame& canvas, PresentationTime time) {
  auto still = maker.make(canvas, time, kCaptured);
  EXPECT_TRUE(still) << still.error().message;
  return still ? std::move(*still) : media::Still{};
}

TEST(StillMaker, IsAJpegOfTheCanvasInSmall) {
  StillMaker maker({});
  const auto canvas = canvas_of(640, 360);
  const auto still = made(maker, *canvas, 0s);
  EXPECT_EQ(still.number, 1U);
  EXPECT_EQ(still.width, 320);
  EXPECT_EQ(still.height, 180);
  EXPECT_EQ(still.captured, kCaptured);
  // SOI, APP0 "JFIF"; EOI (ITU-T T.81, B.1; T.871, 10.1).
  const std::string_view bytes = still.jpeg.text();
  EXPECT_EQ(bytes.substr(0, 4), "\xff\xd8\xff\xe0");
  EXPECT_EQ(bytes.substr(6, 4), "JFIF");
  EXPECT_EQ(bytes.substr(bytes.size() - 2), "\xff\xd9");
  EXPECT_EQ(bytes.find("Lavc"), std::string_view::npos);

  const auto picture = decoded(still);
  ASSERT_EQ(picture->width, 320);
  ASSERT_EQ(picture->height, 180);
  // Against the mean of each four samples, in full range: it is the same picture.
  double squares = 0;
  for (int y = 0; y < 180; ++y) {
    for (int x = 0; x < 320; ++x) {
      const auto* at = canvas->data[0] + 2 * y * canvas->linesize[0] + 2 * x;
      const double mean = (at[0] + at[1] + at[canvas->linesize[0]] + at[canvas->linesize[0] + 1]);
      const double full = (mean / 4 - 16) * 255 / 219;
      squares += std::pow(full - picture->data[0][y * picture->linesize[0] + x], 2);
    }
  }
  const double psnr = 10 * std::log10(255 * 255 / (squares / (320 * 180)));
  // The matrices differ a little on what is not grey.
  EXPECT_GT(psnr, 24);
}

// Browsers take a JPEG for BT.601 full range whatever it shows.
TEST(StillMaker, ColoursAreThoseOfJfif) {
  struct Colour {
    int y, cb, cr;            // BT.709, limited range
    double red, green, blue;  // of 255
  };
  // 75 % bars of BT.709.
  constexpr std::array<Colour, 5> kColours = {{{180, 128, 128, 191, 191, 191},
                                               {51, 109, 212, 191, 0, 0},
                                               {133, 63, 52, 0, 191, 0},
                                               {28, 212, 120, 0, 0, 191},
                                               {16, 128, 128, 0, 0, 0}}};
  auto canvas = PictureScaler(640, 360).make_canvas();
  for (const Colour& colour : kColours) {
    StillMaker maker({});
    fill(*canvas, colour.y, colour.cb, colour.cr);
    const auto picture = decoded(made(maker, *canvas, 0s));
    const double y = picture->data[0][90 * picture->linesize[0] + 160];
    const double cb = picture->data[1][45 * picture->linesize[1] + 80] - 128.0;
    const double cr = picture->data[2][45 * picture->linesize[2] + 80] - 128.0;
    EXPECT_NEAR(y + 1.402 * cr, colour.red, 6);
    EXPECT_NEAR(y - 0.344136 * cb - 0.714136 * cr, colour.green, 6);
    EXPECT_NEAR(y + 1.772 * cb, colour.blue, 6);
  }
}

TEST(StillMaker, KeepsTheCanvassShapeAndIsNoLargerThanIt) {
  struct Case {
    std::uint16_t asked;
    int width, height;
    std::uint16_t still_width, still_height;
  };
  for (const Case& each : {Case{320, 480, 480, 320, 320}, Case{320, 64, 36, 64, 36},
                           Case{200, 1280, 720, 200, 112}, Case{64, 1920, 64, 64, 2}}) {
    StillMaker maker({.width = each.asked});
    const auto still = made(maker, *canvas_of(each.width, each.height), 0s);
    EXPECT_EQ(still.width, each.still_width);
    EXPECT_EQ(still.height, each.still_height);
    EXPECT_EQ(decoded(still)->height, each.still_height);
  }
}

TEST(StillMaker, FollowsAnotherCanvas) {
  StillMaker maker({});
  EXPECT_EQ(made(maker, *canvas_of(640, 360), 0s).height, 180);
  EXPECT_EQ(made(maker, *canvas_of(640, 480), 2s).height, 240);
}

// What is made of it is bounded, and neither a blank nor a storm stays far from what was asked for.
TEST(StillMaker, TheSizeIsSteered) {
  StillMaker maker({});
  auto canvas = PictureScaler(640, 360).make_canvas();
  std::minstd_rand random(1);
  const test::VideoSpec noisy{.width = 640, .height = 360, .noise = true};
  test::paint(*canvas, noisy, 0, random);
  std::size_t bytes = 0;
  for (int i = 0; i < 16; ++i) bytes = made(maker, *canvas, i * 2s).jpeg.size();
  EXPECT_GT(bytes, StillMaker::kBytesMin / 2);
  EXPECT_LT(bytes, StillMaker::kBytesMax);
}

TEST(StillMaker, WhatCannotBeScaledFailsAndTheNextOneWorks) {
  StillMaker maker({});
  auto strange = av::make_frame();
  strange->width = 640;
  strange->height = 360;
  strange->format = AV_PIX_FMT_CUDA;
  EXPECT_FALSE(maker.make(*strange, 0s, kCaptured));
  EXPECT_FALSE(maker.due(1s));
  EXPECT_EQ(made(maker, *canvas_of(640, 360), 2s).number, 1U);
}

// --- In the transcoder.

struct Stills : test::Recorder {
  struct At {
    std::size_t samples;  // given out before it
    media::Still still;
  };
  std::vector<At> stills;
  void on_still(const media::Still& still) override { stills.push_back({samples.size(), still}); }
};

struct Line {
  explicit Line(StillSettings stills) {
    auto created =
        VideoTranscoder::create({.stills = stills}, media::Codec::kH264, timeline, recorder);
    EXPECT_TRUE(created) << created.error().message;
    transcoder = std::move(*created);
  }
  void push(const test::Feed& feed) {
    for (const auto& unit : feed) ASSERT_TRUE(transcoder->push(unit));
  }
  // Of each still, the sample that it is of.
  std::vector<std::size_t> samples() const {
    std::vector<std::size_t> indices;
    for (const auto& at : recorder.stills) indices.push_back(at.samples - 1);
    return indices;
  }

  Timeline timeline;
  Stills recorder;
  std::unique_ptr<VideoTranscoder> transcoder;
};

test::Feed feed_of(int frames) {
  return make_video({.codec = media::Codec::kH264, .frames = frames, .b_frames = 0});
}

TEST(Stills, ComeByPresentationTimeBehindTheirSample) {
  Line line({.every = 2s});
  line.push(feed_of(30 * 7));
  ASSERT_TRUE(line.transcoder->end_turn());
  EXPECT_EQ(line.samples(), (std::vector<std::size_t>{0, 60, 120, 180}));
  for (const auto& at : line.recorder.stills) {
    EXPECT_EQ(at.still.captured, line.recorder.samples[at.samples - 1].captured);
  }
  EXPECT_NE(line.recorder.stills[0].still.jpeg, line.recorder.stills[1].still.jpeg);
  EXPECT_EQ(line.transcoder->stats().stills, 4U);
  EXPECT_EQ(line.transcoder->stats().still_failures, 0U);
}

TEST(Stills, ABreakIsFollowedByOneAtOnce) {
  Line line({.every = 2s});
  line.push(feed_of(30 * 3));
  ASSERT_TRUE(line.transcoder->end_turn());
  const std::size_t before = line.recorder.samples.size();
  ASSERT_TRUE(line.transcoder->begin_turn(media::Codec::kH264));
  line.push(shifted(feed_of(30 * 3), MediaTime(90'000 * 100), 100s));
  ASSERT_TRUE(line.transcoder->end_turn());
  EXPECT_EQ(line.samples(), (std::vector<std::size_t>{0, 60, before, before + 60}));
}

TEST(Stills, ThereAreNoneWhereTheyAreOff) {
  Line line({.every = 0ms});
  line.push(feed_of(90));
  ASSERT_TRUE(line.transcoder->end_turn());
  EXPECT_TRUE(line.recorder.stills.empty());
  EXPECT_EQ(line.transcoder->stats().stills, 0U);
}

}  // namespace
}  // namespace mirror::transcode
