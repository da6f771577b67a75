// PacketSync: cuts a byte stream of any chunking into 188-byte packets.
//
// Owned by a Demuxer, on its thread. Holds at most kHeldBytes of what came; allocates nothing. What
// it decides depends on the bytes alone, never on how they were cut into pushes.
//
// A lock takes three sync bytes 188 apart. A packet without its sync byte is an error (ETSI TR 101
// 290, 5.2.1: 1.2) and unlocks; the search then prefers the old phase (a corrupted byte) to a new
// one (bytes inserted or lost). Only the latter is a loss of synchronisation (1.1): two sync bytes
// in a row are not where they should be.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "mpegts/counters.h"
#include "mpegts/packet.h"

namespace mirror::mpegts {

class PacketSync {
 public:
  using PacketBytes = std::span<const std::uint8_t, kPacketBytes>;

  // Counts both errors and dropped bytes in `counters`, which outlive this.
  explicit PacketSync(media::DemuxStats& counters) : counters_(counters) {}

  // Calls `on_packet(PacketBytes)` for each packet that is now whole.
  template <class OnPacket>
  void push(std::span<const std::uint8_t> bytes, OnPacket&& on_packet) {
    while (held_size_ > 0 && !bytes.empty()) {
      const std::size_t before = held_size_;
      const std::size_t added = std::min(kHeldBytes - held_size_, bytes.size());
      std::memcpy(held_.data() + held_size_, bytes.data(), added);
      held_size_ += added;
      const std::size_t used =
          take_packets({held_.data(), held_size_}, Input::kMoreMayCome, on_packet);
      if (used >= before) {  // what is left lies in `bytes`: go on there without copying
        bytes = bytes.subspan(used - before);
        held_size_ = 0;
      } else {
        bytes = bytes.subspan(added);
        drop_held(used);
      }
    }
    if (bytes.empty()) return;
    hold(bytes.subspan(take_packets(bytes, Input::kMoreMayCome, on_packet)));
  }

  // End of the feed: takes the packets that were held for want of a third sync byte.
  template <class OnPacket>
  void flush(OnPacket&& on_packet) {
    const std::size_t used = take_packets({held_.data(), held_size_}, Input::kEnds, on_packet);
    counters_.dropped_bytes += held_size_ - used;
    held_size_ = 0;
    locked_ = false;
  }

 private:
  enum class Input { kMoreMayCome, kEnds };

  static constexpr std::size_t kSearchBytes = 2 * kPacketBytes + 1;
  static constexpr std::size_t kHeldBytes = 3 * kPacketBytes;

  // Returns how many bytes were used; less than kSearchBytes are left unless the input is damaged
  // beyond use.
  template <class OnPacket>
  std::size_t take_packets(std::span<const std::uint8_t> bytes, Input input, OnPacket& on_packet) {
    std::size_t at = 0;
    for (;;) {
      while (locked_ && bytes.size() - at >= kPacketBytes && bytes[at] == kSyncByte) {
        on_packet(PacketBytes(bytes.data() + at, kPacketBytes));
        at += kPacketBytes;
      }
      if (at == bytes.size() || (locked_ && bytes[at] == kSyncByte)) return at;
      const std::size_t searched = search(bytes.subspan(at), input);
      at += searched;
      if (!locked_) return at;
    }
  }

  // Looks for the lock. Returns how many bytes before it are of no use.
  std::size_t search(std::span<const std::uint8_t> bytes, Input input);

  void hold(std::span<const std::uint8_t> rest) {
    std::memcpy(held_.data(), rest.data(), rest.size());
    held_size_ = rest.size();
  }
  void drop_held(std::size_t count) {
    std::memmove(held_.data(), held_.data() + count, held_size_ - count);
    held_size_ -= count;
  }

  media::DemuxStats& counters_;
  std::array<std::uint8_t, kHeldBytes> held_;
  std::size_t held_size_ = 0;
  bool locked_ = false;
  bool phase_known_ = false;  // a sync byte was missed at the first byte not yet used
};

}  // namespace mirror::mpegts
