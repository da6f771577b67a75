#include "mpegts/elementary_stream.h"

namespace mirror::mpegts {
namespace {

// Decoding times of neighbours farther apart than this mean that the time line broke.
constexpr media::MediaTime kJump{5 * 90'000};

std::variant<VideoAssembler, AudioFramer> make_assembler(const media::Track& track,
                                                         UnitOutlet& outlet) {
  using Assembler = std::variant<VideoAssembler, AudioFramer>;
  if (media::kind_of(track.codec) == media::TrackKind::kVideo) {
    return Assembler(std::in_place_type<VideoAssembler>, track.id, track.codec, outlet);
  }
  return Assembler(std::in_place_type<AudioFramer>, track, outlet);
}

}  // namespace

ElementaryStream::ElementaryStream(const media::Track& track, UnitOutlet& outlet,
                                   TimestampUnwrap& clock)
    : id_(track.id),
      codec_(track.codec),
      outlet_(outlet),
      clock_(clock),
      pes_(outlet.counters()),
      assembler_(make_assembler(track, outlet)) {}

void ElementaryStream::push(const Packet& packet, Instant now) {
  const Continuity::Verdict verdict = continuity_.follow(packet);
  if (verdict == Continuity::Verdict::kDuplicate || verdict == Continuity::Verdict::kSurplus) {
    ++outlet_.counters().duplicate_packets;
    if (verdict == Continuity::Verdict::kSurplus) ++outlet_.counters().common.continuity_errors;
    return;
  }
  if (verdict == Continuity::Verdict::kLoss) {
    ++outlet_.counters().common.continuity_errors;
    lose();
  }
  if (!packet.has_payload) return;
  if (packet.scrambled) {
    ++outlet_.counters().scrambled_packets;
    lose();
    return;
  }
  if (packet.payload_unit_start) {
    if (pes_.is_short()) lose();
    pes_.start();
    bounded_complete_ = false;
  }
  last_packet_ = now;
  last_stuffed_ = packet.stuffed;
  pes_.push(packet.payload, *this);
}

void ElementaryStream::lose() {
  if (auto* video = std::get_if<VideoAssembler>(&assembler_)) {
    video->lose();
    if (pes_.in_header()) pes_.abandon();
  } else {
    std::get<AudioFramer>(assembler_).lose();
    pes_.abandon();
  }
}

void ElementaryStream::suspect() {
  auto* video = std::get_if<VideoAssembler>(&assembler_);
  if (video != nullptr && video->is_open() && !end_is_likely()) video->lose();
}

// It may have continued the open unit.
void ElementaryStream::on_pes_malformed() { lose(); }

void ElementaryStream::on_pes_header(const PesHeader& header) {
  if (header.scrambled) {
    ++outlet_.counters().scrambled_packets;
    lose();
    pes_.abandon();
    return;
  }
  const std::optional<Stamp> stamp = stamp_of(header);
  std::visit([&](auto& assembler) { assembler.begin(stamp); }, assembler_);
}

std::optional<Stamp> ElementaryStream::stamp_of(const PesHeader& header) {
  if (!header.pts) return std::nullopt;
  const std::uint64_t raw_dts = header.dts.value_or(*header.pts);
  Stamp stamp;
  stamp.dts = clock_.unwrap(raw_dts);
  stamp.pts = stamp.dts + media::MediaTime(TimestampUnwrap::difference(*header.pts, raw_dts));
  const bool jumps = last_dts_ && std::chrono::abs(stamp.dts - *last_dts_) > kJump;
  stamp.discontinuity = jumps || timeline_broken_;
  timeline_broken_ = false;
  last_dts_ = stamp.dts;
  return stamp;
}

void ElementaryStream::on_pes_payload(std::span<const std::uint8_t> payload) {
  std::visit([&](auto& assembler) { assembler.append(payload, last_packet_); }, assembler_);
}

void ElementaryStream::on_pes_end(const PesHeader& header) {
  bounded_complete_ = true;
  if (auto* video = std::get_if<VideoAssembler>(&assembler_)) {
    video->end_bounded(header.packet_length);
  }
}

void ElementaryStream::idle(SteadyTime now, std::chrono::milliseconds quiet) {
  auto* video = std::get_if<VideoAssembler>(&assembler_);
  if (video == nullptr || !video->is_open() || pes_.is_short() || !end_is_likely()) return;
  if (now - last_packet_.steady >= quiet) video->complete_early();
}

void ElementaryStream::finish() {
  if (auto* video = std::get_if<VideoAssembler>(&assembler_)) {
    if (pes_.is_short() || !end_is_likely()) video->lose();
    video->complete();
  }
  lose();
  pes_.abandon();
}

}  // namespace mirror::mpegts
