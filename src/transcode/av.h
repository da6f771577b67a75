// Owners of libav's objects, and its errors as ours.
//
// For the .cc files of this module and their tests; nothing outside includes libav's headers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "media/access_unit.h"
#include "media/frame_grid.h"

// libav's headers are C, and not clean under our warnings.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}
#pragma GCC diagnostic pop

namespace mirror::transcode::av {

struct Free {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVBufferRef* p) const { av_buffer_unref(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
  void operator()(SwrContext* p) const { swr_free(&p); }
};
using Frame = std::unique_ptr<AVFrame, Free>;
using Packet = std::unique_ptr<AVPacket, Free>;
using BufferRef = std::unique_ptr<AVBufferRef, Free>;
using CodecContext = std::unique_ptr<AVCodecContext, Free>;
using Scaler = std::unique_ptr<SwsContext, Free>;
using Resampler = std::unique_ptr<SwrContext, Free>;

Frame make_frame();
Packet make_packet();

// libav's own words for an error code, with what it logged last on this thread if it did.
std::string describe(int error);

// Takes libav's log away from standard error, for the whole process, once. What it says about
// bad input is counted; the last error's text of each thread is kept for describe().
void take_over_log();
std::uint64_t logged_errors();

// A decoder of `codec` that adds no frame of latency: slice threads only. 90 kHz timestamps.
// `setup` is what the codec needs to know before the first frame, where that is not in-band. With a
// CUDA `device` it decodes there what that GPU can decode, and in memory what it cannot.
Result<CodecContext> open_decoder(media::Codec codec, int threads,
                                  std::span<const std::uint8_t> setup = {},
                                  AVBufferRef* device = nullptr);

}  // namespace mirror::transcode::av
