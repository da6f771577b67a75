// ParameterSets: the parameter sets of one H.264 or HEVC track, the newest of each kind and id.
//
// Begins with those of the session description; a decoder that joins at a random access unit
// without its own is given them. Limits: kCountMax sets of kSetBytesMax each, kBytesMax together;
// what goes over them is not kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "media/access_unit.h"

namespace mirror::rtp {

class ParameterSets {
 public:
  static constexpr std::size_t kCountMax = 64;
  static constexpr std::size_t kSetBytesMax = 4096;
  static constexpr std::size_t kBytesMax = 16 * 1024;  // start codes included

  explicit ParameterSets(media::Codec codec) : codec_(codec) {}

  // A NAL unit, of any kind, without start code. True if it is a parameter set that was kept.
  bool offer(std::span<const std::uint8_t> nal);
  // Base64 NAL units behind one another, separated by commas (RFC 6184 8.1, RFC 7798 7.1: sprop-…).
  Status offer_list(std::string_view list);

  // All of them as a byte stream (Annex B), in the order in which they depend on one another.
  std::span<const std::uint8_t> byte_stream() const { return byte_stream_; }

 private:
  using Key = std::pair<int, std::uint32_t>;  // nal_unit_type, id

  const media::Codec codec_;
  std::map<Key, std::vector<std::uint8_t>> sets_;
  std::vector<std::uint8_t> byte_stream_;
};

// nal_unit_type is that of a VPS, SPS or PPS.
bool is_parameter_set(media::Codec codec, std::span<const std::uint8_t> nal);

}  // namespace mirror::rtp
