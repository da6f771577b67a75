// The `codecs` parameter of RFC 6381, as HLS playlists write it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace mirror::codec {

// "avc1.42C01E" from an SPS NAL unit: profile, constraint flags and level (RFC 6381, 3.3).
Result<std::string> avc_codec_string(std::span<const std::uint8_t> sps);

// "mp4a.40.2" from an AudioSpecificConfig: the audio object type.
Result<std::string> aac_codec_string(std::span<const std::uint8_t> audio_specific_config);

}  // namespace mirror::codec
