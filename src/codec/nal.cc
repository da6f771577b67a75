#include "codec/nal.h"

#include "codec/annexb.h"
#include "codec/rbsp.h"

namespace mirror::codec {
namespace {

constexpr std::uint32_t kSeiRecoveryPoint = 6;  // payloadType, H.264 D.1.1
constexpr int kSeiMessagesMax = 64;

int hevc_layer_id(std::span<const std::uint8_t> nal) { return (nal[0] & 1) << 5 | nal[1] >> 3; }

NalRole h264_role(std::span<const std::uint8_t> nal) {
  const int type = h264_nal_type(nal);
  if (type == kH264Slice || type == kH264SlicePartitionA || type == kH264Idr) {
    // first_mb_in_slice ue(v) is zero when its first bit is one.
    const bool first = nal.size() > 1 && (nal[1] & 0x80) != 0;
    return first ? NalRole::kFirstSlice : NalRole::kSlice;
  }
  if (type == 3 || type == 4) return NalRole::kSlice;
  // 7.4.1.2.3: AUD, SPS, PPS, SEI and 14..18 begin an access unit when they follow a picture.
  const bool prefix =
      (type >= kH264Sei && type <= kH264AccessUnitDelimiter) || (type >= 14 && type <= 18);
  return prefix ? NalRole::kPrefix : NalRole::kOther;
}

NalRole hevc_role(std::span<const std::uint8_t> nal) {
  const int type = hevc_nal_type(nal);
  if (type < 0 || hevc_layer_id(nal) > 0) return NalRole::kOther;
  if (type < 32) {
    const bool first = nal.size() > 2 && (nal[2] & 0x80) != 0;  // first_slice_segment_in_pic_flag
    return first ? NalRole::kFirstSlice : NalRole::kSlice;
  }
  // 7.4.2.4.4: parameter sets, AUD, prefix SEI, 41..44 and 48..55.
  const bool prefix = (type >= kHevcVps && type <= kHevcAccessUnitDelimiter) ||
                      type == kHevcPrefixSei || (type >= 41 && type <= 44) ||
                      (type >= 48 && type <= 55);
  return prefix ? NalRole::kPrefix : NalRole::kOther;
}

// sei_message() header value: a run of ff bytes, then the rest (7.3.2.3.1).
std::uint32_t sei_number(RbspReader& reader) {
  std::uint32_t value = 0;
  std::uint32_t byte = 0;
  do {
    byte = reader.bits(8);
    value += byte;
  } while (byte == 0xff && !reader.overrun());
  return value;
}

bool has_recovery_point(std::span<const std::uint8_t> sei) {
  RbspReader reader(sei.subspan(1));
  for (int i = 0; i < kSeiMessagesMax && reader.bytes_left() > 2; ++i) {
    const std::uint32_t type = sei_number(reader);
    const std::uint32_t size = sei_number(reader);
    if (reader.overrun()) return false;
    if (type == kSeiRecoveryPoint) return true;
    reader.skip_bytes(size);
  }
  return false;
}

bool has_chroma_format(std::uint32_t profile_idc) {
  switch (profile_idc) {
    case 100:
    case 110:
    case 122:
    case 244:
    case 44:
    case 83:
    case 86:
    case 118:
    case 128:
    case 138:
    case 139:
    case 134:
    case 135:
      return true;
    default:
      return false;
  }
}

void skip_scaling_list(RbspReader& reader, int size) {
  std::int32_t last = 8;
  std::int32_t next = 8;
  for (int i = 0; i < size && next != 0 && !reader.overrun(); ++i) {
    // delta_scale lies in -128..127; masking first keeps a hostile value from overflowing.
    next = (last + (reader.signed_golomb() & 0xff)) & 0xff;
    if (next != 0) last = next;
  }
}

void skip_chroma_format(RbspReader& reader, H264Sps& sps) {
  const std::uint32_t chroma_format_idc = reader.unsigned_golomb();
  if (chroma_format_idc == 3) sps.separate_colour_planes = reader.bit() != 0;
  reader.unsigned_golomb();  // bit_depth_luma_minus8
  reader.unsigned_golomb();  // bit_depth_chroma_minus8
  reader.bit();              // qpprime_y_zero_transform_bypass_flag
  if (reader.bit() == 0) return;
  for (int i = 0; i < (chroma_format_idc == 3 ? 12 : 8); ++i) {
    if (reader.bit() != 0) skip_scaling_list(reader, i < 6 ? 16 : 64);
  }
}

void skip_picture_order_count(RbspReader& reader) {
  const std::uint32_t type = reader.unsigned_golomb();
  if (type == 0) {
    reader.unsigned_golomb();  // log2_max_pic_order_cnt_lsb_minus4
  } else if (type == 1) {
    reader.bit();
    reader.signed_golomb();
    reader.signed_golomb();
    const std::uint32_t cycle = reader.unsigned_golomb();
    for (std::uint32_t i = 0; i < cycle && !reader.overrun(); ++i) reader.signed_golomb();
  }
}

}  // namespace

int h264_nal_type(std::span<const std::uint8_t> nal) { return nal.empty() ? -1 : nal[0] & 0x1f; }

int hevc_nal_type(std::span<const std::uint8_t> nal) {
  return nal.size() < 2 ? -1 : nal[0] >> 1 & 0x3f;
}

NalRole role_of(media::Codec codec, std::span<const std::uint8_t> nal) {
  return codec == media::Codec::kHevc ? hevc_role(nal) : h264_role(nal);
}

bool marks_random_access(media::Codec codec, std::span<const std::uint8_t> nal) {
  if (codec == media::Codec::kHevc) {
    const int type = hevc_nal_type(nal);
    return type >= kHevcIrapFirst && type <= kHevcIrapLast && hevc_layer_id(nal) == 0;
  }
  const int type = h264_nal_type(nal);
  return type == kH264Idr || (type == kH264Sei && has_recovery_point(nal));
}

bool may_be_referred_to(media::Codec codec, std::span<const std::uint8_t> unit) {
  AnnexBReader reader(unit);
  while (const auto nal = reader.next()) {
    if (codec == media::Codec::kHevc) {
      const int type = hevc_nal_type(nal->bytes);
      if (type < 0 || type >= kHevcVps) continue;
      // TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N and what is reserved beside them.
      return type > 14 || type % 2 != 0;
    }
    const int type = h264_nal_type(nal->bytes);
    if (type < kH264Slice || type > kH264Idr) continue;
    return (nal->bytes.front() & 0x60) != 0;  // of a frame of two fields: what its first one says
  }
  return true;
}

AccessUnitFacts inspect_access_unit(media::Codec codec, std::span<const std::uint8_t> unit) {
  const bool hevc = codec == media::Codec::kHevc;
  AccessUnitFacts facts;
  AnnexBReader reader(unit);
  while (const auto nal = reader.next()) {
    const int type = hevc ? hevc_nal_type(nal->bytes) : h264_nal_type(nal->bytes);
    facts.vps = facts.vps || (hevc && type == kHevcVps);
    facts.sps = facts.sps || type == (hevc ? kHevcSps : kH264Sps);
    facts.pps = facts.pps || type == (hevc ? kHevcPps : kH264Pps);
    facts.random_access = facts.random_access || marks_random_access(codec, nal->bytes);
    if (role_of(codec, nal->bytes) == NalRole::kFirstSlice) ++facts.first_slices;
  }
  return facts;
}

bool begins_access_unit(media::Codec codec, std::span<const std::uint8_t> bytes) {
  const std::size_t code = find_start_code(bytes, 0);
  if (code + 3 >= bytes.size()) return false;
  for (std::size_t i = 0; i < code; ++i) {
    if (bytes[i] != 0) return false;
  }
  const NalRole role = role_of(codec, bytes.subspan(code + 3));
  return role == NalRole::kPrefix || role == NalRole::kFirstSlice;
}

std::optional<H264Sps> parse_h264_sps(std::span<const std::uint8_t> nal) {
  if (nal.size() < 4 || h264_nal_type(nal) != kH264Sps) return std::nullopt;
  RbspReader reader(nal.subspan(1));
  const std::uint32_t profile_idc = reader.bits(8);
  reader.bits(16);           // constraint flags, level_idc
  reader.unsigned_golomb();  // seq_parameter_set_id
  H264Sps sps;
  if (has_chroma_format(profile_idc)) skip_chroma_format(reader, sps);
  const std::uint32_t frame_num_bits_minus4 = reader.unsigned_golomb();
  skip_picture_order_count(reader);
  reader.unsigned_golomb();  // max_num_ref_frames
  reader.bit();              // gaps_in_frame_num_value_allowed_flag
  reader.unsigned_golomb();  // pic_width_in_mbs_minus1
  reader.unsigned_golomb();  // pic_height_in_map_units_minus1
  sps.frame_mbs_only = reader.bit() != 0;
  if (reader.overrun() || frame_num_bits_minus4 > 12) return std::nullopt;
  sps.frame_num_bits = static_cast<int>(frame_num_bits_minus4) + 4;
  return sps;
}

std::optional<HevcSourceScan> parse_hevc_source_scan(std::span<const std::uint8_t> nal) {
  if (hevc_nal_type(nal) != kHevcSps) return std::nullopt;
  RbspReader reader(nal.subspan(2));
  reader.bits(8);   // sps_video_parameter_set_id, sps_max_sub_layers_minus1, nesting flag
  reader.bits(8);   // general_profile_space, tier, profile_idc
  reader.bits(32);  // general_profile_compatibility_flag[]
  HevcSourceScan scan;
  scan.progressive = reader.bit() != 0;
  scan.interlaced = reader.bit() != 0;
  if (reader.overrun()) return std::nullopt;
  return scan;
}

bool H264FieldPairing::is_second_field(std::span<const std::uint8_t> nal) {
  if (h264_nal_type(nal) == kH264Sps) {
    if (auto sps = parse_h264_sps(nal)) sps_ = sps;
    return false;
  }
  if (!sps_ || sps_->frame_mbs_only || h264_role(nal) != NalRole::kFirstSlice) return false;
  RbspReader reader(nal.subspan(1));
  reader.unsigned_golomb();  // first_mb_in_slice
  reader.unsigned_golomb();  // slice_type
  reader.unsigned_golomb();  // pic_parameter_set_id
  if (sps_->separate_colour_planes) reader.bits(2);
  const std::uint32_t frame_num = reader.bits(sps_->frame_num_bits);
  const bool is_field = reader.bit() != 0;
  const bool bottom = is_field && reader.bit() != 0;
  if (reader.overrun() || !is_field) {
    unpaired_.reset();
    return false;
  }
  if (unpaired_ && unpaired_->frame_num == frame_num && unpaired_->bottom != bottom) {
    unpaired_.reset();
    return true;
  }
  unpaired_ = Field{frame_num, bottom};
  return false;
}

}  // namespace mirror::codec
