// Interlaced feeds: no combs where things move, lines kept where they do not.
#include "transcode/deinterlacer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "codec/annexb.h"
#include "codec/nal.h"
#include "transcode/picture_scaler.h"
#include "transcode/test_feed.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {
namespace {

constexpr int kBlack = 16;
constexpr int kWhite = 235;

void fill_grey(AVFrame& frame) {
  for (int plane = 1; plane < 3; ++plane) {
    for (int y = 0; y < frame.height / 2; ++y) {
      std::memset(frame.data[plane] + y * frame.linesize[plane], 128,
                  static_cast<std::size_t>(frame.width / 2));
    }
  }
}

// White left of an edge that is `step` columns further in each field, the top one first.
void paint_edge(AVFrame& frame, int index, int step) {
  fill_grey(frame);
  for (int y = 0; y < frame.height; ++y) {
    const int edge = frame.width / 4 + (2 * index + y % 2) * step;
    for (int x = 0; x < frame.width; ++x) test::put(frame, 0, x, y, x < edge ? kWhite : kBlack);
  }
}

// `cycles` of a sine from top to bottom: as fine as a still picture may be.
void paint_lines(AVFrame& frame, double cycles) {
  fill_grey(frame);
  for (int y = 0; y < frame.height; ++y) {
    const double phase = 2 * std::numbers::pi * cycles * (y + 0.5) / frame.height;
    const int value = static_cast<int>(std::lround(126 + 90 * std::sin(phase)));
    for (int x = 0; x < frame.width; ++x) test::put(frame, 0, x, y, value);
  }
}

// How far lines lie from the mean of their neighbours, at most, as a mean over a line.
double combing(const AVFrame& canvas) {
  double worst = 0;
  for (int y = 1; y + 1 < canvas.height; ++y) {
    const auto* line = canvas.data[0] + std::ptrdiff_t{y} * canvas.linesize[0];
    double sum = 0;
    for (int x = 0; x < canvas.width; ++x) {
      sum += std::abs(2 * line[x] - line[x - canvas.linesize[0]] - line[x + canvas.linesize[0]]);
    }
    worst = std::max(worst, sum / canvas.width);
  }
  return worst;
}

double contrast(const AVFrame& canvas) {
  double sum = 0;
  double squares = 0;
  for (int y = 0; y < canvas.height; ++y) {
    const double value = canvas.data[0][y * canvas.linesize[0] + canvas.width / 2];
    sum += value;
    squares += value * value;
  }
  const double mean = sum / canvas.height;
  return std::sqrt(squares / canvas.height - mean * mean);
}

av::Frame make_picture(int width, int height, AVPixelFormat format = AV_PIX_FMT_YUV420P) {
  auto frame = av::make_frame();
  frame->width = width;
  frame->height = height;
  frame->format = format;
  frame->interlaced_frame = 1;
  frame->top_field_first = 1;
  EXPECT_EQ(av_frame_get_buffer(frame.get(), 0), 0);
  return frame;
}

struct Size {
  const char* name;
  int width;
  int height;
};

class Interlaced : public testing::TestWithParam<Size> {};

TEST_P(Interlaced, AMovingEdgeHasNoComb) {
  const auto& [name, width, height] = GetParam();
  auto picture = make_picture(width, height);
  paint_edge(*picture, 3, width / 20);
  PictureScaler scaler(640, 360);
  auto canvas = scaler.make_canvas();
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_LT(combing(*canvas), 0.5);
  picture->interlaced_frame = 0;
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_GT(combing(*canvas), 1.5) << "the measure would not see a comb";
}

TEST_P(Interlaced, AStillPictureKeepsItsLines) {
  const auto& [name, width, height] = GetParam();
  auto picture = make_picture(width, height);
  PictureScaler scaler(640, 360);
  auto canvas = scaler.make_canvas();
  // 360 lines can show 180 cycles; a half and two thirds of that.
  for (const double cycles : {90.0, 120.0}) {
    paint_lines(*picture, cycles);
    picture->interlaced_frame = 0;
    ASSERT_TRUE(scaler.render(*picture, *canvas));
    const double whole = contrast(*canvas);
    picture->interlaced_frame = 1;
    ASSERT_TRUE(scaler.render(*picture, *canvas));
    const double kept = contrast(*canvas) / whole;
    RecordProperty(cycles < 100 ? "kept_percent_90" : "kept_percent_120",
                   static_cast<int>(100 * kept));
    EXPECT_GT(kept, 0.75) << cycles;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Interlaced,
                         testing::Values(Size{"Lines1080", 1920, 1080}, Size{"Lines576", 720, 576},
                                         Size{"Lines480", 720, 480}),
                         [](const auto& test) { return test.param.name; });

TEST(Deinterlacer, SmallAndOddPicturesAreSafe) {
  PictureScaler scaler(64, 36);
  auto canvas = scaler.make_canvas();
  for (const auto format : {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_NV12,
                            AV_PIX_FMT_GRAY8, AV_PIX_FMT_GBRP12LE}) {
    for (const int height : {2, 4, 7, 8, 9, 11, 35, 37, 71, 72, 73, 75}) {
      auto picture = make_picture(34, height, format);
      for (const auto* buffer : picture->buf) {
        if (buffer) std::memset(buffer->data, 0x01, buffer->size);
      }
      EXPECT_TRUE(scaler.render(*picture, *canvas)) << height;
    }
  }
}

TEST(Deinterlacer, TenBitsAreHeldAsTenBits) {
  auto picture = make_picture(16, 16, AV_PIX_FMT_YUV420P10LE);
  for (int plane = 0; plane < 3; ++plane) {
    for (int y = 0; y < (plane ? 8 : 16); ++y) {
      auto* line =
          reinterpret_cast<std::uint16_t*>(picture->data[plane] + y * picture->linesize[plane]);
      for (int x = 0; x < (plane ? 8 : 16); ++x) {
        line[x] = static_cast<std::uint16_t>(y % 2 ? 0x300 : 0x1ff);
      }
    }
  }
  Deinterlacer deinterlacer;
  const auto* frame = deinterlacer.median(*picture);
  ASSERT_TRUE(frame);
  for (int plane = 0; plane < 3; ++plane) {
    for (int y = 0; y < (plane ? 8 : 16); ++y) {
      const auto* line =
          reinterpret_cast<const std::uint16_t*>(frame->data[plane] + y * frame->linesize[plane]);
      EXPECT_EQ(line[3], 0x1ff) << plane << ' ' << y;
    }
  }
}

// --- Through the transcoder.

struct Line {
  explicit Line(media::Codec codec) {
    // At 400 kbps x264 would quantise combs away, and this would be no test.
    auto created = VideoTranscoder::create({.bitrate_bps = 8'000'000}, codec, timeline, video);
    EXPECT_TRUE(created);
    transcoder = std::move(*created);
  }
  void run(const test::Feed& feed) {
    for (const auto& unit : feed) ASSERT_TRUE(transcoder->push(unit));
    ASSERT_TRUE(transcoder->end_turn());
    expect_grid(video);
  }
  double worst_combing() const {
    double worst = 0;
    test::visit_pictures(video,
                         [&](const AVFrame& frame) { worst = std::max(worst, combing(frame)); });
    return worst;
  }
  media::FrameRate rate() const {
    return std::get<media::VideoDescription>(video.descriptions.back()).frame_rate;
  }

  Timeline timeline;
  test::Recorder video;
  std::unique_ptr<VideoTranscoder> transcoder;
};

TEST(InterlacedFeed, H264ComesOutAtTheRateOfFramesWithoutCombs) {
  for (const bool interlaced : {true, false}) {
    Line line(media::Codec::kH264);
    line.run(
        test::make_video({.codec = media::Codec::kH264,
                          .width = 1920,
                          .height = 1080,
                          .rate = {25, 1},
                          .frames = 12,
                          .bitrate_bps = 8'000'000,
                          .interlaced = interlaced,
                          .encoder_params = interlaced ? ":tff=1" : "",
                          .painter = [](AVFrame& frame, int i) { paint_edge(frame, i, 40); }}));
    EXPECT_EQ(line.rate(), (media::FrameRate{25, 1}));
    EXPECT_EQ(line.video.samples.size(), 12U);
    const double combs = line.worst_combing();
    RecordProperty(interlaced ? "combing_thousandths" : "unmarked_combing_thousandths",
                   static_cast<int>(combs * 1000));
    // What is coded as progressive keeps its combs: nobody can tell them from a pattern.
    if (interlaced) {
      EXPECT_LT(combs, 1.0);
    } else {
      EXPECT_GT(combs, 1.5);
    }
  }
}

// Each HEVC picture is one field (x265 wants them so): 25 frames a second of full height come out.
TEST(InterlacedFeed, HevcFieldsArePairedInShapeAndRate) {
  Line line(media::Codec::kHevc);
  line.run(test::make_video({.width = 1280,
                             .height = 360,
                             .rate = {50, 1},
                             .frames = 40,
                             .b_frames = 0,
                             .bitrate_bps = 8'000'000,
                             .encoder_params = ":interlace=tff",
                             .painter = [](AVFrame& frame, int i) {
                               fill_grey(frame);
                               for (int y = 0; y < frame.height; ++y) {
                                 for (int x = 0; x < frame.width; ++x) {
                                   test::put(frame, 0, x, y, x < 320 + 10 * i ? kWhite : 60);
                                 }
                               }
                             }}));
  EXPECT_EQ(line.rate(), (media::FrameRate{25, 1}));
  EXPECT_EQ(line.video.samples.size(), 20U);
  EXPECT_EQ(line.transcoder->stats().pictures_dropped, 0U);
  int index = 0;
  test::visit_pictures(line.video, [&](const AVFrame& frame) {
    // From top to bottom, so 16:9 and no borders.
    for (const int y : {2, 180, 357}) {
      EXPECT_NEAR(frame.data[0][y * frame.linesize[0] + 20], kWhite, 8);
      EXPECT_NEAR(frame.data[0][y * frame.linesize[0] + 630], 60, 8);
    }
    // Every second field: the edge goes on by 20 columns of 1280.
    const int edge = 160 + 10 * index++;
    EXPECT_GT(frame.data[0][180 * frame.linesize[0] + edge - 6], 180);
    EXPECT_LT(frame.data[0][180 * frame.linesize[0] + edge + 6], 120);
  });
}

// HEVC frames of two fields: only the SPS says so, and libavcodec keeps it to itself.
TEST(InterlacedFeed, HevcFramesOfFieldsAreKnownByTheirSps) {
  for (const bool marked : {false, true}) {
    auto feed =
        test::make_video({.width = 1920,
                          .height = 1080,
                          .rate = {25, 1},
                          .frames = 12,
                          .bitrate_bps = 8'000'000,
                          .painter = [](AVFrame& frame, int i) { paint_edge(frame, i, 40); }});
    int changed = 0;
    for (auto& unit : feed) {
      std::vector<std::uint8_t> bytes(unit.data.span().begin(), unit.data.span().end());
      codec::AnnexBReader reader(bytes);
      while (const auto nal = reader.next()) {
        if (codec::hevc_nal_type(nal->bytes) != codec::kHevcSps || !marked) continue;
        // general_progressive_source_flag and the next three, behind 60 00 00 03 00.
        const auto at = static_cast<std::size_t>(nal->bytes.data() - bytes.data()) + 9;
        ASSERT_EQ(bytes[at], 0x90);
        bytes[at] = 0x40;
        ++changed;
      }
      unit.data = Bytes::take(std::move(bytes));
    }
    EXPECT_EQ(changed > 0, marked);
    Line line(media::Codec::kHevc);
    line.run(feed);
    EXPECT_EQ(line.video.samples.size(), 12U);
    if (marked) {
      EXPECT_LT(line.worst_combing(), 1.0);
    } else {
      EXPECT_GT(line.worst_combing(), 1.5);
    }
  }
}

}  // namespace
}  // namespace mirror::transcode
