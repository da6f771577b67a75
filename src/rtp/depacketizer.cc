#include "rtp/depacketizer.h"

#include <utility>

#include "rtp/aac_depacketizer.h"
#include "rtp/h264_payload.h"
#include "rtp/hevc_payload.h"
#include "rtp/nal_assembler.h"

namespace mirror::rtp {
namespace {

constexpr std::uint32_t kVideoClockRate = 90'000;  // RFC 6184, 8.2.1; RFC 7798, 7.2.1

using PayloadReader = void (*)(std::span<const std::uint8_t>, NalAssembler&);

class VideoDepacketizer final : public Depacketizer {
 public:
  VideoDepacketizer(PayloadReader read_payload, ParameterSets parameter_sets, media::Codec codec,
                    media::TrackId track, media::AccessUnitSink& sink, TrackClock& clock,
                    media::DemuxStats& stats)
      : read_payload_(read_payload),
        assembler_(track, codec, std::move(parameter_sets), sink, clock, stats) {}

  void push(const Packet& packet, bool gap, Instant received) override {
    assembler_.begin_packet(packet, gap, received);
    read_payload_(packet.payload, assembler_);
    assembler_.end_packet(packet.marker);
  }
  void idle(Instant now) override { assembler_.idle(now.steady); }
  void flush() override { assembler_.flush(); }

 private:
  const PayloadReader read_payload_;
  NalAssembler assembler_;
};

}  // namespace

Result<std::unique_ptr<Depacketizer>> make_depacketizer(const SdpMedia& medium,
                                                        media::TrackId track,
                                                        media::AccessUnitSink& sink,
                                                        TrackClock& clock,
                                                        media::DemuxStats& stats) {
  const bool hevc = medium.encoding == "h265";
  if (hevc || medium.encoding == "h264") {
    if (medium.clock_rate != kVideoClockRate) {
      return fail("{} with a clock rate of {} Hz; it has to be 90000", medium.encoding,
                  medium.clock_rate);
    }
    auto sets = hevc ? hevc_parameter_sets(medium) : h264_parameter_sets(medium);
    if (!sets) return std::unexpected(std::move(sets.error()));
    return std::make_unique<VideoDepacketizer>(
        hevc ? read_hevc_payload : read_h264_payload, std::move(*sets),
        hevc ? media::Codec::kHevc : media::Codec::kH264, track, sink, clock, stats);
  }
  if (medium.encoding == "mpeg4-generic") {
    return AacDepacketizer::create(medium, track, sink, clock, stats);
  }
  return fail("RTP payload format \"{}\" is not supported", medium.encoding);
}

}  // namespace mirror::rtp
