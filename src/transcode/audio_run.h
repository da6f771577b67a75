// AudioRun: places pieces of sound on the presentation's 48 kHz grid so that nothing is missing and
// nothing is there twice, and cuts the result into encoder blocks.
//
// Pure; on the media thread, owned by an AudioTranscoder. Holds less than one block.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "transcode/aac_encoder.h"
#include "transcode/audio_decoder.h"

namespace mirror::transcode {

class AudioRun {
 public:
  // A piece that is off by more than this is believed: silence is put in front, or its start is
  // cut. Less is jitter of timestamps, and only its mean counts.
  static constexpr std::int64_t kJitterSamples = kAudioRate * 12 / 1000;
  // A mean offset over this is drift: one sample per piece is blended in or out.
  static constexpr double kDriftSamples = kAudioRate / 1000.0;
  // Pieces over which the mean runs.
  static constexpr double kMeanPieces = 32;

  using BlockSink = std::move_only_function<Status(const StereoBlock&)>;
  explicit AudioRun(BlockSink sink) : sink_(std::move(sink)) {}

  // Begins anew at `position` (in samples from presentation time zero). What does not fill a block
  // is filled up with silence; that ends no later than block_end().
  Status restart(std::int64_t position);

  // The next sample to be written.
  std::int64_t position() const { return position_; }
  // Where the block that is being filled ends; position() if it is empty.
  std::int64_t block_end() const;

  // False if the sound lay wholly before position().
  Result<bool> place(std::int64_t position, Stereo sound);
  Status silence_to(std::int64_t position);

  std::int64_t silent_samples() const { return silent_samples_; }

 private:
  Status append(Stereo sound);
  Status append_with_one_more(Stereo sound);
  Status append_with_one_less(Stereo sound);
  Status advance(std::size_t samples);

  BlockSink sink_;
  StereoBlock block_;
  std::size_t filled_ = 0;
  std::int64_t position_ = 0;
  bool exact_ = true;  // the next piece goes exactly where it says
  double mean_offset_ = 0;
  std::int64_t silent_samples_ = 0;
};

}  // namespace mirror::transcode
