#include "hls/segmenter.h"

#include <cassert>
#include <cstring>
#include <utility>
#include <variant>

namespace mirror::hls {

namespace {

// One allocation for what viewers fetch as one.
Bytes join(std::vector<Bytes> pieces) {
  if (pieces.size() == 1) return std::move(pieces.front());
  std::size_t size = 0;
  for (const Bytes& piece : pieces) size += piece.size();
  return Bytes::build(size, [&](std::span<std::uint8_t> room) {
    for (const Bytes& piece : pieces) {
      std::memcpy(room.data(), piece.data(), piece.size());
      room = room.subspan(piece.size());
    }
  });
}

}  // namespace

Segmenter::Segmenter(const media::TrackDescription& track, Window& window, Chunking chunking)
    : grid_(media::grid_of(track)),
      sync_(std::holds_alternative<media::AudioDescription>(track) ? Sync::kEverySample
                                                                   : Sync::kMarkedSamples),
      chunking_(chunking),
      window_(window),
      chunks_(track) {
  assert(window.settings().grid == grid_);
  part_.reserve(grid_.samples_per_part);
}

void Segmenter::push(media::Sample sample) {
  const std::int64_t gap_max = std::int64_t{kGapMax.count()} * grid_.timescale;
  const bool far = started_ && sample.decode_time - next_decode_time_ > gap_max;
  if (sample.discontinuity || far) {
    close_segment();
    discontinuity_ = true;
    needs_sync_ = true;
  }
  if (!acceptable(sample)) {
    ++samples_dropped_;
    return;
  }
  if (started_ && !discontinuity_) fill_gap(sample.decode_time);
  const bool sync = sample.sync || sync_ == Sync::kEverySample;
  if (sync || !(needs_sync_ || begins_segment(sample))) return take(std::move(sample));
  ++samples_dropped_;
  // Before the first segment, and behind a discontinuity, nothing is promised yet.
  if (started_ && !discontinuity_) miss_slot();
}

void Segmenter::suspend() { close_segment(); }

void Segmenter::finish() {
  close_segment();
  window_.end();
}

bool Segmenter::acceptable(const media::Sample& sample) const {
  if (sample.data.size() > kSampleBytesMax || sample.decode_time < 0) return false;
  return !started_ || sample.decode_time >= next_decode_time_;
}

bool Segmenter::begins_segment(const media::Sample& sample) const {
  if (!window_.has_open_segment()) return true;
  return sync_ == Sync::kMarkedSamples && sample.sync;
}

void Segmenter::fill_gap(std::int64_t until) {
  while (next_decode_time_ < until) miss_slot();
}

// The time of one sample passes without it.
void Segmenter::miss_slot() {
  if (!window_.has_open_segment()) {
    open_segment({.decode_time = next_decode_time_, .date = next_date_, .discontinuity = false});
  }
  needs_sync_ = true;
  next_decode_time_ += grid_.sample_duration;
  next_date_ +=
      std::chrono::microseconds(std::int64_t{grid_.sample_duration} * 1'000'000 / grid_.timescale);
  close_slot();
}

void Segmenter::take(media::Sample sample) {
  if (begins_segment(sample)) {
    open_segment({.decode_time = sample.decode_time,
                  .date = sample.program_date,
                  .discontinuity = std::exchange(discontinuity_, false)});
  }
  needs_sync_ = false;
  started_ = true;
  next_decode_time_ = sample.decode_time + grid_.sample_duration;
  next_date_ = sample.program_date + std::chrono::microseconds(std::int64_t{grid_.sample_duration} *
                                                               1'000'000 / grid_.timescale);
  const std::int64_t decode_time = sample.decode_time;
  const PartTimes times{
      .captured = sample.captured, .ingested = sample.ingested, .encoded = sample.encoded};
  if (part_empty_) {
    part_independent_ = sample.sync || sync_ == Sync::kEverySample;
    part_times_ = times;
  }
  part_times_.ingested = times.ingested;
  part_times_.encoded = times.encoded;
  part_.push_back(std::move(sample));
  if (chunking_ == Chunking::kSample) {
    pieces_.push_back(chunks_.write(part_, part_empty_ ? cmaf::Prft::kWith : cmaf::Prft::kWithout));
    part_.clear();
  }
  part_empty_ = false;
  // The last chunk goes out with the part itself.
  const bool last = (segment_slots_ + 1) % grid_.samples_per_part == 0;
  if (chunking_ == Chunking::kSample && !last) {
    window_.grow({pieces_.back(), decode_time, times}, part_independent_);
  }
  close_slot();
}

void Segmenter::open_segment(const Window::Opening& opening) {
  close_segment();
  window_.open(opening);
}

void Segmenter::close_slot() {
  ++part_slots_;
  ++segment_slots_;
  if (segment_slots_ == grid_.samples_per_segment) {
    publish_part(SegmentState::kComplete);
  } else if (part_full()) {
    publish_part(SegmentState::kOpen);
  }
}

void Segmenter::publish_part(SegmentState state) {
  if (!part_.empty()) pieces_.push_back(chunks_.write(part_));
  part_.clear();
  Part part{.samples = std::exchange(part_slots_, 0),
            .independent = std::exchange(part_independent_, false),
            .gap = std::exchange(part_empty_, true),
            .times = std::exchange(part_times_, {})};
  if (!part.gap) part.bytes = join(std::exchange(pieces_, {}));
  if (state == SegmentState::kComplete) segment_slots_ = 0;
  window_.publish(std::move(part), state);
}

void Segmenter::close_segment() {
  if (part_slots_ > 0) {
    publish_part(SegmentState::kComplete);
  } else {
    window_.complete();
  }
  segment_slots_ = 0;
}

}  // namespace mirror::hls
