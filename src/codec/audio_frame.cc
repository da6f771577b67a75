#include "codec/audio_frame.h"

namespace mirror::codec {
namespace {

// ISO/IEC 14496-3 table 1.18.
constexpr std::array<std::uint32_t, 13> kAacRates = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};

std::optional<AudioFrame> adts_frame(std::span<const std::uint8_t> bytes) {
  const auto header = parse_adts(bytes);
  if (!header) return std::nullopt;
  return AudioFrame{header->frame_size, header->sample_rate(), 1024U * header->raw_data_blocks};
}

// ISO/IEC 11172-3, 2.4.2.3 and 13818-3, 2.4.2.3: kbit/s by bitrate_index.
constexpr std::uint16_t kMpeg1Layer1[16] = {0,   32,  64,  96,  128, 160, 192, 224,
                                            256, 288, 320, 352, 384, 416, 448, 0};
constexpr std::uint16_t kMpeg1Layer2[16] = {0,   32,  48,  56,  64,  80,  96,  112,
                                            128, 160, 192, 224, 256, 320, 384, 0};
constexpr std::uint16_t kMpeg1Layer3[16] = {0,   32,  40,  48,  56,  64,  80,  96,
                                            112, 128, 160, 192, 224, 256, 320, 0};
constexpr std::uint16_t kMpeg2Layer1[16] = {0,   32,  48,  56,  64,  80,  96,  112,
                                            128, 144, 160, 176, 192, 224, 256, 0};
constexpr std::uint16_t kMpeg2Layer23[16] = {0,  8,  16, 24,  32,  40,  48,  56,
                                             64, 80, 96, 112, 128, 144, 160, 0};

std::uint32_t mpeg_bitrate_kbps(bool mpeg1, int layer, int index) {
  if (mpeg1) return (layer == 1 ? kMpeg1Layer1 : layer == 2 ? kMpeg1Layer2 : kMpeg1Layer3)[index];
  return (layer == 1 ? kMpeg2Layer1 : kMpeg2Layer23)[index];
}

std::optional<AudioFrame> mpeg_audio_frame(std::span<const std::uint8_t> b) {
  if (b[0] != 0xff || (b[1] & 0xe0) != 0xe0) return std::nullopt;
  const int version = b[1] >> 3 & 3;  // 0 is MPEG 2.5, 2 is MPEG-2, 3 is MPEG-1
  const int layer = 4 - (b[1] >> 1 & 3);
  const int rate_index = b[2] >> 2 & 3;
  if (version == 1 || layer == 4 || rate_index == 3) return std::nullopt;
  const bool mpeg1 = version == 3;
  const std::uint32_t kbps = mpeg_bitrate_kbps(mpeg1, layer, b[2] >> 4);
  if (kbps == 0) return std::nullopt;  // free format has no length; forbidden has no meaning
  constexpr std::uint32_t kRates[3] = {44100, 48000, 32000};
  const std::uint32_t rate = kRates[rate_index] >> (mpeg1 ? 0 : version == 2 ? 1 : 2);
  const std::uint32_t padding = b[2] >> 1 & 1;
  if (layer == 1) return AudioFrame{(12000 * kbps / rate + padding) * 4, rate, 384};
  const std::uint32_t samples = layer == 3 && !mpeg1 ? 576 : 1152;
  return AudioFrame{samples / 8 * 1000 * kbps / rate + padding, rate, samples};
}

constexpr std::uint32_t kAc3Rates[3] = {48000, 44100, 32000};

// ETSI TS 102 366, 4.3 and table 4.13.
std::optional<AudioFrame> plain_ac3_frame(std::span<const std::uint8_t> b, int bsid) {
  constexpr std::uint16_t kKbps[19] = {32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                       192, 224, 256, 320, 384, 448, 512, 576, 640};
  const int fscod = b[4] >> 6;
  const std::uint32_t frmsizecod = b[4] & 0x3f;
  if (fscod == 3 || frmsizecod >= 38) return std::nullopt;
  const std::uint32_t kbps = kKbps[frmsizecod / 2];
  const std::uint32_t words = fscod == 0   ? 2 * kbps
                              : fscod == 1 ? 320 * kbps / 147 + frmsizecod % 2
                                           : 3 * kbps;
  const int halvings = bsid > 8 ? bsid - 8 : 0;  // half and quarter rate variants
  return AudioFrame{words * 2, kAc3Rates[fscod] >> halvings, 1536};
}

// ETSI TS 102 366, E.1.2.2 and E.1.3.1.
std::optional<AudioFrame> enhanced_ac3_frame(std::span<const std::uint8_t> b) {
  constexpr std::uint32_t kBlocks[4] = {1, 2, 3, 6};
  const int strmtyp = b[2] >> 6;
  const int substreamid = b[2] >> 3 & 7;
  const std::size_t size = ((b[2] & 7U) << 8 | b[3]) * 2 + 2;
  const int fscod = b[4] >> 6;
  const int fscod2 = b[4] >> 4 & 3;
  if (strmtyp == 3 || size < kAudioHeaderBytes || (fscod == 3 && fscod2 == 3)) return std::nullopt;
  const std::uint32_t rate = fscod == 3 ? kAc3Rates[fscod2] / 2 : kAc3Rates[fscod];
  const std::uint32_t samples = 256 * (fscod == 3 ? 6 : kBlocks[fscod2]);
  const bool further_substream = strmtyp == 1 || substreamid != 0;
  return AudioFrame{size, rate, further_substream ? 0 : samples};
}

std::optional<AudioFrame> ac3_frame(std::span<const std::uint8_t> b) {
  if (b[0] != 0x0b || b[1] != 0x77) return std::nullopt;
  const int bsid = b[5] >> 3;  // at the same place in both syntaxes
  if (bsid <= 10) return plain_ac3_frame(b, bsid);
  if (bsid <= 16) return enhanced_ac3_frame(b);
  return std::nullopt;
}

}  // namespace

std::optional<AudioFrame> parse_audio_frame(media::Codec codec,
                                            std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kAudioHeaderBytes) return std::nullopt;
  switch (codec) {
    case media::Codec::kAac:
      return adts_frame(bytes);
    case media::Codec::kMpegAudio:
      return mpeg_audio_frame(bytes);
    case media::Codec::kAc3:
    case media::Codec::kEac3:
      return ac3_frame(bytes);
    default:
      return std::nullopt;
  }
}

std::uint32_t AdtsHeader::sample_rate() const { return kAacRates[sampling_frequency_index]; }

std::array<std::uint8_t, 2> AdtsHeader::audio_specific_config() const {
  return {static_cast<std::uint8_t>(audio_object_type << 3 | sampling_frequency_index >> 1),
          static_cast<std::uint8_t>(sampling_frequency_index << 7 | channel_configuration << 3)};
}

std::optional<AdtsHeader> parse_adts(std::span<const std::uint8_t> b) {
  if (b.size() < 7 || b[0] != 0xff || (b[1] & 0xf6) != 0xf0) return std::nullopt;
  AdtsHeader header;
  header.header_size = (b[1] & 1) != 0 ? 7 : 9;
  header.audio_object_type = static_cast<std::uint8_t>((b[2] >> 6) + 1);
  header.sampling_frequency_index = b[2] >> 2 & 0xf;
  header.channel_configuration = static_cast<std::uint8_t>((b[2] & 1) << 2 | b[3] >> 6);
  header.frame_size = static_cast<std::uint16_t>((b[3] & 3) << 11 | b[4] << 3 | b[5] >> 5);
  header.raw_data_blocks = static_cast<std::uint8_t>((b[6] & 3) + 1);
  if (header.sampling_frequency_index >= kAacRates.size()) return std::nullopt;
  if (header.frame_size <= header.header_size) return std::nullopt;
  return header;
}

std::optional<std::span<const std::uint8_t>> AdtsReader::next() {
  const auto header = parse_adts(rest_);
  if (!header || header->frame_size > rest_.size()) return std::nullopt;
  const auto frame = rest_.first(header->frame_size);
  rest_ = rest_.subspan(frame.size());
  return frame;
}

}  // namespace mirror::codec
