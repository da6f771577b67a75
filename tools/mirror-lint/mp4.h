// Fragmented MP4 as far as a linter needs it (ISO/IEC 14496-12 and -15): tracks of a Media
// Initialization Section, and times, samples and random access points of segments and parts.
//
// Bounds are checked everywhere; no state, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "parameter_sets.h"

namespace mirror::lint {

enum class TrackKind { kVideo, kAudio, kOther };

struct Track {
  std::uint32_t id = 0;
  TrackKind kind = TrackKind::kOther;
  std::uint32_t timescale = 0;  // units a second
  std::string sample_entry;     // "avc1", "hvc1", "mp4a", …
  std::string codec;            // RFC 6381, from the SPS or the AudioSpecificConfig; empty: unknown
  std::string configured_codec;  // the same from avcC's or hvcC's own bytes, where there are such
  std::optional<PictureSize> size;
  std::uint32_t sample_rate = 0;
  std::uint32_t channels = 0;
  int nal_length_bytes = 0;  // 0: its samples are no NAL units
  bool hevc = false;
  std::uint32_t default_duration = 0;  // trex
  std::uint32_t default_size = 0;
  std::uint32_t default_flags = 0;
};

struct InitSection {
  std::vector<Track> tracks;
  const Track* find(std::uint32_t id) const;
  // The video track, or else the first one; null when there is none.
  const Track* leading() const;
};

Result<InitSection> read_init_section(std::span<const std::uint8_t> bytes);

// Samples of one track in one resource.
struct TrackSamples {
  std::uint64_t decode_time = 0;  // of the first sample, units of the timescale
  std::uint64_t duration = 0;     // sum
  std::uint32_t samples = 0;
  bool first_is_sync = false;  // sample flags
  bool any_is_sync = false;
  // What the bitstream says of the samples that claim to be sync; unknown for tracks without NAL
  // units.
  std::optional<bool> sync_is_random_access;
  bool gap_inside = false;  // two fragments of it do not join
};

struct Fragments {
  std::map<std::uint32_t, TrackSamples> tracks;
  std::uint32_t fragments = 0;  // moof boxes
  // prft: NTP time and the media time it goes with (8.16.5), of the first one.
  struct Prft {
    std::uint32_t track = 0;
    std::uint64_t ntp = 0;
    std::uint64_t media_time = 0;
  };
  std::optional<Prft> prft;
  // A hash of all samples' durations, sizes and bytes in order: equal for a segment and its parts.
  std::uint64_t samples_hash = 0;
};

// A segment or part. Errors name what breaks the structure: a box that does not fit, a moof without
// tfdt (RFC 8216bis, 3.1.2), samples that are not in the mdat.
Result<Fragments> read_fragments(const InitSection& init, std::span<const std::uint8_t> bytes);

}  // namespace mirror::lint
