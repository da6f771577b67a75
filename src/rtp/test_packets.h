// RTP packets as a sender would make them, for tests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mirror::rtp::test {

using Datagram = std::vector<std::uint8_t>;

inline void put(Datagram& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(shift < 64 ? static_cast<std::uint8_t>(value >> shift) : std::uint8_t{0});
  }
}

struct PacketFields {
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0x11223344;
  std::uint8_t payload_type = 33;
  bool marker = false;
};

inline Datagram packet(const PacketFields& fields, std::span<const std::uint8_t> payload) {
  Datagram out{0x80, static_cast<std::uint8_t>((fields.marker ? 0x80 : 0) | fields.payload_type)};
  put(out, fields.sequence, 2);
  put(out, fields.timestamp, 4);
  put(out, fields.ssrc, 4);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

// ST 2022-1 parity over `count` of the `packets`, each `offset` behind the last; the base is the
// first one's number. The packets are whole datagrams without padding, CSRC or extension.
inline Datagram parity(std::span<const Datagram> packets, std::size_t first, std::uint8_t offset,
                       std::uint8_t count) {
  std::size_t longest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    longest = std::max(longest, packets[first + i * offset].size());
  }
  Datagram sum(longest, 0);
  std::uint16_t length = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Datagram& one = packets[first + i * offset];
    for (std::size_t k = 0; k < one.size(); ++k) sum[k] ^= one[k];
    length ^= static_cast<std::uint16_t>(one.size() - 12);
  }
  const Datagram& base = packets[first];
  Datagram out{static_cast<std::uint8_t>(0x80 | (sum[0] & 0x3f)),
               static_cast<std::uint8_t>((sum[1] & 0x80) | 96)};
  put(out, 0, 2 + 4 + 4);  // number, timestamp and SSRC of the parity packet itself
  out.insert(out.end(), {base[2], base[3]});
  put(out, length, 2);
  out.push_back(static_cast<std::uint8_t>(0x80 | (sum[1] & 0x7f)));
  put(out, 0, 3);
  out.insert(out.end(), sum.begin() + 4, sum.begin() + 8);
  out.push_back(offset == 1 ? 0x40 : 0x00);
  out.insert(out.end(), {offset, count, 0});
  out.insert(out.end(), sum.begin() + 12, sum.end());
  return out;
}

}  // namespace mirror::rtp::test
