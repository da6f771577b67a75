// Bandwidth: the measured bit rates of one rendition, as a multivariant playlist states them.
//
// Owned by a Presentation, used on the media thread. Remembers the segments of the last 1.5 target
// durations and the extremes since the start.
#pragma once

#include <cstdint>
#include <deque>

#include "media/frame_grid.h"

namespace mirror::hls {

class Bandwidth {
 public:
  explicit Bandwidth(const media::SampleGrid& grid) : grid_(grid) {}

  void add_segment(std::uint64_t bytes, std::uint64_t samples);

  // RFC 8216bis, 1: the greatest rate of contiguous segments that last together 0.5 to 1.5 target
  // durations. Until there are any, the rate of all so far.
  std::uint64_t peak_bps() const;
  std::uint64_t average_bps() const;

 private:
  struct Run {
    std::uint64_t bytes = 0;
    std::uint64_t samples = 0;
  };
  std::uint64_t bps(const Run& run) const;
  void measure_peak();

  const media::SampleGrid grid_;
  std::deque<Run> recent_;  // newest last; at most 1.5 target durations, or one segment
  Run total_;
  std::uint64_t peak_bps_ = 0;
};

}  // namespace mirror::hls
