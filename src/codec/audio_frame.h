// Headers of self-framing audio: ADTS (AAC), MPEG audio, AC-3 and E-AC-3. No decoding, no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "media/access_unit.h"

namespace mirror::codec {

// Bytes that parse_audio_frame needs to see, whatever the codec.
inline constexpr std::size_t kAudioHeaderBytes = 7;
// No frame of these codecs is longer (ADTS: 13 bits of length).
inline constexpr std::size_t kAudioFrameBytesMax = 8191;

// One audio frame as its header describes it.
struct AudioFrame {
  std::size_t size = 0;           // bytes, header included
  std::uint32_t sample_rate = 0;  // Hz; for AAC with SBR that of the core
  std::uint32_t samples = 0;      // per channel; 0 for a dependent E-AC-3 substream
};

// The frame whose header `bytes` begins with; nothing when it is no header of `codec` or when there
// are fewer than kAudioHeaderBytes. kAc3 and kEac3 accept each other's frames, as receivers must
// (ETSI TS 102 366, E.1).
std::optional<AudioFrame> parse_audio_frame(media::Codec codec,
                                            std::span<const std::uint8_t> bytes);

// adts_fixed_header and adts_variable_header, ISO/IEC 13818-7, 6.2.
struct AdtsHeader {
  std::uint8_t audio_object_type = 0;  // ISO/IEC 14496-3 table 1.17: 2 is AAC-LC
  std::uint8_t sampling_frequency_index = 0;
  std::uint8_t channel_configuration = 0;
  std::uint8_t raw_data_blocks = 1;
  std::uint16_t header_size = 7;  // 9 with a CRC
  std::uint16_t frame_size = 0;   // header included

  std::uint32_t sample_rate() const;
  // The AudioSpecificConfig that says the same (ISO/IEC 14496-3, 1.6.2.1).
  std::array<std::uint8_t, 2> audio_specific_config() const;
};
std::optional<AdtsHeader> parse_adts(std::span<const std::uint8_t> bytes);

// Walks whole frames that follow one another; ends at the first byte that is no frame's.
class AdtsReader {
 public:
  explicit AdtsReader(std::span<const std::uint8_t> stream) : rest_(stream) {}
  std::optional<std::span<const std::uint8_t>> next();

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace mirror::codec
