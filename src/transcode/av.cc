#include "transcode/av.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <new>

namespace mirror::transcode::av {
namespace {

// libav's log is process-wide and its callback has no context, hence these.
std::atomic<std::uint64_t> g_logged_errors{0};
thread_local std::array<char, 256> t_last_error{};

void on_log(void*, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  g_logged_errors.fetch_add(1, std::memory_order_relaxed);
  std::vsnprintf(t_last_error.data(), t_last_error.size(), format, arguments);
}

AVCodecID id_of(media::Codec codec) {
  switch (codec) {
    case media::Codec::kH264:
      return AV_CODEC_ID_H264;
    case media::Codec::kHevc:
      return AV_CODEC_ID_HEVC;
    case media::Codec::kAac:
      return AV_CODEC_ID_AAC;
    case media::Codec::kMpegAudio:
      return AV_CODEC_ID_MP3;  // libavcodec's decoder reads the layer from each header
    case media::Codec::kAc3:
      return AV_CODEC_ID_AC3;
    case media::Codec::kEac3:
      return AV_CODEC_ID_EAC3;
    case media::Codec::kOpus:
      return AV_CODEC_ID_OPUS;
    case media::Codec::kUnsupported:
      break;
  }
  return AV_CODEC_ID_NONE;
}

// A device's pictures if that is on offer, else the best kind that lies in memory.
AVPixelFormat choose_cuda(AVCodecContext*, const AVPixelFormat* offered) {
  const AVPixelFormat* format = offered;
  for (; *format != AV_PIX_FMT_NONE; ++format) {
    if (*format == AV_PIX_FMT_CUDA) return *format;
  }
  for (format = offered; *format != AV_PIX_FMT_NONE; ++format) {
    const auto* about = av_pix_fmt_desc_get(*format);
    if (about && !(about->flags & AV_PIX_FMT_FLAG_HWACCEL)) return *format;
  }
  return AV_PIX_FMT_NONE;
}

// 4K (DCI), with room: what bounds a decoder's memory, whatever a stranger's SPS says.
constexpr std::int64_t kMaxPixels = 4096 * 2304;

}  // namespace

Frame make_frame() {
  Frame frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

Packet make_packet() {
  Packet packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

std::string describe(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(error, text.data(), text.size());
  std::string last(t_last_error.data());
  t_last_error[0] = 0;
  while (!last.empty() && (last.back() == '\n' || last.back() == ' ')) last.pop_back();
  return last.empty() ? std::string(text.data()) : fmt::format("{} ({})", text.data(), last);
}

void take_over_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(on_log); });
}

std::uint64_t logged_errors() { return g_logged_errors.load(std::memory_order_relaxed); }

Result<CodecContext> open_decoder(media::Codec codec, int threads,
                                  std::span<const std::uint8_t> setup, AVBufferRef* device) {
  take_over_log();
  const AVCodec* decoder = avcodec_find_decoder(id_of(codec));
  if (!decoder) return fail("no decoder for {}", media::name_of(codec));
  CodecContext context(avcodec_alloc_context3(decoder));
  if (!context) throw std::bad_alloc();
  context->thread_count = threads;
  context->thread_type = FF_THREAD_SLICE;
  context->pkt_timebase = {1, 90'000};
  context->max_pixels = kMaxPixels;
  if (device) {
    context->hw_device_ctx = av_buffer_ref(device);
    if (!context->hw_device_ctx) throw std::bad_alloc();
    context->get_format = choose_cuda;
    context->thread_count = 1;
    context->extra_hw_frames = 4;  // the scaler holds some
  }
  if (!setup.empty()) {
    context->extradata =
        static_cast<std::uint8_t*>(av_mallocz(setup.size() + AV_INPUT_BUFFER_PADDING_SIZE));
    if (context->extradata == nullptr) throw std::bad_alloc();
    std::ranges::copy(setup, context->extradata);
    context->extradata_size = static_cast<int>(setup.size());
  }
  if (const int error = avcodec_open2(context.get(), decoder, nullptr); error < 0) {
    return fail("{} decoder: {}", media::name_of(codec), describe(error));
  }
  return context;
}

}  // namespace mirror::transcode::av
