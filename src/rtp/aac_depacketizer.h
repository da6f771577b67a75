// AAC over RTP (RFC 3640, modes AAC-hbr and AAC-lbr): access units with an ADTS header each.
//
// Owned by one session, on its thread. Holds at most one frame in the making. A frame with missing
// bytes is dropped, never emitted: half a frame of sound is noise.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rtp/depacketizer.h"

namespace mirror::rtp {

// What ADTS can say of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
struct AacConfig {
  std::uint8_t object_type = 2;  // 1 to 4; of the core where SBR is signalled
  std::uint8_t sampling_frequency_index = 3;
  std::uint8_t channel_configuration = 2;  // 1 to 7

  std::uint32_t sample_rate() const;  // Hz, of the core
  // For a raw frame of so many bytes; at most kAacFrameBytesMax.
  std::array<std::uint8_t, 7> adts_header(std::size_t frame_bytes) const;
};

inline constexpr std::size_t kAacFrameBytesMax = 8191 - 7;
inline constexpr std::uint32_t kAacFrameSamples = 1024;

// The error says what of it ADTS has no word for.
Result<AacConfig> parse_aac_config(std::span<const std::uint8_t> audio_specific_config);

class AacDepacketizer final : public Depacketizer {
 public:
  // As make_depacketizer(), for mpeg4-generic.
  static Result<std::unique_ptr<Depacketizer>> create(const SdpMedia& medium, media::TrackId track,
                                                      media::AccessUnitSink& sink,
                                                      TrackClock& clock, media::DemuxStats& stats);

  void push(const Packet& packet, bool gap, Instant received) override;
  void idle(Instant) override {}
  void flush() override { drop_partial(); }

 private:
  // Bits of each field of an AU header (3.2.1); the modes have no others.
  struct HeaderLayout {
    unsigned size_bits = 13;
    unsigned index_bits = 3;
    unsigned index_delta_bits = 3;
  };
  struct Settings {
    AacConfig config;
    HeaderLayout layout;
    std::uint32_t frame_ticks = kAacFrameSamples;  // on the RTP clock
  };

  AacDepacketizer(const Settings& settings, media::TrackId track, media::AccessUnitSink& sink,
                  TrackClock& clock, media::DemuxStats& stats)
      : settings_(settings), track_(track), sink_(sink), clock_(clock), stats_(stats) {}

  static Result<Settings> read_settings(const SdpMedia& medium);

  bool read_sizes(std::span<const std::uint8_t>& payload);
  void read_fragment(const Packet& packet, std::span<const std::uint8_t> bytes, Instant received);
  void emit(std::uint32_t timestamp, std::span<const std::uint8_t> frame, Instant received);
  void drop_partial();

  const Settings settings_;
  const media::TrackId track_;
  media::AccessUnitSink& sink_;
  TrackClock& clock_;
  media::DemuxStats& stats_;

  std::vector<std::size_t> sizes_;  // of the frames in the packet at hand
  // A frame that came in part.
  struct Partial {
    std::uint32_t timestamp;
    std::size_t size;
    std::vector<std::uint8_t> bytes;
  };
  std::optional<Partial> partial_;
};

}  // namespace mirror::rtp
