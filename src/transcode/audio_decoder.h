// AudioDecoder: audio frames of any supported codec in, 48 kHz stereo floats out. Other layouts are
// mixed down by ITU-R BS.775, so that nothing clips that did not before.
//
// On the media thread, owned by an AudioTranscoder, for one publisher's turn. Buffers no more than
// the resampler's filter; one decoded frame at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "codec/opus.h"
#include "media/access_unit.h"
#include "transcode/av.h"

namespace mirror::transcode {

inline constexpr int kAudioRate = 48'000;

// Two channels of equal length.
struct Stereo {
  std::span<const float> left;
  std::span<const float> right;

  std::size_t size() const { return left.size(); }
  Stereo from(std::size_t first) const { return {left.subspan(first), right.subspan(first)}; }
};

class AudioDecoder {
 public:
  static Result<std::unique_ptr<AudioDecoder>> create(media::Codec codec);

  // Feeds one frame; take() until there is nothing before the next. False if it was refused.
  bool push(const media::AccessUnit& unit);

  enum class Taken { kSound, kNothing, kError };
  // The next piece of sound, valid until the next call.
  Taken take();
  Stereo sound() const;
  media::MediaTime pts() const { return pts_; }
  // The first sample of sound() comes so many samples (at 48 kHz) before pts(): what the resampler
  // held back of the piece before.
  std::int64_t lead() const { return lead_; }

  // The next frame does not continue the last.
  void flush();

 private:
  explicit AudioDecoder(av::CodecContext context) : context_(std::move(context)) {}

  bool use_opus_channels(std::uint8_t channel_config_code);
  bool prepare_resampler();
  bool resample();

  av::CodecContext context_;
  std::uint8_t opus_channels_ = codec::kOpusStereo;  // that context_ was made for
  const av::Packet packet_ = av::make_packet();
  const av::Frame frame_ = av::make_frame();

  av::Resampler resampler_;
  int source_rate_ = 0;
  int source_format_ = -1;
  AVChannelLayout source_layout_{};  // native order only: owns nothing

  std::vector<float> left_;
  std::vector<float> right_;
  std::size_t samples_ = 0;
  media::MediaTime pts_{};
  std::int64_t lead_ = 0;
};

}  // namespace mirror::transcode
