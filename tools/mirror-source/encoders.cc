#include "encoders.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace mirror::source {
namespace {

constexpr std::int64_t kAudioBitrateBps = 128'000;

Status take_packets_of(AVCodecContext& context, AVPacket& packet, const PacketSink& sink) {
  for (;;) {
    const int result = avcodec_receive_packet(&context, &packet);
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return {};
    if (result < 0) return fail("encoder: {}", av_error(result));
    if (Status taken = sink(packet); !taken) return taken;
    av_packet_unref(&packet);
  }
}

AVPixelFormat pixel_format_of(const VideoSettings& settings) {
  return settings.bit_depth == 10 ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P;
}

// libx264 and libx265 know the same presets; both run in the calling thread alone, so that four
// feeds and a server fit on two cores.
void set_private_options(AVCodecContext& context, const VideoSettings& settings) {
  av_opt_set(context.priv_data, "forced-idr", "1", 0);
  if (settings.codec == VideoCodec::kHevc) {
    av_opt_set(context.priv_data, "preset", "ultrafast", 0);
    av_opt_set(context.priv_data, "tune", "zerolatency", 0);
    // Half of what ultrafast costs (README.md has the figures). The pattern is flat, so a floor
    // under the quantiser saves most of the rest, and it is lifted where there is grain to fill the
    // rate.
    const std::string params = fmt::format(
        "pools=none:frame-threads=1:wpp=0:log-level=none:scenecut=0:open-gop=0:bframes={}"
        ":ctu=32:min-cu-size=16:max-merge=1:early-skip=1:fast-intra=1:rd=1:psy-rd=0:me=dia"
        ":merange=4:subme=0:aq-mode=0:cutree=0:rc-lookahead={}:no-deblock=1:qpmin={}",
        settings.b_frames, settings.b_frames > 0 ? settings.b_frames + 1 : 0,
        settings.grain_percent > 0 ? 0 : 33);
    av_opt_set(context.priv_data, "x265-params", params.c_str(), 0);
  } else {
    av_opt_set(context.priv_data, "preset", "superfast", 0);
    av_opt_set(context.priv_data, "tune", "zerolatency", 0);
    av_opt_set(context.priv_data, "x264-params", "scenecut=0:open-gop=0", 0);
  }
}

void set_common_options(AVCodecContext& context, const VideoSettings& settings) {
  context.width = settings.width;
  context.height = settings.height;
  context.pix_fmt = pixel_format_of(settings);
  context.time_base = {settings.rate.den, settings.rate.num};
  context.framerate = {settings.rate.num, settings.rate.den};
  context.sample_aspect_ratio = {1, 1};
  context.color_range = AVCOL_RANGE_MPEG;
  context.color_primaries = AVCOL_PRI_BT709;
  context.color_trc = AVCOL_TRC_BT709;
  context.colorspace = AVCOL_SPC_BT709;
  context.bit_rate = settings.bitrate_bps;
  context.rc_max_rate = settings.bitrate_bps;
  context.rc_buffer_size =
      static_cast<int>(std::min<std::int64_t>(settings.bitrate_bps, INT32_MAX));
  const double hz = static_cast<double>(settings.rate.num) / settings.rate.den;
  context.gop_size = std::max(1, static_cast<int>(std::lround(settings.gop_seconds * hz)));
  context.max_b_frames = settings.b_frames;
  context.thread_count = 1;
}

void copy_plane(const std::vector<std::uint8_t>& from, int width, int height, std::uint8_t* to,
                int stride) {
  for (int y = 0; y < height; ++y) {
    std::copy_n(from.data() + std::ptrdiff_t{y} * width, width, to + std::ptrdiff_t{y} * stride);
  }
}

void widen_plane(const std::vector<std::uint8_t>& from, int width, int height, std::uint8_t* to,
                 int stride) {
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* source = from.data() + std::ptrdiff_t{y} * width;
    auto* target = reinterpret_cast<std::uint16_t*>(to + std::ptrdiff_t{y} * stride);
    for (int x = 0; x < width; ++x) target[x] = static_cast<std::uint16_t>(source[x] << 2);
  }
}

}  // namespace

Result<std::unique_ptr<VideoEncoder>> VideoEncoder::create(const VideoSettings& settings) {
  const char* name = settings.codec == VideoCodec::kHevc ? "libx265" : "libx264";
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  if (codec == nullptr) return fail("this FFmpeg has no {}", name);
  CodecContext context(avcodec_alloc_context3(codec));
  Frame frame(av_frame_alloc());
  Packet packet(av_packet_alloc());
  if (!context || !frame || !packet) return fail("out of memory");
  set_common_options(*context, settings);
  set_private_options(*context, settings);
  if (const int result = avcodec_open2(context.get(), codec, nullptr); result < 0) {
    return fail("{} cannot be opened: {}", name, av_error(result));
  }
  frame->width = settings.width;
  frame->height = settings.height;
  frame->format = context->pix_fmt;
  if (const int result = av_frame_get_buffer(frame.get(), 0); result < 0) {
    return fail("frame: {}", av_error(result));
  }
  return std::unique_ptr<VideoEncoder>(
      new VideoEncoder(std::move(context), std::move(frame), std::move(packet)));
}

void VideoEncoder::copy_in(const Picture& picture) {
  const auto copy = frame_->format == AV_PIX_FMT_YUV420P ? copy_plane : widen_plane;
  for (std::size_t i = 0; i < 3; ++i) {
    const int shift = i == 0 ? 0 : 1;
    copy(picture.planes[i], picture.width >> shift, picture.height >> shift, frame_->data[i],
         frame_->linesize[i]);
  }
}

Status VideoEncoder::encode(const Picture& picture, std::int64_t index, const PacketSink& sink) {
  if (const int result = av_frame_make_writable(frame_.get()); result < 0) {
    return fail("frame: {}", av_error(result));
  }
  copy_in(picture);
  frame_->pts = index;
  if (const int result = avcodec_send_frame(context_.get(), frame_.get()); result < 0) {
    return fail("encoder: {}", av_error(result));
  }
  return take_packets(sink);
}

Status VideoEncoder::flush(const PacketSink& sink) {
  avcodec_send_frame(context_.get(), nullptr);
  return take_packets(sink);
}

Status VideoEncoder::take_packets(const PacketSink& sink) {
  return take_packets_of(*context_, *packet_, sink);
}

Result<std::unique_ptr<AudioEncoder>> AudioEncoder::create(std::int64_t first_sample) {
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
  if (codec == nullptr) return fail("this FFmpeg has no AAC encoder");
  CodecContext context(avcodec_alloc_context3(codec));
  Frame frame(av_frame_alloc());
  Packet packet(av_packet_alloc());
  if (!context || !frame || !packet) return fail("out of memory");
  context->sample_fmt = AV_SAMPLE_FMT_FLTP;
  context->sample_rate = kSampleRate;
  av_channel_layout_default(&context->ch_layout, 2);
  context->bit_rate = kAudioBitrateBps;
  context->time_base = {1, kSampleRate};
  // "fast" is a quarter of the cost of the default coder, and these are two sine tones.
  av_opt_set(context->priv_data, "aac_coder", "fast", 0);
  if (const int result = avcodec_open2(context.get(), codec, nullptr); result < 0) {
    return fail("AAC cannot be opened: {}", av_error(result));
  }
  frame->format = context->sample_fmt;
  frame->nb_samples = context->frame_size;
  frame->sample_rate = kSampleRate;
  av_channel_layout_copy(&frame->ch_layout, &context->ch_layout);
  if (const int result = av_frame_get_buffer(frame.get(), 0); result < 0) {
    return fail("frame: {}", av_error(result));
  }
  return std::unique_ptr<AudioEncoder>(
      new AudioEncoder(std::move(context), std::move(frame), std::move(packet), first_sample));
}

Status AudioEncoder::encode_until(std::int64_t end_sample, const PacketSink& sink) {
  // After a long stop (a suspended machine) the lost time is left out, not caught up.
  constexpr std::int64_t kCatchUpMax = 2 * kSampleRate;
  if (end_sample - next_sample_ > kCatchUpMax) next_sample_ = end_sample - kCatchUpMax;
  while (next_sample_ + frame_->nb_samples <= end_sample) {
    if (const int result = av_frame_make_writable(frame_.get()); result < 0) {
      return fail("frame: {}", av_error(result));
    }
    for (int channel = 0; channel < 2; ++channel) {
      auto* samples = reinterpret_cast<float*>(frame_->data[channel]);
      for (int i = 0; i < frame_->nb_samples; ++i) samples[i] = tone_.at(next_sample_ + i);
    }
    frame_->pts = next_sample_ - first_sample_;
    next_sample_ += frame_->nb_samples;
    if (const int result = avcodec_send_frame(context_.get(), frame_.get()); result < 0) {
      return fail("encoder: {}", av_error(result));
    }
    if (Status taken = take_packets_of(*context_, *packet_, sink); !taken) return taken;
  }
  return {};
}

}  // namespace mirror::source
