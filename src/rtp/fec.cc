#include "rtp/fec.h"

#include <algorithm>
#include <cstdlib>

#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

constexpr std::size_t kRtpHeaderBytes = 12;
constexpr std::size_t kFecHeaderBytes = 16;
constexpr std::uint8_t kVersionBits = 0x80;
constexpr std::uint8_t kVersionMask = 0xc0;
constexpr std::uint8_t kFlagsMask = 0x3f;     // P, X, CC
constexpr std::uint8_t kExtendedFlag = 0x80;  // E: offset and count follow, the mask is not used
constexpr std::uint8_t kTypeAndIndex = 0x3f;  // 0: exclusive or
constexpr std::int64_t kSequences = 1 << 16;
constexpr auto kKept = static_cast<std::int64_t>(kFecMediaMax);
constexpr auto kSpanMax = static_cast<std::int64_t>(kFecSpanMax);

void write_u16(std::span<std::uint8_t> at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8U);
  at[1] = static_cast<std::uint8_t>(value);
}

void write_u32(std::span<std::uint8_t> at, std::uint32_t value) {
  write_u16(at, static_cast<std::uint16_t>(value >> 16U));
  write_u16(at.subspan(2), static_cast<std::uint16_t>(value));
}

}  // namespace

std::optional<FecPacket> parse_fec(std::span<const std::uint8_t> datagram) {
  // P, X and CC of the fixed header are parity, too: nothing of them describes this packet.
  if (datagram.size() < kRtpHeaderBytes + kFecHeaderBytes) return std::nullopt;
  if (datagram.size() > kDatagramBytesMax + kFecHeaderBytes) return std::nullopt;
  if ((datagram[0] & kVersionMask) != kVersionBits) return std::nullopt;
  const auto header = datagram.subspan(kRtpHeaderBytes);
  if ((header[4] & kExtendedFlag) == 0 || (header[12] & kTypeAndIndex) != 0) return std::nullopt;
  const FecPacket packet{
      .base = read_u16(header),
      .offset = header[13],
      .count = header[14],
      .flags_recovery = static_cast<std::uint8_t>(datagram[0] & kFlagsMask),
      .type_recovery = static_cast<std::uint8_t>((datagram[1] & 0x80U) | (header[4] & 0x7fU)),
      .length_recovery = read_u16(header.subspan(2)),
      .timestamp_recovery = read_u32(header.subspan(8)),
      .payload = header.subspan(kFecHeaderBytes)};
  const std::size_t span = std::size_t{packet.offset} * packet.count;
  const bool sensible = packet.offset > 0 && packet.count > 0 && packet.count <= kFecProtectedMax &&
                        span <= kFecSpanMax;
  return sensible ? std::optional(packet) : std::nullopt;
}

FecDecoder::FecDecoder() : media_(kFecMediaMax), pending_(kFecPendingMax) {}

void FecDecoder::reset() {
  for (Media& media : media_) media.sequence = -1;
  for (Pending& pending : pending_) pending.used = false;
  pending_count_ = 0;
  newest_.reset();
  repair_packets_ = 0;
  changed_ = false;
}

std::int64_t FecDecoder::unwrap(std::uint16_t sequence) const {
  const auto distance = static_cast<std::int16_t>(sequence - static_cast<std::uint16_t>(*newest_));
  return *newest_ + distance;
}

void FecDecoder::push_media(std::uint16_t sequence, std::span<const std::uint8_t> datagram) {
  if (datagram.size() < kRtpHeaderBytes || datagram.size() > kDatagramBytesMax) return;
  if (newest_ && std::abs(unwrap(sequence) - *newest_) >= kKept) {
    const std::size_t repair_packets = repair_packets_;
    reset();
    repair_packets_ = repair_packets;
  }
  // High enough that nothing of it ever lies below zero.
  const std::int64_t at = newest_ ? unwrap(sequence) : kSequences + sequence;
  newest_ = newest_ ? std::max(*newest_, at) : at;
  Media& media = media_of(at);
  if (media.sequence >= at) return;  // a duplicate, or older than what is kept
  media.sequence = at;
  media.bytes.assign(datagram.begin(), datagram.end());
  changed_ = true;
}

void FecDecoder::push_fec(std::span<const std::uint8_t> datagram) {
  ++stats_.packets;
  const auto packet = parse_fec(datagram);
  if (!packet) {
    ++stats_.malformed;
    return;
  }
  const std::int64_t span = std::int64_t{packet->offset} * packet->count;
  // A column spans the matrix, and its parity may come as late as the next matrix ends.
  const auto lag = static_cast<std::size_t>(2 * span);
  repair_packets_ = packet->offset > 1 ? lag : std::max(repair_packets_, lag);
  if (!newest_) return;
  const std::int64_t base = unwrap(packet->base);
  if (base <= *newest_ - kKept + kSpanMax || base >= *newest_ + kSpanMax) {
    ++stats_.malformed;
    return;
  }

  Pending& pending = pending_[next_pending_];
  next_pending_ = (next_pending_ + 1) % pending_.size();
  if (pending.used) {
    ++stats_.overflow;
    --pending_count_;
  }
  pending.base = base;
  pending.offset = packet->offset;
  pending.count = packet->count;
  pending.bytes.assign(datagram.begin(), datagram.end());
  pending.used = true;
  ++pending_count_;
  changed_ = true;
}

void FecDecoder::recover(const OnRecovered& on_recovered) {
  for (int pass = 0; changed_ && pending_count_ > 0 && pass < kPassesMax; ++pass) {
    changed_ = false;
    for (Pending& pending : pending_) {
      if (!pending.used) continue;
      if (pending.base <= *newest_ - kKept + kSpanMax) {
        pending.used = false;  // what it protects is being forgotten
        --pending_count_;
        continue;
      }
      const Outcome outcome = try_repair(pending, on_recovered);
      if (outcome == Outcome::kWaits) continue;
      pending.used = false;
      --pending_count_;
      if (outcome == Outcome::kRecovered) changed_ = true;
    }
  }
}

FecDecoder::Outcome FecDecoder::try_repair(const Pending& pending,
                                           const OnRecovered& on_recovered) {
  std::optional<std::int64_t> missing;
  for (int i = 0; i < pending.count; ++i) {
    const std::int64_t sequence = pending.base + i * pending.offset;
    if (has(sequence)) continue;
    if (missing) return Outcome::kWaits;
    missing = sequence;
  }
  if (!missing) return Outcome::kNothingMissing;
  if (media_of(*missing).sequence > *missing) return Outcome::kFailed;  // forgotten long ago
  if (!repair(pending, *missing)) {
    ++stats_.failed;
    return Outcome::kFailed;
  }
  ++stats_.recovered;
  newest_ = std::max(*newest_, *missing);
  on_recovered(media_of(*missing).bytes);
  return Outcome::kRecovered;
}

// Writes the missing packet where it will be kept; false when the parity does not fit the packets.
bool FecDecoder::repair(const Pending& pending, std::int64_t missing) {
  const auto fec = parse_fec(pending.bytes);
  if (!fec) return false;
  std::uint8_t flags = fec->flags_recovery;
  std::uint8_t type = fec->type_recovery;
  std::uint16_t length = fec->length_recovery;
  std::uint32_t timestamp = fec->timestamp_recovery;
  std::uint32_t ssrc = 0;
  Media& place = media_of(missing);
  place.sequence = -1;  // whatever was there is overwritten, repaired or not
  std::vector<std::uint8_t>& made = place.bytes;
  made.assign(kRtpHeaderBytes, 0);
  made.insert(made.end(), fec->payload.begin(), fec->payload.end());
  const std::span<std::uint8_t> body = std::span(made).subspan(kRtpHeaderBytes);
  bool others = false;
  for (int i = 0; i < pending.count; ++i) {
    const std::int64_t sequence = pending.base + i * pending.offset;
    if (sequence == missing) continue;
    const std::span<const std::uint8_t> other = media_of(sequence).bytes;
    const auto other_body = other.subspan(kRtpHeaderBytes);
    if (other_body.size() > body.size()) return false;
    flags ^= static_cast<std::uint8_t>(other[0] & kFlagsMask);
    type ^= other[1];
    length ^= static_cast<std::uint16_t>(other_body.size());
    timestamp ^= read_u32(other.subspan(4));
    ssrc = read_u32(other.subspan(8));
    others = true;
    for (std::size_t k = 0; k < other_body.size(); ++k) body[k] ^= other_body[k];
  }
  // A parity packet of one alone is a copy, and says nothing of whose: no such matrix is sent.
  if (!others || length > body.size() || length > kDatagramBytesMax - kRtpHeaderBytes) return false;
  made.resize(kRtpHeaderBytes + length);
  made[0] = static_cast<std::uint8_t>(kVersionBits | flags);
  made[1] = type;
  write_u16(std::span(made).subspan(2), static_cast<std::uint16_t>(missing));
  write_u32(std::span(made).subspan(4), timestamp);
  write_u32(std::span(made).subspan(8), ssrc);
  place.sequence = missing;
  return true;
}

}  // namespace mirror::rtp
