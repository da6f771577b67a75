// TestCard: the picture of the synthetic feed, drawn frame by frame.
//
// From the top: the burned clock (burned_clock.h), the same time as large digits, the feed's name
// and the frame number, colour bars with a box that bounces across them, and a bar that crosses the
// picture once a second, so that a person sees a stall. Only what changed is drawn again: a 720p
// frame costs a few microseconds. Used by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"
#include "burned_clock.h"

namespace mirror::source {

// An 8-bit 4:2:0 picture, planes without padding.
struct Picture {
  int width = 0;
  int height = 0;
  // Y, Cb, Cr; the last two are half as wide and high.
  std::array<std::vector<std::uint8_t>, 3> planes;

  LumaPlane luma() { return {planes[0].data(), width, height, width}; }
};

class TestCard {
 public:
  // `width` and `height` are even, from 136x96 to 8192x4320. The name is cut to 16 characters.
  // `grain_percent` of the colour bars is fresh noise in each frame, for feeds of a high rate.
  static Result<TestCard> create(int width, int height, const std::string& name,
                                 int grain_percent = 0);

  const Picture& draw(BurnedTime time, std::int64_t frame_number);

 private:
  struct Colour {
    std::uint8_t y, cb, cr;
  };
  struct Rect {
    int x0, y0, x1, y1;  // even
  };
  // One line of text; remembers what it shows.
  struct TextLine {
    int y = 0;
    int scale = 1;
    std::size_t length = 0;
    std::string shown;
  };

  TestCard(int width, int height, std::string name, int grain_percent);
  void draw_background();
  void fill(Rect rect, Colour colour);
  void restore(Rect rect);
  void draw_text(TextLine& line, const std::string& text);
  void draw_glyph(int x, int y, int scale, char c);
  Rect box_at(std::int64_t time_ms) const;
  Rect sweep_at(std::int64_t time_ms) const;
  void draw_grain();

  std::string name_;
  int grain_percent_;
  Picture picture_;
  Picture background_;
  TextLine clock_line_;
  TextLine name_line_;
  std::optional<BurnedTime> shown_;
  std::vector<std::uint8_t> noise_;  // empty without grain
  std::minstd_rand random_;
};

}  // namespace mirror::source
