// Numbers in network byte order. The caller has made sure that the bytes are there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mirror::rtp {

inline std::uint16_t read_u16(std::span<const std::uint8_t> at) {
  return static_cast<std::uint16_t>(at[0] << 8U | at[1]);
}

inline std::uint32_t read_u32(std::span<const std::uint8_t> at) {
  return static_cast<std::uint32_t>(read_u16(at)) << 16U | read_u16(at.subspan(2));
}

inline std::uint64_t read_u64(std::span<const std::uint8_t> at) {
  return static_cast<std::uint64_t>(read_u32(at)) << 32U | read_u32(at.subspan(4));
}

inline void append_u16(std::vector<std::uint8_t>& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline void append_u32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  append_u16(out, static_cast<std::uint16_t>(value >> 16U));
  append_u16(out, static_cast<std::uint16_t>(value));
}

}  // namespace mirror::rtp
