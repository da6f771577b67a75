// H264Encoder: canvases in, one coded picture out for each, at once. x264 through libavcodec; other
// encoders derive from it (nvidia_pairing.cc, the tests' failing ones).
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

// The ids that an encoder's parameter sets have: those of the one that takes over in mid-stream
// differ from the first one's, so that one init segment can hold both.
enum class ParameterSets { kFirst = 0, kSpare = 1 };

class H264Encoder {
 public:
  static Result<std::unique_ptr<H264Encoder>> create(const VideoSettings& settings,
                                                     media::FrameRate rate,
                                                     ParameterSets ids = ParameterSets::kFirst);
  virtual ~H264Encoder() = default;

  const media::VideoDescription& description() const { return description_; }

  // The coded picture, as a sample. `canvas` is only read, and no longer used on return.
  virtual Result<Bytes> encode(AVFrame& canvas, PictureKind kind);
  // Whether encode() may be given it: x264 reads memory, and not a device's.
  virtual bool takes(const AVFrame& canvas) const { return canvas.hw_frames_ctx == nullptr; }

 protected:
  H264Encoder(av::CodecContext context, media::VideoDescription description)
      : context_(std::move(context)), description_(std::move(description)) {}

 private:
  const av::CodecContext context_;
  const av::Packet packet_ = av::make_packet();
  const media::VideoDescription description_;
  std::int64_t pictures_ = 0;
};

// What every encoder of the proxy is told: size, rate and colours; bit rate and buffer; no
// B-pictures, IDR pictures where we ask for them. `pix_fmt` is memory's.
void set_proxy(AVCodecContext& context, const VideoSettings& settings, media::FrameRate rate);
// From an encoder that was opened with a global header.
Result<media::VideoDescription> describe_encoder(const AVCodecContext& context,
                                                 const VideoSettings& settings,
                                                 media::FrameRate rate);

// Adds to an encoder's description what x264 will need, should it have to take over.
Status add_spare_sets(const VideoSettings& settings, media::VideoDescription& description);

}  // namespace mirror::transcode
