// VideoTranscoder and AudioTranscoder: access units in, samples of one proxy rendition out.
//
// Both belong to their stream's media thread and share its Timeline. They outlive publishers: a
// publisher that returns continues the same encoder on the same grid, behind a discontinuity.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "media/access_unit.h"
#include "media/sample.h"

namespace mirror::transcode {

struct VideoSettings {
  std::uint16_t width = 640;
  std::uint16_t height = 360;
  std::uint32_t bitrate_bps = 400'000;
  double frame_rate_max = 30;
  std::string preset = "superfast";  // x264
  int decode_threads = 1;
};

struct AudioSettings {
  std::uint32_t bitrate_bps = 64'000;
};

// Takes what a transcoder makes, on the media thread.
class SampleSink {
 public:
  virtual ~SampleSink() = default;
  // Before the first sample, and again only if the rendition can no longer be the same one (another
  // frame grid): the receiver then starts a new presentation.
  virtual void on_description(const media::TrackDescription& description) = 0;
  virtual void on_sample(media::Sample sample) = 0;
};

// What a transcoder counted since it was made. Read on the media thread.
struct TranscodeStats {
  std::uint64_t access_units = 0;
  std::uint64_t decode_errors = 0;
  std::uint64_t pictures_decoded = 0;
  std::uint64_t slots_duplicated = 0;  // a hole in the source, filled with the last picture
  std::uint64_t pictures_dropped = 0;  // late, or two for one slot
  std::uint64_t samples = 0;
  std::uint64_t discontinuities = 0;
};

}  // namespace mirror::transcode
