// ToneMap: a picture of high dynamic range or wide gamut → 8-bit 4:2:0 BT.709, limited range.
//
// Works on a picture that is scaled already: its cost is that of the proxy's size, whatever the
// source's. A value of one media thread; makes its tables once and nothing after that allocates
// except for a wider picture. Knows no libav.
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
// The tables' error against the same in double precision is under 0.6 of an 8-bit step
// (tone_map_test).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

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

// 10 bits in each 16, 4:4:4, limited range. Strides in bytes.
struct Samples10 {
  std::array<const std::uint8_t*, 3> planes{};
  std::array<std::ptrdiff_t, 3> strides{};
};

// 8 bits, 4:2:0, limited range; chroma lies as in MPEG-2: beside the left one of two columns,
// between two rows (H.264's chroma_sample_loc_type 0, what a player assumes). Strides in bytes.
struct Samples8 {
  std::array<std::uint8_t*, 3> planes{};
  std::array<std::ptrdiff_t, 3> strides{};
};

// Values of a function of light, in steps of equal ratio: an index is the top bits of the number as
// a float. What lies outside takes the nearest end's value.
template <int kFirstOctave, int kOctaves, int kBitsPerOctave>
class RatioTable {
 public:
  template <typename Function>
  explicit RatioTable(Function&& function) {
    for (int i = 0; i < kSize; ++i) values_[i] = static_cast<float>(function(light_at(i)));
  }
  float operator()(float light) const { return values_[index_of(light)]; }

 private:
  static constexpr int kSize = (kOctaves << kBitsPerOctave) + 1;
  static constexpr int kShift = 23 - kBitsPerOctave;
  static constexpr int kFirstIndex = (127 + kFirstOctave) << kBitsPerOctave;

  static double light_at(int index);
  static int index_of(float light);

  std::array<float, kSize> values_;
};

class ToneMap {
 public:
  explicit ToneMap(const Colour& colour);

  const Colour& colour() const { return colour_; }
  // `width` and `height` are even; `out` may be a part of a larger canvas.
  void apply(const Samples10& in, const Samples8& out, int width, int height);

 private:
  static constexpr int kSignalSteps = 4096;

  struct Pixel {
    float red;
    float green;
    float blue;
  };
  template <Transfer kTransfer>
  void convert_row(const Samples10& in, int row, int width, std::uint8_t* luma, float* blue,
                   float* red) const;
  template <Transfer kTransfer>
  void convert(const Samples10& in, const Samples8& out, int width, int height);

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

  // Chroma of two rows, before it is halved; one more at the left, a copy of the first.
  std::array<std::vector<float>, 4> chroma_;
};

}  // namespace mirror::transcode
