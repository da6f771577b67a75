// One transport stream packet, parsed (ISO/IEC 13818-1, 2.4.3.2). A view of 188 bytes; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mirror::mpegts {

inline constexpr std::size_t kPacketBytes = 188;
inline constexpr std::uint8_t kSyncByte = 0x47;
inline constexpr std::uint16_t kPatPid = 0x0000;
inline constexpr std::uint16_t kNullPid = 0x1fff;
inline constexpr std::size_t kPidCount = 8192;

struct Packet {
  std::uint16_t pid = kNullPid;
  bool transport_error = false;
  bool payload_unit_start = false;
  bool scrambled = false;
  bool has_payload = false;
  bool discontinuity = false;  // discontinuity_indicator
  bool stuffed = false;        // the adaptation field holds stuffing
  std::uint8_t continuity_counter = 0;
  std::optional<std::uint64_t> pcr;  // 27 MHz: 33 bits of base times 300, plus 9 of extension
  std::span<const std::uint8_t> payload;
};

// `bytes` begin with the sync byte. Nothing when the fields contradict one another.
std::optional<Packet> parse_packet(std::span<const std::uint8_t, kPacketBytes> bytes);

}  // namespace mirror::mpegts
