// Media Initialization Sections: moov, its tracks and their sample entries.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "boxes.h"
#include "codec/codec_string.h"
#include "mp4.h"

namespace mirror::lint {
namespace {

using Path = std::array<std::string_view, 1>;

std::optional<ByteView> child(ByteView bytes, std::string_view type) {
  return find_box(bytes, Path{type});
}

std::uint32_t track_id_of(ByteView tkhd) {
  ByteReader reader(tkhd);
  const bool long_times = reader.u8() == 1;
  reader.skip(3 + (long_times ? 16 : 8));
  return reader.u32();
}

std::uint32_t timescale_of(ByteView mdhd) {
  ByteReader reader(mdhd);
  const bool long_times = reader.u8() == 1;
  reader.skip(3 + (long_times ? 16 : 8));
  return reader.u32();
}

TrackKind kind_of(ByteView hdlr) {
  ByteReader reader(hdlr);
  reader.skip(8);
  const ByteView type = reader.bytes(4);
  const std::string_view text(reinterpret_cast<const char*>(type.data()), type.size());
  if (text == "vide") return TrackKind::kVideo;
  if (text == "soun") return TrackKind::kAudio;
  return TrackKind::kOther;
}

// AVCDecoderConfigurationRecord, ISO/IEC 14496-15, 5.3.3.1.
void read_avcc(ByteView avcc, Track& track) {
  ByteReader reader(avcc);
  reader.u8();
  const std::uint8_t profile = reader.u8();
  const std::uint8_t compatibility = reader.u8();
  const std::uint8_t level = reader.u8();
  track.nal_length_bytes = (reader.u8() & 3) + 1;
  track.configured_codec =
      fmt::format("{}.{:02X}{:02X}{:02X}", track.sample_entry, profile, compatibility, level);
  const int count = reader.u8() & 0x1f;
  const ByteView sps = count > 0 ? reader.bytes(reader.u16()) : ByteView{};
  if (const auto facts = read_h264_sps(sps)) {
    track.size = facts->size;
    track.codec = fmt::format("{}.{}", track.sample_entry, facts->codec_suffix);
  }
}

// HEVCDecoderConfigurationRecord, 8.3.3.1.
void read_hvcc(ByteView hvcc, Track& track) {
  ByteReader reader(hvcc);
  reader.skip(21);
  track.hevc = true;
  track.nal_length_bytes = (reader.u8() & 3) + 1;
  const int arrays = reader.u8();
  for (int i = 0; i < arrays && !reader.overrun(); ++i) {
    reader.u8();
    const int units = reader.u16();
    for (int k = 0; k < units && !reader.overrun(); ++k) {
      const auto facts = read_hevc_sps(reader.bytes(reader.u16()));
      if (!facts) continue;
      track.size = facts->size;
      track.codec = fmt::format("{}.{}", track.sample_entry, facts->codec_suffix);
      return;
    }
  }
}

// A descriptor's size, ISO/IEC 14496-1, 8.3.3: seven bits a byte.
std::size_t descriptor_size(ByteReader& reader) {
  std::size_t size = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint8_t byte = reader.u8();
    size = size << 7 | (byte & 0x7f);
    if ((byte & 0x80) == 0) break;
  }
  return size;
}

// The AudioSpecificConfig inside ES_Descriptor, DecoderConfigDescriptor, DecoderSpecificInfo.
ByteView audio_specific_config(ByteView esds) {
  ByteReader reader(esds);
  reader.skip(4);
  if (reader.u8() != 3) return {};
  descriptor_size(reader);
  reader.skip(2);
  const std::uint8_t flags = reader.u8();
  if ((flags & 0x80) != 0) reader.skip(2);
  if ((flags & 0x40) != 0) reader.skip(reader.u8());
  if ((flags & 0x20) != 0) reader.skip(2);
  if (reader.u8() != 4) return {};
  descriptor_size(reader);
  const std::uint8_t object_type = reader.u8();
  reader.skip(12);
  if (object_type != 0x40 || reader.u8() != 5) return {};
  return reader.bytes(descriptor_size(reader));
}

// Channels as the channelConfiguration says (ISO/IEC 14496-3, table 1.19); 0: not said there.
void read_audio_config(ByteView config, Track& track) {
  if (const auto codec = codec::aac_codec_string(config)) track.codec = *codec;
  constexpr std::array<std::uint32_t, 8> kChannels = {0, 1, 2, 3, 4, 5, 6, 8};
  const bool plain = config.size() >= 2 && config[0] >> 3 != 31;
  const unsigned frequency_index = plain ? (config[0] & 7U) << 1 | config[1] >> 7 : 15;
  if (frequency_index == 15) return;
  const unsigned configuration = config[1] >> 3 & 0xfU;
  if (configuration > 0 && configuration < kChannels.size())
    track.channels = kChannels[configuration];
}

void read_sample_entry(const Box& entry, Track& track) {
  track.sample_entry = entry.type;
  constexpr std::size_t kVisualBytes = 78;  // 12.1.3, up to the boxes inside
  constexpr std::size_t kAudioBytes = 28;   // 12.2.3
  ByteReader reader(entry.body);
  if (track.kind == TrackKind::kVideo) {
    reader.skip(24);
    const std::uint32_t width = reader.u16();
    track.size = PictureSize{width, reader.u16()};
    if (entry.body.size() < kVisualBytes) return;
    const ByteView inside = entry.body.subspan(kVisualBytes);
    if (const auto avcc = child(inside, "avcC")) read_avcc(*avcc, track);
    if (const auto hvcc = child(inside, "hvcC")) read_hvcc(*hvcc, track);
  } else if (track.kind == TrackKind::kAudio) {
    reader.skip(16);
    track.channels = reader.u16();
    reader.skip(6);
    track.sample_rate = reader.u32() >> 16;
    if (entry.body.size() < kAudioBytes) return;
    if (const auto esds = child(entry.body.subspan(kAudioBytes), "esds")) {
      read_audio_config(audio_specific_config(*esds), track);
    } else {
      track.codec = entry.type;  // "ac-3", "ec-3", "Opus", "fLaC": RFC 6381 writes no more
    }
  }
}

Result<Track> read_track(ByteView trak) {
  const auto tkhd = child(trak, "tkhd");
  const auto mdia = child(trak, "mdia");
  const auto mdhd = mdia ? child(*mdia, "mdhd") : std::nullopt;
  const auto hdlr = mdia ? child(*mdia, "hdlr") : std::nullopt;
  if (!tkhd || !mdhd || !hdlr) return fail("a trak without tkhd, mdhd or hdlr");
  Track track;
  track.id = track_id_of(*tkhd);
  track.timescale = timescale_of(*mdhd);
  track.kind = kind_of(*hdlr);
  if (track.timescale == 0) return fail("track {}: a timescale of 0", track.id);
  const std::array<std::string_view, 3> path = {"minf", "stbl", "stsd"};
  const auto stsd = find_box(*mdia, path);
  if (!stsd || stsd->size() < 8) return fail("track {}: no sample description", track.id);
  const auto entries = read_boxes(stsd->subspan(8));
  if (!entries) return std::unexpected(entries.error());
  if (entries->empty()) return fail("track {}: no sample entry", track.id);
  read_sample_entry(entries->front(), track);
  return track;
}

void read_trex(ByteView trex, InitSection& init) {
  ByteReader reader(trex);
  reader.skip(4);
  const std::uint32_t id = reader.u32();
  reader.skip(4);
  for (Track& track : init.tracks) {
    if (track.id != id) continue;
    track.default_duration = reader.u32();
    track.default_size = reader.u32();
    track.default_flags = reader.u32();
  }
}

}  // namespace

const Track* InitSection::find(std::uint32_t id) const {
  const auto it = std::ranges::find(tracks, id, &Track::id);
  return it == tracks.end() ? nullptr : std::to_address(it);
}

const Track* InitSection::leading() const {
  const auto it = std::ranges::find(tracks, TrackKind::kVideo, &Track::kind);
  if (it != tracks.end()) return std::to_address(it);
  return tracks.empty() ? nullptr : &tracks.front();
}

Result<InitSection> read_init_section(std::span<const std::uint8_t> bytes) {
  const auto top = read_boxes(bytes);
  if (!top) return std::unexpected(top.error());
  const auto moov = std::ranges::find(*top, "moov", &Box::type);
  if (moov == top->end()) return fail("no moov");
  const auto inside = read_boxes(moov->body);
  if (!inside) return std::unexpected(inside.error());
  InitSection init;
  for (const Box& box : *inside) {
    if (box.type != "trak") continue;
    Result<Track> track = read_track(box.body);
    if (!track) return std::unexpected(track.error());
    init.tracks.push_back(std::move(*track));
  }
  if (init.tracks.empty()) return fail("a moov without tracks");
  const auto mvex = child(moov->body, "mvex");
  if (!mvex) return fail("a moov without mvex");
  for (const Box& box : read_boxes(*mvex).value_or(std::vector<Box>{})) {
    if (box.type == "trex") read_trex(box.body, init);
  }
  return init;
}

}  // namespace mirror::lint
