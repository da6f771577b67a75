// Google Benchmark of transcode::StillMaker: the processor time of one still picture (scaled to 320
// wide, converted to JFIF's colours, coded), which a media thread pays every other second.
//
//   mirror-bench-stills [--benchmark_filter=…]
//
// The canvas is a gradient with edges, and so much grain; "bytes" is the last still's size, after
// the quantiser has followed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "transcode/picture_scaler.h"
#include "transcode/still_maker.h"

namespace mirror::transcode {
namespace {

av::Frame make_canvas(int width, int height, int grain) {
  auto canvas = PictureScaler(width, height).make_canvas();
  std::minstd_rand random(1);
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    for (int y = 0; y < height >> shift; ++y) {
      for (int x = 0; x < width >> shift; ++x) {
        const int noise = grain == 0 ? 0 : static_cast<int>(random() % (2U * grain + 1)) - grain;
        const int edge = (x / 24 + y / 24) % 5 == 0 ? 60 : 0;
        const int value = 48 + (x + 2 * y) * 128 / (width + 2 * height) + (plane == 0 ? edge : 0);
        canvas->data[plane][std::ptrdiff_t{y} * canvas->linesize[plane] + x] =
            static_cast<std::uint8_t>(std::clamp(value + noise, 16, 235));
      }
    }
  }
  return canvas;
}

void BM_Still(benchmark::State& state) {
  const auto width = static_cast<int>(state.range(0));
  const auto canvas = make_canvas(width, width * 9 / 16, static_cast<int>(state.range(1)));
  StillMaker maker({});
  std::size_t bytes = 0;
  std::chrono::seconds time{0};
  for (auto _ : state) {
    auto still = maker.make(*canvas, time, {});
    if (!still) return state.SkipWithError(still.error().message.c_str());
    bytes = still->jpeg.size();
    time += std::chrono::seconds(2);
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Still)
    ->ArgNames({"width", "grain"})
    ->ArgsProduct({{640, 1280}, {0, 4, 24}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mirror::transcode

BENCHMARK_MAIN();
