#include "transcode/audio_decoder.h"

#include <array>
#include <cmath>

namespace mirror::transcode {
namespace {

constexpr int kChannelsMax = 16;

// Channels without named places are taken as the usual layout of so many.
AVChannelLayout layout_of(const AVFrame& frame) {
  AVChannelLayout layout{};
  if (frame.ch_layout.order == AV_CHANNEL_ORDER_NATIVE) {
    layout.order = AV_CHANNEL_ORDER_NATIVE;
    layout.nb_channels = frame.ch_layout.nb_channels;
    layout.u.mask = frame.ch_layout.u.mask;
  } else {
    av_channel_layout_default(&layout, frame.ch_layout.nb_channels);
  }
  return layout;
}

// ITU-R BS.775-3, table 2: centre and surrounds at -3 dB, the low frequency effects left out; mono
// at -3 dB on both sides. A mix of more than two channels is lowered as a whole so far that full
// scale on all of them is full scale: swresample does that by itself for integers alone.
bool set_down_mix(SwrContext& resampler) {
  const auto set = [&resampler](const char* option, double value) {
    return av_opt_set_double(&resampler, option, value, 0) >= 0;
  };
  return set("center_mix_level", M_SQRT1_2) && set("surround_mix_level", M_SQRT1_2) &&
         set("lfe_mix_level", 0) && set("rematrix_maxval", 1);
}

}  // namespace

Result<std::unique_ptr<AudioDecoder>> AudioDecoder::create(media::Codec codec) {
  if (media::kind_of(codec) != media::TrackKind::kAudio) {
    return fail("{} is not an audio codec", media::name_of(codec));
  }
  auto context = codec == media::Codec::kOpus
                     ? av::open_decoder(codec, 1, codec::opus_identification(codec::kOpusStereo))
                     : av::open_decoder(codec, 1);
  if (!context) return std::unexpected(std::move(context.error()));
  return std::unique_ptr<AudioDecoder>(new AudioDecoder(std::move(*context)));
}

bool AudioDecoder::push(const media::AccessUnit& unit) {
  auto data = unit.data.span();
  if (unit.codec == media::Codec::kOpus) {
    if (data.empty() || !use_opus_channels(data[0])) return false;
    data = data.subspan(1);
  }
  packet_->data = const_cast<std::uint8_t*>(data.data());
  packet_->size = static_cast<int>(data.size());
  packet_->pts = unit.pts.count();
  packet_->dts = unit.dts.count();
  const int error = avcodec_send_packet(context_.get(), packet_.get());
  packet_->data = nullptr;
  packet_->size = 0;
  return error == 0;
}

bool AudioDecoder::use_opus_channels(std::uint8_t code) {
  if (code == opus_channels_) return true;
  if (code > codec::kOpusChannelsMax) return false;
  auto context = av::open_decoder(media::Codec::kOpus, 1, codec::opus_identification(code));
  if (!context) return false;
  context_ = std::move(*context);
  opus_channels_ = code;
  return true;
}

AudioDecoder::Taken AudioDecoder::take() {
  const int error = avcodec_receive_frame(context_.get(), frame_.get());
  if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return Taken::kNothing;
  if (error < 0 || frame_->pts == AV_NOPTS_VALUE) return Taken::kError;
  pts_ = media::MediaTime(frame_->pts);
  return prepare_resampler() && resample() ? Taken::kSound : Taken::kError;
}

bool AudioDecoder::prepare_resampler() {
  if (frame_->ch_layout.nb_channels < 1 || frame_->ch_layout.nb_channels > kChannelsMax ||
      frame_->sample_rate <= 0) {
    return false;
  }
  auto layout = layout_of(*frame_);
  if (resampler_ && source_rate_ == frame_->sample_rate && source_format_ == frame_->format &&
      av_channel_layout_compare(&layout, &source_layout_) == 0) {
    return true;
  }
  AVChannelLayout stereo{};
  av_channel_layout_default(&stereo, 2);
  SwrContext* context = nullptr;
  swr_alloc_set_opts2(&context, &stereo, AV_SAMPLE_FMT_FLTP, kAudioRate, &layout,
                      static_cast<AVSampleFormat>(frame_->format), frame_->sample_rate, 0, nullptr);
  resampler_.reset(context);
  if (!resampler_ || !set_down_mix(*resampler_) || swr_init(resampler_.get()) < 0) {
    resampler_.reset();
    return false;
  }
  source_rate_ = frame_->sample_rate;
  source_format_ = frame_->format;
  source_layout_ = layout;
  return true;
}

bool AudioDecoder::resample() {
  lead_ = swr_get_delay(resampler_.get(), kAudioRate);
  const int room = swr_get_out_samples(resampler_.get(), frame_->nb_samples);
  if (room < 0) return false;
  if (left_.size() < static_cast<std::size_t>(room)) {
    left_.resize(static_cast<std::size_t>(room));
    right_.resize(static_cast<std::size_t>(room));
  }
  std::array<std::uint8_t*, 2> out = {reinterpret_cast<std::uint8_t*>(left_.data()),
                                      reinterpret_cast<std::uint8_t*>(right_.data())};
  const int made =
      swr_convert(resampler_.get(), out.data(), room,
                  const_cast<const std::uint8_t**>(frame_->extended_data), frame_->nb_samples);
  if (made < 0) return false;
  samples_ = static_cast<std::size_t>(made);
  return true;
}

Stereo AudioDecoder::sound() const {
  return {std::span(left_).first(samples_), std::span(right_).first(samples_)};
}

void AudioDecoder::flush() {
  avcodec_flush_buffers(context_.get());
  resampler_.reset();
}

}  // namespace mirror::transcode
