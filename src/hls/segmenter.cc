#include "hls/segmenter.h"

#include <cassert>
#include <utility>
#include <variant>

namespace mirror::hls {

Segmenter::Segmenter(const media::TrackDescription& track, Window& window)
    : grid_(media::grid_of(track)),
      sync_(std::holds_alternative<media::AudioDescription>(track) ? Sync::kEverySample
                                                                   : Sync::kMarkedSamples),
      window_(window),
      chunks_(track) {
  assert(window.settings().grid == grid_);
  part_.reserve(grid_.samples_per_part);
}

void Segmenter::push(media::Sample sample) {
  const bool gap = started_ && sample.decode_time > next_decode_time_;
  if (sample.discontinuity || gap) {
    close_segment();
    discontinuity_ = true;
  }
  if (!acceptable(sample)) {
    ++samples_dropped_;
    return;
  }
  if (begins_segment(sample)) open_segment(sample);
  next_decode_time_ = sample.decode_time + grid_.sample_duration;
  ++segment_samples_;
  part_.push_back(std::move(sample));
  if (segment_samples_ == grid_.samples_per_segment) {
    publish_part(SegmentState::kComplete);
  } else if (part_.size() == grid_.samples_per_part) {
    publish_part(SegmentState::kOpen);
  }
}

void Segmenter::suspend() { close_segment(); }

void Segmenter::finish() {
  close_segment();
  window_.end();
}

bool Segmenter::acceptable(const media::Sample& sample) {
  if (sample.data.size() > kSampleBytesMax || sample.decode_time < 0) return false;
  if (started_ && sample.decode_time < next_decode_time_) return false;
  const bool sync = sample.sync || sync_ == Sync::kEverySample;
  return sync || !begins_segment(sample);
}

bool Segmenter::begins_segment(const media::Sample& sample) const {
  if (!window_.has_open_segment()) return true;
  return sync_ == Sync::kMarkedSamples && sample.sync;
}

void Segmenter::open_segment(const media::Sample& first) {
  close_segment();
  window_.open(
      {.decode_time = first.decode_time, .date = first.captured, .discontinuity = discontinuity_});
  discontinuity_ = false;
  started_ = true;
}

void Segmenter::publish_part(SegmentState state) {
  Part part{.bytes = chunks_.write(part_),
            .samples = static_cast<std::uint32_t>(part_.size()),
            .independent = part_.front().sync || sync_ == Sync::kEverySample};
  part_.clear();
  if (state == SegmentState::kComplete) segment_samples_ = 0;
  window_.publish(std::move(part), state);
}

void Segmenter::close_segment() {
  if (!part_.empty()) {
    publish_part(SegmentState::kComplete);
  } else {
    window_.complete();
  }
  segment_samples_ = 0;
}

}  // namespace mirror::hls
