#include "ts_muxer.h"

#include <cmath>
#include <utility>

namespace mirror::source {
namespace {

constexpr int kWriteBytes = 7 * 188;

}  // namespace

Result<std::unique_ptr<TsMuxer>> TsMuxer::create(
    const TsMuxerSettings& settings, Output& output,
    std::span<const AVCodecParameters* const> streams) {
  AVFormatContext* context = nullptr;
  if (const int result = avformat_alloc_output_context2(&context, nullptr, "mpegts", nullptr);
      result < 0) {
    return fail("mpegts: {}", av_error(result));
  }
  std::unique_ptr<TsMuxer> muxer(new TsMuxer(settings, context, output));
  auto* buffer = static_cast<unsigned char*>(av_malloc(kWriteBytes));
  context->pb = avio_alloc_context(buffer, kWriteBytes, 1, muxer.get(), nullptr, on_bytes, nullptr);
  context->flags |= AVFMT_FLAG_FLUSH_PACKETS | AVFMT_FLAG_CUSTOM_IO;
  context->max_delay = 0;
  for (const AVCodecParameters* parameters : streams) {
    AVStream* stream = avformat_new_stream(context, nullptr);
    if (stream == nullptr) return fail("out of memory");
    avcodec_parameters_copy(stream->codecpar, parameters);
    stream->codecpar->codec_tag = 0;
    stream->time_base = {1, 90'000};
  }
  AVDictionary* options = nullptr;
  av_dict_set(&options, "pes_payload_size", "0", 0);  // one audio frame a PES packet
  av_dict_set(&options, "omit_video_pes_length", settings.video_pes_length ? "0" : "1", 0);
  const int result = avformat_write_header(context, &options);
  av_dict_free(&options);
  if (result < 0) return fail("mpegts: {}", av_error(result));
  return muxer;
}

TsMuxer::~TsMuxer() {
  if (context_->pb != nullptr) {
    av_freep(static_cast<void*>(&context_->pb->buffer));
    avio_context_free(&context_->pb);
  }
  avformat_free_context(context_);
}

Status TsMuxer::write(AVPacket& packet, int stream, AVRational time_base, std::int64_t offset) {
  const AVRational target = context_->streams[stream]->time_base;
  av_packet_rescale_ts(&packet, time_base, target);
  if (packet.pts != AV_NOPTS_VALUE) packet.pts = drifted(packet.pts + offset);
  if (packet.dts != AV_NOPTS_VALUE) packet.dts = drifted(packet.dts + offset);
  packet.stream_index = stream;
  const int result = av_write_frame(context_, &packet);
  if (!written_) return std::exchange(written_, Status{});
  if (result < 0) return fail("mpegts: {}", av_error(result));
  return {};
}

std::int64_t TsMuxer::drifted(std::int64_t time) {
  if (!first_) first_ = time;
  return time + std::llround(static_cast<double>(time - *first_) * settings_.drift_ppm / 1e6);
}

int TsMuxer::on_bytes(void* opaque, std::uint8_t* bytes, int size) {
  auto& muxer = *static_cast<TsMuxer*>(opaque);
  if (!muxer.written_) return AVERROR(EIO);
  muxer.written_ = muxer.output_.write({bytes, static_cast<std::size_t>(size)});
  return muxer.written_ ? size : AVERROR(EIO);
}

}  // namespace mirror::source
