#include "rtp/receiver.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace mirror::rtp {
namespace {

// RFC 3550 A.1: so far ahead is loss; farther, it takes more than one packet to be believed.
constexpr std::int64_t kDropoutMax = 3000;
constexpr int kRestartPackets = 16;
constexpr std::int64_t kSequences = 1 << 16;
constexpr auto kWindow = static_cast<std::int64_t>(kReorderPacketsMax);

}  // namespace

Receiver::Receiver(const ReceiverSettings& settings, PacketSink& sink)
    : settings_(settings), sink_(sink), slots_(kReorderPacketsMax), past_(kReorderPacketsMax) {
  for (const std::uint8_t type : settings_.payload_types) {
    if (type < kPayloadTypeCount) accepted_[type] = true;
  }
}

bool Receiver::push(std::span<const std::uint8_t> datagram, Instant now) {
  const auto packet = datagram.size() <= kDatagramBytesMax ? parse_packet(datagram) : std::nullopt;
  if (!packet || !accepted_[packet->payload_type]) {
    ++stats_.packets_strange;
    return false;
  }
  if (ssrc_ == packet->ssrc) {
    take(*packet, datagram, now);
    return true;
  }
  if (ssrc_ && now.steady - last_received_ < settings_.release) {
    ++stats_.packets_strange;
    return false;
  }
  return probe(*packet, datagram, now);
}

// Two packets that follow each other make a sender. Several candidates, so that two senders who
// take turns do not keep each other out for ever.
bool Receiver::probe(const Packet& packet, std::span<const std::uint8_t> datagram, Instant now) {
  for (Candidate& candidate : candidates_) {
    if (!candidate.used || candidate.ssrc != packet.ssrc) continue;
    if (packet.sequence != static_cast<std::uint16_t>(candidate.sequence + 1)) {
      ++stats_.packets_strange;  // the one that is forgotten
      candidate.sequence = packet.sequence;
      candidate.bytes.assign(datagram.begin(), datagram.end());
      return true;
    }
    const std::vector<std::uint8_t> first = std::move(candidate.bytes);
    const bool changed = ssrc_.has_value();
    release();
    if (changed) sink_.on_sender_changed();
    lock(packet.ssrc, static_cast<std::uint16_t>(packet.sequence - 1));
    take(*parse_packet(first), first, now);
    take(packet, datagram, now);
    return true;
  }
  Candidate& candidate = candidates_[next_candidate_];
  next_candidate_ = (next_candidate_ + 1) % candidates_.size();
  if (candidate.used) ++stats_.packets_strange;
  candidate.used = true;
  candidate.ssrc = packet.ssrc;
  candidate.sequence = packet.sequence;
  candidate.bytes.assign(datagram.begin(), datagram.end());
  return true;
}

void Receiver::lock(std::uint32_t ssrc, std::uint16_t first) {
  for (Candidate& candidate : candidates_) candidate.used = false;
  ssrc_ = ssrc;
  // One round above zero: nothing ever lies below it.
  next_ = first_ = kSequences + first;
  highest_ = next_ - 1;
  gap_ = false;
  restart_run_ = 0;
  std::ranges::fill(past_, Past{});
  received_ = expected_reported_ = received_reported_ = 0;
  transit_.reset();
  jitter_ = 0;
}

void Receiver::release() {
  if (!ssrc_) return;
  advance_to(highest_ + 1);
  ssrc_.reset();
  for (Candidate& candidate : candidates_) candidate.used = false;
}

std::int64_t Receiver::unwrap(std::uint16_t sequence) const {
  const auto distance = static_cast<std::int16_t>(sequence - static_cast<std::uint16_t>(next_));
  return next_ + distance;
}

void Receiver::take(const Packet& packet, std::span<const std::uint8_t> datagram, Instant now) {
  last_received_ = now.steady;
  ++stats_.packets;
  stats_.bytes += datagram.size();
  measure(packet, now);
  std::int64_t sequence = unwrap(packet.sequence);
  const bool behind = sequence < next_;
  if (behind && passed_before(packet, sequence)) {
    ++stats_.packets_duplicate;
    return;  // it says nothing of a new beginning
  }
  if (behind || sequence >= next_ + kDropoutMax) {
    if (!restarts(packet.sequence)) {
      ++(behind ? stats_.packets_belated : stats_.packets_strange);
      return;
    }
    resume_at(sequence);
    sequence = next_;
  }
  restart_run_ = 0;
  if (sequence >= next_ + kWindow) advance_to(sequence - kWindow + 1);
  if (sequence > highest_) {
    highest_ = sequence;
  } else if (!slot_of(sequence).full) {
    ++stats_.packets_reordered;
  }
  if (sequence == next_) {
    pass(packet, now);
    if (held_ > 0) pass_ready();
    return;
  }
  hold(sequence, datagram, now, false);
}

// The same number alone is no duplicate: a sender that begins anew may use it again.
bool Receiver::passed_before(const Packet& packet, std::int64_t sequence) {
  const Past& past = past_of(sequence);
  return next_ - sequence <= kWindow && past.passed && past.timestamp == packet.timestamp;
}

// A sender that begins anew elsewhere (or a path that was cut for long) sends packet after packet
// from there; what strays in does not. Nothing else may come between.
bool Receiver::restarts(std::uint16_t sequence) {
  restart_run_ = restart_run_ > 0 && sequence == restart_next_ ? restart_run_ + 1 : 1;
  restart_next_ = static_cast<std::uint16_t>(sequence + 1);
  return restart_run_ >= kRestartPackets;
}

void Receiver::resume_at(std::int64_t sequence) {
  advance_to(highest_ + 1);
  if (sequence > next_) {  // ahead: the path was cut
    const auto missing = static_cast<std::uint64_t>(sequence - next_);
    stats_.packets_lost += missing;
    stats_.packets_dropped += missing;
  } else {
    while (sequence < next_) sequence += kSequences;
  }
  next_ = sequence;
  highest_ = sequence - 1;
  gap_ = true;
  restart_run_ = 0;
  std::ranges::fill(past_, Past{});
  // RFC 3550 A.1: the statistics begin anew.
  first_ = sequence;
  received_ = 1;
  expected_reported_ = received_reported_ = 0;
}

void Receiver::push_recovered(std::span<const std::uint8_t> datagram, Instant now) {
  const auto packet = datagram.size() <= kDatagramBytesMax ? parse_packet(datagram) : std::nullopt;
  if (!packet || packet->ssrc != ssrc_ || !accepted_[packet->payload_type]) return;
  const std::int64_t sequence = unwrap(packet->sequence);
  if (sequence < next_ || sequence >= next_ + kWindow || slot_of(sequence).full) return;
  highest_ = std::max(highest_, sequence);
  if (sequence == next_) {
    ++stats_.packets_lost;
    ++stats_.packets_recovered;
    pass(*packet, now);
    pass_ready();
    return;
  }
  hold(sequence, datagram, now, true);
}

void Receiver::hold(std::int64_t sequence, std::span<const std::uint8_t> datagram, Instant now,
                    bool recovered) {
  Slot& slot = slot_of(sequence);
  if (slot.full) {
    ++stats_.packets_duplicate;
    return;
  }
  slot.bytes.assign(datagram.begin(), datagram.end());
  slot.received = now;
  slot.full = true;
  slot.recovered = recovered;
  if (held_ == 0) look_at_ = now.steady + settings_.reorder;
  ++held_;
  if (!recovered) return;
  ++stats_.packets_lost;
  ++stats_.packets_recovered;
}

void Receiver::pass(const Packet& packet, Instant received) {
  past_of(next_) = {packet.timestamp, true};
  ++next_;
  sink_.on_packet(packet, std::exchange(gap_, false), received);
}

void Receiver::pass_held(Slot& slot) {
  slot.full = false;
  --held_;
  pass(*parse_packet(slot.bytes), slot.received);
}

void Receiver::pass_ready() {
  while (held_ > 0 && slot_of(next_).full) pass_held(slot_of(next_));
}

// Passes on what is held below `sequence` and gives up the rest of it.
void Receiver::advance_to(std::int64_t sequence) {
  while (next_ < sequence) {
    if (held_ == 0 && sequence - next_ > kWindow) {
      // Only over kDropoutMax packets and less: nothing of it is looked up again.
      const std::int64_t skipped = sequence - next_ - kWindow;
      stats_.packets_lost += static_cast<std::uint64_t>(skipped);
      stats_.packets_dropped += static_cast<std::uint64_t>(skipped);
      next_ += skipped;
      gap_ = true;
    }
    if (Slot& slot = slot_of(next_); slot.full) {
      pass_held(slot);
      continue;
    }
    ++stats_.packets_lost;
    ++stats_.packets_dropped;
    past_of(next_) = {};
    gap_ = true;
    ++next_;
  }
  pass_ready();
}

bool Receiver::waited_enough(std::int64_t sequence, const Slot& slot, SteadyTime now) const {
  const auto waited = now - slot.received.steady;
  if (waited < settings_.reorder) return false;
  return repair_packets_ == 0 || highest_ - sequence >= repair_packets_ ||
         waited >= settings_.repair_max;
}

void Receiver::idle(Instant now) {
  if (held_ == 0 || now.steady < look_at_) return;
  // Everything before the last one that has waited enough has waited in vain.
  for (std::int64_t sequence = highest_; sequence >= next_; --sequence) {
    const Slot& slot = slot_of(sequence);
    if (!slot.full || !waited_enough(sequence, slot, now.steady)) continue;
    advance_to(sequence + 1);
    break;
  }
  if (held_ == 0) return;
  SteadyTime oldest = SteadyTime::max();
  for (std::int64_t sequence = next_; sequence <= highest_; ++sequence) {
    const Slot& slot = slot_of(sequence);
    if (slot.full) oldest = std::min(oldest, slot.received.steady);
  }
  look_at_ = oldest + settings_.reorder;
}

// RFC 3550 6.4.1 and A.8.
void Receiver::measure(const Packet& packet, Instant now) {
  ++received_;
  using Seconds = std::chrono::duration<double>;
  const double seconds = std::chrono::duration_cast<Seconds>(now.steady.time_since_epoch()).count();
  const auto arrived = static_cast<std::int64_t>(seconds * settings_.clock_rate);
  const std::int64_t transit = arrived - packet.timestamp;
  if (transit_) {
    // The timestamps wrap at 32 bits: the difference of two neighbours is what fits them.
    const auto difference =
        static_cast<std::int32_t>(static_cast<std::uint32_t>(transit - *transit_));
    jitter_ += (std::abs(static_cast<double>(difference)) - jitter_) / 16;
  }
  transit_ = transit;
}

ReceptionReport Receiver::take_reception() {
  const auto expected = static_cast<std::uint64_t>(highest_ + 1 - first_);
  const std::uint64_t expected_now = expected - std::min(expected, expected_reported_);
  const std::uint64_t received_now = received_ - std::min(received_, received_reported_);
  expected_reported_ = expected;
  received_reported_ = received_;
  const std::uint64_t lost_now = expected_now - std::min(expected_now, received_now);
  const std::uint64_t fraction = expected_now == 0 ? 0 : lost_now * 256 / expected_now;
  return {
      .ssrc = ssrc_.value_or(0),
      .fraction_lost = static_cast<std::uint8_t>(std::min<std::uint64_t>(255, fraction)),
      .cumulative_lost = static_cast<std::int64_t>(expected) - static_cast<std::int64_t>(received_),
      .highest_sequence = static_cast<std::uint32_t>(highest_ - kSequences),
      .jitter = static_cast<std::uint32_t>(std::min(jitter_, 4e9))};
}

}  // namespace mirror::rtp
