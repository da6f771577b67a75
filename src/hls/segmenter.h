// Segmenter: samples of one rendition → parts → segments, published into its Window.
//
// Owned by a Presentation, used on the stream's media thread. Holds at most one part's samples. A
// part is published with the sample that fills it, not with the next one.
//
// Invariants of what it publishes:
//  1. Decode times never go backward, and follow each other without a gap inside a segment and
//     between segments without a discontinuity.
//  2. A segment begins with a sync sample. A sample that would have to begin one and is none is
//     dropped, and so is one out of order; both are counted.
//  3. No part has more than samples_per_part samples, no segment more than samples_per_segment.
#pragma once

#include <cstdint>
#include <vector>

#include "cmaf/chunk_writer.h"
#include "hls/window.h"
#include "media/sample.h"

namespace mirror::hls {

class Segmenter {
 public:
  // A sample above this is dropped: no encoder of a proxy makes one.
  static constexpr std::size_t kSampleBytesMax = std::size_t{8} << 20;

  // `window` must be on the track's grid and outlive this.
  Segmenter(const media::TrackDescription& track, Window& window);

  void push(media::Sample sample);
  // The publisher has left: what is open is closed, so that viewers get everything, and the stream
  // stays live. The next sample, whenever it comes, should be marked as a discontinuity.
  void suspend();
  // The stream is over: as suspend(), and the playlist ends.
  void finish();

  std::uint64_t samples_dropped() const { return samples_dropped_; }

 private:
  enum class Sync : std::uint8_t { kEverySample, kMarkedSamples };

  bool acceptable(const media::Sample& sample);
  bool begins_segment(const media::Sample& sample) const;
  void open_segment(const media::Sample& first);
  void publish_part(SegmentState state);
  void close_segment();

  const media::SampleGrid grid_;
  const Sync sync_;
  Window& window_;
  cmaf::ChunkWriter chunks_;

  std::vector<media::Sample> part_;  // the open part's samples
  std::uint32_t segment_samples_ = 0;
  std::int64_t next_decode_time_ = 0;
  bool started_ = false;        // something was published or is about to be
  bool discontinuity_ = false;  // the next segment stands behind one
  std::uint64_t samples_dropped_ = 0;
};

}  // namespace mirror::hls
