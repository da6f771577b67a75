// For the fuzzers and the replay of their corpora: what a stranger sends, into each reader of it.
// Aborts when a promise of the headers is broken.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/audio_frame.h"
#include "codec/nal.h"
#include "rtp/depacketizer.h"
#include "rtp/parameter_sets.h"
#include "rtp/rtcp.h"
#include "rtp/sdp.h"
#include "rtp/session_clock.h"

namespace mirror::rtp::exercise {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// Holds each unit to what AccessUnit and Depacketizer promise.
class CheckingSink final : public media::AccessUnitSink {
 public:
  void on_tracks(const std::vector<media::Track>&) override { std::abort(); }
  void on_access_unit(media::AccessUnit unit) override {
    ++units;
    damaged += unit.damaged ? 1 : 0;
    bytes += unit.data.size();
    require(!unit.data.empty());
    require(unit.data.size() <= kAccessUnitBytesMax + ParameterSets::kBytesMax);
    require(unit.pts == unit.dts);
    if (unit.codec == media::Codec::kAac) {
      const auto header = codec::parse_adts(unit.data.span());
      require(header && header->frame_size == unit.data.size() && !unit.damaged);
    } else {
      require(unit.data.span()[0] == 0 && unit.data.span()[3] == 1);
    }
  }
  std::uint64_t units = 0;
  std::uint64_t damaged = 0;
  std::size_t bytes = 0;
};

// Repeated [control, length, payload…]. Control: 0x80 marker, 0x40 gap, 0x20 idle() first, 0x10 the
// next timestamp, 0x08 one that is earlier, 0x04 one that jumps, 0x02 the payload is as long as
// four times `length`, 0x01 the clock jumps ahead.
inline void depacketizer(const SdpMedia& medium, std::span<const std::uint8_t> input) {
  CheckingSink sink;
  SessionClock session;
  SessionClock::Track& clock = session.add_track(medium.clock_rate);
  media::DemuxStats stats;
  auto made = make_depacketizer(medium, 1, sink, clock, stats);
  require(made.has_value());
  const std::size_t input_bytes = input.size();
  std::int64_t ms = 0;
  std::uint32_t timestamp = 0xffff'0000;
  while (input.size() >= 2) {
    const std::uint8_t control = input[0];
    const std::size_t length = input[1] * ((control & 0x02U) != 0 ? 4U : 1U);
    input = input.subspan(2);
    ms += (control & 0x01U) != 0 ? 5000 : 1;
    const Instant now{SteadyTime(std::chrono::milliseconds(ms)),
                      WallTime(std::chrono::milliseconds(ms))};
    if ((control & 0x20U) != 0) (*made)->idle(now);
    if ((control & 0x10U) != 0) timestamp += 3600;
    if ((control & 0x08U) != 0) timestamp -= 7200;
    if ((control & 0x04U) != 0) timestamp += 0x1234'5678;
    Packet packet;
    packet.marker = (control & 0x80U) != 0;
    packet.timestamp = timestamp;
    packet.payload = input.first(std::min(length, input.size()));
    input = input.subspan(packet.payload.size());
    (*made)->push(packet, (control & 0x40U) != 0, now);
  }
  (*made)->flush();
  require(stats.access_units == sink.units);
  require(stats.damaged_access_units == sink.damaged);
  // A header for each frame or NAL unit, parameter sets for each random access unit; no byte twice.
  require(sink.bytes <= 8 * input_bytes + sink.units * ParameterSets::kBytesMax);
}

inline void hevc(std::span<const std::uint8_t> input) {
  SdpMedia medium;
  medium.encoding = "h265";
  medium.clock_rate = 90'000;
  depacketizer(medium, input);
}

inline void h264(std::span<const std::uint8_t> input) {
  SdpMedia medium;
  medium.encoding = "h264";
  medium.clock_rate = 90'000;
  depacketizer(medium, input);
}

// The first bit of the first byte chooses the mode.
inline void aac(std::span<const std::uint8_t> input) {
  if (input.empty()) return;
  SdpMedia medium;
  medium.encoding = "mpeg4-generic";
  medium.clock_rate = 48'000;
  medium.parameters = {{"mode", (input[0] & 0x80U) != 0 ? "AAC-lbr" : "AAC-hbr"},
                       {"config", "1190"}};
  depacketizer(medium, input.subspan(1));
}

// As a datagram, and its sender reports as those of a session.
inline void rtcp(std::span<const std::uint8_t> datagram) {
  const auto compound = parse_rtcp(datagram);
  if (!compound) return;
  require(is_rtcp(datagram));
  require(compound->sender_reports.size() <= kRtcpItemsMax);
  require(compound->goodbyes.size() <= kRtcpItemsMax);
  require(compound->names.size() <= kRtcpItemsMax);
  for (const auto& name : compound->names) {
    require(name.name.size() <= 255);
    const ReceptionReport report{.ssrc = name.ssrc};
    const auto answer = make_receiver_report(1, std::span(&report, 1), name.name);
    const auto read_back = parse_rtcp(answer);
    require(read_back && read_back->names.size() == 1 && read_back->names[0].name == name.name);
  }
  SessionClock session;
  SessionClock::Track* tracks[] = {&session.add_track(90'000), &session.add_track(48'000)};
  std::int64_t ms = 0;
  for (const auto& report : compound->sender_reports) {
    (void)wall_time_of(report.ntp);
    auto& track = *tracks[report.ssrc % 2];
    track.on_sender_report(report);
    ms += report.packets % 10'000;
    const Instant now{SteadyTime(std::chrono::milliseconds(ms)),
                      WallTime(std::chrono::milliseconds(ms))};
    const auto date = track.date(report.octets, now);
    require(std::chrono::abs(date.time) < std::chrono::hours(24 * 365 * 101));
  }
}

inline void sdp(std::span<const std::uint8_t> input) {
  const std::string text(input.begin(), input.end());
  const auto description = parse_sdp(text);
  if (!description) {
    require(!description.error().message.empty());
    return;
  }
  require(!description->media.empty() && description->media.size() <= kSdpMediaMax);
  for (const auto& medium : description->media) {
    require(!medium.encoding.empty() && medium.clock_rate > 0 && medium.payload_type < 128);
    CheckingSink sink;
    SessionClock session;
    media::DemuxStats stats;
    auto made = make_depacketizer(medium, 1, sink, session.add_track(medium.clock_rate), stats);
    if (made) (*made)->flush();
  }
}

}  // namespace mirror::rtp::exercise
