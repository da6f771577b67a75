#include "transcode/h264_encoder.h"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "codec/annexb.h"

namespace mirror::transcode {
namespace {

// x264 --preset. Checked here because x264 complains about others on standard error.
constexpr std::array<std::string_view, 10> kPresets = {
    "ultrafast", "superfast", "veryfast", "faster",   "fast",
    "medium",    "slow",      "slower",   "veryslow", "placebo"};

void set_geometry(AVCodecContext& context, const VideoSettings& settings, media::FrameRate rate) {
  context.width = settings.width;
  context.height = settings.height;
  context.pix_fmt = AV_PIX_FMT_YUV420P;
  context.sample_aspect_ratio = {1, 1};
  context.framerate = {static_cast<int>(rate.num), static_cast<int>(rate.den)};
  context.time_base = av_inv_q(context.framerate);
  context.color_range = AVCOL_RANGE_MPEG;
  context.colorspace = AVCOL_SPC_BT709;
  context.color_primaries = AVCOL_PRI_BT709;
  context.color_trc = AVCOL_TRC_BT709;
}

void set_rate_control(AVCodecContext& context, const VideoSettings& settings) {
  const auto bps = static_cast<int>(settings.bitrate_bps);
  context.bit_rate = bps;
  context.rc_max_rate = bps;
  // Half a second: one IDR picture may take about half of its segment's bits, and no more.
  context.rc_buffer_size = bps / 2;
}

// No lookahead, no threads: every picture comes out as it goes in.
void set_x264(AVCodecContext& context, const VideoSettings& settings, ParameterSets ids) {
  context.thread_count = 1;
  av_opt_set(context.priv_data, "preset", settings.preset.c_str(), 0);
  av_opt_set(context.priv_data, "tune", "zerolatency", 0);
  av_opt_set_int(context.priv_data, "forced-idr", 1, 0);
  av_opt_set(context.priv_data, "x264-params",
             fmt::format("scenecut=0:rc-lookahead=0:sliced-threads=0:lookahead-threads=1:aud=0:"
                         "sps-id={}",
                         static_cast<int>(ids))
                 .c_str(),
             0);
}

}  // namespace

void set_proxy(AVCodecContext& context, const VideoSettings& settings, media::FrameRate rate) {
  set_geometry(context, settings, rate);
  set_rate_control(context, settings);
  // IDR pictures are those that we ask for, at segment starts: the encoder's own interval is longer
  // than any segment.
  context.gop_size = static_cast<int>(4 * media::SampleGrid::for_video(rate).samples_per_segment);
  context.max_b_frames = 0;
  context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
}

Result<media::VideoDescription> describe_encoder(const AVCodecContext& context,
                                                 const VideoSettings& settings,
                                                 media::FrameRate rate) {
  auto sets = codec::h264_parameter_sets(
      {context.extradata, static_cast<std::size_t>(context.extradata_size)});
  if (sets.sps.empty() || sets.pps.empty()) return fail("H.264 encoder gave no parameter sets");
  return media::VideoDescription{.grid = media::SampleGrid::for_video(rate),
                                 .frame_rate = rate,
                                 .width = settings.width,
                                 .height = settings.height,
                                 .sps = std::move(sets.sps),
                                 .pps = std::move(sets.pps),
                                 .bitrate_bps = settings.bitrate_bps};
}

Result<std::unique_ptr<H264Encoder>> H264Encoder::create(const VideoSettings& settings,
                                                         media::FrameRate rate, ParameterSets ids) {
  if (std::ranges::find(kPresets, settings.preset) == kPresets.end()) {
    return fail("x264 has no preset {}", settings.preset);
  }
  av::take_over_log();
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  if (!codec) return fail("libavcodec has no libx264");
  av::CodecContext context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  set_proxy(*context, settings, rate);
  set_x264(*context, settings, ids);
  if (const int error = avcodec_open2(context.get(), codec, nullptr); error < 0) {
    return fail("H.264 encoder {}x{}, preset {}: {}", settings.width, settings.height,
                settings.preset, av::describe(error));
  }
  auto description = describe_encoder(*context, settings, rate);
  if (!description) return std::unexpected(std::move(description.error()));
  return std::unique_ptr<H264Encoder>(new H264Encoder(std::move(context), *std::move(description)));
}

Result<Bytes> H264Encoder::encode(AVFrame& canvas, PictureKind kind) {
  if (!takes(canvas)) return fail("H.264 encoder: the canvas lies on another device");
  canvas.pts = pictures_++;
  canvas.pict_type = kind == PictureKind::kIdr ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
  if (const int error = avcodec_send_frame(context_.get(), &canvas); error < 0) {
    return fail("H.264 encoder: {}", av::describe(error));
  }
  if (const int error = avcodec_receive_packet(context_.get(), packet_.get()); error < 0) {
    return fail("H.264 encoder gave nothing: {}", av::describe(error));
  }
  auto sample = codec::annexb_to_length_prefixed(
      {packet_->data, static_cast<std::size_t>(packet_->size)}, codec::Keep::kSlices);
  av_packet_unref(packet_.get());
  return Bytes::take(std::move(sample));
}

Status add_spare_sets(const VideoSettings& settings, media::VideoDescription& description) {
  auto spare = H264Encoder::create(settings, description.frame_rate, ParameterSets::kSpare);
  if (!spare) return std::unexpected(std::move(spare.error()));
  description.spare_sps = (*spare)->description().sps;
  description.spare_pps = (*spare)->description().pps;
  return {};
}

}  // namespace mirror::transcode
