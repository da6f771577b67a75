#include "transcode/tone_map.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mirror::transcode {
namespace {

constexpr double kSdrGamma = 2.4;        // BT.1886
constexpr double kReferenceWhite = 203;  // cd/m², BT.2408
constexpr double kPeak = 1000;           // cd/m²
constexpr double kHlgGamma = 1.2;        // BT.2100, table 5, for a display of kPeak

// --- BT.2100, table 4. Signal 0…1 ↔ cd/m².

constexpr double kM1 = 2610.0 / 16384;
constexpr double kM2 = 2523.0 / 4096 * 128;
constexpr double kC1 = 3424.0 / 4096;
constexpr double kC2 = 2413.0 / 4096 * 32;
constexpr double kC3 = 2392.0 / 4096 * 32;
constexpr double kPqPeak = 10'000;

double pq_to_light(double signal) {
  const double root = std::pow(signal, 1 / kM2);
  return kPqPeak * std::pow(std::max(root - kC1, 0.0) / (kC2 - kC3 * root), 1 / kM1);
}

double light_to_pq(double light) {
  const double power = std::pow(light / kPqPeak, kM1);
  return std::pow((kC1 + kC2 * power) / (1 + kC3 * power), kM2);
}

// --- BT.2100, table 5. Signal 0…1 → scene light 0…1.

double hlg_to_scene(double signal) {
  constexpr double kA = 0.17883277;
  constexpr double kB = 1 - 4 * kA;
  const double c = 0.5 - kA * std::log(4 * kA);
  return signal <= 0.5 ? signal * signal / 3 : (std::exp((signal - c) / kA) + kB) / 12;
}

// --- BT.2390, 5.4.1, black at 0. Light in and out with 1.0 for kReferenceWhite.

double eetf(double light) {
  const double source_peak = light_to_pq(kPeak);
  const double target = light_to_pq(kReferenceWhite) / source_peak;
  const double knee = 1.5 * target - 0.5;
  const double signal = std::min(light_to_pq(light * kReferenceWhite) / source_peak, 1.0);
  if (signal <= knee) return light;
  const double t = (signal - knee) / (1 - knee);
  const double t2 = t * t;
  const double t3 = t2 * t;
  const double mapped =
      (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * (1 - knee) + (-2 * t3 + 3 * t2) * target;
  return pq_to_light(mapped * source_peak) / kReferenceWhite;
}

// --- Primaries (ITU-T H.273, table 2): R, G, B → X, Y, Z.

using Matrix = std::array<double, 9>;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out{};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      for (int i = 0; i < 3; ++i) out[row * 3 + column] += a[row * 3 + i] * b[i * 3 + column];
    }
  }
  return out;
}

Matrix inverse(const Matrix& m) {
  Matrix out{m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
             m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
             m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
  const double determinant = m[0] * out[0] + m[1] * out[3] + m[2] * out[6];
  for (auto& value : out) value /= determinant;
  return out;
}

struct Chromaticity {
  double x;
  double y;
};

std::array<Chromaticity, 3> chromaticities_of(Primaries primaries) {
  switch (primaries) {
    case Primaries::kP3:
      return {{{0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}}};
    case Primaries::kBt2020:
      return {{{0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}}};
    case Primaries::kBt709:
      break;
  }
  return {{{0.640, 0.330}, {0.300, 0.600}, {0.150, 0.060}}};
}

Matrix to_xyz(Primaries primaries) {
  constexpr Chromaticity kD65{0.3127, 0.3290};
  const auto corners = chromaticities_of(primaries);
  Matrix matrix{};
  for (int i = 0; i < 3; ++i) {
    const auto& [x, y] = corners[i];
    matrix[i] = x / y;
    matrix[3 + i] = 1;
    matrix[6 + i] = (1 - x - y) / y;
  }
  // So much of each that together they make white.
  const auto shares = inverse(matrix);
  const std::array<double, 3> white{kD65.x / kD65.y, 1, (1 - kD65.x - kD65.y) / kD65.y};
  for (int i = 0; i < 3; ++i) {
    const double share =
        shares[i * 3] * white[0] + shares[i * 3 + 1] * white[1] + shares[i * 3 + 2] * white[2];
    for (int row = 0; row < 3; ++row) matrix[row * 3 + i] *= share;
  }
  return matrix;
}

// --- BT.709, table 3: 8 bits, limited range.

constexpr float kRed709 = 0.2126F;
constexpr float kGreen709 = 0.7152F;
constexpr float kBlue709 = 0.0722F;

// Half a step is in `value` already, and it lies within 0…255, as all does that comes of signals of
// 0…1. (The library's rounding is no vector instruction.)
std::uint8_t truncated(float value) {
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(value));
}

}  // namespace

// In the middle of the step: half of its error lies on each side.
template <int kFirstOctave, int kOctaves, int kBitsPerOctave>
double RatioTable<kFirstOctave, kOctaves, kBitsPerOctave>::light_at(int index) {
  if (index == kSize - 1) return std::ldexp(1.0, kFirstOctave + kOctaves);
  const int bits = ((kFirstIndex + index) << kShift) + (1 << (kShift - 1));
  return static_cast<double>(std::bit_cast<float>(bits));
}

ToneMap::ToneMap(const Colour& colour)
    : colour_(colour),
      hlg_gain_([](double luminance) {
        return kPeak / kReferenceWhite * std::pow(luminance, kHlgGamma - 1);
      }),
      tone_gain_([](double light) { return eetf(light) / light; }),
      // The first step holds all that is darker, black too.
      light_to_signal_([](double light) {
        return light < std::ldexp(1.01, -20) ? 0.0 : std::pow(light, 1 / kSdrGamma);
      }) {
  constexpr double kTop = kSignalSteps - 1;
  const auto [red, blue] = colour.weights;
  const double green = 1 - red - blue;
  const double chroma_scale = kTop / 896;
  luma_scale_ = static_cast<float>(kTop / 876);
  red_of_cr_ = static_cast<float>(2 * (1 - red) * chroma_scale);
  blue_of_cb_ = static_cast<float>(2 * (1 - blue) * chroma_scale);
  green_of_cr_ = static_cast<float>(-2 * (1 - red) * red / green * chroma_scale);
  green_of_cb_ = static_cast<float>(-2 * (1 - blue) * blue / green * chroma_scale);
  for (int i = 0; i < kSignalSteps; ++i) {
    const double signal = i / kTop;
    const double light = colour.transfer == Transfer::kPq    ? pq_to_light(signal) / kReferenceWhite
                         : colour.transfer == Transfer::kHlg ? hlg_to_scene(signal)
                                                             : std::pow(signal, kSdrGamma);
    signal_to_light_[i] = static_cast<float>(light);
  }
  const auto xyz = to_xyz(colour.primaries);
  const auto matrix = product(inverse(to_xyz(Primaries::kBt709)), xyz);
  for (int i = 0; i < 9; ++i) to_bt709_[i] = static_cast<float>(matrix[i]);
  for (int i = 0; i < 3; ++i) luminance_weights_[i] = static_cast<float>(xyz[3 + i]);
}

void ToneMap::apply(const Samples10& in, const Samples8& out, int width, int height) const {
  switch (colour_.transfer) {
    case Transfer::kSdr:
      return convert<Transfer::kSdr>(in, out, width, height);
    case Transfer::kPq:
      return convert<Transfer::kPq>(in, out, width, height);
    case Transfer::kHlg:
      return convert<Transfer::kHlg>(in, out, width, height);
  }
}

// Two rows and a few columns at a time: what shares chroma stays together.
template <Transfer kTransfer>
void ToneMap::convert(const Samples10& in, const Samples8& out, int width, int height) const {
  const auto source = [&](int plane, int row) {
    return reinterpret_cast<const std::uint16_t*>(in.planes[plane] + row * in.strides[plane]);
  };
  std::array<Block, 3> offsets;
  for (int row = 0; row + 1 < height; row += 2) {
    const auto* cb = source(1, row / 2);
    const auto* cr = source(2, row / 2);
    auto* blue = out.planes[1] + row / 2 * out.strides[1];
    auto* red = out.planes[2] + row / 2 * out.strides[2];
    for (int begin = 0; begin < width; begin += kBlock) {
      const int half = begin / 2;
      const int pairs = std::min(kBlock, width - begin) / 2;
      for (int i = 0; i < pairs; ++i) {
        const auto b = static_cast<float>(cb[half + i] - 512);
        const auto r = static_cast<float>(cr[half + i] - 512);
        offsets[0][2 * i] = offsets[0][2 * i + 1] = 0.5F + red_of_cr_ * r;
        offsets[1][2 * i] = offsets[1][2 * i + 1] = 0.5F + green_of_cb_ * b + green_of_cr_ * r;
        offsets[2][2 * i] = offsets[2][2 * i + 1] = 0.5F + blue_of_cb_ * b;
      }
      std::array<Block, 2> above;
      std::array<Block, 2> below;
      auto* luma = out.planes[0] + row * out.strides[0] + begin;
      convert_block<kTransfer>(source(0, row) + begin, offsets, 2 * pairs, luma, above);
      convert_block<kTransfer>(source(0, row + 1) + begin, offsets, 2 * pairs,
                               luma + out.strides[0], below);
      const auto mean = [&](int channel, int i) {
        return 128.5F + 0.25F * (above[channel][2 * i] + above[channel][2 * i + 1] +
                                 below[channel][2 * i] + below[channel][2 * i + 1]);
      };
      for (int i = 0; i < pairs; ++i) blue[half + i] = truncated(mean(0, i));
      for (int i = 0; i < pairs; ++i) red[half + i] = truncated(mean(1, i));
    }
  }
}

// Arithmetic and table look-ups take turns: compilers make vectors of the first, not of the second.
template <Transfer kTransfer>
void ToneMap::convert_block(const std::uint16_t* y, const std::array<Block, 3>& offsets, int count,
                            std::uint8_t* luma, std::array<Block, 2>& chroma) const {
  const auto m = to_bt709_;
  const auto weights = luminance_weights_;
  std::array<std::array<std::int32_t, kBlock>, 3> steps;
  std::array<Block, 3> light;
  std::array<std::int32_t, kBlock> gain_index;
  Block gain;
  const auto apply_gain = [&](const auto& table) {
    for (int i = 0; i < count; ++i) gain[i] = table.at(gain_index[i]);
    for (auto& channel : light) {
      for (int i = 0; i < count; ++i) channel[i] *= gain[i];
    }
  };
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = 0; i < count; ++i) {
      const float exactly = static_cast<float>(y[i] - 64) * luma_scale_ + offsets[channel][i];
      steps[channel][i] =
          static_cast<std::int32_t>(std::min(std::max(exactly, 0.0F), kSignalSteps - 1.0F));
    }
    for (int i = 0; i < count; ++i) light[channel][i] = signal_to_light_[steps[channel][i]];
  }
  if constexpr (kTransfer == Transfer::kHlg) {
    for (int i = 0; i < count; ++i) {
      gain_index[i] = hlg_gain_.index_of(weights[0] * light[0][i] + weights[1] * light[1][i] +
                                         weights[2] * light[2][i]);
    }
    apply_gain(hlg_gain_);
  }
  if constexpr (kTransfer != Transfer::kSdr) {
    for (int i = 0; i < count; ++i) {
      gain_index[i] =
          tone_gain_.index_of(std::max(std::max(light[0][i], light[1][i]), light[2][i]));
    }
    apply_gain(tone_gain_);
  }
  for (int i = 0; i < count; ++i) {
    const float r = light[0][i];
    const float g = light[1][i];
    const float b = light[2][i];
    steps[0][i] = light_to_signal_.index_of(m[0] * r + m[1] * g + m[2] * b);
    steps[1][i] = light_to_signal_.index_of(m[3] * r + m[4] * g + m[5] * b);
    steps[2][i] = light_to_signal_.index_of(m[6] * r + m[7] * g + m[8] * b);
  }
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = 0; i < count; ++i) light[channel][i] = light_to_signal_.at(steps[channel][i]);
  }
  for (int i = 0; i < count; ++i) {
    const float out = kRed709 * light[0][i] + kGreen709 * light[1][i] + kBlue709 * light[2][i];
    luma[i] = truncated(16.5F + 219 * out);
    chroma[0][i] = 224 / (2 * (1 - kBlue709)) * (light[2][i] - out);
    chroma[1][i] = 224 / (2 * (1 - kRed709)) * (light[0][i] - out);
  }
}

}  // namespace mirror::transcode
