#include "mpegts/psi.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "codec/opus.h"
#include "mpegts/packet.h"

namespace mirror::mpegts {
namespace {

using media::Codec;

constexpr std::size_t kCrcBytes = 4;
constexpr std::uint8_t kRegistrationDescriptor = 0x05;
constexpr std::uint8_t kLanguageDescriptor = 0x0a;
constexpr std::uint8_t kExtensionDescriptor = 0x7f;
// descriptor_tag_extension of the Opus mapping's audio descriptor, in the user defined range.
constexpr std::uint8_t kOpusDescriptor = 0x80;

std::uint16_t read_u16(std::span<const std::uint8_t> b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}
std::uint16_t read_pid(std::span<const std::uint8_t> b, std::size_t at) {
  return read_u16(b, at) & 0x1fff;
}
std::size_t read_length12(std::span<const std::uint8_t> b, std::size_t at) {
  return read_u16(b, at) & 0x0fff;
}

bool is_current(std::span<const std::uint8_t> section) { return (section[5] & 1) != 0; }

// Calls `visit(tag, body)` for each whole descriptor.
template <class Visit>
void for_each_descriptor(std::span<const std::uint8_t> loop, Visit&& visit) {
  while (loop.size() >= 2 && loop.size() >= 2U + loop[1]) {
    visit(loop[0], loop.subspan(2, loop[1]));
    loop = loop.subspan(2U + loop[1]);
  }
}

struct StreamName {
  std::uint8_t code;
  Codec codec;
  std::string_view name;
};

// ISO/IEC 13818-1 table 2-34, and the user private types of ATSC A/53 and SCTE 35.
constexpr StreamName kStreamTypes[] = {
    {0x01, Codec::kUnsupported, "MPEG-1 video"},
    {0x02, Codec::kUnsupported, "MPEG-2 video"},
    {0x03, Codec::kMpegAudio, ""},
    {0x04, Codec::kMpegAudio, ""},
    {0x05, Codec::kUnsupported, "private sections"},
    {0x06, Codec::kUnsupported, "private data"},
    {0x0f, Codec::kAac, ""},
    {0x10, Codec::kUnsupported, "MPEG-4 part 2 video"},
    {0x11, Codec::kUnsupported, "AAC in LATM"},
    {0x15, Codec::kUnsupported, "timed metadata"},
    {0x1b, Codec::kH264, ""},
    {0x1c, Codec::kUnsupported, "raw AAC"},
    {0x20, Codec::kUnsupported, "MVC H.264 video"},
    {0x21, Codec::kUnsupported, "JPEG 2000 video"},
    {0x24, Codec::kHevc, ""},
    {0x32, Codec::kUnsupported, "JPEG XS video"},
    {0x33, Codec::kUnsupported, "VVC video"},
    {0x42, Codec::kUnsupported, "AVS video"},
    {0x81, Codec::kAc3, ""},
    {0x82, Codec::kUnsupported, "DTS audio"},
    {0x86, Codec::kUnsupported, "SCTE-35 cues"},
    {0x87, Codec::kEac3, ""},
    {0xd1, Codec::kUnsupported, "Dirac video"},
    {0xea, Codec::kUnsupported, "VC-1 video"},
};

// Descriptors that name the coding of a private stream (ETSI EN 300 468, table 12).
constexpr StreamName kPrivateDescriptors[] = {
    {0x56, Codec::kUnsupported, "DVB teletext"},
    {0x59, Codec::kUnsupported, "DVB subtitles"},
    {0x6a, Codec::kAc3, ""},
    {0x7a, Codec::kEac3, ""},
    {0x7b, Codec::kUnsupported, "DTS audio"},
    {0x7c, Codec::kUnsupported, "AAC (DVB private)"},
};

struct FormatName {
  std::string_view identifier;
  Codec codec;
  std::string_view name;
};

// format_identifier of the registration descriptor (SMPTE RA).
constexpr FormatName kPrivateFormats[] = {
    {"AC-3", Codec::kAc3, ""},
    {"EAC3", Codec::kEac3, ""},
    {"HEVC", Codec::kHevc, ""},
    {"Opus", Codec::kOpus, ""},
    {"BSSD", Codec::kUnsupported, "SMPTE 302M audio"},
    {"KLVA", Codec::kUnsupported, "SMPTE 336M metadata"},
    {"AV01", Codec::kUnsupported, "AV1 video"},
};

void describe_private_stream(std::span<const std::uint8_t> descriptors, media::Track& track) {
  for_each_descriptor(descriptors, [&](std::uint8_t tag, std::span<const std::uint8_t> body) {
    for (const auto& known : kPrivateDescriptors) {
      if (known.code != tag) continue;
      track.codec = known.codec;
      track.description = known.name;
    }
    if (tag != kRegistrationDescriptor || body.size() < 4) return;
    const std::string_view identifier(reinterpret_cast<const char*>(body.data()), 4);
    for (const auto& known : kPrivateFormats) {
      if (known.identifier != identifier) continue;
      track.codec = known.codec;
      track.description = known.name;
    }
  });
}

// The channel_config_code. A stream without the descriptor is taken for stereo, as which a decoder
// plays mono as well.
std::uint8_t opus_channels_of(std::span<const std::uint8_t> descriptors) {
  std::uint8_t code = codec::kOpusStereo;
  for_each_descriptor(descriptors, [&](std::uint8_t tag, std::span<const std::uint8_t> body) {
    if (tag != kExtensionDescriptor || body.size() < 2 || body[0] != kOpusDescriptor) return;
    code = body[1];
  });
  return code;
}

void describe_opus(std::span<const std::uint8_t> descriptors, media::Track& track) {
  track.opus_channels = opus_channels_of(descriptors);
  if (track.opus_channels <= codec::kOpusChannelsMax) return;
  track.codec = Codec::kUnsupported;
  track.description =
      fmt::format("Opus audio of channel configuration 0x{:02x}", track.opus_channels);
}

// ISO_639_language_descriptor, 2.6.18; empty unless three letters.
std::string language_of(std::span<const std::uint8_t> descriptors) {
  std::string language;
  for_each_descriptor(descriptors, [&](std::uint8_t tag, std::span<const std::uint8_t> body) {
    if (tag != kLanguageDescriptor || body.size() < 3 || !language.empty()) return;
    for (const std::uint8_t byte : body.first(3)) {
      const int letter = byte | 0x20;
      if (letter < 'a' || letter > 'z') return language.clear();
      language.push_back(static_cast<char>(letter));
    }
  });
  return language;
}

}  // namespace

std::optional<PatSection> parse_pat(std::span<const std::uint8_t> section) {
  if (section.size() < 8 + kCrcBytes || section[0] != kPatTableId || !is_current(section)) {
    return std::nullopt;
  }
  PatSection pat;
  pat.is_whole_table = section[6] == 0 && section[7] == 0;
  const auto loop = section.subspan(8, section.size() - 8 - kCrcBytes);
  for (std::size_t at = 0; at + 4 <= loop.size(); at += 4) {
    const Programme programme{read_u16(loop, at), read_pid(loop, at + 2)};
    if (programme.number != 0) pat.programmes.push_back(programme);
  }
  return pat;
}

std::optional<Pmt> parse_pmt(std::span<const std::uint8_t> section) {
  if (section.size() < 12 + kCrcBytes || section[0] != kPmtTableId || !is_current(section)) {
    return std::nullopt;
  }
  Pmt pmt;
  pmt.programme_number = read_u16(section, 3);
  pmt.pcr_pid = read_pid(section, 8);
  auto loop = section.subspan(12, section.size() - 12 - kCrcBytes);
  const std::size_t programme_info = read_length12(section, 10);
  if (programme_info > loop.size()) return std::nullopt;
  loop = loop.subspan(programme_info);
  while (loop.size() >= 5) {
    const std::uint16_t pid = read_pid(loop, 1);
    const std::size_t info = read_length12(loop, 3);
    if (info > loop.size() - 5) return std::nullopt;
    const bool repeated = std::any_of(pmt.tracks.begin(), pmt.tracks.end(),
                                      [pid](const media::Track& t) { return t.id == pid; });
    if (pmt.tracks.size() == kElementaryStreamsMax) {
      ++pmt.ignored_streams;
    } else if (!repeated && pid != kNullPid && pid != kPatPid) {
      pmt.tracks.push_back(classify_stream(loop[0], loop.subspan(5, info)));
      pmt.tracks.back().id = pid;
    }
    loop = loop.subspan(5 + info);
  }
  return pmt;
}

media::Track classify_stream(std::uint8_t stream_type, std::span<const std::uint8_t> descriptors) {
  media::Track track;
  track.language = language_of(descriptors);
  const auto* known = std::find_if(std::begin(kStreamTypes), std::end(kStreamTypes),
                                   [&](const StreamName& n) { return n.code == stream_type; });
  if (known == std::end(kStreamTypes)) {
    track.description = fmt::format("stream type 0x{:02x}", stream_type);
    return track;
  }
  track.codec = known->codec;
  track.description = known->name;
  if (stream_type == 0x06) describe_private_stream(descriptors, track);
  if (track.codec == Codec::kOpus) describe_opus(descriptors, track);
  return track;
}

}  // namespace mirror::mpegts
