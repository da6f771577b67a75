#include "parameter_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "codec/nal.h"
#include "codec/rbsp.h"

namespace mirror::lint {
namespace {

using codec::RbspReader;

// profile_idc of those with chroma_format_idc in the SPS (H.264, 7.3.2.1.1).
constexpr std::array<std::uint32_t, 13> kHighProfiles = {100, 110, 122, 244, 44,  83, 86,
                                                         118, 128, 138, 139, 134, 135};

void skip_scaling_list(RbspReader& reader, int size) {
  std::int32_t last = 8;
  std::int32_t next = 8;
  for (int i = 0; i < size && !reader.overrun(); ++i) {
    if (next != 0) next = (last + (reader.signed_golomb() & 0xff)) & 0xff;
    if (next != 0) last = next;
  }
}

// chroma_format_idc up to the scaling matrix; gives back chroma_format_idc.
std::uint32_t skip_high_profile(RbspReader& reader) {
  const std::uint32_t chroma = reader.unsigned_golomb();
  if (chroma == 3) reader.bit();
  reader.unsigned_golomb();
  reader.unsigned_golomb();
  reader.bit();
  if (reader.bit() == 0) return chroma;
  for (int i = 0; i < (chroma == 3 ? 12 : 8); ++i) {
    if (reader.bit() != 0) skip_scaling_list(reader, i < 6 ? 16 : 64);
  }
  return chroma;
}

void skip_picture_order_count(RbspReader& reader) {
  const std::uint32_t type = reader.unsigned_golomb();
  if (type == 0) reader.unsigned_golomb();
  if (type != 1) return;
  reader.bit();
  reader.signed_golomb();
  reader.signed_golomb();
  const std::uint32_t cycle = reader.unsigned_golomb();
  for (std::uint32_t i = 0; i < cycle && !reader.overrun(); ++i) reader.signed_golomb();
}

struct Crop {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint32_t top = 0;
  std::uint32_t bottom = 0;
};

Crop read_crop(RbspReader& reader) {
  Crop crop;
  if (reader.bit() == 0) return crop;
  crop.left = reader.unsigned_golomb();
  crop.right = reader.unsigned_golomb();
  crop.top = reader.unsigned_golomb();
  crop.bottom = reader.unsigned_golomb();
  return crop;
}

// The size without its crop, in units of `x` and `y` luma samples; nothing when the crop is larger.
std::optional<PictureSize> cropped(PictureSize coded, const Crop& crop, std::uint32_t x,
                                   std::uint32_t y) {
  const std::uint64_t off_width = (std::uint64_t{crop.left} + crop.right) * x;
  const std::uint64_t off_height = (std::uint64_t{crop.top} + crop.bottom) * y;
  if (off_width >= coded.width || off_height >= coded.height) return std::nullopt;
  return PictureSize{coded.width - static_cast<std::uint32_t>(off_width),
                     coded.height - static_cast<std::uint32_t>(off_height)};
}

// general_profile_compatibility_flags are written with their bits reversed.
std::uint32_t reversed(std::uint32_t flags) {
  std::uint32_t out = 0;
  for (int i = 0; i < 32; ++i) out |= (flags >> i & 1U) << (31 - i);
  return out;
}

// profile_tier_level( 1, … ) up to general_level_idc (H.265, 7.3.3), as annex E.3 of 14496-15
// writes it.
std::string read_profile_tier_level(RbspReader& reader) {
  const std::uint32_t space = reader.bits(2);
  const std::uint32_t tier = reader.bit();
  const std::uint32_t profile = reader.bits(5);
  const std::uint32_t compatibility = reader.bits(32);
  std::array<std::uint32_t, 6> constraints{};
  for (std::uint32_t& byte : constraints) byte = reader.bits(8);
  const std::uint32_t level = reader.bits(8);
  std::string text = fmt::format(
      "{}{}.{:X}.{}{}", space == 0 ? "" : std::string(1, static_cast<char>('A' + space - 1)),
      profile, reversed(compatibility), tier == 0 ? 'L' : 'H', level);
  std::size_t used = constraints.size();
  while (used > 0 && constraints[used - 1] == 0) --used;
  for (std::size_t i = 0; i < used; ++i) text += fmt::format(".{:X}", constraints[i]);
  return text;
}

void skip_sub_layers(RbspReader& reader, std::uint32_t sub_layers_minus1) {
  std::array<bool, 8> profile{};
  std::array<bool, 8> level{};
  for (std::uint32_t i = 0; i < sub_layers_minus1; ++i) {
    profile[i] = reader.bit() != 0;
    level[i] = reader.bit() != 0;
  }
  if (sub_layers_minus1 == 0) return;
  for (std::uint32_t i = sub_layers_minus1; i < 8; ++i) reader.bits(2);
  for (std::uint32_t i = 0; i < sub_layers_minus1; ++i) {
    if (profile[i]) reader.skip_bytes(11);
    if (level[i]) reader.skip_bytes(1);
  }
}

}  // namespace

std::optional<SpsFacts> read_h264_sps(std::span<const std::uint8_t> nal) {
  if (nal.size() < 5 || codec::h264_nal_type(nal) != codec::kH264Sps) return std::nullopt;
  SpsFacts facts;
  facts.codec_suffix = fmt::format("{:02X}{:02X}{:02X}", nal[1], nal[2], nal[3]);
  RbspReader reader(nal.subspan(1));
  const std::uint32_t profile = reader.bits(8);
  reader.bits(16);
  reader.unsigned_golomb();  // seq_parameter_set_id
  std::uint32_t chroma = 1;
  if (std::ranges::find(kHighProfiles, profile) != kHighProfiles.end()) {
    chroma = skip_high_profile(reader);
  }
  reader.unsigned_golomb();  // log2_max_frame_num_minus4
  skip_picture_order_count(reader);
  reader.unsigned_golomb();  // max_num_ref_frames
  reader.bit();
  const std::uint32_t width_mbs = reader.unsigned_golomb() + 1;
  const std::uint32_t height_units = reader.unsigned_golomb() + 1;
  const std::uint32_t fields = reader.bit() != 0 ? 1 : 2;  // frame_mbs_only_flag
  if (fields == 2) reader.bit();
  reader.bit();  // direct_8x8_inference_flag
  const Crop crop = read_crop(reader);
  constexpr std::uint32_t kMbsMax = 4096;
  if (reader.overrun() || width_mbs > kMbsMax || height_units > kMbsMax) return std::nullopt;
  const std::uint32_t crop_x = chroma == 1 || chroma == 2 ? 2 : 1;
  const std::uint32_t crop_y = (chroma == 1 ? 2 : 1) * fields;
  const auto size = cropped({width_mbs * 16, height_units * 16 * fields}, crop, crop_x, crop_y);
  if (!size) return std::nullopt;
  facts.size = *size;
  return facts;
}

std::optional<SpsFacts> read_hevc_sps(std::span<const std::uint8_t> nal) {
  if (codec::hevc_nal_type(nal) != codec::kHevcSps) return std::nullopt;
  RbspReader reader(nal.subspan(2));
  reader.bits(4);  // sps_video_parameter_set_id
  const std::uint32_t sub_layers_minus1 = reader.bits(3);
  reader.bit();  // sps_temporal_id_nesting_flag
  if (sub_layers_minus1 > 6) return std::nullopt;
  SpsFacts facts;
  facts.codec_suffix = read_profile_tier_level(reader);
  skip_sub_layers(reader, sub_layers_minus1);
  reader.unsigned_golomb();  // sps_seq_parameter_set_id
  const std::uint32_t chroma = reader.unsigned_golomb();
  if (chroma == 3) reader.bit();
  const std::uint32_t width = reader.unsigned_golomb();
  const std::uint32_t height = reader.unsigned_golomb();
  const Crop crop = read_crop(reader);  // conformance_window
  constexpr std::uint32_t kSamplesMax = 65'536;
  if (reader.overrun() || width > kSamplesMax || height > kSamplesMax) return std::nullopt;
  const auto size =
      cropped({width, height}, crop, chroma == 1 || chroma == 2 ? 2 : 1, chroma == 1 ? 2 : 1);
  if (!size) return std::nullopt;
  facts.size = *size;
  return facts;
}

}  // namespace mirror::lint
