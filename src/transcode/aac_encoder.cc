#include "transcode/aac_encoder.h"

#include <algorithm>
#include <new>

#include "transcode/audio_decoder.h"

namespace mirror::transcode {
namespace {

// Damaged AAC and AC-3 decode to values of any size, even to none, which the encoder refuses for
// good. Beyond full scale nothing can be heard anyway.
float within_full_scale(float sample) {
  return sample >= -1.0F ? std::min(sample, 1.0F) : sample < -1.0F ? -1.0F : 0.0F;  // NaN last
}

}  // namespace

Result<std::unique_ptr<AacEncoder>> AacEncoder::create(const AudioSettings& settings) {
  av::take_over_log();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
  if (!codec) return fail("libavcodec has no AAC encoder");
  av::CodecContext context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  context->sample_fmt = AV_SAMPLE_FMT_FLTP;
  context->sample_rate = kAudioRate;
  av_channel_layout_default(&context->ch_layout, 2);
  context->bit_rate = settings.bitrate_bps;
  context->time_base = {1, kAudioRate};
  context->profile = FF_PROFILE_AAC_LOW;
  context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (const int error = avcodec_open2(context.get(), codec, nullptr); error < 0) {
    return fail("AAC encoder, {} bit/s: {}", settings.bitrate_bps, av::describe(error));
  }
  if (context->frame_size != static_cast<int>(kAacFrameSamples)) {
    return fail("AAC encoder wants frames of {} samples", context->frame_size);
  }
  const auto* config = context->extradata;
  media::AudioDescription description{
      .grid = media::SampleGrid::for_aac_48k(),
      .sample_rate = kAudioRate,
      .channels = 2,
      .audio_specific_config = {config, config + context->extradata_size},
      .language = settings.language,
      .bitrate_bps = settings.bitrate_bps};
  return std::unique_ptr<AacEncoder>(new AacEncoder(std::move(context), std::move(description)));
}

Result<std::optional<AacEncoder::Frame>> AacEncoder::encode(const StereoBlock& block) {
  // The encoder may still refer to the last block's buffers; a new one comes from libavutil's pool
  // of freed memory.
  av_frame_unref(frame_.get());
  frame_->nb_samples = static_cast<int>(kAacFrameSamples);
  frame_->format = AV_SAMPLE_FMT_FLTP;
  frame_->sample_rate = kAudioRate;
  av_channel_layout_default(&frame_->ch_layout, 2);
  if (av_frame_get_buffer(frame_.get(), 0) < 0) throw std::bad_alloc();
  std::ranges::transform(block.left, reinterpret_cast<float*>(frame_->data[0]), within_full_scale);
  std::ranges::transform(block.right, reinterpret_cast<float*>(frame_->data[1]), within_full_scale);
  frame_->pts = samples_;
  samples_ += static_cast<std::int64_t>(kAacFrameSamples);

  if (const int error = avcodec_send_frame(context_.get(), frame_.get()); error < 0) {
    return fail("AAC encoder: {}", av::describe(error));
  }
  const int error = avcodec_receive_packet(context_.get(), packet_.get());
  if (error == AVERROR(EAGAIN)) return std::nullopt;
  if (error < 0) return fail("AAC encoder: {}", av::describe(error));
  Frame out{packet_->pts, Bytes::copy_of({packet_->data, static_cast<std::size_t>(packet_->size)})};
  av_packet_unref(packet_.get());
  return out;
}

}  // namespace mirror::transcode
