// Opus (RFC 6716) as MPEG-2 transport streams carry it: access units behind control headers ("A
// mapping of Opus into MPEG-2 TS", 4), and what their packets say of themselves. No decoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

namespace mirror::codec {

// A longer access unit is none. RFC 6716 allows longer ones, of eight channels at absurd rates.
inline constexpr std::size_t kOpusUnitBytesMax = 8191;

// channel_config_code of the mapping: 0 is dual mono, 1 to 8 so many channels in the order of RFC
// 7845, 5.1.1.2. Others (which describe themselves) are not known here.
inline constexpr std::uint8_t kOpusDualMono = 0;
inline constexpr std::uint8_t kOpusStereo = 2;
inline constexpr std::uint8_t kOpusChannelsMax = 8;

// One access unit: its control header, then a packet.
struct OpusUnit {
  std::size_t header_size = 0;  // bytes
  std::size_t packet_size = 0;  // bytes
  std::uint32_t samples = 0;    // per channel, at 48 kHz

  std::size_t size() const { return header_size + packet_size; }
};

enum class OpusFault {
  kNone,        // no access unit begins here
  kIncomplete,  // one may, but its headers are not all here yet
};

// The access unit that `bytes` begin with, which may end beyond them.
std::expected<OpusUnit, OpusFault> parse_opus_unit(std::span<const std::uint8_t> bytes);

// The identification header (RFC 7845, 5.1) of a stream of that channel_config_code, at most
// kOpusChannelsMax. Pre-skip is 0: in transport streams the timestamps say where sound begins.
std::vector<std::uint8_t> opus_identification(std::uint8_t channel_config_code);

}  // namespace mirror::codec
