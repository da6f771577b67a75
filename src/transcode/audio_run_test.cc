#include "transcode/audio_run.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>

namespace mirror::transcode {
namespace {

// A sample clock that is wrong by 100 ppm beside its timestamps, for a day: 8.64 s of difference.
// Here five times as fast in a fifth of the time, which is harder: sound and picture stay together
// by adding or leaving out a sample now and then, and nothing is silenced or cut.
TEST(AudioRun, ADayOfDriftKeepsSoundAndPictureTogether) {
  constexpr std::int64_t kPieces = 86'400LL / 5 * kAudioRate / 1024;
  static constexpr std::array<float, 1024> kSound{};
  for (const double ppm : {500.0, -500.0}) {
    std::int64_t blocks = 0;
    AudioRun run([&](const StereoBlock&) -> Status {
      ++blocks;
      return {};
    });
    ASSERT_TRUE(run.restart(0));
    std::int64_t worst = 0;
    for (std::int64_t i = 0; i < kPieces; ++i) {
      const std::int64_t says = std::llround(static_cast<double>(i) * 1024 * (1 + ppm / 1e6));
      worst = std::max(worst, std::abs(says - run.position()));
      const auto placed = run.place(says, {kSound, kSound});
      ASSERT_TRUE(placed && *placed) << "piece " << i;
    }
    EXPECT_LE(worst, kAudioRate * 2 / 1000) << "2 ms, at " << ppm << " ppm";
    EXPECT_EQ(run.silent_samples(), 0);
    const double length = static_cast<double>(blocks) * kAacFrameSamples / kAudioRate;
    EXPECT_NEAR(length, 86'400.0 / 5 * (1 + ppm / 1e6), 0.1);
  }
}

}  // namespace
}  // namespace mirror::transcode
