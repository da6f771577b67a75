// The Annex B byte stream (ITU-T H.264 and H.265, Annex B): NAL units between start codes.
//
// Views only: nothing here copies or keeps bytes except where a vector is returned. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mirror::codec {

// One NAL unit in a byte stream.
struct AnnexBNal {
  // Where its byte_stream_nal_unit begins: at the start code, its zero_byte included.
  std::size_t offset = 0;
  // Header and payload, without start code and without trailing zeros. Never empty.
  std::span<const std::uint8_t> bytes;
};

// Walks the NAL units of a byte stream in order; bytes before the first start code are passed over.
//
//   AnnexBReader reader(unit);
//   while (const auto nal = reader.next()) ...
class AnnexBReader {
 public:
  explicit AnnexBReader(std::span<const std::uint8_t> stream);
  std::optional<AnnexBNal> next();

 private:
  std::span<const std::uint8_t> stream_;
  std::size_t start_code_;  // of the next NAL unit; stream_.size() when there is none
};

// Position of the next 00 00 01 at or after `from`, or the stream's size.
std::size_t find_start_code(std::span<const std::uint8_t> stream, std::size_t from);

// What annexb_to_length_prefixed leaves out (H.264).
enum class Keep {
  kAll,
  kSlices,  // nal_unit_type 1 to 5: the avc1 sample entry carries the parameter sets, and nobody
            // needs delimiters or an encoder's SEI
};

// The sample format of ISO/IEC 14496-15: each NAL unit behind its size, four bytes, big-endian.
std::vector<std::uint8_t> annexb_to_length_prefixed(std::span<const std::uint8_t> stream,
                                                    Keep keep = Keep::kAll);

// The first SPS and the first PPS of an H.264 byte stream (an encoder's extradata), without start
// codes; empty where there is none.
struct H264ParameterSets {
  std::vector<std::uint8_t> sps;
  std::vector<std::uint8_t> pps;
};
H264ParameterSets h264_parameter_sets(std::span<const std::uint8_t> stream);

}  // namespace mirror::codec
