// What the encoders make and the packager takes: samples of one rendition, and its description.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "media/frame_grid.h"

namespace mirror::media {

// One encoded sample on its rendition's grid. The timeline's zero is common to all renditions of a
// presentation, so equal times (after scaling) are shown together.
struct Sample {
  std::int64_t decode_time = 0;  // in the grid's timescale units; equals presentation time (no B)
  bool sync = false;             // H.264 IDR; every AAC frame
  bool discontinuity = false;    // the first sample after a break in the source
  WallTime captured{};           // estimated instant of capture; the same clock for all renditions
  WallTime program_date{};       // the same, advancing exactly as decode_time does within a run
  SteadyTime received{};  // when the access unit behind it was complete, to measure our own delay
  WallTime ingested{};    // the same by the wall clock, for those who compare clocks
  WallTime encoded{};     // when the encoder gave it
  Bytes data;             // H.264: length-prefixed NAL units (4 bytes); AAC: raw frame
};

struct VideoDescription {
  SampleGrid grid;
  FrameRate frame_rate;
  std::uint16_t width = 0;
  std::uint16_t height = 0;
  std::vector<std::uint8_t> sps;  // NAL unit, without start code
  std::vector<std::uint8_t> pps;
  // Of the encoder that takes over if this one fails, under ids of their own; empty: there is none.
  std::vector<std::uint8_t> spare_sps;
  std::vector<std::uint8_t> spare_pps;
  std::uint32_t bitrate_bps = 0;  // as configured
};

struct AudioDescription {
  SampleGrid grid;
  std::uint32_t sample_rate = 0;
  std::uint16_t channels = 0;
  std::vector<std::uint8_t> audio_specific_config;  // ISO/IEC 14496-3, 1.6.2.1
  std::string language;
  std::uint32_t bitrate_bps = 0;
};

using TrackDescription = std::variant<VideoDescription, AudioDescription>;

inline const SampleGrid& grid_of(const TrackDescription& track) {
  return std::visit([](const auto& t) -> const SampleGrid& { return t.grid; }, track);
}

}  // namespace mirror::media
