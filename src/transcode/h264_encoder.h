// H264Encoder: canvases in, one coded picture out for each, at once. x264 through libavcodec.
//
// On the media thread, owned by a VideoTranscoder. It sees an unbroken count of pictures, whatever
// happened to the source; where that count lies on the timeline is its owner's business.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "media/sample.h"
#include "transcode/av.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {

enum class PictureKind { kAny, kIdr };

class H264Encoder {
 public:
  static Result<std::unique_ptr<H264Encoder>> create(const VideoSettings& settings,
                                                     media::FrameRate rate);

  const media::VideoDescription& description() const { return description_; }

  // The coded picture, as a sample. `canvas` is only read, and no longer used on return.
  Result<Bytes> encode(AVFrame& canvas, PictureKind kind);

 private:
  H264Encoder(av::CodecContext context, media::VideoDescription description)
      : context_(std::move(context)), description_(std::move(description)) {}

  const av::CodecContext context_;
  const av::Packet packet_ = av::make_packet();
  const media::VideoDescription description_;
  std::int64_t pictures_ = 0;
};

}  // namespace mirror::transcode
