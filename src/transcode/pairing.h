// Pairing: one way to decode, scale and encode a stream's pictures, and where a stream gets its
// own.
//
//   software       libavcodec → swscale → x264
//   nvidia+x264    NVDEC → scale_cuda → memory → x264
//   nvidia         NVDEC → scale_cuda → NVENC, the pictures staying on the GPU
//
// A stream holds one at a time, on its media thread. When it fails, the stream asks its
// PairingSource for the next one and keeps what both have in common: a decoder need not wait for a
// random access point because an encoder failed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "media/access_unit.h"
#include "media/frame_grid.h"
#include "transcode/h264_encoder.h"
#include "transcode/picture_scaler.h"
#include "transcode/transcoder.h"
#include "transcode/video_decoder.h"

namespace mirror::transcode {

enum class PairingKind { kNvidia, kNvidiaX264, kSoftware };

std::string_view name_of(PairingKind kind);  // "nvidia", "nvidia+x264", "software"
std::optional<PairingKind> pairing_kind_of(std::string_view name);

class Pairing {
 public:
  virtual ~Pairing() = default;

  // Equal for two pairings whose decoders, or whose encoders, can take each other's place without
  // notice.
  virtual std::string decodes_on() const = 0;  // "cpu", "cuda:0"
  virtual std::string encodes_on() const = 0;  // "x264", "nvenc:0"

  virtual Result<std::unique_ptr<VideoDecoder>> make_decoder(media::Codec codec,
                                                             const VideoSettings& settings) = 0;
  virtual std::unique_ptr<PictureScaler> make_scaler(const VideoSettings& settings) = 0;
  virtual Result<std::unique_ptr<H264Encoder>> make_encoder(const VideoSettings& settings,
                                                            media::FrameRate rate,
                                                            ParameterSets ids) = 0;
};

std::unique_ptr<Pairing> make_software_pairing();

// A stream's pairing, and its place on a device.
struct ChosenPairing {
  std::string id;      // of kind and device; what next() is told when it failed
  std::string name;    // of the kind
  std::string device;  // for a person; empty: none
  std::string why;     // none that is preferred could be had; empty: it is the first choice
  std::unique_ptr<Pairing> pairing;
  std::shared_ptr<void> place;  // given back by its end
};

class PairingSource {
 public:
  virtual ~PairingSource() = default;
  // Any thread. The best pairing that has a place, other than those in `failed`. Fails, in words
  // for an operator, when none is left.
  virtual Result<ChosenPairing> next(const std::vector<std::string>& failed) = 0;
};

// Software alone, for everybody; no state.
PairingSource& software_only();

}  // namespace mirror::transcode
