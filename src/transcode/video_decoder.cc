#include "transcode/video_decoder.h"

#include "codec/annexb.h"
#include "codec/nal.h"

namespace mirror::transcode {
namespace {

constexpr int kNalsBeforeSps = 8;

}  // namespace

Result<std::unique_ptr<VideoDecoder>> VideoDecoder::create(media::Codec codec, int threads) {
  if (media::kind_of(codec) != media::TrackKind::kVideo) {
    return fail("{} is not a video codec", media::name_of(codec));
  }
  auto context = av::open_decoder(codec, threads);
  if (!context) return std::unexpected(std::move(context.error()));
  return std::unique_ptr<VideoDecoder>(new VideoDecoder(std::move(*context)));
}

bool VideoDecoder::push(const media::AccessUnit& unit, bool tainted) {
  if (unit.random_access && context_->codec_id == AV_CODEC_ID_HEVC) note_scan(unit);
  marks_[static_cast<std::size_t>(units_) % marks_.size()] = {unit.received, tainted};
  context_->reordered_opaque = units_++;
  // libavcodec copies what is not reference-counted, and pads the copy as its readers need.
  packet_->data = const_cast<std::uint8_t*>(unit.data.data());
  packet_->size = static_cast<int>(unit.data.size());
  packet_->pts = unit.pts.count();
  packet_->dts = unit.dts.count();
  last_error_ = avcodec_send_packet(context_.get(), packet_.get());
  packet_->data = nullptr;
  packet_->size = 0;
  return last_error_ == 0;
}

void VideoDecoder::finish() { avcodec_send_packet(context_.get(), nullptr); }

void VideoDecoder::restart() { avcodec_flush_buffers(context_.get()); }

void VideoDecoder::skip_non_reference(bool skip) {
  // Never AVDISCARD_BIDIR: B-pictures that others refer to would be missed.
  context_->skip_frame = skip ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
}

VideoDecoder::Taken VideoDecoder::take() {
  last_error_ = avcodec_receive_frame(context_.get(), frame_.get());
  if (last_error_ == 0) {
    settle_scan();
    return Taken::kPicture;
  }
  return last_error_ == AVERROR(EAGAIN) || last_error_ == AVERROR_EOF ? Taken::kNothing
                                                                      : Taken::kError;
}

// Parameter sets stand before the pictures: what follows the first slice is not looked at.
void VideoDecoder::note_scan(const media::AccessUnit& unit) {
  codec::AnnexBReader reader(unit.data.span());
  for (int i = 0; i < kNalsBeforeSps; ++i) {
    const auto nal = reader.next();
    if (!nal || codec::hevc_nal_type(nal->bytes) < codec::kHevcVps) return;
    if (codec::hevc_nal_type(nal->bytes) != codec::kHevcSps) continue;
    if (const auto scan = codec::parse_hevc_source_scan(nal->bytes)) {
      hevc_frames_of_fields_ = scan->interlaced && !scan->progressive;
    }
    return;
  }
}

void VideoDecoder::settle_scan() {
  if (context_->codec_id != AV_CODEC_ID_HEVC) return;
  if (!frame_->interlaced_frame) {
    frame_->interlaced_frame = hevc_frames_of_fields_ ? 1 : 0;
    return;
  }
  // libavcodec sets the flag for single fields alone. Encoders state the aspect ratio of a frame's
  // samples; the few that mean a field's are known by what it would make of the picture: something
  // higher than wide.
  frame_->interlaced_frame = 0;
  auto& shape = frame_->sample_aspect_ratio;
  if (shape.num <= 0 || shape.den <= 0) shape = {1, 1};
  const auto halved = av_mul_q(shape, {1, 2});
  if (av_q2d(halved) * frame_->width >= frame_->height) shape = halved;
}

bool VideoDecoder::concealed() const {
  return frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0;
}

double VideoDecoder::reported_hz() const {
  const auto rate = context_->framerate;
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

}  // namespace mirror::transcode
