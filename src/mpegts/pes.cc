#include "mpegts/pes.h"

namespace mirror::mpegts {
namespace {

constexpr std::size_t kFixedBytes = 9;  // up to and with PES_header_data_length

// The five bytes of a PTS or DTS behind its four-bit prefix; nothing when a marker bit is missing.
std::optional<std::uint64_t> read_timestamp(std::span<const std::uint8_t> b, int prefix) {
  if (b[0] >> 4 != prefix || (b[0] & 1) == 0 || (b[2] & 1) == 0 || (b[4] & 1) == 0) {
    return std::nullopt;
  }
  return std::uint64_t{b[0] & 0x0eU} << 29 | std::uint64_t{b[1]} << 22 |
         std::uint64_t{b[2] & 0xfeU} << 14 | std::uint64_t{b[3]} << 7 | b[4] >> 1;
}

// Stream ids whose PES packets have no optional header, table 2-22: none carries audio or video.
bool has_optional_header(std::uint8_t stream_id) {
  switch (stream_id) {
    case 0xbc:  // program_stream_map
    case 0xbe:  // padding_stream
    case 0xbf:  // private_stream_2
    case 0xf0:  // ECM
    case 0xf1:  // EMM
    case 0xf2:  // DSM-CC
    case 0xf8:  // H.222.1 type E
    case 0xff:  // program_stream_directory
      return false;
    default:
      return stream_id >= 0xbc;
  }
}

}  // namespace

std::optional<PesHeader> parse_pes_header(std::span<const std::uint8_t> b) {
  if (b.size() < kFixedBytes || b[0] != 0 || b[1] != 0 || b[2] != 1) return std::nullopt;
  if (!has_optional_header(b[3]) || b[6] >> 6 != 2) return std::nullopt;
  PesHeader header;
  header.stream_id = b[3];
  header.packet_length = static_cast<std::uint16_t>(b[4] << 8 | b[5]);
  header.scrambled = (b[6] & 0x30) != 0;
  header.header_size = kFixedBytes + b[8];
  if (b.size() < header.header_size) return std::nullopt;
  if (header.packet_length != 0 && header.packet_length < header.header_size - 6) {
    return std::nullopt;
  }
  const int flags = b[7] >> 6;  // PTS_DTS_flags
  if (flags == 1 || (flags == 2 && b[8] < 5) || (flags == 3 && b[8] < 10)) return std::nullopt;
  if (flags >= 2) {
    header.pts = read_timestamp(b.subspan(9, 5), flags);
    if (!header.pts) return std::nullopt;
  }
  if (flags == 3) {
    header.dts = read_timestamp(b.subspan(14, 5), 1);
    if (!header.dts) return std::nullopt;
  }
  return header;
}

std::size_t PesReader::header_bytes_needed() const {
  return header_size_ < kFixedBytes ? kFixedBytes : kFixedBytes + header_bytes_[8];
}

std::size_t PesReader::collect_header(std::span<const std::uint8_t> bytes) {
  std::size_t used = 0;
  while (header_size_ < header_bytes_needed()) {  // at most two rounds: fixed part, then the rest
    if (used == bytes.size()) return used;
    const std::size_t count = std::min(header_bytes_needed() - header_size_, bytes.size() - used);
    std::memcpy(header_bytes_.data() + header_size_, bytes.data() + used, count);
    header_size_ += count;
    used += count;
  }
  const auto header = parse_pes_header({header_bytes_.data(), header_size_});
  if (!header) {
    ++counters_.malformed_pes;
    counters_.common.dropped_bytes += header_size_;
    state_ = State::kSkip;
    return used;
  }
  header_ = *header;
  bytes_left_ = header->packet_length == 0 ? 0 : header->packet_length + 6 - header->header_size;
  state_ = State::kPayload;
  return used;
}

}  // namespace mirror::mpegts
