// What we need of ITU-T H.264 Annex B to turn x264's output into samples of ISO/IEC 14496-15.
// Trusts its input no further than its bounds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mirror::transcode {

struct ParameterSets {
  std::vector<std::uint8_t> sps;
  std::vector<std::uint8_t> pps;
};

// The first SPS and PPS of a byte stream, without start codes; empty where there is none.
ParameterSets find_h264_parameter_sets(std::span<const std::uint8_t> byte_stream);

// The coded slices (nal_unit_type 1 to 5) with 4-byte lengths in front; all else is left out.
std::vector<std::uint8_t> h264_slices_length_prefixed(std::span<const std::uint8_t> byte_stream);

}  // namespace mirror::transcode
