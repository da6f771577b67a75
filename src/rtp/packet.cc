#include "rtp/packet.h"

#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

constexpr std::size_t kFixedHeaderBytes = 12;
constexpr std::size_t kExtensionHeaderBytes = 4;
constexpr std::uint8_t kVersion = 2;

}  // namespace

std::optional<Packet> parse_packet(std::span<const std::uint8_t> datagram) {
  if (datagram.size() < kFixedHeaderBytes || datagram[0] >> 6U != kVersion) return std::nullopt;
  const bool padded = (datagram[0] & 0x20U) != 0;
  const bool extended = (datagram[0] & 0x10U) != 0;
  const std::size_t sources = datagram[0] & 0x0fU;

  Packet packet{.payload_type = static_cast<std::uint8_t>(datagram[1] & 0x7fU),
                .marker = (datagram[1] & 0x80U) != 0,
                .sequence = read_u16(datagram.subspan(2)),
                .timestamp = read_u32(datagram.subspan(4)),
                .ssrc = read_u32(datagram.subspan(8)),
                .payload = {}};

  std::size_t begin = kFixedHeaderBytes + 4 * sources;
  if (extended) {
    if (datagram.size() < begin + kExtensionHeaderBytes) return std::nullopt;
    begin += kExtensionHeaderBytes + 4U * read_u16(datagram.subspan(begin + 2));
  }
  if (datagram.size() < begin) return std::nullopt;
  packet.payload = datagram.subspan(begin);
  if (padded) {
    const std::size_t padding = packet.payload.empty() ? 0 : packet.payload.back();
    if (padding == 0 || padding > packet.payload.size()) return std::nullopt;
    packet.payload = packet.payload.first(packet.payload.size() - padding);
  }
  return packet;
}

}  // namespace mirror::rtp
