// The encoders of the synthetic feed: HEVC or H.264, and AAC, as a contribution encoder sets them
// up: low delay, closed GOPs, parameter sets in-band. Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "av.h"
#include "base/result.h"
#include "test_card.h"
#include "tone.h"

namespace mirror::source {

enum class VideoCodec { kHevc, kH264 };

struct FrameRate {
  int num = 30;
  int den = 1;
};

struct VideoSettings {
  VideoCodec codec = VideoCodec::kHevc;
  int width = 640;
  int height = 360;
  FrameRate rate{};
  std::int64_t bitrate_bps = 2'000'000;
  int bit_depth = 8;
  double gop_seconds = 1;
  int b_frames = 0;
  int grain_percent = 0;  // of the bars' area: fresh noise in each frame
};

// Takes a packet whose timestamps are in the encoder's time base.
using PacketSink = std::function<Status(AVPacket&)>;

class VideoEncoder {
 public:
  static Result<std::unique_ptr<VideoEncoder>> create(const VideoSettings& settings);

  // `index` is the frame's place on the frame rate's grid; a hole means that frames were skipped.
  Status encode(const Picture& picture, std::int64_t index, const PacketSink& sink);
  // What B-frames still hold back.
  Status flush(const PacketSink& sink);
  // Time base: one frame.
  const AVCodecContext& context() const { return *context_; }

 private:
  VideoEncoder(CodecContext context, Frame frame, Packet packet)
      : context_(std::move(context)), frame_(std::move(frame)), packet_(std::move(packet)) {}
  void copy_in(const Picture& picture);
  Status take_packets(const PacketSink& sink);

  const CodecContext context_;
  const Frame frame_;
  const Packet packet_;
};

class AudioEncoder {
 public:
  // `first_sample` counts 48 kHz samples from the epoch; it gets pts 0.
  static Result<std::unique_ptr<AudioEncoder>> create(std::int64_t first_sample);

  // Encodes whole frames as long as they end at or before `end_sample` (from the epoch).
  Status encode_until(std::int64_t end_sample, const PacketSink& sink);
  // Time base: one sample. The first packet's pts is negative by the encoder's priming.
  const AVCodecContext& context() const { return *context_; }

 private:
  AudioEncoder(CodecContext context, Frame frame, Packet packet, std::int64_t first_sample)
      : context_(std::move(context)),
        frame_(std::move(frame)),
        packet_(std::move(packet)),
        first_sample_(first_sample),
        next_sample_(first_sample) {}

  const CodecContext context_;
  const Frame frame_;
  const Packet packet_;
  const Tone tone_;
  const std::int64_t first_sample_;
  std::int64_t next_sample_;
};

}  // namespace mirror::source
