#include "transcode/annex_b.h"

#include <algorithm>

namespace mirror::transcode {
namespace {

using ByteSpan = std::span<const std::uint8_t>;

constexpr int kSlice = 1;
constexpr int kIdrSlice = 5;
constexpr int kSps = 7;
constexpr int kPps = 8;

int type_of(ByteSpan nal) { return nal[0] & 0x1f; }

// The offset of the next 00 00 01 at or after `from`; the size of `bytes` if there is none.
std::size_t find_start_code(ByteSpan bytes, std::size_t from) {
  for (std::size_t i = from; i + 3 <= bytes.size();) {
    if (bytes[i + 2] > 1) {
      i += 3;
    } else if (bytes[i] == 0 && bytes[i + 1] == 0 && bytes[i + 2] == 1) {
      return i;
    } else {
      ++i;
    }
  }
  return bytes.size();
}

template <class Visit>
void for_each_nal(ByteSpan bytes, Visit visit) {
  std::size_t start = find_start_code(bytes, 0);
  while (start < bytes.size()) {
    const std::size_t begin = start + 3;
    start = find_start_code(bytes, begin);
    std::size_t end = start;
    // trailing_zero_8bits, and the zero_byte of the next start code.
    while (end > begin && bytes[end - 1] == 0) --end;
    if (end > begin) visit(bytes.subspan(begin, end - begin));
  }
}

}  // namespace

ParameterSets find_h264_parameter_sets(ByteSpan byte_stream) {
  ParameterSets found;
  for_each_nal(byte_stream, [&](ByteSpan nal) {
    if (type_of(nal) == kSps && found.sps.empty()) found.sps.assign(nal.begin(), nal.end());
    if (type_of(nal) == kPps && found.pps.empty()) found.pps.assign(nal.begin(), nal.end());
  });
  return found;
}

std::vector<std::uint8_t> h264_slices_length_prefixed(ByteSpan byte_stream) {
  std::vector<std::uint8_t> out;
  out.reserve(byte_stream.size() + 8);
  for_each_nal(byte_stream, [&](ByteSpan nal) {
    if (type_of(nal) < kSlice || type_of(nal) > kIdrSlice) return;
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<std::uint8_t>(nal.size() >> shift));
    }
    out.insert(out.end(), nal.begin(), nal.end());
  });
  return out;
}

}  // namespace mirror::transcode
