#include "transcode/still_maker.h"

#include <algorithm>
#include <new>

namespace mirror::transcode {
namespace {

int even(int value) { return value / 2 * 2; }

// 8-bit 4:2:0 as JFIF has it: BT.601, full range.
av::Frame make_picture(int width, int height) {
  auto picture = av::make_frame();
  picture->width = width;
  picture->height = height;
  picture->format = AV_PIX_FMT_YUVJ420P;
  picture->color_range = AVCOL_RANGE_JPEG;
  picture->colorspace = AVCOL_SPC_BT470BG;
  picture->sample_aspect_ratio = {1, 1};
  if (av_frame_get_buffer(picture.get(), 0) < 0) throw std::bad_alloc();
  return picture;
}

Result<av::CodecContext> open_encoder(int width, int height) {
  av::take_over_log();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
  if (codec == nullptr) return fail("libavcodec has no JPEG encoder");
  av::CodecContext context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  context->width = width;
  context->height = height;
  context->pix_fmt = AV_PIX_FMT_YUVJ420P;
  context->color_range = AVCOL_RANGE_JPEG;
  context->sample_aspect_ratio = {1, 1};
  context->time_base = {1, 1};
  context->thread_count = 1;  // with more it would keep pictures back
  // Each picture's own quality counts; and no comment that names the library.
  context->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
  if (const int error = avcodec_open2(context.get(), codec, nullptr); error < 0) {
    return fail("JPEG encoder {}x{}: {}", width, height, av::describe(error));
  }
  return context;
}

}  // namespace

bool StillMaker::due(PresentationTime time) const {
  if (settings_.every <= std::chrono::milliseconds::zero()) return false;
  return !due_at_ || time >= *due_at_;
}

Result<media::Still> StillMaker::make(const AVFrame& canvas, PresentationTime time,
                                      WallTime captured) {
  due_at_ = time + settings_.every;
  if (auto status = scale(canvas); !status) return std::unexpected(std::move(status.error()));
  auto jpeg = encode();
  if (!jpeg) return std::unexpected(std::move(jpeg.error()));
  follow(jpeg->size());
  return media::Still{.number = ++stills_,
                      .width = static_cast<std::uint16_t>(small_->width),
                      .height = static_cast<std::uint16_t>(small_->height),
                      .captured = captured,
                      .jpeg = std::move(*jpeg)};
}

Status StillMaker::prepare(const AVFrame& canvas) {
  scaler_.reset();
  const int width = std::min<int>(even(settings_.width), even(canvas.width));
  const auto height = static_cast<int>(std::max<std::int64_t>(
      2, 2 * av_rescale(width, canvas.height, std::int64_t{2} * canvas.width)));
  auto encoder = open_encoder(width, height);
  if (!encoder) return std::unexpected(std::move(encoder.error()));
  scaler_.reset(sws_getContext(canvas.width, canvas.height,
                               static_cast<AVPixelFormat>(canvas.format), width, height,
                               AV_PIX_FMT_YUVJ420P, SWS_AREA, nullptr, nullptr, nullptr));
  if (!scaler_) {
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(canvas.format));
    return fail("cannot scale {}x{} {}", canvas.width, canvas.height, name ? name : "?");
  }
  sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(SWS_CS_ITU709), 0,
                           sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16, 1 << 16);
  small_ = make_picture(width, height);
  encoder_ = std::move(*encoder);
  source_width_ = canvas.width;
  source_height_ = canvas.height;
  source_format_ = canvas.format;
  return {};
}

Status StillMaker::scale(const AVFrame& canvas) {
  const bool same = scaler_ && canvas.width == source_width_ && canvas.height == source_height_ &&
                    canvas.format == source_format_;
  if (!same) {
    if (auto status = prepare(canvas); !status) return status;
  }
  // The encoder may still refer to the picture before; then this is a copy of it to paint over.
  if (av_frame_make_writable(small_.get()) < 0) throw std::bad_alloc();
  const int rows = sws_scale(scaler_.get(), canvas.data, canvas.linesize, 0, canvas.height,
                             small_->data, small_->linesize);
  if (rows != small_->height) return fail("scaling: {}", av::describe(rows));
  return {};
}

Result<Bytes> StillMaker::encode() {
  small_->pts = static_cast<std::int64_t>(stills_);
  small_->quality = quantiser_ * FF_QP2LAMBDA;
  if (const int error = avcodec_send_frame(encoder_.get(), small_.get()); error < 0) {
    return fail("JPEG encoder: {}", av::describe(error));
  }
  if (const int error = avcodec_receive_packet(encoder_.get(), packet_.get()); error < 0) {
    return fail("JPEG encoder gave nothing: {}", av::describe(error));
  }
  auto jpeg = Bytes::copy_of({packet_->data, static_cast<std::size_t>(packet_->size)});
  av_packet_unref(packet_.get());
  return jpeg;
}

void StillMaker::follow(std::size_t bytes) {
  if (bytes > kBytesMax) quantiser_ = std::min(kCoarsest, quantiser_ + 1);
  if (bytes < kBytesMin) quantiser_ = std::max(kFinest, quantiser_ - 1);
}

}  // namespace mirror::transcode
