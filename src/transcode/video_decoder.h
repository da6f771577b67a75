// VideoDecoder: H.264 or HEVC access units in, pictures in output order out.
//
// On the media thread, owned by a VideoTranscoder, for one publisher's turn. Holds what the codec's
// own reordering needs and no frame more.
//
// Interlaced video comes in three forms, and leaves in two:
//  - H.264 fields and frames of two fields: frames with AVFrame::interlaced_frame set.
//  - HEVC frames of two fields (general_interlaced_source_flag without the progressive one, H.265
//    7.4.4), of which libavcodec says nothing: the same.
//  - HEVC pictures that are one field each (pic_struct 1, 2, 9 to 12, H.265 D.3.3): half as many
//    lines, twice as many pictures. They leave as progressive pictures with a sample aspect ratio
//    that is right for them, at the rate of fields; the frame grid takes every second one.
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
  // `tainted` is told again with its picture.
  virtual bool push(const media::AccessUnit& unit, bool tainted = false);
  // No more units: take() gives what is still held. The decoder is of no use until restart().
  void finish();
  // Forgets all pictures: goes on with a random access unit. Parameter sets are kept.
  void restart();
  void skip_non_reference(bool skip);

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
  Instant received() const { return mark().received; }
  bool tainted() const { return mark().tainted; }
  // The decoder had to guess at some of it, as far as it noticed.
  bool concealed() const;

  // Frames per second that the parameter sets tell; 0 if they do not.
  double reported_hz() const;

 protected:
  explicit VideoDecoder(av::CodecContext context) : context_(std::move(context)) {}
  // libav's code for what push() or take() came to last.
  int last_error() const { return last_error_; }

 private:
  void note_scan(const media::AccessUnit& unit);
  void settle_scan();

  const av::CodecContext context_;
  const av::Packet packet_ = av::make_packet();
  const av::Frame frame_ = av::make_frame();
  bool hevc_frames_of_fields_ = false;  // if not said otherwise of a picture
  // What is to be known of a unit when its picture comes out.
  struct Mark {
    Instant received;
    bool tainted = false;
  };
  const Mark& mark() const {
    return marks_[static_cast<std::size_t>(frame_->reordered_opaque) % marks_.size()];
  }

  // Of the last units, found again through AVFrame::reordered_opaque. Longer than any decoded
  // picture buffer (16 in both standards).
  std::array<Mark, 64> marks_{};
  std::int64_t units_ = 0;
  int last_error_ = 0;
};

}  // namespace mirror::transcode
