#include "cmaf/init_segment.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "cmaf/box_writer.h"
#include "codec/codec_string.h"

namespace mirror::cmaf {

namespace {

using media::AudioDescription;
using media::TrackDescription;
using media::VideoDescription;

// All boxes but for parameter sets and the AudioSpecificConfig; far more than they need.
constexpr std::size_t kFixedBytesMax = 1'500;
constexpr std::size_t kAudioSpecificConfigBytesMax = 64;
constexpr std::string_view kHandlerName = "Mirror";

void write_matrix(BoxWriter& out) {
  for (const std::uint32_t value :
       {0x00010000u, 0u, 0u, 0u, 0x00010000u, 0u, 0u, 0u, 0x40000000u}) {
    out.u32(value);
  }
}

// ISO/IEC 23000-19, 7.2 and 7.7: `cmf2` is the stricter structural brand, `cmfc` the general one.
void write_ftyp(BoxWriter& out) {
  const auto ftyp = out.box("ftyp");
  out.text("cmf2");
  out.u32(0);
  for (const std::string_view brand : {"iso6", "cmfc", "cmf2"}) out.text(brand);
}

// 8.2.2. Durations are 0 throughout: the track goes on in fragments.
void write_mvhd(BoxWriter& out, std::uint32_t timescale) {
  const auto mvhd = out.full_box("mvhd", 0, 0);
  out.u32(0);  // creation_time
  out.u32(0);  // modification_time
  out.u32(timescale);
  out.u32(0);           // duration
  out.u32(0x00010000);  // rate 1.0
  out.u16(0x0100);      // volume 1.0
  out.zeros(10);
  write_matrix(out);
  out.zeros(24);  // pre_defined
  out.u32(kTrackId + 1);
}

// 8.3.2
void write_tkhd(BoxWriter& out, const TrackDescription& track) {
  constexpr std::uint32_t kEnabledInMovieInPreview = 0x7;
  const auto* video = std::get_if<VideoDescription>(&track);
  const auto tkhd = out.full_box("tkhd", 0, kEnabledInMovieInPreview);
  out.u32(0);  // creation_time
  out.u32(0);  // modification_time
  out.u32(kTrackId);
  out.u32(0);
  out.u32(0);  // duration
  out.zeros(8);
  out.u16(0);                   // layer
  out.u16(0);                   // alternate_group
  out.u16(video ? 0 : 0x0100);  // volume
  out.u16(0);
  write_matrix(out);
  out.u32(video ? std::uint32_t{video->width} << 16 : 0);
  out.u32(video ? std::uint32_t{video->height} << 16 : 0);
}

// 8.4.2.3: three letters of ISO 639-2/T, five bits each.
std::uint16_t packed_language(std::string_view code) {
  if (code.size() != 3) code = "und";
  std::uint16_t packed = 0;
  for (const char letter : code) {
    if (letter < 'a' || letter > 'z') return packed_language("und");
    packed = static_cast<std::uint16_t>(packed << 5 | (letter - 0x60));
  }
  return packed;
}

void write_mdhd(BoxWriter& out, const TrackDescription& track) {
  const auto* audio = std::get_if<AudioDescription>(&track);
  const auto mdhd = out.full_box("mdhd", 0, 0);
  out.u32(0);  // creation_time
  out.u32(0);  // modification_time
  out.u32(media::grid_of(track).timescale);
  out.u32(0);  // duration
  out.u16(packed_language(audio ? std::string_view(audio->language) : "und"));
  out.u16(0);
}

// 8.4.3
void write_hdlr(BoxWriter& out, std::string_view handler) {
  const auto hdlr = out.full_box("hdlr", 0, 0);
  out.u32(0);
  out.text(handler);
  out.zeros(12);
  out.text(kHandlerName);
  out.u8(0);
}

void write_media_header(BoxWriter& out, const VideoDescription&) {
  const auto vmhd = out.full_box("vmhd", 0, 1);  // 12.1.2: flags are 1
  out.zeros(8);                                  // graphicsmode, opcolor
}
void write_media_header(BoxWriter& out, const AudioDescription&) {
  const auto smhd = out.full_box("smhd", 0, 0);
  out.zeros(4);  // balance
}

// 8.7.2: the media is in this file.
void write_dinf(BoxWriter& out) {
  const auto dinf = out.box("dinf");
  const auto dref = out.full_box("dref", 0, 0);
  out.u32(1);
  const auto url = out.full_box("url ", 0, 1);
}

void write_parameter_sets(BoxWriter& out, std::uint8_t count_flags,
                          const std::vector<std::uint8_t>& first,
                          const std::vector<std::uint8_t>& spare) {
  out.u8(static_cast<std::uint8_t>(count_flags | (spare.empty() ? 1 : 2)));
  out.u16(first.size());
  out.bytes(first);
  if (spare.empty()) return;
  out.u16(spare.size());
  out.bytes(spare);
}

// ISO/IEC 14496-15, 5.3.3.1.2: the AVCDecoderConfigurationRecord. NAL lengths take 4 bytes.
void write_avcc(BoxWriter& out, const VideoDescription& video) {
  const std::uint8_t profile = video.sps[1];
  const auto avcc = out.box("avcC");
  out.u8(1);
  out.bytes(std::span(video.sps).subspan(1, 3));  // profile, compatibility, level
  out.u8(0xFC | 3);                               // lengthSizeMinusOne
  write_parameter_sets(out, 0xE0, video.sps, video.spare_sps);
  write_parameter_sets(out, 0, video.pps, video.spare_pps);
  if (profile == 100 || profile == 110 || profile == 122 || profile == 144) {
    out.u8(0xFC | 1);  // chroma_format 4:2:0
    out.u8(0xF8 | 0);  // bit_depth_luma 8
    out.u8(0xF8 | 0);  // bit_depth_chroma 8
    out.u8(0);         // no SPS extensions
  }
}

// 12.1.5
void write_colr(BoxWriter& out) {
  constexpr std::uint16_t kBt709 = 1;
  const auto colr = out.box("colr");
  out.text("nclx");
  out.u16(kBt709);  // primaries
  out.u16(kBt709);  // transfer
  out.u16(kBt709);  // matrix
  out.u8(0);        // limited range
}

// 12.1.3
void write_sample_entry(BoxWriter& out, const VideoDescription& video) {
  const auto avc1 = out.box("avc1");
  out.zeros(6);
  out.u16(1);  // data_reference_index
  out.zeros(16);
  out.u16(video.width);
  out.u16(video.height);
  out.u32(0x00480000);  // 72 dpi
  out.u32(0x00480000);
  out.u32(0);
  out.u16(1);     // frame_count
  out.zeros(32);  // compressorname
  out.u16(0x18);  // depth
  out.u16(0xFFFF);
  write_avcc(out, video);
  write_colr(out);
  const auto pasp = out.box("pasp");
  out.u32(1);
  out.u32(1);
}

// ISO/IEC 14496-1, 7.2.6: descriptors with a length of one byte each.
void write_esds(BoxWriter& out, const AudioDescription& audio) {
  const auto& config = audio.audio_specific_config;
  const std::size_t specific = config.size();
  const std::size_t decoder = 13 + 2 + specific;
  const std::size_t stream = 3 + 2 + decoder + 3;
  const auto esds = out.full_box("esds", 0, 0);
  out.u8(0x03);  // ES_Descriptor
  out.u8(stream);
  out.u16(0);  // ES_ID: 0 in a file (ISO/IEC 14496-14, 4.1.2)
  out.u8(0);
  out.u8(0x04);  // DecoderConfigDescriptor
  out.u8(decoder);
  out.u8(0x40);  // objectTypeIndication: ISO/IEC 14496-3
  out.u8(0x15);  // streamType audio
  out.u24(0);    // bufferSizeDB
  out.u32(audio.bitrate_bps);
  out.u32(audio.bitrate_bps);
  out.u8(0x05);  // DecoderSpecificInfo
  out.u8(specific);
  out.bytes(config);
  out.u8(0x06);  // SLConfigDescriptor
  out.u8(1);
  out.u8(2);  // predefined: MP4
}

// 12.2.3
void write_sample_entry(BoxWriter& out, const AudioDescription& audio) {
  const auto mp4a = out.box("mp4a");
  out.zeros(6);
  out.u16(1);  // data_reference_index
  out.zeros(8);
  out.u16(audio.channels);
  out.u16(16);  // samplesize
  out.u32(0);
  out.u32(audio.sample_rate << 16);
  write_esds(out, audio);
}

// 8.5: the sample description; the tables of samples are empty in a fragmented file.
template <class Description>
void write_stbl(BoxWriter& out, const Description& description) {
  const auto stbl = out.box("stbl");
  {
    const auto stsd = out.full_box("stsd", 0, 0);
    out.u32(1);
    write_sample_entry(out, description);
  }
  for (const std::string_view table : {"stts", "stsc"}) {
    const auto box = out.full_box(table, 0, 0);
    out.u32(0);
  }
  {
    const auto stsz = out.full_box("stsz", 0, 0);
    out.zeros(8);
  }
  const auto stco = out.full_box("stco", 0, 0);
  out.u32(0);
}

void write_mdia(BoxWriter& out, const TrackDescription& track) {
  const auto mdia = out.box("mdia");
  write_mdhd(out, track);
  write_hdlr(out, std::holds_alternative<VideoDescription>(track) ? "vide" : "soun");
  const auto minf = out.box("minf");
  std::visit(
      [&out](const auto& description) {
        write_media_header(out, description);
        write_dinf(out);
        write_stbl(out, description);
      },
      track);
}

// 8.8.3. Each chunk repeats what it needs, so that it can be read without these.
void write_mvex(BoxWriter& out, const TrackDescription& track) {
  const auto mvex = out.box("mvex");
  const auto trex = out.full_box("trex", 0, 0);
  out.u32(kTrackId);
  out.u32(1);  // default_sample_description_index
  out.u32(media::grid_of(track).sample_duration);
  out.u32(0);  // default_sample_size
  out.u32(0);  // default_sample_flags
}

void write_moov(BoxWriter& out, const TrackDescription& track) {
  const auto moov = out.box("moov");
  write_mvhd(out, media::grid_of(track).timescale);
  {
    const auto trak = out.box("trak");
    write_tkhd(out, track);
    write_mdia(out, track);
  }
  write_mvex(out, track);
}

Status check(const VideoDescription& video) {
  constexpr std::size_t kNalBytesMax = std::numeric_limits<std::uint16_t>::max();
  if (video.width == 0 || video.height == 0) return fail("video without a size");
  if (video.sps.size() < 4 || video.sps.size() > kNalBytesMax) {
    return fail("a sequence parameter set of {} bytes", video.sps.size());
  }
  if (video.pps.empty() || video.pps.size() > kNalBytesMax) {
    return fail("a picture parameter set of {} bytes", video.pps.size());
  }
  if (video.spare_sps.empty() != video.spare_pps.empty() ||
      std::max(video.spare_sps.size(), video.spare_pps.size()) > kNalBytesMax) {
    return fail("spare parameter sets of {} and {} bytes", video.spare_sps.size(),
                video.spare_pps.size());
  }
  return {};
}

Status check(const AudioDescription& audio) {
  const std::size_t size = audio.audio_specific_config.size();
  if (size < 2 || size > kAudioSpecificConfigBytesMax) {
    return fail("an AudioSpecificConfig of {} bytes", size);
  }
  // The sample entry's field is 16.16 bits.
  if (audio.sample_rate == 0 || audio.sample_rate > 0xFFFF) {
    return fail("an audio sample rate of {} Hz", audio.sample_rate);
  }
  if (audio.channels == 0) return fail("audio without channels");
  return {};
}

std::size_t variable_bytes(const VideoDescription& video) {
  return video.sps.size() + video.pps.size() + video.spare_sps.size() + video.spare_pps.size();
}
std::size_t variable_bytes(const AudioDescription& audio) {
  return audio.audio_specific_config.size();
}

Result<std::string> codec_string_of(const VideoDescription& video) {
  return codec::avc_codec_string(video.sps);
}
Result<std::string> codec_string_of(const AudioDescription& audio) {
  return codec::aac_codec_string(audio.audio_specific_config);
}

}  // namespace

Result<Bytes> write_init_segment(const media::TrackDescription& track) {
  const auto& grid = media::grid_of(track);
  if (grid.timescale == 0 || grid.sample_duration == 0) return fail("a track without a time grid");
  if (Status status = std::visit([](const auto& t) { return check(t); }, track); !status) {
    return std::unexpected(std::move(status).error());
  }
  const std::size_t room =
      kFixedBytesMax + std::visit([](const auto& t) { return variable_bytes(t); }, track);
  std::vector<std::uint8_t> bytes(room);
  BoxWriter out(bytes);
  write_ftyp(out);
  write_moov(out, track);
  bytes.resize(out.size());
  return Bytes::take(std::move(bytes));
}

std::string codec_string(const media::TrackDescription& track) {
  if (!std::visit([](const auto& t) { return check(t); }, track)) return {};
  return std::visit([](const auto& t) { return codec_string_of(t).value_or(""); }, track);
}

}  // namespace mirror::cmaf
