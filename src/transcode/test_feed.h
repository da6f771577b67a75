// For this module's tests: feeds made by libavcodec's encoders, and judges that decode what came
// out.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "codec/opus.h"
#include "transcode/audio_decoder.h"
#include "transcode/av.h"
#include "transcode/transcoder.h"

namespace mirror::transcode::test {

using media::AccessUnit;
using media::MediaTime;
using Feed = std::vector<AccessUnit>;

inline constexpr WallTime kEpoch{std::chrono::seconds(1'700'000'000)};

inline Instant at(std::chrono::microseconds since_epoch) {
  return {SteadyTime(since_epoch), kEpoch + since_epoch};
}

inline std::chrono::microseconds micros(MediaTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time);
}

// --- Feeds.

struct VideoSpec {
  media::Codec codec = media::Codec::kHevc;
  int width = 320;
  int height = 180;
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  media::FrameRate rate{30, 1};
  int frames = 90;
  int gop = 30;
  int b_frames = 2;
  bool pyramid = false;  // B-frames that others refer to (H.264; HEVC always has them)
  int bitrate_bps = 600'000;
  MediaTime start{90'000};
  bool noise = false;
  int flash_at = -1;  // this frame alone is white
  AVColorRange range = AVCOL_RANGE_MPEG;
  AVColorSpace space = AVCOL_SPC_UNSPECIFIED;
  AVColorPrimaries primaries = AVCOL_PRI_UNSPECIFIED;
  AVColorTransferCharacteristic transfer = AVCOL_TRC_UNSPECIFIED;
  bool interlaced = false;       // H.264: frames of two fields, the top one first
  std::string encoder_params{};  // more for x264 or x265, beginning with a colon
  std::function<void(AVFrame& frame, int index)> painter{};  // instead of paint()
};

inline void put(AVFrame& frame, int plane, int x, int y, int value) {
  if (frame.format == AV_PIX_FMT_YUV420P10LE) {
    reinterpret_cast<std::uint16_t*>(frame.data[plane] + y * frame.linesize[plane])[x] =
        static_cast<std::uint16_t>(value << 2);
  } else {
    frame.data[plane][y * frame.linesize[plane] + x] = static_cast<std::uint8_t>(value);
  }
}

// A gradient that moves, with a box that moves otherwise.
inline void paint(AVFrame& frame, const VideoSpec& spec, int index, std::minstd_rand& random) {
  const int box_x = index * 7 % std::max(1, spec.width - 40);
  const int box_y = index * 3 % std::max(1, spec.height - 40);
  for (int y = 0; y < spec.height; ++y) {
    for (int x = 0; x < spec.width; ++x) {
      int value = 32 + (x + 2 * y + 4 * index) % 128;
      const bool box = x >= box_x && x < box_x + 40 && y >= box_y && y < box_y + 40;
      if (box) value = ((x >> 2) + (y >> 2)) % 2 ? 40 : 160;
      if (spec.noise) value += static_cast<int>(random() % 24) - 12;
      put(frame, 0, x, y, index == spec.flash_at ? 235 : value);
    }
  }
  for (int plane = 1; plane < 3; ++plane) {
    for (int y = 0; y < spec.height / 2; ++y) {
      for (int x = 0; x < spec.width / 2; ++x) {
        put(frame, plane, x, y, index == spec.flash_at ? 128 : 96 + (x + index * plane) % 64);
      }
    }
  }
}

inline void drain(AVCodecContext& context, const std::function<void(const AVPacket&)>& visit) {
  auto packet = av::make_packet();
  while (avcodec_receive_packet(&context, packet.get()) == 0) {
    visit(*packet);
    av_packet_unref(packet.get());
  }
}

inline Feed make_video(const VideoSpec& spec) {
  av::take_over_log();
  const bool hevc = spec.codec == media::Codec::kHevc;
  const AVCodec* codec = avcodec_find_encoder_by_name(hevc ? "libx265" : "libx264");
  av::CodecContext context(avcodec_alloc_context3(codec));
  context->width = spec.width;
  context->height = spec.height;
  context->pix_fmt = spec.format;
  context->color_range = spec.range;
  context->colorspace = spec.space;
  context->color_primaries = spec.primaries;
  context->color_trc = spec.transfer;
  if (spec.interlaced) {
    context->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
  }
  context->framerate = {static_cast<int>(spec.rate.num), static_cast<int>(spec.rate.den)};
  context->time_base = av_inv_q(context->framerate);
  context->gop_size = spec.gop;
  context->max_b_frames = spec.b_frames;
  context->bit_rate = spec.bitrate_bps;
  context->thread_count = 1;
  av_opt_set(context->priv_data, "preset", "ultrafast", 0);
  if (hevc) {
    const auto params = fmt::format(
        "log-level=none:pools=none:frame-threads=1:bframes={}:keyint={}"
        ":min-keyint={}:scenecut=0:rc-lookahead={}{}",
        spec.b_frames, spec.gop, spec.gop, spec.b_frames + 1, spec.encoder_params);
    av_opt_set(context->priv_data, "x265-params", params.c_str(), 0);
  } else {
    const auto params = fmt::format("scenecut=0:rc-lookahead=4:b-pyramid={}{}",
                                    spec.pyramid ? "normal" : "none", spec.encoder_params);
    av_opt_set(context->priv_data, "x264-params", params.c_str(), 0);
  }
  EXPECT_EQ(avcodec_open2(context.get(), codec, nullptr), 0);

  Feed feed;
  const auto time = [&](std::int64_t index) {
    return spec.start + MediaTime(av_rescale(index, 90'000LL * spec.rate.den, spec.rate.num));
  };
  const auto collect = [&](const AVPacket& packet) {
    AccessUnit unit;
    unit.codec = spec.codec;
    unit.pts = time(packet.pts);
    unit.dts = time(packet.dts);
    unit.random_access = packet.flags & AV_PKT_FLAG_KEY;
    unit.received = at(micros(unit.dts - spec.start));
    unit.data = Bytes::copy_of({packet.data, static_cast<std::size_t>(packet.size)});
    feed.push_back(std::move(unit));
  };
  std::minstd_rand random(1);
  for (int i = 0; i < spec.frames; ++i) {
    auto frame = av::make_frame();
    frame->width = spec.width;
    frame->height = spec.height;
    frame->format = spec.format;
    frame->color_range = spec.range;
    EXPECT_EQ(av_frame_get_buffer(frame.get(), 0), 0);
    if (spec.painter) {
      spec.painter(*frame, i);
    } else {
      paint(*frame, spec, i, random);
    }
    if (spec.interlaced) frame->interlaced_frame = frame->top_field_first = 1;
    frame->pts = i;
    EXPECT_EQ(avcodec_send_frame(context.get(), frame.get()), 0);
    drain(*context, collect);
  }
  avcodec_send_frame(context.get(), nullptr);
  drain(*context, collect);
  return feed;
}

struct AudioSpec {
  media::Codec codec = media::Codec::kAac;
  int rate = 48'000;
  int channels = 2;
  double seconds = 3;
  MediaTime start{90'000};
  double blip_at = -1;  // seconds: 20 ms of 1 kHz in silence; below 0: a tone throughout
  double tone_hz = 1000;
  int only_channel = -1;   // the others are silent; below 0: none is
  bool dual_mono = false;  // Opus: two streams of one channel each
};

inline Bytes with_adts(const AVPacket& packet, const AudioSpec& spec) {
  const int index = spec.rate == 48'000 ? 3 : spec.rate == 44'100 ? 4 : 5;
  const auto size = static_cast<unsigned>(packet.size + 7);
  std::vector<std::uint8_t> out = {
      0xff,
      0xf1,
      static_cast<std::uint8_t>(1 << 6 | index << 2 | spec.channels >> 2),
      static_cast<std::uint8_t>((spec.channels & 3) << 6 | size >> 11),
      static_cast<std::uint8_t>(size >> 3),
      static_cast<std::uint8_t>((size & 7) << 5 | 0x1f),
      0xfc};
  out.insert(out.end(), packet.data, packet.data + packet.size);
  return Bytes::take(std::move(out));
}

inline Bytes with_opus_channels(const AVPacket& packet, const AudioSpec& spec) {
  std::vector<std::uint8_t> out = {spec.dual_mono ? codec::kOpusDualMono
                                                  : static_cast<std::uint8_t>(spec.channels)};
  out.insert(out.end(), packet.data, packet.data + packet.size);
  return Bytes::take(std::move(out));
}

inline Feed make_audio(const AudioSpec& spec) {
  av::take_over_log();
  const char* name = spec.codec == media::Codec::kAac         ? "aac"
                     : spec.codec == media::Codec::kMpegAudio ? "mp2"
                     : spec.codec == media::Codec::kAc3       ? "ac3"
                     : spec.codec == media::Codec::kOpus      ? "libopus"
                                                              : "eac3";
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  av::CodecContext context(avcodec_alloc_context3(codec));
  context->sample_fmt = codec->sample_fmts[0];
  context->sample_rate = spec.rate;
  av_channel_layout_default(&context->ch_layout, spec.channels);
  context->bit_rate = std::max(128'000, 64'000 * spec.channels);
  context->time_base = {1, spec.rate};
  if (spec.dual_mono) av_opt_set_int(context->priv_data, "mapping_family", 255, 0);
  EXPECT_EQ(avcodec_open2(context.get(), codec, nullptr), 0);
  Feed feed;
  const auto collect = [&](const AVPacket& packet) {
    AccessUnit unit;
    unit.codec = spec.codec;
    unit.pts = spec.start + MediaTime(av_rescale(packet.pts, 90'000, spec.rate));
    unit.dts = unit.pts;
    unit.random_access = true;
    unit.received = at(micros(unit.pts - spec.start));
    unit.data = spec.codec == media::Codec::kAac ? with_adts(packet, spec)
                : spec.codec == media::Codec::kOpus
                    ? with_opus_channels(packet, spec)
                    : Bytes::copy_of({packet.data, static_cast<std::size_t>(packet.size)});
    feed.push_back(std::move(unit));
  };
  const auto total = static_cast<std::int64_t>(spec.seconds * spec.rate);
  for (std::int64_t begin = 0; begin < total; begin += context->frame_size) {
    auto frame = av::make_frame();
    frame->nb_samples = context->frame_size;
    frame->format = context->sample_fmt;
    frame->sample_rate = spec.rate;
    av_channel_layout_copy(&frame->ch_layout, &context->ch_layout);
    EXPECT_EQ(av_frame_get_buffer(frame.get(), 0), 0);
    for (int i = 0; i < frame->nb_samples; ++i) {
      const double t = static_cast<double>(begin + i) / spec.rate;
      const bool on = spec.blip_at < 0 || (t >= spec.blip_at && t < spec.blip_at + 0.02);
      const double tone = on ? 0.5 * std::sin(2 * M_PI * spec.tone_hz * t) : 0;
      for (int channel = 0; channel < spec.channels; ++channel) {
        const bool silent = spec.only_channel >= 0 && spec.only_channel != channel;
        const double value = silent ? 0 : tone;
        if (context->sample_fmt == AV_SAMPLE_FMT_FLTP) {
          reinterpret_cast<float*>(frame->extended_data[channel])[i] = static_cast<float>(value);
        } else {
          reinterpret_cast<std::int16_t*>(frame->data[0])[i * spec.channels + channel] =
              static_cast<std::int16_t>(value * 32'767);
        }
      }
    }
    frame->pts = begin;
    EXPECT_EQ(avcodec_send_frame(context.get(), frame.get()), 0);
    drain(*context, collect);
  }
  avcodec_send_frame(context.get(), nullptr);
  drain(*context, collect);
  return feed;
}

// All of `feed`, so much later on the source's clock; it also arrives later by `arrival`.
inline Feed shifted(Feed feed, MediaTime by, std::chrono::microseconds arrival) {
  for (auto& unit : feed) {
    unit.pts += by;
    unit.dts += by;
    unit.received = {unit.received.steady + arrival, unit.received.wall + arrival};
  }
  return feed;
}

// In order of arrival, in which both already are.
inline Feed merged(const Feed& a, const Feed& b) {
  Feed out;
  std::ranges::merge(
      a, b, std::back_inserter(out), {}, [](const auto& unit) { return unit.received.steady; },
      [](const auto& unit) { return unit.received.steady; });
  return out;
}

// --- Judges.

struct Recorder : SampleSink {
  std::vector<media::TrackDescription> descriptions;
  std::vector<media::Sample> samples;

  void on_description(const media::TrackDescription& description) override {
    descriptions.push_back(description);
  }
  void on_sample(media::Sample sample) override { samples.push_back(std::move(sample)); }

  const media::SampleGrid& grid() const { return media::grid_of(descriptions.back()); }
  double seconds(const media::Sample& sample) const {
    return static_cast<double>(sample.decode_time) / grid().timescale;
  }
};

// Decodes our video.
inline void visit_pictures(const Recorder& video,
                           const std::function<void(const AVFrame&)>& visit) {
  const auto& description = std::get<media::VideoDescription>(video.descriptions.back());
  auto context = av::open_decoder(media::Codec::kH264, 1);
  EXPECT_TRUE(context);
  const auto take = [&] {
    auto frame = av::make_frame();
    while (avcodec_receive_frame(context->get(), frame.get()) == 0) {
      EXPECT_EQ(frame->width, description.width);
      EXPECT_EQ(frame->height, description.height);
      visit(*frame);
    }
  };
  for (const auto& sample : video.samples) {
    std::vector<std::uint8_t> bytes;
    const auto add = [&](std::span<const std::uint8_t> nal) {
      bytes.insert(bytes.end(), {0, 0, 0, 1});
      bytes.insert(bytes.end(), nal.begin(), nal.end());
    };
    if (sample.sync) {
      add(description.sps);
      add(description.pps);
      if (!description.spare_sps.empty()) {
        add(description.spare_sps);
        add(description.spare_pps);
      }
    }
    auto rest = sample.data.span();
    while (rest.size() > 4) {
      const auto size =
          static_cast<std::size_t>(rest[0] << 24 | rest[1] << 16 | rest[2] << 8 | rest[3]);
      EXPECT_LE(size + 4, rest.size());
      if (size + 4 > rest.size()) return;
      add(rest.subspan(4, size));
      rest = rest.subspan(4 + size);
    }
    auto packet = av::make_packet();
    packet->data = bytes.data();
    packet->size = static_cast<int>(bytes.size());
    EXPECT_EQ(avcodec_send_packet(context->get(), packet.get()), 0);
    packet->data = nullptr;
    take();
  }
  avcodec_send_packet(context->get(), nullptr);
  take();
}

// Mean luma of each sample.
inline std::vector<double> luma_of(const Recorder& video) {
  std::vector<double> means;
  visit_pictures(video, [&](const AVFrame& frame) {
    double sum = 0;
    for (int y = 0; y < frame.height; ++y) {
      for (int x = 0; x < frame.width; ++x) sum += frame.data[0][y * frame.linesize[0] + x];
    }
    means.push_back(sum / (frame.width * frame.height));
  });
  return means;
}

// Decodes our audio; left channel, from the first sample's decode_time on, one run.
inline std::vector<float> sound_of(const Recorder& audio) {
  const auto& description = std::get<media::AudioDescription>(audio.descriptions.back());
  const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_AAC);
  av::CodecContext context(avcodec_alloc_context3(codec));
  const auto& config = description.audio_specific_config;
  context->extradata = static_cast<std::uint8_t*>(av_mallocz(config.size() + 64));
  std::memcpy(context->extradata, config.data(), config.size());
  context->extradata_size = static_cast<int>(config.size());
  EXPECT_EQ(avcodec_open2(context.get(), codec, nullptr), 0);
  std::vector<float> out;
  auto frame = av::make_frame();
  for (const auto& sample : audio.samples) {
    auto packet = av::make_packet();
    packet->data = const_cast<std::uint8_t*>(sample.data.data());
    packet->size = static_cast<int>(sample.data.size());
    EXPECT_EQ(avcodec_send_packet(context.get(), packet.get()), 0);
    packet->data = nullptr;
    while (avcodec_receive_frame(context.get(), frame.get()) == 0) {
      EXPECT_EQ(frame->sample_rate, kAudioRate);
      EXPECT_EQ(frame->ch_layout.nb_channels, 2);
      const auto* left = reinterpret_cast<const float*>(frame->data[0]);
      out.insert(out.end(), left, left + frame->nb_samples);
    }
  }
  return out;
}

// Presentation time in seconds at which the blip begins; negative if there is none.
inline double blip_in(const Recorder& audio) {
  const auto sound = sound_of(audio);
  const auto loud =
      std::find_if(sound.begin(), sound.end(), [](float v) { return std::abs(v) > 0.2F; });
  if (loud == sound.end() || audio.samples.empty()) return -1;
  return static_cast<double>(audio.samples.front().decode_time + (loud - sound.begin())) /
         kAudioRate;
}

// What must hold of any output: one step per sample except before a discontinuity, which lies on a
// segment's start and later than all before; IDR at each segment's start; dates that increase.
inline void expect_grid(const Recorder& video) {
  const auto& grid = video.grid();
  const media::Sample* last = nullptr;
  for (const auto& sample : video.samples) {
    ASSERT_EQ(sample.decode_time % grid.sample_duration, 0);
    const auto slot = sample.decode_time / grid.sample_duration;
    const bool segment_start = slot % grid.samples_per_segment == 0;
    ASSERT_EQ(sample.sync, segment_start) << "slot " << slot;
    if (sample.discontinuity) {
      ASSERT_TRUE(segment_start) << "slot " << slot;
    }
    if (last && sample.discontinuity) {
      ASSERT_GE(sample.decode_time, last->decode_time + grid.sample_duration);
    } else if (last) {
      ASSERT_EQ(sample.decode_time, last->decode_time + grid.sample_duration);
    } else {
      ASSERT_EQ(sample.decode_time, 0);
      ASSERT_FALSE(sample.discontinuity);
    }
    if (last) {
      ASSERT_GT(sample.captured, last->captured) << "slot " << slot;
      ASSERT_GT(sample.program_date, last->program_date) << "slot " << slot;
    }
    // ISO/IEC 14496-10, 7.4.1: IDR slice 5, other slice 1; and nothing else in front.
    ASSERT_GT(sample.data.size(), 5U);
    ASSERT_EQ(sample.data.data()[4] & 0x1f, sample.sync ? 5 : 1);
    last = &sample;
  }
}

inline void expect_gapless(const Recorder& audio) {
  const media::Sample* last = nullptr;
  for (const auto& sample : audio.samples) {
    ASSERT_TRUE(sample.sync);
    if (last && !sample.discontinuity) {
      ASSERT_EQ(sample.decode_time, last->decode_time + 1024);
    } else if (last) {
      ASSERT_GE(sample.decode_time, last->decode_time + 1024);
    } else {
      ASSERT_EQ(sample.decode_time, 0);
    }
    if (last) {
      ASSERT_GT(sample.captured, last->captured);
      ASSERT_GT(sample.program_date, last->program_date);
    }
    last = &sample;
  }
}

}  // namespace mirror::transcode::test
