// Which UDP ports the RTP inputs have. Pure; any thread.
//
// RTP has no name for a stream, so each input has ports of its own: media on an even or odd port P,
// RTCP on P + 1 (RFC 3550, 11), parity on P + 2 and P + 4 (SMPTE ST 2022-1, 8.1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace mirror::ingest {

inline constexpr std::uint16_t kPortsApart = 6;

// For each input the port it wants, or, where that is 0, first_port + kPortsApart x its index among
// those that want none. The error names two inputs whose ports meet (by their place, counted from
// 1), or one that has no room below 65536. `with_fec` says of each whether it has the two ports
// more; of the same length as `wanted`.
Result<std::vector<std::uint16_t>> assign_ports(std::uint16_t first_port,
                                                std::span<const std::uint16_t> wanted,
                                                const std::vector<bool>& with_fec);

}  // namespace mirror::ingest
