// Colours: known patches in each form that feeds have, against a reference in double precision that
// shares nothing with the code under test, in CIEDE2000.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <random>

#include "transcode/picture_scaler.h"
#include "transcode/test_feed.h"
#include "transcode/tone_map.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {
namespace {

using Triple = std::array<double, 3>;

// --- CIEDE2000 (CIE 142-2001, with the notes of Sharma, Wu and Dalal, 2005).

double degrees(double radians) { return radians * 180 / std::numbers::pi; }
double radians(double degrees) { return degrees * std::numbers::pi / 180; }

double hue_of(double a, double b) {
  if (a == 0 && b == 0) return 0;
  const double hue = degrees(std::atan2(b, a));
  return hue < 0 ? hue + 360 : hue;
}

double ciede2000(const Triple& lab1, const Triple& lab2) {
  const auto seventh = [](double c) {
    return std::sqrt(std::pow(c, 7) / (std::pow(c, 7) + 6103515625.0));
  };
  const double chroma = (std::hypot(lab1[1], lab1[2]) + std::hypot(lab2[1], lab2[2])) / 2;
  const double g = (1 - seventh(chroma)) / 2;
  const double a1 = (1 + g) * lab1[1];
  const double a2 = (1 + g) * lab2[1];
  const double c1 = std::hypot(a1, lab1[2]);
  const double c2 = std::hypot(a2, lab2[2]);
  const double h1 = hue_of(a1, lab1[2]);
  const double h2 = hue_of(a2, lab2[2]);
  const bool grey = c1 * c2 == 0;
  double turn = grey ? 0 : h2 - h1;
  if (turn > 180) turn -= 360;
  if (turn < -180) turn += 360;
  const double dl = lab2[0] - lab1[0];
  const double dc = c2 - c1;
  const double dh = 2 * std::sqrt(c1 * c2) * std::sin(radians(turn / 2));
  const double l = (lab1[0] + lab2[0]) / 2;
  const double c = (c1 + c2) / 2;
  double h = h1 + h2;
  if (!grey) {
    if (std::abs(h1 - h2) > 180) h += h < 360 ? 360 : -360;
    h /= 2;
  }
  const double t = 1 - 0.17 * std::cos(radians(h - 30)) + 0.24 * std::cos(radians(2 * h)) +
                   0.32 * std::cos(radians(3 * h + 6)) - 0.20 * std::cos(radians(4 * h - 63));
  const double off = (l - 50) * (l - 50);
  const double sl = 1 + 0.015 * off / std::sqrt(20 + off);
  const double sc = 1 + 0.045 * c;
  const double sh = 1 + 0.015 * c * t;
  const double angle = 30 * std::exp(-std::pow((h - 275) / 25, 2));
  const double rt = -2 * seventh(c) * std::sin(radians(2 * angle));
  return std::sqrt(std::pow(dl / sl, 2) + std::pow(dc / sc, 2) + std::pow(dh / sh, 2) +
                   rt * dc / sc * dh / sh);
}

TEST(Ciede2000, AgreesWithThePublishedPairs) {
  EXPECT_NEAR(ciede2000({50, 2.6772, -79.7751}, {50, 0, -82.7485}), 2.0425, 1e-4);
  EXPECT_NEAR(ciede2000({50, 2.5, 0}, {50, 0, -2.5}), 4.3065, 1e-4);
  EXPECT_NEAR(ciede2000({50, 2.5, 0}, {73, 25, -18}), 27.1492, 1e-4);
  EXPECT_NEAR(ciede2000({60.2574, -34.0099, 36.2677}, {60.4626, -34.1751, 39.4387}), 1.2644, 1e-4);
  EXPECT_NEAR(ciede2000({2.0776, 0.0795, -1.1350}, {0.9033, -0.0636, -0.5514}), 0.9082, 1e-4);
}

// BT.709 signal, shown by BT.1886, seen under D65.
Triple lab_of(const Triple& signal) {
  Triple light{};
  for (int i = 0; i < 3; ++i) light[i] = std::pow(std::clamp(signal[i], 0.0, 1.0), 2.4);
  const auto f = [](double t) {
    return t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
  };
  const double x =
      f((0.4123908 * light[0] + 0.3575843 * light[1] + 0.1804808 * light[2]) / 0.9504559);
  const double y = f(0.2126390 * light[0] + 0.7151687 * light[1] + 0.0721923 * light[2]);
  const double z =
      f((0.0193308 * light[0] + 0.1191948 * light[1] + 0.9505322 * light[2]) / 1.0890578);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

// --- The reference: R'G'B' of the source → R'G'B' of BT.709.

enum class Form { kSdr709, kSdr2020, kHlg, kPq };

double pq_eotf(double v) {  // cd/m²
  const double p = std::pow(v, 32.0 / 2523);
  return 10'000 *
         std::pow(std::max(p - 0.8359375, 0.0) / (18.8515625 - 18.6875 * p), 16384 / 2610.0);
}

double pq_inverse(double light) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 60; ++i) (pq_eotf((low + high) / 2) < light ? low : high) = (low + high) / 2;
  return low;
}

// BT.2390, 5.4.1: 0…1000 cd/m² → 0…203.
double compressed(double light) {
  const double peak = pq_inverse(1000);
  const double e = std::min(pq_inverse(light) / peak, 1.0);
  const double top = pq_inverse(203) / peak;
  const double ks = 1.5 * top - 0.5;
  if (e < ks) return light;
  const double t = (e - ks) / (1 - ks);
  const double p = (1 + 2 * t) * (1 - t) * (1 - t) * ks + t * (1 - t) * (1 - t) * (1 - ks) +
                   t * t * (3 - 2 * t) * top;
  return pq_eotf(p * peak);
}

Triple reference(Form form, const Triple& signal) {
  if (form == Form::kSdr709) return signal;
  Triple light{};  // 1.0 is SDR's white
  if (form == Form::kSdr2020) {
    for (int i = 0; i < 3; ++i) light[i] = std::pow(signal[i], 2.4);
  } else {
    if (form == Form::kPq) {
      for (int i = 0; i < 3; ++i) light[i] = pq_eotf(signal[i]);
    } else {
      for (int i = 0; i < 3; ++i) {
        const double v = signal[i];
        light[i] =
            v <= 0.5 ? v * v / 3 : (std::exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12;
      }
      const double ys = 0.2627 * light[0] + 0.6780 * light[1] + 0.0593 * light[2];
      for (auto& value : light) value *= ys > 0 ? 1000 * std::pow(ys, 0.2) : 0;
    }
    const double largest = std::max({light[0], light[1], light[2]});
    for (auto& value : light) value *= largest > 0 ? compressed(largest) / largest / 203 : 0;
  }
  // BT.2087, 2.
  const Triple out = {1.660491 * light[0] - 0.587641 * light[1] - 0.072850 * light[2],
                      -0.124550 * light[0] + 1.132900 * light[1] - 0.008349 * light[2],
                      -0.018151 * light[0] - 0.100579 * light[1] + 1.118730 * light[2]};
  Triple result{};
  for (int i = 0; i < 3; ++i) result[i] = std::pow(std::clamp(out[i], 0.0, 1.0), 1 / 2.4);
  return result;
}

// --- Patches.

constexpr int kColumns = 5;
constexpr int kRows = 4;
constexpr double kThreeQuarters = 0.75;
constexpr std::array<Triple, 20> kPatches = {{
    {1, 1, 1},  // 100 % white
    {kThreeQuarters, kThreeQuarters, kThreeQuarters},
    {kThreeQuarters, kThreeQuarters, 0},
    {0, kThreeQuarters, kThreeQuarters},
    {0, kThreeQuarters, 0},
    {kThreeQuarters, 0, kThreeQuarters},
    {kThreeQuarters, 0, 0},
    {0, 0, kThreeQuarters},
    {0, 0, 0},
    {0.1, 0.1, 0.1},
    {0.25, 0.25, 0.25},
    {0.5, 0.5, 0.5},
    {0.58, 0.58, 0.58},  // PQ's 203 cd/m²
    {0.9, 0.9, 0.9},
    {0.76, 0.59, 0.51},  // skin, in SDR and HLG
    {0.55, 0.47, 0.43},  // skin, in PQ
    {0.35, 0.24, 0.19},
    {0.2, 0.35, 0.5},
    {0.6, 0.3, 0.1},
    {0.9, 0.8, 0.3},
}};

struct Matrix {
  double red;
  double blue;
};
Matrix matrix_of(Form form) {
  return form == Form::kSdr709 ? Matrix{0.2126, 0.0722} : Matrix{0.2627, 0.0593};
}

Triple to_ycc(const Triple& rgb, Matrix m) {
  const double y = m.red * rgb[0] + (1 - m.red - m.blue) * rgb[1] + m.blue * rgb[2];
  return {y, (rgb[2] - y) / (2 - 2 * m.blue), (rgb[0] - y) / (2 - 2 * m.red)};
}

Triple to_rgb(const Triple& ycc, Matrix m) {
  const double r = ycc[0] + (2 - 2 * m.red) * ycc[2];
  const double b = ycc[0] + (2 - 2 * m.blue) * ycc[1];
  return {r, (ycc[0] - m.red * r - m.blue * b) / (1 - m.red - m.blue), b};
}

void put10(AVFrame& frame, int plane, int x, int y, int value) {
  reinterpret_cast<std::uint16_t*>(frame.data[plane] +
                                   std::ptrdiff_t{y} * frame.linesize[plane])[x] =
      static_cast<std::uint16_t>(value);
}

int depth_of(const AVFrame& frame) {
  return av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->comp[0].depth;
}

// The patches in 4:2:0, 8 or 10 bits, limited range.
void paint_patches(AVFrame& frame, Form form) {
  const int depth = depth_of(frame);
  const double unit = 1 << (depth - 8);
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    const int width = frame.width >> shift;
    const int height = frame.height >> shift;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const auto& patch = kPatches[(y * kRows / height) * kColumns + x * kColumns / width];
        const double value = to_ycc(patch, matrix_of(form))[plane];
        const int code = static_cast<int>(
            std::lround(unit * (plane == 0 ? 16 + 219 * value : 128 + 224 * value)));
        if (depth > 8) {
          put10(frame, plane, x, y, code);
        } else {
          frame.data[plane][y * frame.linesize[plane] + x] = static_cast<std::uint8_t>(code);
        }
      }
    }
  }
}

void sign(AVFrame& frame, Form form) {
  frame.color_range = AVCOL_RANGE_MPEG;
  frame.colorspace = form == Form::kSdr709 ? AVCOL_SPC_BT709 : AVCOL_SPC_BT2020_NCL;
  frame.color_primaries = form == Form::kSdr709 ? AVCOL_PRI_BT709 : AVCOL_PRI_BT2020;
  frame.color_trc = form == Form::kHlg  ? AVCOL_TRC_ARIB_STD_B67
                    : form == Form::kPq ? AVCOL_TRC_SMPTE2084
                                        : AVCOL_TRC_BT709;
}

av::Frame make_picture(int width, int height, AVPixelFormat format) {
  auto frame = av::make_frame();
  frame->width = width;
  frame->height = height;
  frame->format = format;
  EXPECT_EQ(av_frame_get_buffer(frame.get(), 0), 0);
  return frame;
}

// What a player shows in the middle of a patch.
Triple shown(const AVFrame& canvas, int patch) {
  const int x = (2 * (patch % kColumns) + 1) * canvas.width / kColumns / 2;
  const int y = (2 * (patch / kColumns) + 1) * canvas.height / kRows / 2;
  const auto sample = [&](int plane) {
    const int shift = plane == 0 ? 0 : 1;
    return canvas.data[plane][(y >> shift) * canvas.linesize[plane] + (x >> shift)];
  };
  return to_rgb({(sample(0) - 16) / 219.0, (sample(1) - 128) / 224.0, (sample(2) - 128) / 224.0},
                {0.2126, 0.0722});
}

double worst_difference(const AVFrame& canvas, Form form) {
  double worst = 0;
  for (int patch = 0; patch < static_cast<int>(kPatches.size()); ++patch) {
    const double difference =
        ciede2000(lab_of(reference(form, kPatches[patch])), lab_of(shown(canvas, patch)));
    if (difference > worst) {
      worst = difference;
      testing::Test::RecordProperty("worst_patch", patch);
    }
  }
  return worst;
}

struct FormCase {
  const char* name;
  Form form;
  AVPixelFormat format;
  double limit;  // ΔE00
};

class Forms : public testing::TestWithParam<FormCase> {};

TEST_P(Forms, PatchesComeOutAsTheReferenceSays) {
  const auto& [name, form, format, limit] = GetParam();
  auto picture = make_picture(1280, 720, format);
  paint_patches(*picture, form);
  sign(*picture, form);
  PictureScaler scaler(640, 360);
  auto canvas = scaler.make_canvas();
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  const double worst = worst_difference(*canvas, form);
  RecordProperty("delta_e_thousandths", static_cast<int>(worst * 1000));
  EXPECT_LT(worst, limit);
}

INSTANTIATE_TEST_SUITE_P(
    Colour, Forms,
    testing::Values(FormCase{"Bt709", Form::kSdr709, AV_PIX_FMT_YUV420P, 1.0},
                    FormCase{"Bt709In10Bits", Form::kSdr709, AV_PIX_FMT_YUV420P10LE, 1.0},
                    FormCase{"Bt2020", Form::kSdr2020, AV_PIX_FMT_YUV420P10LE, 1.0},
                    FormCase{"Bt2020In8Bits", Form::kSdr2020, AV_PIX_FMT_YUV420P, 1.5},
                    FormCase{"Hlg", Form::kHlg, AV_PIX_FMT_YUV420P10LE, 1.0},
                    FormCase{"Pq", Form::kPq, AV_PIX_FMT_YUV420P10LE, 1.0}),
    [](const auto& test) { return test.param.name; });

// The levels that an operator would measure, so that the reference itself is not believed blindly.
TEST(Colour, LevelsAreThoseOfAnSdrPicture) {
  // BT.2408, table 1: reference white is 58 % of PQ, 75 % of HLG.
  for (const auto& [form, white] : {std::pair{Form::kPq, 0.58}, std::pair{Form::kHlg, 0.75}}) {
    EXPECT_NEAR(reference(form, {white, white, white})[0], 0.90, 0.01);
  }
  EXPECT_NEAR(reference(Form::kHlg, {1, 1, 1})[1], 1, 1e-6);
  EXPECT_NEAR(reference(Form::kPq, {0.7518, 0.7518, 0.7518})[1], 1, 1e-3);
  EXPECT_EQ(reference(Form::kPq, {0, 0, 0})[1], 0);
  // 18 % grey, 26 cd/m², 38 % of either signal (BT.2408, table 1): 42 % as BT.1886 shows it.
  EXPECT_NEAR(reference(Form::kPq, {0.38, 0.38, 0.38})[1], 0.42, 0.01);
  EXPECT_NEAR(reference(Form::kHlg, {0.38, 0.38, 0.38})[1], 0.42, 0.01);
}

TEST(Colour, WhatSaysHalfOfBt2020MeansAllOfIt) {
  auto picture = make_picture(1280, 720, AV_PIX_FMT_YUV420P10LE);
  paint_patches(*picture, Form::kHlg);
  PictureScaler scaler(640, 360);
  auto canvas = scaler.make_canvas();
  picture->color_range = AVCOL_RANGE_MPEG;
  picture->color_trc = AVCOL_TRC_ARIB_STD_B67;
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_LT(worst_difference(*canvas, Form::kHlg), 1.0);
  paint_patches(*picture, Form::kSdr2020);
  picture->color_trc = AVCOL_TRC_UNSPECIFIED;
  picture->colorspace = AVCOL_SPC_BT2020_NCL;
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_LT(worst_difference(*canvas, Form::kSdr2020), 1.0);
  picture->colorspace = AVCOL_SPC_UNSPECIFIED;
  picture->color_primaries = AVCOL_PRI_BT2020;
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_LT(worst_difference(*canvas, Form::kSdr2020), 1.0);
  // And back: nothing stays of what was.
  paint_patches(*picture, Form::kSdr709);
  sign(*picture, Form::kSdr709);
  ASSERT_TRUE(scaler.render(*picture, *canvas));
  EXPECT_LT(worst_difference(*canvas, Form::kSdr709), 1.0);
}

TEST(Colour, FullRangeOf10BitsIsTheSamePicture) {
  for (const auto form : {Form::kHlg, Form::kSdr709}) {
    auto picture = make_picture(1280, 720, AV_PIX_FMT_YUV420P10LE);
    paint_patches(*picture, form);
    sign(*picture, form);
    picture->color_range = AVCOL_RANGE_JPEG;
    for (int plane = 0; plane < 3; ++plane) {
      for (int y = 0; y < picture->height >> (plane ? 1 : 0); ++y) {
        auto* line =
            reinterpret_cast<std::uint16_t*>(picture->data[plane] + y * picture->linesize[plane]);
        for (int x = 0; x < picture->width >> (plane ? 1 : 0); ++x) {
          const double full =
              plane == 0 ? (line[x] - 64) * 1023 / 876.0 : (line[x] - 512) * 1023 / 896.0 + 512;
          line[x] = static_cast<std::uint16_t>(std::clamp(full + 0.5, 0.0, 1023.0));
        }
      }
    }
    PictureScaler scaler(640, 360);
    auto canvas = scaler.make_canvas();
    ASSERT_TRUE(scaler.render(*picture, *canvas));
    const double worst = worst_difference(*canvas, form);
    RecordProperty(form == Form::kHlg ? "hlg" : "sdr", static_cast<int>(worst * 1000));
    EXPECT_LT(worst, 1.5);
  }
}

TEST(Colour, HevcOf10BitsComesOutOfTheTranscoderAsBt709) {
  for (const auto form : {Form::kHlg, Form::kPq}) {
    const bool hlg = form == Form::kHlg;
    VideoSettings settings;
    Timeline timeline;
    test::Recorder video;
    auto transcoder = VideoTranscoder::create(settings, media::Codec::kHevc, timeline, video);
    ASSERT_TRUE(transcoder);
    const auto feed = test::make_video(
        {.width = 1280,
         .height = 720,
         .format = AV_PIX_FMT_YUV420P10LE,
         .frames = 12,
         .bitrate_bps = 8'000'000,
         .space = AVCOL_SPC_BT2020_NCL,
         .primaries = AVCOL_PRI_BT2020,
         .transfer = hlg ? AVCOL_TRC_ARIB_STD_B67 : AVCOL_TRC_SMPTE2084,
         .encoder_params = hlg ? ":colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
                               : ":colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
         .painter = [form](AVFrame& frame, int) { paint_patches(frame, form); }});
    for (const auto& unit : feed) ASSERT_TRUE((*transcoder)->push(unit));
    ASSERT_TRUE((*transcoder)->end_turn());
    double worst = 100;
    int pictures = 0;
    test::visit_pictures(video, [&](const AVFrame& frame) {
      worst = worst_difference(frame, form);
      ++pictures;
    });
    EXPECT_EQ(pictures, 12);
    RecordProperty(hlg ? "hlg_delta_e_thousandths" : "pq_delta_e_thousandths",
                   static_cast<int>(worst * 1000));
    EXPECT_LT(worst, 2.0);
  }
}

// --- The tables against double precision, anywhere in the cube.

TEST(ToneMap, AgreesWithDoublePrecisionEverywhere) {
  for (const auto& [form, transfer] :
       {std::pair{Form::kSdr2020, Transfer::kSdr}, std::pair{Form::kHlg, Transfer::kHlg},
        std::pair{Form::kPq, Transfer::kPq}}) {
    std::minstd_rand random(1);
    const ToneMap map({transfer, Primaries::kBt2020, {0.2627, 0.0593}});
    constexpr int kColours = 20'000;
    double worst = 0;
    double sum = 0;
    double worst_luma = 0;
    for (int i = 0; i < kColours; ++i) {
      Triple rgb{};
      for (auto& value : rgb) value = static_cast<double>(random() % 1000) / 999;
      const auto ycc = to_ycc(rgb, matrix_of(form));
      std::array<std::array<std::uint16_t, 4>, 3> in{};
      Triple coded{};
      for (int plane = 0; plane < 3; ++plane) {
        const double scale = plane == 0 ? 876 : 896;
        const double zero = plane == 0 ? 64 : 512;
        in[plane].fill(static_cast<std::uint16_t>(std::lround(zero + scale * ycc[plane])));
        coded[plane] = (in[plane][0] - zero) / scale;
      }
      auto signal = to_rgb(coded, matrix_of(form));
      for (auto& value : signal) value = std::clamp(value, 0.0, 1.0);
      const auto want = reference(form, signal);
      std::array<std::uint8_t, 4> luma{};
      std::array<std::uint8_t, 2> chroma{};
      const auto bytes = [&](int plane) {
        return reinterpret_cast<const std::uint8_t*>(in[plane].data());
      };
      map.apply({{bytes(0), bytes(1), bytes(2)}, {4, 4, 4}},
                {{luma.data(), &chroma[0], &chroma[1]}, {2, 1, 1}}, 2, 2);
      const auto got =
          to_rgb({(luma[0] - 16) / 219.0, (chroma[0] - 128) / 224.0, (chroma[1] - 128) / 224.0},
                 {0.2126, 0.0722});
      const double difference = ciede2000(lab_of(want), lab_of(got));
      worst = std::max(worst, difference);
      sum += difference;
      worst_luma =
          std::max(worst_luma, std::abs(luma[0] - (16 + 219 * to_ycc(want, {0.2126, 0.0722})[0])));
    }
    const auto name = std::to_string(static_cast<int>(transfer));
    RecordProperty("worst_thousandths_" + name, static_cast<int>(worst * 1000));
    RecordProperty("mean_thousandths_" + name, static_cast<int>(sum / kColours * 1000));
    RecordProperty("worst_luma_thousandths_" + name, static_cast<int>(worst_luma * 1000));
    EXPECT_LT(sum / kColours, 0.5);
    EXPECT_LT(worst, 2.5);
  }
}

TEST(ToneMap, TakesEveryCodeWord) {
  for (const auto transfer : {Transfer::kSdr, Transfer::kPq, Transfer::kHlg}) {
    for (const auto primaries : {Primaries::kBt709, Primaries::kP3, Primaries::kBt2020}) {
      ToneMap map({transfer, primaries, {}});
      std::array<std::uint16_t, 4> luma{};
      std::array<std::uint16_t, 4> blue{};
      std::array<std::uint16_t, 4> red{};
      std::array<std::uint8_t, 6> out{};
      for (const int y : {0, 1, 64, 512, 940, 1023, 65'535}) {
        for (const int cb : {0, 64, 512, 960, 1023, 65'535}) {
          for (const int cr : {0, 64, 512, 960, 1023, 65'535}) {
            luma.fill(static_cast<std::uint16_t>(y));
            blue.fill(static_cast<std::uint16_t>(cb));
            red.fill(static_cast<std::uint16_t>(cr));
            const auto bytes = [](const auto& line) {
              return reinterpret_cast<const std::uint8_t*>(line.data());
            };
            map.apply({{bytes(luma), bytes(blue), bytes(red)}, {4, 4, 4}},
                      {{&out[0], &out[4], &out[5]}, {2, 1, 1}}, 2, 2);
            ASSERT_GE(out[0], 16);
            ASSERT_LE(out[0], 235);
            ASSERT_GE(std::min(out[4], out[5]), 16);
            ASSERT_LE(std::max(out[4], out[5]), 240);
          }
        }
      }
    }
  }
}

// --- What else a frame may be.

TEST(PictureScaler, EveryPixelFormatRendersOrIsNamed) {
  av::take_over_log();
  std::minstd_rand random(1);
  PictureScaler scaler(64, 36);
  auto canvas = scaler.make_canvas();
  int rendered = 0;
  int refused = 0;
  for (const auto* about = av_pix_fmt_desc_next(nullptr); about;
       about = av_pix_fmt_desc_next(about)) {
    const auto format = av_pix_fmt_desc_get_id(about);
    if (about->flags & AV_PIX_FMT_FLAG_FLOAT) continue;  // noise as numbers is no picture
    auto picture = av::make_frame();
    picture->width = 80;
    picture->height = 48;
    picture->format = format;
    if (av_frame_get_buffer(picture.get(), 0) == 0) {
      for (const auto* buffer : picture->buf) {
        for (std::size_t i = 0; buffer && i < buffer->size; ++i) {
          buffer->data[i] = static_cast<std::uint8_t>(random());
        }
      }
    }
    for (const auto transfer : {AVCOL_TRC_UNSPECIFIED, AVCOL_TRC_SMPTE2084, AVCOL_TRC_RESERVED}) {
      for (const int interlaced : {0, 1}) {
        picture->color_trc = transfer;
        picture->interlaced_frame = interlaced;
        const auto status = scaler.render(*picture, *canvas);
        if (status) {
          ++rendered;
        } else {
          ++refused;
          EXPECT_NE(status.error().message.find(about->name), std::string::npos)
              << status.error().message;
        }
      }
    }
    for (const auto wanted : {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_YUV444P,
                              AV_PIX_FMT_YUV444P12LE, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY10LE,
                              AV_PIX_FMT_GBRP, AV_PIX_FMT_GBRP12LE, AV_PIX_FMT_YUV420P14LE}) {
      if (format == wanted) {
        EXPECT_TRUE(scaler.render(*picture, *canvas)) << about->name;
      }
    }
  }
  RecordProperty("rendered", rendered);
  RecordProperty("refused", refused);
  EXPECT_GT(rendered, 500);
  EXPECT_GT(refused, 0);
}

TEST(PictureScaler, UnknownColourValuesNeverFail) {
  auto picture = make_picture(64, 48, AV_PIX_FMT_YUV420P10LE);
  for (const auto* buffer : picture->buf) {
    if (buffer) std::memset(buffer->data, 0x01, buffer->size);
  }
  PictureScaler scaler(64, 36);
  auto canvas = scaler.make_canvas();
  for (int value = 0; value < 24; ++value) {
    picture->colorspace = static_cast<AVColorSpace>(value % AVCOL_SPC_NB);
    picture->color_primaries = static_cast<AVColorPrimaries>(value);
    picture->color_trc = static_cast<AVColorTransferCharacteristic>(value % AVCOL_TRC_NB);
    picture->color_range = static_cast<AVColorRange>(value % AVCOL_RANGE_NB);
    EXPECT_TRUE(scaler.render(*picture, *canvas)) << value;
  }
}

TEST(PictureScaler, ARotationIsIgnored) {
  auto picture = make_picture(320, 180, AV_PIX_FMT_YUV420P);
  std::minstd_rand random(1);
  test::paint(*picture, {}, 5, random);
  PictureScaler scaler(640, 360);
  auto plain = scaler.make_canvas();
  auto turned = scaler.make_canvas();
  ASSERT_TRUE(scaler.render(*picture, *plain));
  auto* matrix = av_frame_new_side_data(picture.get(), AV_FRAME_DATA_DISPLAYMATRIX, 9 * 4);
  ASSERT_TRUE(matrix);
  const std::array<std::int32_t, 9> quarter = {0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30};
  std::memcpy(matrix->data, quarter.data(), sizeof(quarter));
  ASSERT_TRUE(scaler.render(*picture, *turned));
  for (int y = 0; y < 360; ++y) {
    ASSERT_EQ(std::memcmp(plain->data[0] + y * plain->linesize[0],
                          turned->data[0] + y * turned->linesize[0], 640),
              0);
  }
}

}  // namespace
}  // namespace mirror::transcode
