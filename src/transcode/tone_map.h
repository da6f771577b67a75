// ToneMap: a picture of high dynamic range or wide gamut → 8-bit 4:2:0 BT.709, limited range.
//
// Works on a picture that is scaled already: its cost is that of the proxy's size, whatever the
// source's. Four pixels that share chroma go in with it, and their mean comes out. Makes its tables
// (58 KB) once; constant after that. Knows no libav.
//
// The way of a colour, all of it in display light, 1.0 being the SDR display's white:
//  1. Y'CbCr → R'G'B' by the source's luma weights, clipped to 0…1.
//  2. R'G'B' → light. PQ: the EOTF of ITU-R BT.2100, table 4. HLG: table 5's inverse OETF and OOTF
//     for a display of 1000 cd/m² (system gamma 1.2). SDR: ITU-R BT.1886, gamma 2.4 without lift.
//  3. PQ and HLG: 203 cd/m², the reference white of ITU-R BT.2408, is what SDR's white stands for.
//     The EETF of ITU-R BT.2390, 5.4.1 compresses 0…1000 cd/m² into 0…203: light below 90 cd/m² is
//     left alone, reference white comes out as 90 % of the signal. It is applied to the largest of
//     R, G and B, and the two others follow in proportion, so that no hue turns where it
//     compresses.
//  4. Primaries → BT.709's by the 3x3 matrix of linear light; what lies outside its gamut is
//     clipped (ITU-R BT.2407, 3).
//  5. The inverse of BT.1886, and BT.709's matrix.
//
// The peak is always 1000 cd/m², what live production is made for (BT.2408), brighter light is
// white: metadata that changes in mid-programme would be seen as a change of the picture's
// brightness.
//
// Error of tables and of eight bits together, over the whole cube of BT.2020 signals, against
// double precision: CIEDE2000 0.2 in the mean, 1.4 at most (colour_test).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mirror::transcode {

enum class Transfer { kSdr, kPq, kHlg };
// All with the white point D65.
enum class Primaries { kBt709, kP3, kBt2020 };

// K_R and K_B of a Y'CbCr matrix (ITU-T H.273, 8.3).
struct LumaWeights {
  double red = 0.2126;
  double blue = 0.0722;
  friend bool operator==(const LumaWeights&, const LumaWeights&) = default;
};

struct Colour {
  Transfer transfer = Transfer::kSdr;
  Primaries primaries = Primaries::kBt709;
  LumaWeights weights;
  friend bool operator==(const Colour&, const Colour&) = default;
};

// 10 bits in each 16, 4:2:0, limited range. Strides in bytes.
struct Samples10 {
  std::array<const std::uint8_t*, 3> planes{};
  std::array<std::ptrdiff_t, 3> strides{};
};

// 8 bits, 4:2:0, limited range; chroma lies where it lay. Strides in bytes.
struct Samples8 {
  std::array<std::uint8_t*, 3> planes{};
  std::array<std::ptrdiff_t, 3> strides{};
};

// Values of a function of light, in steps of equal ratio: an index is the top bits of the number as
// a float. What lies outside takes the nearest end's value.
template <int kFirstOctave, int kOctaves, int kBitsPerOctave>
class RatioTable {
 public:
  explicit RatioTable(double (*function)(double)) {
    for (int i = 0; i < kSize; ++i) values_[i] = static_cast<float>(function(light_at(i)));
  }
  // Held within the table while still a float, which vectors can do.
  static int index_of(float light) {
    constexpr float kLowest = std::bit_cast<float>(kFirstIndex << kShift);
    constexpr float kHighest = std::bit_cast<float>((kFirstIndex + kSize - 1) << kShift);
    return (std::bit_cast<std::int32_t>(std::min(std::max(light, kLowest), kHighest)) >> kShift) -
           kFirstIndex;
  }
  float at(int index) const { return values_[index]; }

 private:
  static constexpr int kSize = (kOctaves << kBitsPerOctave) + 1;
  static constexpr int kShift = 23 - kBitsPerOctave;
  static constexpr int kFirstIndex = (127 + kFirstOctave) << kBitsPerOctave;

  static double light_at(int index);

  std::array<float, kSize> values_;
};

class ToneMap {
 public:
  explicit ToneMap(const Colour& colour);

  const Colour& colour() const { return colour_; }
  // `width` and `height` are even; `out` may be a part of a larger canvas.
  void apply(const Samples10& in, const Samples8& out, int width, int height) const;

 private:
  static constexpr int kSignalSteps = 4096;

  static constexpr int kBlock = 64;
  using Block = std::array<float, kBlock>;

  template <Transfer kTransfer>
  void convert(const Samples10& in, const Samples8& out, int width, int height) const;
  // A piece of a row: `offsets` is what chroma adds to luma in R, G and B, in steps of
  // signal_to_light_, and half a step; `chroma` becomes Cb and Cr, with zero in their middle.
  template <Transfer kTransfer>
  void convert_block(const std::uint16_t* y, const std::array<Block, 3>& offsets, int count,
                     std::uint8_t* luma, std::array<Block, 2>& chroma) const;

  const Colour colour_;

  // Y'CbCr of 10 bits → steps of signal_to_light_.
  float luma_scale_;
  float red_of_cr_;
  float green_of_cb_;
  float green_of_cr_;
  float blue_of_cb_;
  std::array<float, kSignalSteps> signal_to_light_;
  std::array<float, 3> luminance_weights_;  // of the source's primaries
  RatioTable<-20, 20, 7> hlg_gain_;         // of scene luminance
  RatioTable<-2, 8, 7> tone_gain_;          // of the largest of R, G, B
  std::array<float, 9> to_bt709_;
  RatioTable<-20, 20, 8> light_to_signal_;
};

}  // namespace mirror::transcode
