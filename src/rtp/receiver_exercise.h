// Arbitrary bytes as the traffic of one port, with what must hold whatever comes. For the fuzz
// targets `rtp` and `fec`, and for the unit tests that replay their corpora.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "rtp/fec.h"
#include "rtp/receiver.h"

namespace mirror::rtp {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// Numbers only ever grow, within a sender.
class OrderedSink final : public PacketSink {
 public:
  void on_packet(const Packet& packet, bool gap, Instant received) override {
    require(packet.payload.size() <= kDatagramBytesMax);
    require(received.steady >= SteadyTime{});
    // Without a gap, the next one; a new beginning of the sender is a gap.
    if (last_ && !gap) require(packet.sequence == static_cast<std::uint16_t>(*last_ + 1));
    last_ = packet.sequence;
    ++packets;
  }
  void on_sender_changed() override { last_.reset(); }

  std::uint64_t packets = 0;

 private:
  std::optional<std::uint16_t> last_;
};

// Input format: repeated [control, milliseconds, length (2 bytes), bytes…]. `control` 0 to 2 in its
// lower two bits: to the media port; 3: to the parity port. Bit 7: the bytes are cut from a packet
// that is well-formed but for them.
inline void exercise_receiver(std::span<const std::uint8_t> input) {
  OrderedSink sink;
  Receiver receiver({.payload_types = {33, 96}}, sink);
  FecDecoder fec;
  std::int64_t ms = 1000;
  const auto at = [&ms] {
    return Instant{SteadyTime(std::chrono::milliseconds(ms)),
                   WallTime(std::chrono::milliseconds(ms))};
  };
  while (input.size() >= 4) {
    const std::uint8_t control = input[0];
    ms += input[1];
    std::size_t size = (std::size_t{input[2]} << 8U | input[3]) & 0x0fffU;
    input = input.subspan(4);
    size = std::min(size, input.size());
    std::vector<std::uint8_t> datagram(input.begin(), input.begin() + static_cast<long>(size));
    input = input.subspan(size);
    if ((control & 0x80U) != 0) {
      // Number and timestamp from the input, the rest as it should be.
      const std::vector<std::uint8_t> fixed = {0x80, 33, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
      std::vector<std::uint8_t> made = fixed;
      for (std::size_t i = 0; i < 3 && i < datagram.size(); ++i) made[2 + i] = datagram[i];
      made.insert(made.end(), datagram.begin(), datagram.end());
      datagram = std::move(made);
    }
    if ((control & 3U) == 3) {
      fec.push_fec(datagram);
    } else if (receiver.push(datagram, at())) {
      const auto packet = parse_packet(datagram);
      if (receiver.ssrc() == packet->ssrc) fec.push_media(packet->sequence, datagram);
    }
    fec.recover([&](auto recovered) {
      require(recovered.size() <= kDatagramBytesMax);
      receiver.push_recovered(recovered, at());
    });
    receiver.expect_repair(fec.repair_packets());
    receiver.idle(at());
  }
  receiver.release();
  (void)receiver.take_reception();
  const media::TransportStats& stats = receiver.stats();
  require(stats.packets_lost == stats.packets_dropped + stats.packets_recovered);
  require(sink.packets + stats.packets_duplicate + stats.packets_belated + stats.packets_strange >=
          stats.packets);
  require(fec.repair_packets() <= 2 * kFecSpanMax);
}

}  // namespace mirror::rtp
