#include "rtp/aac_depacketizer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

using Span = std::span<const std::uint8_t>;

// ISO/IEC 14496-3, table 1.18.
constexpr std::array<std::uint32_t, 13> kSampleRates = {96'000, 88'200, 64'000, 48'000, 44'100,
                                                        32'000, 24'000, 22'050, 16'000, 12'000,
                                                        11'025, 8'000,  7'350};
constexpr std::uint32_t kClockRateMax = 192'000;
constexpr unsigned kFieldBitsMax = 16;
constexpr std::size_t kAdtsHeaderBytes = 7;

// Audio object types (table 1.17).
constexpr std::uint32_t kSbr = 5;
constexpr std::uint32_t kParametricStereo = 29;
constexpr std::uint32_t kEscape = 31;
constexpr std::uint32_t kAdtsObjectTypeMax = 4;

// Past the end there are zeros.
class BitReader {
 public:
  explicit BitReader(Span bytes) : bytes_(bytes) {}
  std::uint32_t bits(unsigned count) {
    std::uint32_t value = 0;
    for (; count > 0; --count, ++at_) {
      const std::size_t byte = at_ / 8;
      const unsigned bit = byte < bytes_.size() ? bytes_[byte] >> (7 - at_ % 8) & 1U : 0U;
      value = value << 1U | bit;
    }
    return value;
  }
  bool overrun() const { return at_ > bytes_.size() * 8; }

 private:
  Span bytes_;
  std::size_t at_ = 0;
};

std::uint32_t read_object_type(BitReader& reader) {
  const std::uint32_t type = reader.bits(5);
  return type == kEscape ? 32 + reader.bits(6) : type;
}

std::optional<std::vector<std::uint8_t>> decode_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> out;
  for (; !text.empty(); text.remove_prefix(2)) {
    std::uint8_t value = 0;
    const auto digits = text.substr(0, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    out.push_back(value);
  }
  return out;
}

bool equal_but_for_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : +c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// A number among the parameters of a=fmtp; `otherwise` where it is not given.
Result<std::uint32_t> parameter(const SdpMedia& medium, std::string_view name,
                                std::uint32_t otherwise) {
  const auto found = medium.parameters.find(name);
  if (found == medium.parameters.end()) return otherwise;
  const std::string& text = found->second;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail("mpeg4-generic: {}={} is no number", name, text);
  }
  return value;
}

// What the AAC modes do not have, or what would interleave (RFC 3640, 3.2.1, 3.2.3.2 and 4.1).
Status refuse_what_is_not_read(const SdpMedia& medium) {
  for (const std::string_view name :
       {"ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication",
        "auxiliarydatasizelength", "maxdisplacement"}) {
    const auto value = parameter(medium, name, 0);
    if (!value) return std::unexpected(value.error());
    if (*value != 0) return fail("mpeg4-generic with {}={} is not supported", name, *value);
  }
  return {};
}

}  // namespace

// --- AacConfig

std::uint32_t AacConfig::sample_rate() const { return kSampleRates.at(sampling_frequency_index); }

// adts_fixed_header and adts_variable_header without CRC (ISO/IEC 13818-7, 6.2).
std::array<std::uint8_t, 7> AacConfig::adts_header(std::size_t frame_bytes) const {
  const auto size = static_cast<unsigned>(frame_bytes + kAdtsHeaderBytes);
  const unsigned profile = object_type - 1U;
  const auto byte = [](unsigned value) { return static_cast<std::uint8_t>(value); };
  return {0xff,
          0xf1,
          byte(profile << 6U | sampling_frequency_index << 2U | channel_configuration >> 2U),
          byte((channel_configuration & 3U) << 6U | size >> 11U),
          byte(size >> 3U & 0xffU),
          byte((size & 7U) << 5U | 0x1fU),  // buffer fullness 0x7ff: variable rate
          0xfc};
}

Result<AacConfig> parse_aac_config(Span bytes) {
  BitReader reader(bytes);
  std::uint32_t object_type = read_object_type(reader);
  const std::uint32_t rate_index = reader.bits(4);
  if (rate_index >= kSampleRates.size()) {
    return fail("AAC at a sampling rate that is not in the table is not supported");
  }
  const std::uint32_t channels = reader.bits(4);
  if (object_type == kSbr || object_type == kParametricStereo) {
    if (reader.bits(4) == 0xf) reader.bits(24);  // the rate with SBR
    object_type = read_object_type(reader);
  }
  const bool short_frames = reader.bits(1) != 0;  // frameLengthFlag: 960 samples
  if (reader.overrun()) return fail("AudioSpecificConfig of {} bytes is too short", bytes.size());
  if (object_type == 0 || object_type > kAdtsObjectTypeMax) {
    return fail("AAC of audio object type {} is not supported", object_type);
  }
  if (channels == 0 || channels > 7) {
    return fail("AAC of channel configuration {} is not supported", channels);
  }
  if (short_frames) return fail("AAC with frames of 960 samples is not supported");
  return AacConfig{.object_type = static_cast<std::uint8_t>(object_type),
                   .sampling_frequency_index = static_cast<std::uint8_t>(rate_index),
                   .channel_configuration = static_cast<std::uint8_t>(channels)};
}

// --- AacDepacketizer

Result<AacDepacketizer::Settings> AacDepacketizer::read_settings(const SdpMedia& medium) {
  if (auto status = refuse_what_is_not_read(medium); !status) {
    return std::unexpected(std::move(status.error()));
  }
  const auto mode = medium.parameters.find("mode");
  const auto name =
      mode == medium.parameters.end() ? std::string_view{} : std::string_view(mode->second);
  const bool low_rate = equal_but_for_case(name, "aac-lbr");
  if (!low_rate && !equal_but_for_case(name, "aac-hbr")) {
    return fail("mpeg4-generic with mode \"{}\": only AAC-hbr and AAC-lbr are supported", name);
  }
  Settings settings;
  if (low_rate) settings.layout = {.size_bits = 6, .index_bits = 2, .index_delta_bits = 2};
  const std::pair<std::string_view, unsigned*> fields[] = {
      {"sizelength", &settings.layout.size_bits},
      {"indexlength", &settings.layout.index_bits},
      {"indexdeltalength", &settings.layout.index_delta_bits}};
  for (const auto& [field, bits] : fields) {
    const auto value = parameter(medium, field, *bits);
    if (!value) return std::unexpected(value.error());
    if (*value > kFieldBitsMax) return fail("mpeg4-generic: {}={} is too long", field, *value);
    *bits = *value;
  }
  if (settings.layout.size_bits == 0) return fail("mpeg4-generic without sizelength");

  const auto config_text = medium.parameters.find("config");
  if (config_text == medium.parameters.end()) return fail("mpeg4-generic without config");
  const auto config_bytes = decode_hex(config_text->second);
  if (!config_bytes) return fail("mpeg4-generic: config is not hexadecimal");
  const auto config = parse_aac_config(*config_bytes);
  if (!config) return std::unexpected(config.error());
  settings.config = *config;

  if (medium.clock_rate == 0 || medium.clock_rate > kClockRateMax) {
    return fail("mpeg4-generic with a clock rate of {} Hz", medium.clock_rate);
  }
  const auto ticks =
      parameter(medium, "constantduration",
                static_cast<std::uint32_t>(std::uint64_t{kAacFrameSamples} * medium.clock_rate /
                                           config->sample_rate()));
  if (!ticks) return std::unexpected(ticks.error());
  if (*ticks == 0 || *ticks > medium.clock_rate) {
    return fail("mpeg4-generic with frames of {} ticks", *ticks);
  }
  settings.frame_ticks = *ticks;
  return settings;
}

Result<std::unique_ptr<Depacketizer>> AacDepacketizer::create(const SdpMedia& medium,
                                                              media::TrackId track,
                                                              media::AccessUnitSink& sink,
                                                              TrackClock& clock,
                                                              media::DemuxStats& stats) {
  auto settings = read_settings(medium);
  if (!settings) return std::unexpected(std::move(settings.error()));
  return std::unique_ptr<Depacketizer>(new AacDepacketizer(*settings, track, sink, clock, stats));
}

void AacDepacketizer::push(const Packet& packet, bool gap, Instant received) {
  if (gap || (partial_ && partial_->timestamp != packet.timestamp)) drop_partial();
  Span bytes = packet.payload;
  if (bytes.empty()) return;
  if (!read_sizes(bytes)) {
    stats_.dropped_bytes += packet.payload.size();
    return drop_partial();
  }
  if (sizes_.size() == 1 && sizes_[0] > bytes.size()) {
    return read_fragment(packet, bytes, received);
  }
  drop_partial();
  std::uint32_t timestamp = packet.timestamp;
  for (const std::size_t size : sizes_) {
    if (size > bytes.size()) break;
    emit(timestamp, bytes.first(size), received);
    bytes = bytes.subspan(size);
    timestamp += settings_.frame_ticks;
  }
  stats_.dropped_bytes += bytes.size();
}

// The AU header section (3.2.1): its length in bits, then a header for each access unit. Leaves the
// access units in `payload`. False when it is cut off, or interleaves.
bool AacDepacketizer::read_sizes(Span& payload) {
  sizes_.clear();
  if (payload.size() < 2) return false;
  const HeaderLayout& layout = settings_.layout;
  std::size_t bits = read_u16(payload);
  const std::size_t bytes = (bits + 7) / 8;
  if (bytes > payload.size() - 2) return false;
  BitReader reader(payload.subspan(2, bytes));
  unsigned index_bits = layout.index_bits;
  while (bits >= layout.size_bits + index_bits) {
    bits -= layout.size_bits + index_bits;
    sizes_.push_back(reader.bits(layout.size_bits));
    // Of the first unit it is a serial number that some senders count on, though it should be 0.
    const std::uint32_t index = reader.bits(index_bits);
    if (sizes_.size() > 1 && index != 0) return false;
    index_bits = layout.index_delta_bits;
  }
  payload = payload.subspan(2 + bytes);
  return !sizes_.empty();
}

// One access unit over several packets (3.2.3.1). Each says the size of the whole.
void AacDepacketizer::read_fragment(const Packet& packet, Span bytes, Instant received) {
  if (partial_ && partial_->size != sizes_[0]) drop_partial();
  if (!partial_) partial_ = Partial{packet.timestamp, sizes_[0], {}};
  partial_->bytes.insert(partial_->bytes.end(), bytes.begin(), bytes.end());
  if (partial_->bytes.size() == partial_->size) {
    const Partial whole = *std::exchange(partial_, std::nullopt);
    emit(whole.timestamp, whole.bytes, received);
  } else if (packet.marker || partial_->bytes.size() > partial_->size) {
    drop_partial();  // its beginning was lost
  }
}

void AacDepacketizer::drop_partial() {
  if (partial_) stats_.dropped_bytes += partial_->bytes.size();
  partial_.reset();
}

void AacDepacketizer::emit(std::uint32_t timestamp, Span frame, Instant received) {
  if (frame.empty() || frame.size() > kAacFrameBytesMax) {
    stats_.dropped_bytes += frame.size();
    return;
  }
  const TrackClock::Date date = clock_.date(timestamp, received);
  ++stats_.access_units;
  media::AccessUnit unit;
  unit.track = track_;
  unit.codec = media::Codec::kAac;
  unit.pts = date.time;
  unit.dts = date.time;
  unit.random_access = true;
  unit.discontinuity = date.discontinuity;
  unit.received = received;
  const auto header = settings_.config.adts_header(frame.size());
  unit.data = Bytes::build(header.size() + frame.size(), [&](std::span<std::uint8_t> room) {
    std::ranges::copy(header, room.begin());
    std::ranges::copy(frame, room.begin() + header.size());
  });
  sink_.on_access_unit(std::move(unit));
}

}  // namespace mirror::rtp
