// TsMuxer: packets in, an MPEG transport stream out, in writes of at most seven TS packets.
//
// libavformat's muxer without any delay of its own: each packet is written through at once, audio
// frames are not gathered. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "av.h"
#include "base/result.h"
#include "output.h"

namespace mirror::source {

struct TsMuxerSettings {
  // Real encoders leave PES_packet_length of video 0 (ISO/IEC 13818-1, 2.4.3.7), so that a receiver
  // knows the end of a picture only when the next begins; libavformat does so too.
  bool video_pes_length = false;
  // How fast the feed's clock runs beside the true one: timestamps grow by so many millionths more.
  double drift_ppm = 0;
};

class TsMuxer {
 public:
  // `output` outlives the muxer.
  static Result<std::unique_ptr<TsMuxer>> create(const TsMuxerSettings& settings, Output& output,
                                                 std::span<const AVCodecParameters* const> streams);
  ~TsMuxer();
  TsMuxer(const TsMuxer&) = delete;
  TsMuxer& operator=(const TsMuxer&) = delete;

  // Timestamps in `time_base`; `offset` (90 kHz) is added. They may pass 2^33: 33 bits are written.
  Status write(AVPacket& packet, int stream, AVRational time_base, std::int64_t offset);

 private:
  TsMuxer(const TsMuxerSettings& settings, AVFormatContext* context, Output& output)
      : settings_(settings), context_(context), output_(output) {}
  std::int64_t drifted(std::int64_t time);
  static int on_bytes(void* opaque, std::uint8_t* bytes, int size);

  const TsMuxerSettings settings_;
  AVFormatContext* const context_;
  Output& output_;
  std::optional<std::int64_t> first_;  // the first timestamp written: drift begins there
  Status written_;                     // the output's last error, which libavformat cannot carry
};

}  // namespace mirror::source
