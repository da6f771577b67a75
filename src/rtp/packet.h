// An RTP data packet (RFC 3550 5.1), as a view of the datagram that it came in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mirror::rtp {

struct Packet {
  std::uint8_t payload_type = 0;
  bool marker = false;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;  // in the payload's clock rate; of the sender's choice at first
  std::uint32_t ssrc = 0;
  // Without CSRCs, header extension and padding. May be empty.
  std::span<const std::uint8_t> payload;
};

// Empty when the datagram is no RTP packet: another version, cut off, or padded with more than it
// holds. RTCP on the same port (RFC 5761) is told apart by the caller, see rtcp.h.
std::optional<Packet> parse_packet(std::span<const std::uint8_t> datagram);

}  // namespace mirror::rtp
