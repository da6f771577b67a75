// The pairings on an NVIDIA GPU: NVDEC and scale_cuda, then NVENC or x264.
//
// Pictures are decoded by libavcodec's own H.264 and HEVC decoders with the GPU as accelerator, not
// by the *_cuvid decoders: what is damaged, missing or huge is judged by the same code as in
// software, and timestamps, reordering and skip_frame mean the same. Scaling is scale_cuda's:
// cuvid's -resize knows one size for a decoder's life and no aspect ratio.
//
// Matrix, range, tone mapping and black borders are PictureScaler's, on the small picture in memory
// (0.35 MB at 640x360), also before NVENC. Only a picture that needs none of these (BT.709, limited
// range, the canvas's own shape) stays on the GPU from decoder to encoder. Interlaced pictures are
// fetched whole: scaling would mix their fields.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "transcode/av.h"
#include "transcode/pairing.h"

namespace mirror::transcode {

// `device` is a CUDA context (cuda::open()), which the pairing and all it makes share.
std::unique_ptr<Pairing> make_nvidia_pairing(PairingKind kind, int index,
                                             const AVBufferRef& device);

// An NVENC session, tried as make_encoder() makes them.
Result<std::unique_ptr<H264Encoder>> make_nvenc(const VideoSettings& settings,
                                                media::FrameRate rate, const AVBufferRef& device);
Result<std::unique_ptr<VideoDecoder>> make_nvdec(media::Codec codec, const AVBufferRef& device);

// libav's and the driver's words for what NVIDIA hardware refused, in an operator's, with the
// original behind them; unknown ones stay as they are.
std::string explain_nvidia(std::string_view said);

}  // namespace mirror::transcode
