#include "codec/codec_string.h"

#include "codec/nal.h"

namespace mirror::codec {

Result<std::string> avc_codec_string(std::span<const std::uint8_t> sps) {
  // No emulation prevention can stand before the level: profile_idc and level_idc are not zero.
  if (sps.size() < 4 || h264_nal_type(sps) != kH264Sps) return fail("not an H.264 SPS");
  return fmt::format("avc1.{:02X}{:02X}{:02X}", sps[1], sps[2], sps[3]);
}

Result<std::string> aac_codec_string(std::span<const std::uint8_t> config) {
  if (config.size() < 2) return fail("AudioSpecificConfig of {} bytes is too short", config.size());
  constexpr int kEscape = 31;  // ISO/IEC 14496-3, table 1.16: six more bits follow
  int type = config[0] >> 3;
  if (type == kEscape) type = 32 + ((config[0] & 7) << 3 | config[1] >> 5);
  if (type == 0) return fail("AudioSpecificConfig names no audio object type");
  return fmt::format("mp4a.40.{}", type);
}

}  // namespace mirror::codec
