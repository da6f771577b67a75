// The CMAF header (init segment) of one track: ftyp + moov, no samples.
//
// Pure functions of a track's description; called on a stream's media thread when its presentation
// is made. Errors mean that the description is not one of a track we can write.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "media/sample.h"

namespace mirror::cmaf {

// Every file of ours holds one track.
inline constexpr std::uint32_t kTrackId = 1;

// ISO/IEC 23000-19, 7.3.1: H.264 as `avc1` (parameter sets here, not in the samples), 8 bit 4:2:0,
// BT.709, limited range, square pixels; AAC as `mp4a`.
Result<Bytes> write_init_segment(const media::TrackDescription& track);

// RFC 6381: "avc1.64001E", "mp4a.40.2". Empty for a description that cannot be written.
std::string codec_string(const media::TrackDescription& track);

}  // namespace mirror::cmaf
