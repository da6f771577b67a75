// Segmenter: samples of one rendition → parts → segments, published into its Window.
//
// Owned by a Presentation, used on the stream's media thread. Holds at most one part's samples. A
// part is published with the sample that fills it, not with the next one.
//
// Invariants of what it publishes:
//  1. Slots of the grid follow each other inside a segment, and between segments without a
//     discontinuity. A slot whose sample never came passes all the same: a part of nothing but such
//     slots is a gap (GAP=YES), so that the renditions of a stream keep the same discontinuities.
//  2. A segment begins with a sync sample or with a gap, and media behind missing slots with a sync
//     sample. A sample that would have to be one and is none is missing, too. Samples out of order
//     are dropped. All are counted.
//  3. No part has more than samples_per_part slots, no segment more than samples_per_segment.
#pragma once

#include <chrono>
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

  // A hole in the samples that lasts longer than this is a discontinuity.
  static constexpr std::chrono::seconds kGapMax{2};

  // How a part is made of CMAF chunks. One of each sample lets those who wait for the part have its
  // first pictures earlier, for about 100 bytes a chunk.
  enum class Chunking : std::uint8_t { kPart, kSample };

  // `window` must be on the track's grid and outlive this.
  Segmenter(const media::TrackDescription& track, Window& window,
            Chunking chunking = Chunking::kPart);

  void push(media::Sample sample);
  // The publisher has left: what is open is closed, so that viewers get everything, and the stream
  // stays live. The next sample, whenever it comes, should be marked as a discontinuity.
  void suspend();
  // The stream is over: as suspend(), and the playlist ends.
  void finish();

  // Samples that came and are in no part.
  std::uint64_t samples_dropped() const { return samples_dropped_; }

 private:
  enum class Sync : std::uint8_t { kEverySample, kMarkedSamples };

  bool acceptable(const media::Sample& sample) const;
  bool begins_segment(const media::Sample& sample) const;
  void fill_gap(std::int64_t until);
  void miss_slot();
  void take(media::Sample sample);
  void open_segment(const Window::Opening& opening);
  bool part_full() const { return segment_slots_ % grid_.samples_per_part == 0; }
  void close_slot();
  void publish_part(SegmentState state);
  void close_segment();

  const media::SampleGrid grid_;
  const Sync sync_;
  const Chunking chunking_;
  Window& window_;
  cmaf::ChunkWriter chunks_;

  std::vector<media::Sample> part_;  // the open part's samples that are not in a chunk yet
  std::vector<Bytes> pieces_;        // the open part's chunks
  std::uint32_t part_slots_ = 0;
  std::uint32_t segment_slots_ = 0;
  bool part_independent_ = false;
  PartTimes part_times_;
  bool part_empty_ = true;   // no sample came in the open part
  bool needs_sync_ = false;  // samples are missing that the next ones may depend on
  std::int64_t next_decode_time_ = 0;
  WallTime next_date_{};        // the program date of the next slot
  bool started_ = false;        // something was published or is about to be
  bool discontinuity_ = false;  // the next segment stands behind one
  std::uint64_t samples_dropped_ = 0;
};

}  // namespace mirror::hls
