// VideoDecoder: H.264 or HEVC access units in, pictures in output order out.
//
// On the media thread, owned by a VideoTranscoder, for one publisher's turn. Holds what the codec's
// own reordering needs and no frame more.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "media/access_unit.h"
#include "transcode/av.h"

namespace mirror::transcode {

class VideoDecoder {
 public:
  virtual ~VideoDecoder() = default;
  static Result<std::unique_ptr<VideoDecoder>> create(media::Codec codec, int threads);

  // Feeds one access unit; take() all pictures before the next. False if the decoder refused it.
  virtual bool push(const media::AccessUnit& unit);
  // No more units: take() gives what is still held. The decoder is of no use after that.
  void finish();

  enum class Taken {
    kPicture,
    kNothing,
    kError,  // the input's fault
    kLost,   // the decoder's: it is of no use any more
  };
  // The next picture, valid until the next call.
  virtual Taken take();
  virtual std::string why_lost() const { return {}; }
  const AVFrame& picture() const { return *frame_; }
  media::MediaTime pts() const { return media::MediaTime(frame_->pts); }
  Instant received() const;

  // Frames per second that the parameter sets tell; 0 if they do not.
  double reported_hz() const;

 protected:
  explicit VideoDecoder(av::CodecContext context) : context_(std::move(context)) {}
  // libav's code for what push() or take() came to last.
  int last_error() const { return last_error_; }

 private:
  const av::CodecContext context_;
  const av::Packet packet_ = av::make_packet();
  const av::Frame frame_ = av::make_frame();
  // When the last units came in, found again through AVFrame::reordered_opaque. Longer than any
  // decoded picture buffer (16 in both standards).
  std::array<Instant, 64> received_{};
  std::int64_t units_ = 0;
  int last_error_ = 0;
};

}  // namespace mirror::transcode
