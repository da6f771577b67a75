#include "codec/opus.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mirror::codec {
namespace {

constexpr std::uint16_t kPrefix = 0x3ff;  // 11 bits
constexpr std::uint8_t kStartTrim = 0x10;
constexpr std::uint8_t kEndTrim = 0x08;
constexpr std::uint8_t kExtension = 0x04;
constexpr std::size_t kFlagsBytes = 2;

constexpr std::uint32_t kSamplesMax = 5'760;  // 120 ms, RFC 6716, 3.2.5

// RFC 6716, table 2: samples of one frame by the TOC's configuration.
std::uint32_t frame_samples(int configuration) {
  constexpr std::array<std::uint32_t, 4> kSilk = {480, 960, 1920, 2880};
  constexpr std::array<std::uint32_t, 4> kCelt = {120, 240, 480, 960};
  if (configuration < 12) return kSilk[static_cast<std::size_t>(configuration % 4)];
  if (configuration < 16) return configuration % 2 == 0 ? 480 : 960;
  return kCelt[static_cast<std::size_t>(configuration % 4)];
}

// RFC 7845, 5.1.1.2.
struct Layout {
  std::uint8_t streams;
  std::uint8_t coupled;
  std::array<std::uint8_t, kOpusChannelsMax> mapping;
};
constexpr std::array<Layout, kOpusChannelsMax> kLayouts = {{
    {1, 0, {0}},
    {1, 1, {0, 1}},
    {2, 1, {0, 2, 1}},
    {2, 2, {0, 1, 2, 3}},
    {3, 2, {0, 4, 1, 2, 3}},
    {4, 2, {0, 4, 1, 2, 3, 5}},
    {4, 3, {0, 4, 1, 2, 3, 5, 6}},
    {5, 3, {0, 6, 1, 2, 3, 4, 5, 7}},
}};
constexpr Layout kDualMono = {2, 0, {0, 1}};

}  // namespace

std::expected<OpusUnit, OpusFault> parse_opus_unit(std::span<const std::uint8_t> b) {
  const auto incomplete = std::unexpected(OpusFault::kIncomplete);
  const auto none = std::unexpected(OpusFault::kNone);
  if (b.size() < kFlagsBytes) return incomplete;
  if ((b[0] << 8 | b[1]) >> 5 != kPrefix) return none;
  const std::uint8_t flags = b[1];

  // au_size: bytes of 255 and one of less, to be added.
  OpusUnit unit;
  std::size_t at = kFlagsBytes;
  for (std::uint8_t last = 255; last == 255; ++at) {
    if (at >= b.size()) return incomplete;
    last = b[at];
    unit.packet_size += last;
    if (unit.packet_size > kOpusUnitBytesMax) return none;
  }
  if ((flags & kStartTrim) != 0) at += 2;
  if ((flags & kEndTrim) != 0) at += 2;
  if ((flags & kExtension) != 0) {
    if (at >= b.size()) return incomplete;
    at += 1U + b[at];
  }
  unit.header_size = at;
  if (unit.packet_size == 0 || unit.size() > kOpusUnitBytesMax) return none;

  // RFC 6716, 3.1 and 3.2.5: the table of contents, and how many frames there are.
  if (at >= b.size()) return incomplete;
  const std::uint8_t toc = b[at];
  std::uint32_t frames = (toc & 3) == 0 ? 1 : 2;
  if ((toc & 3) == 3) {
    if (unit.packet_size < 2) return none;
    if (at + 1 >= b.size()) return incomplete;
    frames = b[at + 1] & 0x3f;
  }
  unit.samples = frames * frame_samples(toc >> 3);
  if (frames == 0 || unit.samples > kSamplesMax) return none;
  return unit;
}

std::vector<std::uint8_t> opus_identification(std::uint8_t code) {
  constexpr std::string_view kMagic = "OpusHead";
  const bool dual_mono = code == kOpusDualMono;
  const auto channels = dual_mono ? std::uint8_t{2} : std::min(code, kOpusChannelsMax);
  const Layout& layout = dual_mono ? kDualMono : kLayouts[channels - 1U];
  const std::uint8_t family = dual_mono ? 255 : channels > 2 ? 1 : 0;
  std::vector<std::uint8_t> head(kMagic.begin(), kMagic.end());
  // Version 1, channels, pre-skip, input rate 48000 (0xbb80), output gain, mapping family.
  head.insert(head.end(), {1, channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, family});
  if (family == 0) return head;
  head.insert(head.end(), {layout.streams, layout.coupled});
  head.insert(head.end(), layout.mapping.begin(), layout.mapping.begin() + channels);
  return head;
}

}  // namespace mirror::codec
