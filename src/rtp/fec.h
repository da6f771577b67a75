// FEC: lost RTP packets made again from the parity packets of SMPTE ST 2022-1.
//
// A sender lays its packets in a matrix of L columns and D rows and sends the exclusive or of each
// column on port + 2, of each row on port + 4, as RTP packets of SSRC 0 with a FEC header like that
// of RFC 2733 behind the fixed one. A packet that is alone missing of its row or column is the
// exclusive or of the rest; one repair may make another one possible.
//
// Sans-IO, one thread, owned by one input. What is made again is trusted as far as who sent the
// parity is: the caller takes it from the media's own sender only.
//
// Limits: kFecMediaMax media packets and kFecPendingMax parity packets kept, of kDatagramBytesMax
// bytes each; parity over more than kFecProtectedMax packets, or over a longer stretch than
// kFecSpanMax, is not taken; kPassesMax looks through what waits in one call of recover().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "rtp/receiver.h"

namespace mirror::rtp {

// Powers of two.
inline constexpr std::size_t kFecMediaMax = 1024;
// The standard has at most 20 columns and 20 rows, 100 packets in all; senders exist that do more.
inline constexpr std::size_t kFecProtectedMax = 50;
inline constexpr std::size_t kFecSpanMax = 256;
inline constexpr std::size_t kFecPendingMax = 128;

// One parity packet, as a view of its datagram (ST 2022-1, 8.4).
struct FecPacket {
  std::uint16_t base = 0;           // sequence number of the first packet that it protects
  std::uint8_t offset = 0;          // from each to the next: L in a column, 1 in a row
  std::uint8_t count = 0;           // how many: D of a column, L of a row
  std::uint8_t flags_recovery = 0;  // P, X and CC, where they stand in an RTP header
  std::uint8_t type_recovery = 0;   // M and PT, likewise
  std::uint16_t length_recovery = 0;
  std::uint32_t timestamp_recovery = 0;
  std::span<const std::uint8_t> payload;
};

// Empty when it is none, or one that is not supported: not the exclusive or (type 0), a mask
// instead of offset and count, nothing or too much protected.
std::optional<FecPacket> parse_fec(std::span<const std::uint8_t> datagram);

struct FecStats {
  std::uint64_t packets = 0;    // parity packets that came
  std::uint64_t malformed = 0;  // of them not taken: see parse_fec, or far from the media
  std::uint64_t overflow = 0;   // given up for newer ones
  std::uint64_t recovered = 0;
  std::uint64_t failed = 0;  // repairs whose result was no packet
};

class FecDecoder {
 public:
  using OnRecovered = std::function<void(std::span<const std::uint8_t>)>;

  FecDecoder();

  // A media packet that the receiver took, whole. Far from all before it, it begins anew.
  void push_media(std::uint16_t sequence, std::span<const std::uint8_t> datagram);
  // From either parity port.
  void push_fec(std::span<const std::uint8_t> datagram);
  // Makes what can be made. Call after a batch of both, parity pushed first: then what merely
  // waits in the media socket is not taken for lost.
  void recover(const OnRecovered& on_recovered);
  // Another sender: forgets everything but the statistics.
  void reset();

  // How many packets after a lost one its repair may come: two matrices. 0 while nobody sends
  // parity.
  std::size_t repair_packets() const { return repair_packets_; }
  bool active() const { return repair_packets_ > 0; }
  const FecStats& stats() const { return stats_; }

 private:
  struct Media {
    std::int64_t sequence = -1;
    std::vector<std::uint8_t> bytes;  // keeps its room
  };
  struct Pending {
    std::int64_t base = 0;
    std::vector<std::uint8_t> bytes;  // the datagram; parsed again when it is used
    std::uint8_t offset = 0;
    std::uint8_t count = 0;
    bool used = false;
  };
  enum class Outcome { kRecovered, kNothingMissing, kWaits, kFailed };

  static constexpr int kPassesMax = 4;

  std::int64_t unwrap(std::uint16_t sequence) const;
  Media& media_of(std::int64_t sequence) {
    return media_[static_cast<std::size_t>(sequence) % kFecMediaMax];
  }
  bool has(std::int64_t sequence) { return media_of(sequence).sequence == sequence; }
  Outcome try_repair(const Pending& pending, const OnRecovered& on_recovered);
  bool repair(const Pending& pending, std::int64_t missing);

  FecStats stats_;
  std::vector<Media> media_;
  std::vector<Pending> pending_;
  std::size_t next_pending_ = 0;
  std::size_t pending_count_ = 0;
  std::optional<std::int64_t> newest_;  // sequence number, unwrapped, of the media
  std::size_t repair_packets_ = 0;
  bool changed_ = false;  // since the last recover()
};

}  // namespace mirror::rtp
