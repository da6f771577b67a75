// Which UDP ports the RTP inputs have. Pure; any thread.
//
// RTP has no name for a stream, so each input has ports of its own: media on an even or odd port P,
// RTCP on P + 1 (RFC 3550, 11), parity on P + 2 and P + 4 (SMPTE ST 2022-1, 8.1).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace mirror::ingest {

inline constexpr std::uint16_t kPortsApart = 6;

struct PortWish {
  std::uint16_t port = 0;   // 0: whichever comes
  bool with_fec = true;     // has the two ports more
  std::string multicast{};  // inputs of different groups may have the same ports
};

// For each input the port it wants, or, where that is 0, first_port + kPortsApart x its index among
// those that want none. The error names two inputs whose ports meet (by their place, counted from
// 1), or one that has no room below 65536.
Result<std::vector<std::uint16_t>> assign_ports(std::uint16_t first_port,
                                                std::span<const PortWish> wishes);

}  // namespace mirror::ingest
