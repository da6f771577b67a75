#include "transcode/video_decoder.h"

namespace mirror::transcode {

Result<std::unique_ptr<VideoDecoder>> VideoDecoder::create(media::Codec codec, int threads) {
  if (media::kind_of(codec) != media::TrackKind::kVideo) {
    return fail("{} is not a video codec", media::name_of(codec));
  }
  auto context = av::open_decoder(codec, threads);
  if (!context) return std::unexpected(std::move(context.error()));
  return std::unique_ptr<VideoDecoder>(new VideoDecoder(std::move(*context)));
}

bool VideoDecoder::push(const media::AccessUnit& unit) {
  received_[static_cast<std::size_t>(units_) % received_.size()] = unit.received;
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

VideoDecoder::Taken VideoDecoder::take() {
  last_error_ = avcodec_receive_frame(context_.get(), frame_.get());
  if (last_error_ == 0) return Taken::kPicture;
  return last_error_ == AVERROR(EAGAIN) || last_error_ == AVERROR_EOF ? Taken::kNothing
                                                                      : Taken::kError;
}

Instant VideoDecoder::received() const {
  return received_[static_cast<std::size_t>(frame_->reordered_opaque) % received_.size()];
}

double VideoDecoder::reported_hz() const {
  const auto rate = context_->framerate;
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

}  // namespace mirror::transcode
