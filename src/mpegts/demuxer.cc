#include "mpegts/demuxer.h"

#include <algorithm>
#include <utility>

namespace mirror::mpegts {
namespace {

std::uint32_t crc_field(std::span<const std::uint8_t> section) {
  std::uint32_t crc = 0;
  for (const std::uint8_t byte : section.last(4)) crc = crc << 8 | byte;
  return crc;
}

// A programme changes when its operator changes it. Each change costs new assemblers here and new
// transcoders behind us; one per packet would keep the ingest thread from everybody else.
constexpr double kTableChangeBurst = 8;
constexpr double kTableChangesPerSecond = 2;

}  // namespace

Demuxer::Demuxer(const DemuxerOptions& options, media::AccessUnitSink& sink)
    : options_(options),
      sink_(sink),
      outlet_(sink, counters_, options.access_unit_bytes_max),
      sync_(counters_.common),
      pat_(counters_.common, counters_.common.pat_errors),
      pmt_(counters_.common, counters_.common.pmt_errors),
      table_changes_(kTableChangeBurst, kTableChangesPerSecond),
      presence_(counters_.common) {
  route_pids();
}

void Demuxer::push(std::span<const std::uint8_t> bytes, Instant now) {
  now_ = now;
  presence_.advance(now.steady);
  sync_.push(bytes, [this](PacketSync::PacketBytes packet) { on_packet(packet); });
}

void Demuxer::lose(std::size_t packets) {
  constexpr std::size_t kCounterRound = 16;
  if (packets < kCounterRound) return;
  for (auto& stream : streams_) stream->suspect();
}

void Demuxer::idle(Instant now) {
  for (auto& stream : streams_) stream->idle(now.steady, options_.quiet);
}

void Demuxer::flush() {
  sync_.flush([this](PacketSync::PacketBytes packet) { on_packet(packet); });
  for (auto& stream : streams_) stream->finish();
}

void Demuxer::on_packet(PacketSync::PacketBytes bytes) {
  ++counters_.common.packets;
  const auto packet = parse_packet(bytes);
  if (!packet) {
    ++counters_.malformed_packets;
    return;
  }
  // Even the PID of such a packet may be wrong. The hole that it leaves shows in the continuity
  // counter of the PID that it belongs to.
  if (packet->transport_error) {
    ++counters_.transport_errors;
    return;
  }
  if (packet->pid == pcr_pid_) follow_clock(*packet);
  const std::uint8_t route = routes_[packet->pid];
  if (route >= kFirstStream) {
    presence_.saw_stream(route - kFirstStream);
    streams_[route - kFirstStream]->push(*packet, now_);
  } else if (route == kPat) {
    push_table(pat_, *packet, [this](auto section) { on_pat(section); });
  } else if (route == kPmt) {
    push_table(pmt_, *packet, [this](auto section) { on_pmt(section); });
  }
}

void Demuxer::follow_clock(const Packet& packet) {
  // On the PCR PID the indicator announces a new time base (2.4.3.5).
  if (packet.discontinuity) {
    for (auto& stream : streams_) stream->break_timeline();
    pcr_jitter_.restart();
  }
  if (!packet.pcr) return;
  pcr_jitter_.add(*packet.pcr, now_.steady);
  counters_.common.pcr_jitter_ms = pcr_jitter_.milliseconds();
  if (const auto base = clock_.place(*packet.pcr / 300)) {
    const auto extension = static_cast<std::int64_t>(*packet.pcr % 300);
    pcr_ = Pcr{base->count() * 300 + extension, now_};
  }
}

template <class OnSection>
void Demuxer::push_table(TablePid& table, const Packet& packet, OnSection&& on_section) {
  const Continuity::Verdict verdict = table.continuity.follow(packet);
  if (verdict == Continuity::Verdict::kDuplicate || verdict == Continuity::Verdict::kSurplus) {
    ++counters_.duplicate_packets;
    if (verdict == Continuity::Verdict::kSurplus) ++counters_.common.continuity_errors;
    return;
  }
  if (verdict == Continuity::Verdict::kLoss) {
    ++counters_.common.continuity_errors;
    table.sections.reset();
  }
  if (!packet.has_payload) return;
  if (packet.scrambled) {
    ++counters_.scrambled_packets;
    ++table.errors;
    table.sections.reset();
    return;
  }
  table.sections.push(packet, on_section);
}

std::optional<Programme> Demuxer::choose(const PatSection& pat) const {
  const auto find = [&pat](std::uint16_t number) -> std::optional<Programme> {
    for (const Programme& programme : pat.programmes) {
      if (programme.number == number) return programme;
    }
    return std::nullopt;
  };
  if (options_.programme_number != 0) return find(options_.programme_number);
  if (programme_) {
    // Stay with the programme in use; a table in several sections may list it in another one.
    if (auto current = find(programme_->number); current || !pat.is_whole_table) return current;
  }
  if (pat.programmes.empty()) return std::nullopt;
  return pat.programmes.front();
}

void Demuxer::on_pat(std::span<const std::uint8_t> section) {
  if (section[0] != kPatTableId) {
    ++counters_.common.pat_errors;
    return;
  }
  presence_.saw_pat();
  // One that says what the last one said is not read again: it would cost an allocation.
  const std::uint32_t crc = crc_field(section);
  if (pat_.last_crc == crc) return;
  const auto pat = parse_pat(section);
  if (!pat) return;
  const auto chosen = choose(*pat);
  const bool usable = chosen && chosen->pmt_pid != kPatPid && chosen->pmt_pid != kNullPid;
  if (!usable || select(*chosen)) pat_.last_crc = crc;
}

// False when the change is put off.
bool Demuxer::select(const Programme& programme) {
  if (programme_ && programme_->number == programme.number &&
      programme_->pmt_pid == programme.pmt_pid) {
    return true;
  }
  if (!may_change_tables()) return false;
  programme_ = programme;
  pmt_.continuity = {};
  pmt_.sections.reset();
  pmt_.last_crc.reset();
  presence_.await_pmt();
  route_pids();
  return true;
}

void Demuxer::on_pmt(std::span<const std::uint8_t> section) {
  // The CRC rather than the version number tells a new table from a repeated one: a source that
  // restarts begins again at version 0 with other streams.
  const std::uint32_t crc = crc_field(section);
  if (pmt_.last_crc == crc) return presence_.saw_pmt();
  const auto pmt = parse_pmt(section);
  if (!pmt || pmt->programme_number != programme_->number) return;
  presence_.saw_pmt();
  if (!may_change_tables()) return;
  pmt_.last_crc = crc;
  if (pcr_pid_ != pmt->pcr_pid) pcr_jitter_.restart();
  counters_.ignored_streams += pmt->ignored_streams;
  pcr_pid_ = pmt->pcr_pid;
  replace_streams(*pmt);
  route_pids();
}

// A change that is put off is seen again when its table is repeated.
bool Demuxer::may_change_tables() {
  if (table_changes_.take(now_.steady)) return true;
  ++counters_.ignored_table_changes;
  return false;
}

void Demuxer::replace_streams(const Pmt& pmt) {
  std::vector<std::unique_ptr<ElementaryStream>> next;
  for (const media::Track& track : pmt.tracks) {
    if (media::kind_of(track.codec) == media::TrackKind::kOther) continue;
    const auto same_pid = std::find_if(streams_.begin(), streams_.end(), [&](const auto& stream) {
      return stream && stream->id() == track.id;
    });
    if (same_pid != streams_.end() && (*same_pid)->codec() == track.codec) {
      next.push_back(std::move(*same_pid));
      continue;
    }
    next.push_back(std::make_unique<ElementaryStream>(track, outlet_, clock_));
    if (same_pid != streams_.end()) next.back()->break_timeline();
  }
  // What the streams that end here still hold belongs to the tracks as they were.
  for (auto& stream : streams_) {
    if (stream) stream->finish();
  }
  streams_ = std::move(next);
  presence_.await_streams(streams_.size());
  if (tracks_told_ && tracks_ == pmt.tracks) return;
  tracks_told_ = true;
  tracks_ = pmt.tracks;
  sink_.on_tracks(tracks_);
}

void Demuxer::route_pids() {
  routes_.fill(kIgnored);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    routes_[streams_[i]->id()] = static_cast<std::uint8_t>(kFirstStream + i);
  }
  if (programme_) routes_[programme_->pmt_pid] = kPmt;
  routes_[kPatPid] = kPat;
}

}  // namespace mirror::mpegts
