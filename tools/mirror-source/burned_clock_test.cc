#include "burned_clock.h"

#include <gtest/gtest.h>

extern "C" {
#include <libswscale/swscale.h>
}

#include <array>
#include <tuple>
#include <vector>

namespace mirror::source {
namespace {

using std::chrono::milliseconds;

constexpr BurnedTime kTime(milliseconds(1'767'225'599'937));

struct Picture {
  Picture(int w, int h, std::uint8_t luma)
      : width(w),
        height(h),
        pixels(static_cast<std::size_t>(w) * static_cast<std::size_t>(h), luma) {}
  LumaPlane plane() { return {pixels.data(), width, height, width}; }
  ConstLumaPlane view() const { return {pixels.data(), width, height, width}; }

  int width;
  int height;
  std::vector<std::uint8_t> pixels;
};

Picture scaled(const Picture& in, int width, int height) {
  Picture out(width, height, 0);
  SwsContext* scaler = sws_getContext(in.width, in.height, AV_PIX_FMT_GRAY8, width, height,
                                      AV_PIX_FMT_GRAY8, SWS_AREA, nullptr, nullptr, nullptr);
  const std::array<const std::uint8_t*, 4> source{in.pixels.data()};
  const std::array<int, 4> source_stride{in.width};
  const std::array<std::uint8_t*, 4> target{out.pixels.data()};
  const std::array<int, 4> target_stride{width};
  sws_scale(scaler, source.data(), source_stride.data(), 0, in.height, target.data(),
            target_stride.data());
  sws_freeContext(scaler);
  return out;
}

TEST(BurnedClock, NoticesAnyWrongCell) {
  const std::uint64_t cells = burned_cells(kTime);
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(time_of_cells(cells ^ (1ULL << bit)), std::nullopt) << "bit " << bit;
  }
  EXPECT_EQ(time_of_cells(cells), kTime);
}

// A value worked out by hand in another language, for the reader in JavaScript to test against.
TEST(BurnedClock, KnownCells) { EXPECT_EQ(burned_cells(kTime), 0xB2019B76DAA7C1B2ULL); }

class BurnedClockScaled : public testing::TestWithParam<std::tuple<int, int, int, int>> {};

TEST_P(BurnedClockScaled, SurvivesScaling) {
  const auto [from_width, from_height, to_width, to_height] = GetParam();
  Picture source(from_width, from_height, 128);
  draw_burned_clock(source.plane(), kTime);
  const Picture small = scaled(source, to_width, to_height);
  EXPECT_EQ(read_burned_clock(small.view()), kTime);
  EXPECT_FALSE(read_flash(small.view()));
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, BurnedClockScaled,
    testing::Values(std::tuple(1280, 720, 640, 360), std::tuple(1920, 1080, 640, 360),
                    std::tuple(1280, 720, 213, 120), std::tuple(640, 360, 213, 120),
                    std::tuple(640, 360, 640, 360), std::tuple(720, 576, 320, 180)));

TEST(BurnedClock, DrawnStepByStepIsDrawnAtOnce) {
  Picture step(640, 360, 128);
  Picture whole(640, 360, 128);
  draw_burned_clock(step.plane(), kTime);
  BurnedTime shown = kTime;
  for (int i = 1; i < 100; ++i) {
    const BurnedTime next = kTime + milliseconds(i * 33);
    draw_burned_clock(step.plane(), next, shown);
    shown = next;
    EXPECT_EQ(read_burned_clock(step.view()), next);
  }
  draw_burned_clock(whole.plane(), shown);
  EXPECT_EQ(step.pixels, whole.pixels);
}

TEST(BurnedClock, FlashesInTheFirstTenthOfASecond) {
  Picture picture(640, 360, 128);
  draw_burned_clock(picture.plane(), BurnedTime(milliseconds(1'767'225'600'000)));
  EXPECT_TRUE(read_flash(picture.view()));
  draw_burned_clock(picture.plane(), BurnedTime(milliseconds(1'767'225'600'100)));
  EXPECT_FALSE(read_flash(picture.view()));
}

TEST(BurnedClock, FindsNothingInOtherPictures) {
  EXPECT_EQ(read_burned_clock(Picture(640, 360, 128).view()), std::nullopt);
  EXPECT_EQ(read_burned_clock(Picture(16, 16, 0).view()), std::nullopt);
  EXPECT_EQ(read_burned_clock(Picture(0, 0, 0).view()), std::nullopt);
  Picture ramp(640, 360, 0);
  for (std::size_t i = 0; i < ramp.pixels.size(); ++i) {
    ramp.pixels[i] = static_cast<std::uint8_t>(i * 2'654'435'761U >> 16);
  }
  EXPECT_EQ(read_burned_clock(ramp.view()), std::nullopt);
}

}  // namespace
}  // namespace mirror::source
