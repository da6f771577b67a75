// A 5x7 bitmap font for what a person reads in the picture: digits, capitals and a few marks.
#pragma once

#include <array>
#include <cstdint>

namespace mirror::source {

constexpr int kGlyphWidth = 5;
constexpr int kGlyphHeight = 7;

// One row a byte, top first; bit 4 is the leftmost column.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

// Small letters are shown as capitals, and what the font does not have as a space.
const Glyph& glyph_of(char c);

}  // namespace mirror::source
