#include "rtp/parameter_sets.h"

#include <algorithm>
#include <array>
#include <optional>

#include "codec/nal.h"
#include "codec/rbsp.h"
#include "rtp/base64.h"

namespace mirror::rtp {
namespace {

using Span = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 4> kStartCode = {0, 0, 0, 1};

int nal_type(media::Codec codec, Span nal) {
  return codec == media::Codec::kHevc ? codec::hevc_nal_type(nal) : codec::h264_nal_type(nal);
}

// profile_tier_level( 1, max_sub_layers_minus1 ), H.265 7.3.3.
void skip_profile_tier_level(codec::RbspReader& reader, std::uint32_t sub_layers) {
  std::array<std::array<bool, 2>, 8> present{};
  reader.skip_bytes(11);
  reader.bits(8);
  for (std::uint32_t i = 0; i < sub_layers; ++i) {
    present[i] = {reader.bit() != 0, reader.bit() != 0};
  }
  if (sub_layers > 0) reader.bits(static_cast<int>(2 * (8 - sub_layers)));
  for (std::uint32_t i = 0; i < sub_layers; ++i) {
    if (present[i][0]) reader.skip_bytes(11);
    if (present[i][1]) reader.bits(8);
  }
}

// The id under which the pictures refer to it.
std::optional<std::uint32_t> id_of(media::Codec codec, int type, Span nal) {
  std::uint32_t id = 0;
  codec::RbspReader reader(nal.subspan(codec == media::Codec::kHevc ? 2 : 1));
  if (codec != media::Codec::kHevc) {
    if (type == codec::kH264Sps) reader.bits(24);  // profile, constraints, level
    id = reader.unsigned_golomb();
  } else if (type == codec::kHevcVps) {
    id = reader.bits(4);
  } else if (type == codec::kHevcSps) {
    reader.bits(4);  // sps_video_parameter_set_id
    const std::uint32_t sub_layers = reader.bits(3);
    reader.bit();  // sps_temporal_id_nesting_flag
    skip_profile_tier_level(reader, sub_layers);
    id = reader.unsigned_golomb();
  } else {
    id = reader.unsigned_golomb();
  }
  if (reader.overrun()) return std::nullopt;
  return id;
}

}  // namespace

bool is_parameter_set(media::Codec codec, Span nal) {
  const int type = nal_type(codec, nal);
  return codec == media::Codec::kHevc ? type >= codec::kHevcVps && type <= codec::kHevcPps
                                      : type == codec::kH264Sps || type == codec::kH264Pps;
}

bool ParameterSets::offer(Span nal) {
  if (!is_parameter_set(codec_, nal) || nal.size() > kSetBytesMax) return false;
  const int type = nal_type(codec_, nal);
  const auto id = id_of(codec_, type, nal);
  if (!id) return false;
  const Key key{type, *id};
  const auto known = sets_.find(key);
  if (known != sets_.end() && std::ranges::equal(known->second, nal)) return true;
  const std::size_t freed = known == sets_.end() ? 0 : known->second.size() + kStartCode.size();
  if (known == sets_.end() && sets_.size() >= kCountMax) return false;
  if (byte_stream_.size() - freed + kStartCode.size() + nal.size() > kBytesMax) return false;
  sets_[key].assign(nal.begin(), nal.end());
  byte_stream_.clear();
  for (const auto& [ignored, set] : sets_) {
    byte_stream_.insert(byte_stream_.end(), kStartCode.begin(), kStartCode.end());
    byte_stream_.insert(byte_stream_.end(), set.begin(), set.end());
  }
  return true;
}

Status ParameterSets::offer_list(std::string_view list) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const auto text = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (text.empty()) continue;  // ffmpeg writes "sprop-vps=" when it knows none
    const auto nal = decode_base64(text);
    if (!nal) return fail("\"{}\" is not base64", text);
    if (!offer(*nal)) return fail("\"{}\" is no parameter set", text);
  }
  return {};
}

}  // namespace mirror::rtp
