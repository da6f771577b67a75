#include "burned_clock.h"

#include <algorithm>
#include <array>

namespace mirror::source {
namespace {

constexpr int kCells = 64;
constexpr int kColumns = 32;
constexpr int kAcross = 34;  // the width in cells, margins included
constexpr int kDown = 24;    // the height in units; a row of cells is two
constexpr std::uint64_t kStartPattern = 0xB2;
constexpr int kContrastMin = 40;

struct Rect {
  int x0, y0, x1, y1;
};

// The rectangle between these fractions of the plane, in pixels.
template <class Plane>
Rect rect_of(const Plane& plane, int x0, int x1, int y0, int y1) {
  return {plane.width * x0 / kAcross, plane.height * y0 / kDown, plane.width * x1 / kAcross,
          plane.height * y1 / kDown};
}

template <class Plane>
Rect cell_rect(const Plane& plane, int cell) {
  const int column = cell % kColumns;
  const int row = cell / kColumns;
  return rect_of(plane, 1 + column, 2 + column, 1 + 2 * row, 3 + 2 * row);
}

template <class Plane>
Rect flash_rect(const Plane& plane) {
  return rect_of(plane, 31, 33, 7, 10);
}

void fill(LumaPlane plane, Rect rect, std::uint8_t luma) {
  for (int y = rect.y0; y < rect.y1; ++y) {
    std::uint8_t* row = plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride;
    std::fill(row + rect.x0, row + rect.x1, luma);
  }
}

// Mean luma of the middle half of `rect`; at least one pixel.
int mean_of_middle(ConstLumaPlane plane, Rect rect) {
  const int quarter_x = (rect.x1 - rect.x0) / 4;
  const int quarter_y = (rect.y1 - rect.y0) / 4;
  long sum = 0;
  long count = 0;
  for (int y = rect.y0 + quarter_y; y < rect.y1 - quarter_y; ++y) {
    const std::uint8_t* row = plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride;
    for (int x = rect.x0 + quarter_x; x < rect.x1 - quarter_x; ++x) {
      sum += row[x];
      ++count;
    }
  }
  return count == 0 ? 0 : static_cast<int>(sum / count);
}

std::uint8_t crc8(std::uint64_t value) {
  std::uint8_t crc = 0;
  for (int byte = 5; byte >= 0; --byte) {
    crc = static_cast<std::uint8_t>(crc ^ (value >> (8 * byte)));
    for (int bit = 0; bit < 8; ++bit) {
      const bool carry = (crc & 0x80) != 0;
      crc = static_cast<std::uint8_t>(crc << 1);
      if (carry) crc ^= 0x07;
    }
  }
  return crc ^ 0x55;
}

bool cell_is_set(std::uint64_t cells, int cell) { return (cells >> (kCells - 1 - cell) & 1) != 0; }

bool flashes(BurnedTime time) { return time.time_since_epoch().count() % 1000 < 100; }

}  // namespace

std::uint64_t burned_cells(BurnedTime time) {
  const auto ms = static_cast<std::uint64_t>(time.time_since_epoch().count()) & 0xFFFF'FFFF'FFFF;
  return kStartPattern << 56 | ms << 8 | crc8(ms);
}

std::optional<BurnedTime> time_of_cells(std::uint64_t cells) {
  const std::uint64_t ms = cells >> 8 & 0xFFFF'FFFF'FFFF;
  if (cells >> 56 != kStartPattern || (cells & 0xFF) != crc8(ms)) return std::nullopt;
  return BurnedTime(std::chrono::milliseconds(ms));
}

void draw_burned_clock(LumaPlane plane, BurnedTime time, std::optional<BurnedTime> previous) {
  const std::uint64_t cells = burned_cells(time);
  const std::uint64_t shown = previous ? burned_cells(*previous) : ~cells;
  if (!previous) fill(plane, rect_of(plane, 0, kAcross, 0, 6), kBlackLuma);
  for (int cell = 0; cell < kCells; ++cell) {
    const bool set = cell_is_set(cells, cell);
    if (set == cell_is_set(shown, cell)) continue;
    fill(plane, cell_rect(plane, cell), set ? kWhiteLuma : kBlackLuma);
  }
  if (!previous || flashes(time) != flashes(*previous)) {
    fill(plane, flash_rect(plane), flashes(time) ? kWhiteLuma : kBlackLuma);
  }
}

std::optional<BurnedTime> read_burned_clock(ConstLumaPlane plane) {
  if (plane.width < 3 * kAcross || plane.height < 2 * kDown) return std::nullopt;
  std::array<int, kCells> luma{};
  for (int cell = 0; cell < kCells; ++cell) {
    luma[static_cast<std::size_t>(cell)] = mean_of_middle(plane, cell_rect(plane, cell));
  }
  int white = 0;
  int black = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    ((kStartPattern >> (7 - i) & 1) != 0 ? white : black) += luma[i];
  }
  if (white - black < 4 * kContrastMin) return std::nullopt;
  const int threshold = (white + black) / 8;
  std::uint64_t cells = 0;
  for (const int mean : luma) cells = cells << 1 | (mean > threshold ? 1U : 0U);
  return time_of_cells(cells);
}

bool read_flash(ConstLumaPlane plane) {
  return mean_of_middle(plane, flash_rect(plane)) > (kBlackLuma + kWhiteLuma) / 2;
}

}  // namespace mirror::source
