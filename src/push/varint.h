// Variable-length integers of RFC 9000, 16: two bits of length, then 6, 14, 30 or 62 bits, most
// significant first. Written in the shortest form; read in any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mirror::push {

inline constexpr std::uint64_t kVarintMax = (std::uint64_t{1} << 62) - 1;

// A value above kVarintMax is written as kVarintMax.
inline void append_varint(std::string& out, std::uint64_t value) {
  value = std::min(value, kVarintMax);
  const unsigned form = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x4000'0000 ? 2 : 3;
  const int bytes = 1 << form;
  value |= std::uint64_t{form} << (8 * bytes - 2);
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

// Takes one off the front; none, with `bytes` untouched, when it is not there as a whole.
inline std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t>& bytes) {
  if (bytes.empty()) return std::nullopt;
  const std::size_t size = std::size_t{1} << (bytes[0] >> 6);
  if (bytes.size() < size) return std::nullopt;
  std::uint64_t value = bytes[0] & 0x3f;
  for (std::size_t i = 1; i < size; ++i) value = value << 8 | bytes[i];
  bytes = bytes.subspan(size);
  return value;
}

}  // namespace mirror::push
