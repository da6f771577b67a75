// RateDetector: the frame rate of a source, from the timestamps of its first access units.
//
// Pure; on the media thread, owned by a VideoTranscoder. Keeps at most kUnits timestamps.
#pragma once

#include <optional>
#include <vector>

#include "media/frame_grid.h"
#include "media/time.h"

namespace mirror::transcode {

class RateDetector {
 public:
  static constexpr std::size_t kUnits = 10;
  // So many agree with what the parameter sets say: no need to wait for the others.
  static constexpr std::size_t kUnitsConfirming = 4;
  // Of media time: whoever sends so slowly gets what can be told by then.
  static constexpr media::MediaTime kDeadline = std::chrono::seconds(1);
  static constexpr media::FrameRate kDefault{30, 1};

  // The next unit in decoding order.
  void add(media::MediaTime pts, media::MediaTime dts);

  // The rate once it is known. `reported_hz` is what the parameter sets say, 0 for nothing.
  std::optional<media::FrameRate> rate(double reported_hz) const;
  // The best that can be said now.
  media::FrameRate best(double reported_hz) const;

 private:
  struct Measured {
    double hz;
    bool steady;  // most intervals agree
  };
  std::optional<Measured> measure() const;

  std::vector<media::MediaTime> pts_;
  std::vector<media::MediaTime> dts_;
};

}  // namespace mirror::transcode
