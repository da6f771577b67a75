#include "test_card.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "font.h"

namespace mirror::source {
namespace {

constexpr int kDown = 24;  // vertical units of the layout, as in burned_clock.h
constexpr std::size_t kNameLengthMax = 16;
constexpr std::size_t kClockLength = 12;                      // HH:MM:SS.mmm
constexpr std::size_t kNameLineLength = kNameLengthMax + 10;  // " #" and eight digits
constexpr int kGlyphAdvance = kGlyphWidth + 1;

Picture blank(int width, int height) {
  Picture picture;
  picture.width = width;
  picture.height = height;
  const auto w = static_cast<std::size_t>(width);
  const auto h = static_cast<std::size_t>(height);
  picture.planes[0].assign(w * h, kBlackLuma);
  picture.planes[1].assign(w / 2 * (h / 2), 128);
  picture.planes[2].assign(w / 2 * (h / 2), 128);
  return picture;
}

int even(int value) { return value & ~1; }

// Where something is after `position` steps that runs from 0 to `span` and back.
int bounce(std::int64_t position, int span) {
  if (span <= 0) return 0;
  const auto phase = static_cast<int>(position % (2 * std::int64_t{span}));
  return phase < span ? phase : 2 * span - phase;
}

}  // namespace

Result<TestCard> TestCard::create(int width, int height, const std::string& name,
                                  int grain_percent) {
  if (width % 2 != 0 || height % 2 != 0) return fail("{}x{}: both must be even", width, height);
  if (width < 136 || height < 96 || width > 8192 || height > 4320) {
    return fail("{}x{}: must be from 136x96 to 8192x4320", width, height);
  }
  return TestCard(width, height, name.substr(0, kNameLengthMax), grain_percent);
}

TestCard::TestCard(int width, int height, std::string name, int grain_percent)
    : name_(std::move(name)), grain_percent_(grain_percent), picture_(blank(width, height)) {
  const auto text_line = [&](int row, int room, std::size_t length) {
    const int by_width = width * 8 / 10 / (static_cast<int>(length) * kGlyphAdvance);
    const int by_height = height * room / kDown / kGlyphHeight;
    return TextLine{even(height * row / kDown), std::max(1, std::min(by_width, by_height)), length,
                    std::string(length, '\0')};
  };
  clock_line_ = text_line(7, 4, kClockLength);
  name_line_ = text_line(12, 1, kNameLineLength);
  draw_background();
  background_ = picture_;
  if (grain_percent_ > 0) noise_.resize(static_cast<std::size_t>(width) * 8);
  for (std::uint8_t& luma : noise_) luma = static_cast<std::uint8_t>(48 + random_() / 64 % 160);
}

void TestCard::draw_background() {
  const int width = picture_.width;
  const int height = picture_.height;
  // Everything above the bars is black; then 75 % colour bars (ITU-R BT.471), a ramp below them.
  constexpr std::array<Colour, 7> kBars{{{180, 128, 128},
                                         {168, 44, 136},
                                         {145, 147, 44},
                                         {133, 63, 52},
                                         {63, 193, 204},
                                         {51, 109, 212},
                                         {28, 212, 120}}};
  const int top = even(height * 14 / kDown);
  const int ramp = even(height * 21 / kDown);
  const int bottom = even(height * 23 / kDown);
  for (int i = 0; i < 7; ++i) {
    fill({even(width * i / 7), top, even(width * (i + 1) / 7), ramp},
         kBars[static_cast<std::size_t>(i)]);
  }
  for (int i = 0; i < 32; ++i) {
    const auto luma = static_cast<std::uint8_t>(kBlackLuma + i * 219 / 31);
    fill({even(width * i / 32), ramp, even(width * (i + 1) / 32), bottom}, {luma, 128, 128});
  }
}

const Picture& TestCard::draw(BurnedTime time, std::int64_t frame_number) {
  const std::int64_t ms = time.time_since_epoch().count();
  if (shown_) {
    restore(box_at(shown_->time_since_epoch().count()));
    restore(sweep_at(shown_->time_since_epoch().count()));
  }
  if (grain_percent_ > 0) draw_grain();
  fill(box_at(ms), {kWhiteLuma, 128, 128});
  fill(sweep_at(ms), {kWhiteLuma, 128, 128});
  draw_burned_clock(picture_.luma(), time, shown_);
  shown_ = time;

  const std::int64_t day_ms = ms % 86'400'000;
  draw_text(clock_line_, fmt::format("{:02}:{:02}:{:02}.{:03}", day_ms / 3'600'000,
                                     day_ms / 60'000 % 60, day_ms / 1000 % 60, day_ms % 1000));
  const std::string name = fmt::format("{} #{:08}", name_, frame_number % 100'000'000);
  draw_text(name_line_, fmt::format("{:^{}}", name, kNameLineLength));
  return picture_;
}

void TestCard::fill(Rect rect, Colour colour) {
  const auto fill_plane = [&](std::size_t index, int shift, std::uint8_t value) {
    const int stride = picture_.width >> shift;
    for (int y = rect.y0 >> shift; y < rect.y1 >> shift; ++y) {
      std::uint8_t* row = picture_.planes[index].data() + std::ptrdiff_t{y} * stride;
      std::fill(row + (rect.x0 >> shift), row + (rect.x1 >> shift), value);
    }
  };
  fill_plane(0, 0, colour.y);
  fill_plane(1, 1, colour.cb);
  fill_plane(2, 1, colour.cr);
}

void TestCard::restore(Rect rect) {
  for (std::size_t index = 0; index < 3; ++index) {
    const int shift = index == 0 ? 0 : 1;
    const int stride = picture_.width >> shift;
    for (int y = rect.y0 >> shift; y < rect.y1 >> shift; ++y) {
      const std::ptrdiff_t begin = std::ptrdiff_t{y} * stride + (rect.x0 >> shift);
      const std::uint8_t* from = background_.planes[index].data() + begin;
      std::copy(from, from + ((rect.x1 - rect.x0) >> shift), picture_.planes[index].data() + begin);
    }
  }
}

// Rows of one long stretch of noise, each from a place of its own: cheap, and nothing to predict
// from.
void TestCard::draw_grain() {
  const auto width = static_cast<std::size_t>(picture_.width);
  const int top = even(picture_.height * 14 / kDown);
  const int bottom = even(picture_.height * 21 / kDown);
  const int end = top + (bottom - top) * grain_percent_ / 100;
  for (int y = top; y < end; ++y) {
    const std::size_t from = random_() / 64 % (noise_.size() - width);
    std::copy_n(noise_.data() + from, width,
                picture_.planes[0].data() + std::ptrdiff_t{y} * picture_.width);
  }
}

TestCard::Rect TestCard::box_at(std::int64_t time_ms) const {
  const int size = even(picture_.height / 12);
  const int top = even(picture_.height * 14 / kDown);
  const int span_x = picture_.width - size;
  const int span_y = even(picture_.height * 21 / kDown) - top - size;
  // A fifth of the width and a seventh of the height a second, so that no cycle repeats soon.
  const int x = even(bounce(time_ms % 1'000'000 * picture_.width / 5000, span_x));
  const int y = top + even(bounce(time_ms % 1'000'000 * picture_.height / 7000, span_y));
  return {x, y, x + size, y + size};
}

TestCard::Rect TestCard::sweep_at(std::int64_t time_ms) const {
  const int bar = even(picture_.width / 24);
  const int x = even(static_cast<int>(time_ms % 1000 * (picture_.width - bar) / 1000));
  return {x, even(picture_.height * 23 / kDown), x + bar, picture_.height};
}

void TestCard::draw_text(TextLine& line, const std::string& text) {
  const int width = static_cast<int>(line.length) * kGlyphAdvance * line.scale;
  const int left = (picture_.width - width) / 2;
  for (std::size_t i = 0; i < line.length; ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    if (c == line.shown[i]) continue;
    draw_glyph(left + static_cast<int>(i) * kGlyphAdvance * line.scale, line.y, line.scale, c);
    line.shown[i] = c;
  }
}

void TestCard::draw_glyph(int x, int y, int scale, char c) {
  const Glyph& glyph = glyph_of(c);
  for (int row = 0; row < kGlyphHeight * scale; ++row) {
    std::uint8_t* luma = picture_.planes[0].data() + std::ptrdiff_t{y + row} * picture_.width + x;
    const unsigned bits = glyph[static_cast<std::size_t>(row / scale)];
    for (int column = 0; column < kGlyphWidth; ++column) {
      const bool set = (bits >> (kGlyphWidth - 1 - column) & 1) != 0;
      std::fill_n(luma + column * scale, scale, set ? kWhiteLuma : kBlackLuma);
    }
  }
}

}  // namespace mirror::source
