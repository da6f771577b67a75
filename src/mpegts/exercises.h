// What the fuzzers of this module do with an input: for them (fuzz/), and for the unit test that
// replays what they found. Each aborts when a parser breaks its promise.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "codec/audio_frame.h"
#include "codec/opus.h"
#include "mpegts/audio_framer.h"
#include "mpegts/pes.h"
#include "mpegts/psi.h"
#include "mpegts/section.h"

namespace mirror::mpegts::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// --- Sections of the PAT and the PMT, out of packets and by themselves.
//
// The first byte says how much of a packet each piece fills (1 to 184); what follows is the payload
// of one PID, in which a piece whose last byte is odd has payload_unit_start. Mutations seldom get
// past a CRC, so that every input is also read as a section without.

inline void read_section(std::span<const std::uint8_t> section) {
  if (const auto pat = parse_pat(section)) {
    require(pat->programmes.size() <= section.size() / 4);
    for (const Programme& programme : pat->programmes) {
      require(programme.number != 0 && programme.pmt_pid < kPidCount);
    }
  }
  if (const auto pmt = parse_pmt(section)) {
    require(pmt->tracks.size() <= kElementaryStreamsMax && pmt->pcr_pid < kPidCount);
    for (std::size_t i = 0; i < pmt->tracks.size(); ++i) {
      const auto& track = pmt->tracks[i];
      require(track.id < kNullPid && track.id != kPatPid);
      require(track.language.empty() || track.language.size() == 3);
      require((track.codec == mirror::media::Codec::kUnsupported) == !track.description.empty());
      for (std::size_t other = 0; other < i; ++other) require(pmt->tracks[other].id != track.id);
    }
  }
}

inline void exercise_psi(std::span<const std::uint8_t> input) {
  read_section(input);
  if (input.empty()) return;

  mirror::media::DemuxStats counters;
  SectionAssembler sections(counters);
  const std::size_t piece = 1 + input[0] % (kPacketBytes - 4);
  for (auto rest = input.subspan(1); !rest.empty();) {
    Packet packet;
    packet.payload = rest.first(std::min(piece, rest.size()));
    packet.payload_unit_start = (packet.payload.back() & 1) != 0;
    packet.has_payload = true;
    sections.push(packet, [](std::span<const std::uint8_t> section) {
      require(section.size() >= 3 && section.size() <= kSectionBytesMax);
      require(crc32_mpeg(section) == 0);
      read_section(section);
    });
    rest = rest.subspan(packet.payload.size());
  }
}

// --- PES packets of one PID, header and payload, in pieces of any size.
//
// Repeated [control, bytes…]. Bit 7 of `control`: a PES packet begins; bit 6: the one under way is
// abandoned; bits 0 to 5: how many bytes follow, times three.

// Holds the reader to the order of calls that its header promises.
struct PesListener {
  void on_pes_header(const PesHeader& header) {
    require(header.header_size >= 9 && header.header_size <= 9 + 255);
    require(!header.pts || *header.pts < (std::uint64_t{1} << 33));
    require(!header.dts || (header.pts && *header.dts < (std::uint64_t{1} << 33)));
    bounded = header.packet_length != 0;
    left = bounded ? header.packet_length + 6U - header.header_size : 0;
    open = true;
  }
  void on_pes_malformed() { open = false; }
  void on_pes_payload(std::span<const std::uint8_t> bytes) {
    require(open && !bytes.empty());
    passed += bytes.size();
    if (!bounded) return;
    require(bytes.size() <= left);
    left -= bytes.size();
  }
  void on_pes_end(const PesHeader& header) {
    require(open && bounded && left == 0 && header.packet_length != 0);
    open = false;
  }

  bool open = false;
  bool bounded = false;
  std::size_t left = 0;
  std::size_t passed = 0;
};

inline void exercise_pes(std::span<const std::uint8_t> input) {
  auto rest = input;
  (void)parse_pes_header(rest);
  Counters counters;
  PesReader reader(counters);
  PesListener listener;
  while (!rest.empty()) {
    const std::uint8_t control = rest[0];
    rest = rest.subspan(1);
    if ((control & 0x80) != 0) {
      listener.open = false;
      reader.start();
    }
    if ((control & 0x40) != 0) {
      listener.open = false;
      reader.abandon();
    }
    const auto piece = rest.first(std::min<std::size_t>(rest.size(), (control & 0x3fU) * 3));
    reader.push(piece, listener);
    require(reader.in_header() <= reader.is_short());
    rest = rest.subspan(piece.size());
  }
  require(listener.passed + counters.common.dropped_bytes <= input.size());
}

// --- Frames of AAC (ADTS), MPEG audio, AC-3 and Opus, out of PES payloads of any size.
//
// The first byte chooses the codec; then repeated [control, bytes…]. Bit 7 of `control`: a PES
// packet begins, with a stamp if bit 6 is set too; bit 6 alone: bytes were lost; bits 0 to 5: how
// many bytes follow, times five.

struct FrameSink final : media::AccessUnitSink {
  explicit FrameSink(media::Codec codec_) : codec(codec_) {}
  void on_tracks(const std::vector<media::Track>&) override {}
  void on_access_unit(media::AccessUnit unit) override {
    bytes += unit.data.size();
    if (codec == media::Codec::kOpus) {
      require(unit.data.size() > 1 && unit.data.size() <= codec::kOpusUnitBytesMax);
      return require(unit.data.data()[0] == codec::kOpusStereo);
    }
    const auto frame = codec::parse_audio_frame(codec, unit.data.span());
    require(frame && frame->size == unit.data.size() && frame->samples > 0);
    require(frame->size <= codec::kAudioFrameBytesMax && frame->sample_rate > 0);
  }
  const media::Codec codec;
  std::size_t bytes = 0;
};

inline void read_adts(std::span<const std::uint8_t> bytes) {
  codec::AdtsReader reader(bytes);
  std::size_t read = 0;
  while (const auto frame = reader.next()) {
    read += frame->size();
    const auto header = codec::parse_adts(*frame);
    require(header && header->frame_size == frame->size());
    require(header->sample_rate() > 0 && header->header_size < header->frame_size);
    (void)header->audio_specific_config();
  }
  require(read <= bytes.size());
}

inline void exercise_audio_frames(std::span<const std::uint8_t> input) {
  if (input.empty()) return;
  constexpr std::array kCodecs = {media::Codec::kAac, media::Codec::kMpegAudio, media::Codec::kAc3,
                                  media::Codec::kEac3, media::Codec::kOpus};
  auto rest = input.subspan(1);
  read_adts(rest);
  FrameSink sink(kCodecs[input[0] % kCodecs.size()]);
  Counters counters;
  UnitOutlet outlet(sink, counters, 1U << 20);
  media::Track track;
  track.codec = sink.codec;
  track.opus_channels = codec::kOpusStereo;
  AudioFramer framer(track, outlet);
  std::int64_t pts = 0;
  while (!rest.empty()) {
    const std::uint8_t control = rest[0];
    rest = rest.subspan(1);
    const bool second = (control & 0x40) != 0;
    if ((control & 0x80) != 0) {
      const media::MediaTime at(pts += 1920);
      framer.begin(second ? std::optional(Stamp{at, at, false}) : std::nullopt);
    } else if (second) {
      framer.lose();
    }
    const auto piece = rest.first(std::min<std::size_t>(rest.size(), (control & 0x3fU) * 5));
    if (!piece.empty()) framer.append(piece, {});
    rest = rest.subspan(piece.size());
  }
  require(sink.bytes + counters.common.dropped_bytes <= input.size());
}

}  // namespace mirror::mpegts::test
