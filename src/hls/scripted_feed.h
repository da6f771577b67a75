// For tests: a rendition's samples by script, in virtual time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "media/sample.h"

namespace mirror::hls {

inline WallTime feed_start() {
  using namespace std::chrono;
  return sys_days(year(2026) / 1 / 2) + hours(3) + minutes(4) + milliseconds(5'678);
}

inline media::VideoDescription feed_video(media::FrameRate rate) {
  media::VideoDescription video;
  video.frame_rate = rate;
  video.grid = media::SampleGrid::for_video(rate);
  video.width = 640;
  video.height = 360;
  video.sps = {0x67, 0x64, 0x00, 0x1e, 0xac};
  video.pps = {0x68, 0xeb, 0xe3};
  return video;
}

inline media::AudioDescription feed_audio(std::string language = "") {
  media::AudioDescription audio;
  audio.grid = media::SampleGrid::for_aac_48k();
  audio.sample_rate = 48'000;
  audio.channels = 2;
  audio.audio_specific_config = {0x11, 0x90};
  audio.language = std::move(language);
  return audio;
}

// Makes samples one after another; sync samples where segments begin.
class ScriptedFeed {
 public:
  explicit ScriptedFeed(const media::TrackDescription& track, std::size_t sample_bytes = 16)
      : grid_(media::grid_of(track)), data_(Bytes::take(std::string(sample_bytes, 'x'))) {}

  media::Sample next() {
    const std::int64_t decode_time = slot_ * grid_.sample_duration;
    media::Sample sample;
    sample.decode_time = decode_time;
    sample.sync = slot_ % grid_.samples_per_segment == 0;
    sample.captured =
        feed_start() + std::chrono::microseconds(decode_time * 1'000'000 / grid_.timescale);
    sample.program_date = sample.captured;
    sample.data = data_;
    ++slot_;
    return sample;
  }
  // The next sample begins a segment, behind a break of `slots` slots.
  media::Sample next_after_break(std::int64_t slots) {
    slot_ += slots;
    media::Sample sample = next();
    sample.sync = true;
    sample.discontinuity = true;
    return sample;
  }
  std::int64_t slot() const { return slot_; }

 private:
  const media::SampleGrid grid_;
  const Bytes data_;
  std::int64_t slot_ = 0;
};

}  // namespace mirror::hls
