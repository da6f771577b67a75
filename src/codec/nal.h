// What a NAL unit of H.264 or HEVC is, as far as a demuxer needs to know. No decoding, no state.
//
// `codec` is kH264 or kHevc throughout; a NAL unit comes without its start code.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "media/access_unit.h"

namespace mirror::codec {

// nal_unit_type, H.264 table 7-1.
inline constexpr int kH264Slice = 1;
inline constexpr int kH264SlicePartitionA = 2;
inline constexpr int kH264Idr = 5;
inline constexpr int kH264Sei = 6;
inline constexpr int kH264Sps = 7;
inline constexpr int kH264Pps = 8;
inline constexpr int kH264AccessUnitDelimiter = 9;

// nal_unit_type, H.265 table 7-1.
inline constexpr int kHevcIrapFirst = 16;
inline constexpr int kHevcIrapLast = 23;
inline constexpr int kHevcVps = 32;
inline constexpr int kHevcSps = 33;
inline constexpr int kHevcPps = 34;
inline constexpr int kHevcAccessUnitDelimiter = 35;
inline constexpr int kHevcPrefixSei = 39;

// -1 for an empty NAL unit (and for an HEVC one shorter than its two-byte header).
int h264_nal_type(std::span<const std::uint8_t> nal);
int hevc_nal_type(std::span<const std::uint8_t> nal);

// What a NAL unit means for the access unit that it stands in.
enum class NalRole {
  kFirstSlice,  // coded picture data that begins a picture (or, in H.264, a field)
  kSlice,       // further coded data of the same picture
  kPrefix,      // may only stand before a picture: after one, it begins the next access unit
  kOther,       // belongs to the access unit before it
};
NalRole role_of(media::Codec codec, std::span<const std::uint8_t> nal);

// A NAL unit that makes its access unit a random access point: H.264 IDR slice or recovery point
// SEI (D.1.8), HEVC IRAP.
bool marks_random_access(media::Codec codec, std::span<const std::uint8_t> nal);

// Whether the picture of an access unit (Annex B) is one that others may refer to: H.264
// nal_ref_idc (7.4.1), HEVC sub-layer non-reference pictures (7.4.2.2, table 7-1). True when that
// cannot be seen.
bool may_be_referred_to(media::Codec codec, std::span<const std::uint8_t> unit);

// Facts about one access unit, Annex B.
struct AccessUnitFacts {
  bool random_access = false;
  bool vps = false;  // HEVC only
  bool sps = false;
  bool pps = false;
  int first_slices = 0;  // pictures, or fields of H.264
};
AccessUnitFacts inspect_access_unit(media::Codec codec, std::span<const std::uint8_t> unit);

// True when a byte stream that begins with `bytes` begins an access unit. Looks at the first NAL
// unit only; false when `bytes` does not begin with a start code.
bool begins_access_unit(media::Codec codec, std::span<const std::uint8_t> bytes);

// What an H.264 SPS says that the fields below depend on (7.3.2.1.1).
struct H264Sps {
  int frame_num_bits = 4;
  bool frame_mbs_only = true;
  bool separate_colour_planes = false;
};
std::optional<H264Sps> parse_h264_sps(std::span<const std::uint8_t> nal);

// How the source of an HEVC stream was scanned: general_progressive_source_flag and
// general_interlaced_source_flag of an SPS (H.265 7.3.3). Both set: each picture's own pic_struct
// says it; neither: unknown.
struct HevcSourceScan {
  bool progressive = false;
  bool interlaced = false;
};
std::optional<HevcSourceScan> parse_hevc_source_scan(std::span<const std::uint8_t> nal);

// Tells the second field of a frame from the first slice of a new picture (H.264 7.4.1.2.4), so
// that both fields stay in one unit, as decoders and muxers have it. Knows one SPS: the last one
// shown.
class H264FieldPairing {
 public:
  // Every NAL unit of the stream, in order. True if it is the first slice of a frame's second
  // field.
  bool is_second_field(std::span<const std::uint8_t> nal);

 private:
  struct Field {
    std::uint32_t frame_num;
    bool bottom;
  };
  std::optional<H264Sps> sps_;
  std::optional<Field> unpaired_;
};

}  // namespace mirror::codec
