// Google Benchmark of transcode::PictureScaler: a 1080-line picture to 640x360, by what it is.
//
//   mirror-bench-scaler [--benchmark_filter=…]
//
// Argument: 0 8-bit BT.709, 1 10-bit BT.709, 2 10-bit BT.2020, 3 PQ, 4 HLG, 5 8-bit 1080i,
// 6 8-bit 576i. ToneMap alone is measured too: arguments 0 SDR, 1 PQ, 2 HLG.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "transcode/picture_scaler.h"
#include "transcode/tone_map.h"

namespace mirror::transcode {
namespace {

// Noise over a gradient: as many table entries as a natural picture touches, if not more.
template <typename Sample>
void paint(AVFrame& frame, int bits) {
  std::minstd_rand random(1);
  for (int plane = 0; plane < 3; ++plane) {
    const int height = plane == 0 ? frame.height : frame.height / 2;
    const int width = plane == 0 ? frame.width : frame.width / 2;
    for (int y = 0; y < height; ++y) {
      auto* line =
          reinterpret_cast<Sample*>(frame.data[plane] + std::ptrdiff_t{y} * frame.linesize[plane]);
      for (int x = 0; x < width; ++x) {
        const int value = plane == 0 ? 40 + x * 140 / width : 112 + y * 32 / height;
        line[x] = static_cast<Sample>((value << (bits - 8)) + static_cast<int>(random() % 16));
      }
    }
  }
}

void render(benchmark::State& state) {
  const auto kind = state.range(0);
  const bool ten = kind >= 1 && kind <= 4;
  auto picture = av::make_frame();
  picture->width = kind == 6 ? 720 : 1920;
  picture->height = kind == 6 ? 576 : 1080;
  picture->format = ten ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P;
  if (av_frame_get_buffer(picture.get(), 0) < 0) std::abort();
  picture->colorspace = kind >= 2 && kind <= 4 ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_BT709;
  picture->color_primaries = kind >= 2 && kind <= 4 ? AVCOL_PRI_BT2020 : AVCOL_PRI_BT709;
  picture->color_trc = kind == 3   ? AVCOL_TRC_SMPTE2084
                       : kind == 4 ? AVCOL_TRC_ARIB_STD_B67
                                   : AVCOL_TRC_BT709;
  picture->interlaced_frame = kind >= 5;
  if (ten) {
    paint<std::uint16_t>(*picture, 10);
  } else {
    paint<std::uint8_t>(*picture, 8);
  }
  PictureScaler scaler(640, 360);
  auto canvas = scaler.make_canvas();
  for (auto _ : state) {
    if (!scaler.render(*picture, *canvas)) std::abort();
    benchmark::DoNotOptimize(canvas->data[0][0]);
  }
}
BENCHMARK(render)->DenseRange(0, 6)->Unit(benchmark::kMicrosecond);

void tone_map(benchmark::State& state) {
  constexpr int kWidth = 640;
  constexpr int kHeight = 360;
  ToneMap map({static_cast<Transfer>(state.range(0)), Primaries::kBt2020, {0.2627, 0.0593}});
  std::array<std::vector<std::uint16_t>, 3> in;
  std::minstd_rand random(1);
  for (auto& plane : in) {
    for (int i = 0; i < kWidth * kHeight; ++i) {
      plane.push_back(static_cast<std::uint16_t>(480 + i % kWidth / 10 + random() % 8));
    }
  }
  std::vector<std::uint8_t> out(kWidth * kHeight * 3 / 2);
  const auto bytes = [&](int plane) {
    return reinterpret_cast<const std::uint8_t*>(in[plane].data());
  };
  for (auto _ : state) {
    map.apply({{bytes(0), bytes(1), bytes(2)}, {2 * kWidth, kWidth, kWidth}},
              {{&out[0], &out[kWidth * kHeight], &out[kWidth * kHeight * 5 / 4]},
               {kWidth, kWidth / 2, kWidth / 2}},
              kWidth, kHeight);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(tone_map)->DenseRange(0, 2)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mirror::transcode

BENCHMARK_MAIN();
