// What an SPS says about the picture, and the codecs parameter that goes with it (RFC 6381;
// ISO/IEC 14496-15, annex E for HEVC). No decoding, no state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mirror::lint {

struct PictureSize {
  std::uint32_t width = 0;  // luma samples, after cropping
  std::uint32_t height = 0;
  bool operator==(const PictureSize&) const = default;
};

struct SpsFacts {
  PictureSize size;
  // Without the sample entry's four characters: "64001E", "1.6.L93.90".
  std::string codec_suffix;
};

// A NAL unit without start code, header included; nothing when it is no SPS of that codec.
std::optional<SpsFacts> read_h264_sps(std::span<const std::uint8_t> nal);
std::optional<SpsFacts> read_hevc_sps(std::span<const std::uint8_t> nal);

}  // namespace mirror::lint
