#include "codec/annexb.h"

#include <cstring>

#include "codec/nal.h"

namespace mirror::codec {

std::size_t find_start_code(std::span<const std::uint8_t> stream, std::size_t from) {
  const std::uint8_t* const begin = stream.data();
  const std::size_t size = stream.size();
  std::size_t at = from;
  // Coded data holds few zeros, and memchr finds them far faster than a loop can.
  while (at + 3 <= size) {
    const void* zero = std::memchr(begin + at, 0, size - 2 - at);
    if (zero == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - begin);
    while (at + 3 <= size && begin[at] == 0) {
      if (begin[at + 1] != 0) {
        at += 2;
      } else if (begin[at + 2] > 1) {
        at += 3;
      } else if (begin[at + 2] == 1) {
        return at;
      } else {
        ++at;
      }
    }
  }
  return size;
}

AnnexBReader::AnnexBReader(std::span<const std::uint8_t> stream)
    : stream_(stream), start_code_(find_start_code(stream, 0)) {}

std::optional<AnnexBNal> AnnexBReader::next() {
  while (start_code_ < stream_.size()) {
    const std::size_t code = start_code_;
    const std::size_t begin = code + 3;
    start_code_ = find_start_code(stream_, begin);
    std::size_t end = start_code_;
    while (end > begin && stream_[end - 1] == 0) --end;  // trailing_zero_8bits, zero_byte
    if (end == begin) continue;
    const std::size_t offset = code > 0 && stream_[code - 1] == 0 ? code - 1 : code;
    return AnnexBNal{offset, stream_.subspan(begin, end - begin)};
  }
  return std::nullopt;
}

std::vector<std::uint8_t> annexb_to_length_prefixed(std::span<const std::uint8_t> stream,
                                                    Keep keep) {
  std::vector<std::uint8_t> out;
  out.reserve(stream.size() + 16);  // three-byte start codes grow by one
  AnnexBReader reader(stream);
  while (const auto nal = reader.next()) {
    const int type = h264_nal_type(nal->bytes);
    if (keep == Keep::kSlices && (type < 1 || type > 5)) continue;
    const std::size_t size = nal->bytes.size();
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<std::uint8_t>(size >> shift));
    }
    out.insert(out.end(), nal->bytes.begin(), nal->bytes.end());
  }
  return out;
}

H264ParameterSets h264_parameter_sets(std::span<const std::uint8_t> stream) {
  H264ParameterSets sets;
  AnnexBReader reader(stream);
  while (const auto nal = reader.next()) {
    const int type = h264_nal_type(nal->bytes);
    if (type == kH264Sps && sets.sps.empty()) sets.sps.assign(nal->bytes.begin(), nal->bytes.end());
    if (type == kH264Pps && sets.pps.empty()) sets.pps.assign(nal->bytes.begin(), nal->bytes.end());
  }
  return sets;
}

}  // namespace mirror::codec
