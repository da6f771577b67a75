#include "mpegts/section.h"

#include <algorithm>
#include <cstring>

namespace mirror::mpegts {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i << 24;
    for (int bit = 0; bit < 8; ++bit) crc = crc << 1 ^ ((crc >> 31) != 0 ? 0x04c11db7U : 0);
    table[i] = crc;
  }
  return table;
}

constexpr auto kCrcTable = make_crc_table();
constexpr std::uint8_t kStuffingTableId = 0xff;

}  // namespace

std::uint32_t crc32_mpeg(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) crc = crc << 8 ^ kCrcTable[crc >> 24 ^ byte];
  return crc;
}

std::size_t SectionAssembler::take(std::span<const std::uint8_t> bytes) {
  if (!assembling_) return bytes.size();
  std::size_t used = 0;
  while (size_ < 3 && used < bytes.size()) section_[size_++] = bytes[used++];
  if (size_ > 0 && section_[0] == kStuffingTableId) {  // nothing but stuffing until the next start
    reset();
    return bytes.size();
  }
  if (size_ < 3) return used;
  if (section_bytes() > kSectionBytesMax) {
    reset();
    return bytes.size();
  }
  const std::size_t count = std::min(section_bytes() - size_, bytes.size() - used);
  std::memcpy(section_.data() + size_, bytes.data() + used, count);
  size_ += count;
  return used + count;
}

bool SectionAssembler::is_intact() {
  if (crc32_mpeg({section_.data(), size_}) == 0) return true;
  ++counters_.section_crc_errors;
  return false;
}

}  // namespace mirror::mpegts
