// The constant frame rate grid: how many frames make a part and a segment.
//
// Parts and segments are counted in frames, never in milliseconds: 100 ms is not a whole number of
// frames at most rates, and a part may never be longer than PART-TARGET (RFC 8216bis, 4.4.3.7).
#pragma once

#include <cstdint>

namespace mirror::media {

// Frames per second as a fraction, in lowest terms: 30000/1001.
struct FrameRate {
  std::uint32_t num = 30;
  std::uint32_t den = 1;
  constexpr double hz() const { return static_cast<double>(num) / den; }
  friend bool operator==(const FrameRate&, const FrameRate&) = default;
};

// The known rate nearest to `measured_hz` if it is within 0.04 % (29.97 and 30 are 0.1 % apart),
// else within 3 %, else `measured_hz` rounded to a whole number in [1, 120].
FrameRate snap_frame_rate(double measured_hz);

// The grid of one track: `timescale` units per second, each sample lasts `sample_duration`.
//
// | fps    | frames/part | part ms | frames/segment | segment ms | timescale/tick |
// | 23.976 | 2 | 83.417 | 12 | 500.5 | 24000/1001 |   | 29.97 | 3 | 100.1 | 15 | 500.5 | 30000/1001
// | | 25     | 2 | 80     | 12 | 480   | 25000/1000 |   | 50    | 5 | 100   | 25 | 500   |
// 50000/1000 | AAC at 48 kHz, 1024 samples a frame: 5 frames a part (106.67 ms), 25 a segment
// (533.3 ms).
struct SampleGrid {
  std::uint32_t timescale = 0;
  std::uint32_t sample_duration = 0;
  std::uint32_t samples_per_part = 0;
  std::uint32_t samples_per_segment = 0;

  // The rule behind the table: round-half-down(100 ms) samples a part, then as many whole parts as
  // come nearest to 500 ms; at least one of each.
  static SampleGrid for_rate(std::uint32_t timescale, std::uint32_t sample_duration);
  static SampleGrid for_video(FrameRate rate);
  static SampleGrid for_aac_48k() { return for_rate(48'000, 1'024); }

  friend bool operator==(const SampleGrid&, const SampleGrid&) = default;
};

// The proxy's rate for a source's: halved, as often as needed, until it is at most `max_hz`.
FrameRate proxy_frame_rate(FrameRate source, double max_hz);

}  // namespace mirror::media
