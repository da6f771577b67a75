// The burned clock: the wall-clock time of a frame as blocks that a program reads back out of the
// picture, after any number of decode, scale and encode steps. Pure functions, no state.
//
// Layout, as fractions of the picture (origin at the top left), so that any size reads the same;
// a reader in JavaScript needs nothing but this comment:
//
//   - 64 cells in 2 rows of 32. Cell i is row r = i / 32 (integer), column c = i % 32.
//       x from (1 + c) / 34 to (2 + c) / 34 of the width
//       y from (1 + 2 r) / 24 to (3 + 2 r) / 24 of the height
//     The frame round the cells (to x = 0, x = 1, y = 0 and y = 6/24) is black.
//   - A white cell is a 1, a black cell a 0. Cells 0..63 in order, most significant bit first:
//       cells  0..7   start pattern 1 0 1 1 0 0 1 0 (0xB2)
//       cells  8..55  milliseconds since 1970-01-01T00:00:00Z, 48 bits
//       cells 56..63  CRC-8 of those six bytes, most significant byte first: polynomial 0x07,
//                     initial value 0, not reflected, result xor 0x55 (the CRC-8 of ITU-T I.432.1)
//   - Reading: take the mean luma of the middle half of each cell (both ways). The threshold is
//   half
//     way between the mean of the four white and the mean of the four black cells of the start
//     pattern; there is no code where they differ by less than 40 of 255, where a cell of the
//     start pattern lies on the wrong side, or where the CRC is wrong.
//   - The flash: from the first frame at or after each full second, and while the burned
//     milliseconds modulo 1000 are below 100, the square from x = 31/34 to 33/34 and y = 7/24 to
//     10/24 is white, else black. The audio blip begins exactly at the full second.
//
// The time burned is the frame's own: the instant at which it was due, which is also what its pts
// stands for. At whole frame rates a frame is due at each full second exactly.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

namespace mirror::source {

using BurnedTime = std::chrono::sys_time<std::chrono::milliseconds>;

// One 8-bit luma plane, not owned.
struct LumaPlane {
  std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int stride = 0;  // bytes from one row to the next, at least `width`
};

struct ConstLumaPlane {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int stride = 0;
};

constexpr std::uint8_t kBlackLuma = 16;  // ITU-R BT.709, narrow range
constexpr std::uint8_t kWhiteLuma = 235;

// The 64 cells as one number, cell 0 in the most significant bit.
std::uint64_t burned_cells(BurnedTime time);
// The inverse; empty when the start pattern or the CRC is wrong.
std::optional<BurnedTime> time_of_cells(std::uint64_t cells);

// Draws the cells and the flash, only those that differ from `previous` (what the plane shows now);
// without `previous` it draws all, the black frame included. Needs at least 136x48.
void draw_burned_clock(LumaPlane plane, BurnedTime time,
                       std::optional<BurnedTime> previous = std::nullopt);

// The time burned into a picture of any size, 102x48 and up; empty when there is none.
std::optional<BurnedTime> read_burned_clock(ConstLumaPlane plane);
// Whether the flash shows.
bool read_flash(ConstLumaPlane plane);

}  // namespace mirror::source
