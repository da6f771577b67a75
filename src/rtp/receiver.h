// Receiver: the RTP packets that come to one port (RFC 3550) → those of one sender, in order.
//
// Sans-IO: datagrams and instants go in, packets come out through the sink, within the call. Owned
// by one input, on its thread. Lives longer than one sender: it locks on to the SSRC of the first
// two packets that follow each other (RFC 3550 A.1), and lets go of it when that sender has been
// silent and another one is there, or when it is told to.
//
// Order is by sequence number alone: timestamps are presentation times and go backwards. What came
// in order is passed on as it is, without a copy. Where a packet is missing, those behind it are
// held until it comes, or until the first of them has waited `reorder`; then what is missing is
// given up. Where packets are repaired (FEC), the wait goes on for as many packets as a repair may
// lag, `repair` at most.
//
// Limits: kReorderPacketsMax packets held, of kDatagramBytesMax bytes each; kCandidatesMax senders
// of whom one packet is kept until a second shows which of them is one.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "media/publish.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

namespace mirror::rtp {

// Longer datagrams are not taken: no path of ours is wider than Ethernet with jumbo frames.
inline constexpr std::size_t kDatagramBytesMax = 9200;
// A power of two: 50 ms of 200 Mbps.
inline constexpr std::size_t kReorderPacketsMax = 1024;
inline constexpr std::uint8_t kPayloadTypeCount = 128;

struct ReceiverSettings {
  std::vector<std::uint8_t> payload_types;     // others are strangers'
  std::chrono::milliseconds reorder{50};       // what a packet may wait for those before it
  std::chrono::milliseconds repair_max{1000};  // the same, where packets are repaired
  std::chrono::milliseconds release{1000};     // the silence after which another sender may follow
  std::uint32_t clock_rate = 90'000;           // of the timestamps; for the jitter
};

class PacketSink {
 public:
  virtual ~PacketSink() = default;
  // The next packet; its payload is valid during the call. `gap`: packets before it are missing.
  virtual void on_packet(const Packet& packet, bool gap, Instant received) = 0;
  // What follows is of another sender: its timestamps have nothing to do with the last one's.
  virtual void on_sender_changed() = 0;
};

class Receiver {
 public:
  // `sink` outlives this.
  Receiver(const ReceiverSettings& settings, PacketSink& sink);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // False when it is no packet of the sender: malformed, another payload type or SSRC, too long.
  bool push(std::span<const std::uint8_t> datagram, Instant now);
  // A packet of the sender that was made again. One that is not missing (any more) is dropped.
  void push_recovered(std::span<const std::uint8_t> datagram, Instant now);
  // Call every few milliseconds: gives up what did not come in time.
  void idle(Instant now);
  // The end of the feed: passes on what is held, and lets go of the sender.
  void release();

  // Packets wait for one that is missing: silence on the other side of the sink means nothing.
  bool holds_back() const { return held_ > 0; }
  // How many packets after a missing one its repair may still come; 0: nothing is repaired.
  void expect_repair(std::size_t packets) { repair_packets_ = static_cast<std::int64_t>(packets); }

  // Of the sender; empty before the first.
  std::optional<std::uint32_t> ssrc() const { return ssrc_; }
  // When the sender's last packet came.
  SteadyTime last_received() const { return last_received_; }
  // Since this was made. `packets_lost` is what was given up or recovered: what merely came late
  // was not lost.
  const media::TransportStats& stats() const { return stats_; }
  // For a receiver report, less what it says of sender reports. Call once for each: the fraction
  // lost begins anew (RFC 3550 A.3).
  ReceptionReport take_reception();

 private:
  struct Slot {
    std::vector<std::uint8_t> bytes;  // keeps its room
    Instant received{};
    bool full = false;
    bool recovered = false;
  };
  // Of a sequence number that is behind: whether its packet was passed on, and which one it was.
  struct Past {
    std::uint32_t timestamp = 0;
    bool passed = false;
  };
  // The first packet of a sender that is not known yet.
  struct Candidate {
    std::uint32_t ssrc = 0;
    std::uint16_t sequence = 0;
    std::vector<std::uint8_t> bytes;
    bool used = false;
  };

  static constexpr std::size_t kCandidatesMax = 4;

  bool probe(const Packet& packet, std::span<const std::uint8_t> datagram, Instant now);
  void lock(std::uint32_t ssrc, std::uint16_t first);
  void take(const Packet& packet, std::span<const std::uint8_t> datagram, Instant now);
  std::int64_t unwrap(std::uint16_t sequence) const;
  void measure(const Packet& packet, Instant now);
  bool passed_before(const Packet& packet, std::int64_t sequence);
  bool restarts(std::uint16_t sequence);
  void resume_at(std::int64_t sequence);
  void hold(std::int64_t sequence, std::span<const std::uint8_t> datagram, Instant now,
            bool recovered);
  void pass(const Packet& packet, Instant received);
  void pass_held(Slot& slot);
  void pass_ready();
  void advance_to(std::int64_t sequence);
  bool waited_enough(std::int64_t sequence, const Slot& slot, SteadyTime now) const;
  Slot& slot_of(std::int64_t sequence) {
    return slots_[static_cast<std::size_t>(sequence) % kReorderPacketsMax];
  }
  Past& past_of(std::int64_t sequence) {
    return past_[static_cast<std::size_t>(sequence) % kReorderPacketsMax];
  }

  const ReceiverSettings settings_;
  PacketSink& sink_;
  std::array<bool, kPayloadTypeCount> accepted_{};
  media::TransportStats stats_;

  std::array<Candidate, kCandidatesMax> candidates_;
  std::size_t next_candidate_ = 0;

  std::optional<std::uint32_t> ssrc_;
  SteadyTime last_received_{};
  std::int64_t next_ = 0;      // the sequence number, unwrapped, that is passed on next
  std::int64_t highest_ = -1;  // that came
  bool gap_ = false;           // something was given up before `next_`
  std::vector<Slot> slots_;    // of [next_, next_ + kReorderPacketsMax)
  std::vector<Past> past_;     // of the same number before next_
  std::size_t held_ = 0;
  SteadyTime look_at_{};  // nothing held has waited for `reorder` before
  std::int64_t repair_packets_ = 0;

  // Packets out of the window that follow each other: so many, and the sender began anew.
  std::uint16_t restart_next_ = 0;
  int restart_run_ = 0;

  // For reception reports, of this sender.
  std::int64_t first_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t expected_reported_ = 0;
  std::uint64_t received_reported_ = 0;
  std::optional<std::int64_t> transit_;  // of the last packet, in timestamp units
  double jitter_ = 0;
};

}  // namespace mirror::rtp
