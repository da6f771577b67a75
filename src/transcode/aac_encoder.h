// AacEncoder: blocks of 1024 samples in, raw AAC-LC frames out. libavcodec's own encoder.
//
// On the media thread, owned by an AudioTranscoder. Sees one unbroken count of samples for life; a
// frame comes out two blocks after it begins (the transform's overlap and the encoder's lookahead).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "media/sample.h"
#include "transcode/av.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {

inline constexpr std::size_t kAacFrameSamples = 1024;
// A block's frame comes out with the block that is so many later.
inline constexpr int kAacDelayBlocks = 2;

struct StereoBlock {
  std::array<float, kAacFrameSamples> left{};
  std::array<float, kAacFrameSamples> right{};
};

class AacEncoder {
 public:
  struct Frame {
    // What it decodes to, begins at this sample of all that was pushed. Negative: the encoder's
    // priming, which carries nothing of the input but is part of the first frame's overlap.
    std::int64_t first_sample = 0;
    Bytes data;
  };

  static Result<std::unique_ptr<AacEncoder>> create(const AudioSettings& settings);

  const media::AudioDescription& description() const { return description_; }
  Result<std::optional<Frame>> encode(const StereoBlock& block);

 private:
  AacEncoder(av::CodecContext context, media::AudioDescription description)
      : context_(std::move(context)), description_(std::move(description)) {}

  const av::CodecContext context_;
  const av::Packet packet_ = av::make_packet();
  const av::Frame frame_ = av::make_frame();
  const media::AudioDescription description_;
  std::int64_t samples_ = 0;
};

}  // namespace mirror::transcode
