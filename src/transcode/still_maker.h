// StillMaker: now and then a canvas, smaller, as a JPEG file (JFIF 1.02).
//
// On the media thread, owned by a VideoTranscoder. The canvases it is shown are only read. Holds
// one small picture, a scaler and an encoder, all made with the first still.
//
// Due by presentation time: the first picture of a run, then each that is `every` or more after the
// last still. The canvas's BT.709 limited range becomes JFIF's BT.601 full range. The quantiser
// follows what came out, a step with each still, so that one is between kBytesMin and kBytesMax
// where the picture allows it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "media/still.h"
#include "transcode/av.h"
#include "transcode/timeline.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {

class StillMaker {
 public:
  static constexpr std::size_t kBytesMin = 8 * 1024;
  static constexpr std::size_t kBytesMax = 20 * 1024;
  // libavcodec's quantiser scale for MJPEG; lower is finer.
  static constexpr int kFinest = 2;
  static constexpr int kFirst = 4;
  static constexpr int kCoarsest = 16;

  explicit StillMaker(const StillSettings& settings) : settings_(settings) {}

  // The next picture begins a run: it is due, whenever the last one was.
  void begin_run() { due_at_.reset(); }
  // Whether the picture shown at `time` is to be made a still. False for ever where they are off.
  bool due(PresentationTime time) const;
  // The picture shown at `time`, and captured then. The next one is due `every` later, whether this
  // works or not. Fails if the picture's format cannot be scaled, or the encoder does.
  Result<media::Still> make(const AVFrame& canvas, PresentationTime time, WallTime captured);

 private:
  Status prepare(const AVFrame& canvas);
  Status scale(const AVFrame& canvas);
  Result<Bytes> encode();
  void follow(std::size_t bytes);

  const StillSettings settings_;
  std::optional<PresentationTime> due_at_;
  std::uint64_t stills_ = 0;
  int quantiser_ = kFirst;

  // For canvases of one size and format.
  int source_width_ = 0;
  int source_height_ = 0;
  int source_format_ = -1;
  av::Scaler scaler_;
  av::Frame small_;
  av::CodecContext encoder_;
  const av::Packet packet_ = av::make_packet();
};

}  // namespace mirror::transcode
