// Continuity: follows the continuity_counter of one PID (ISO/IEC 13818-1, 2.4.3.3).
//
// Keeps the last packet's payload, since only equal bytes tell a duplicate from the loss of sixteen
// packets less one. Loss of exactly sixteen packets of a PID cannot be seen here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "mpegts/packet.h"

namespace mirror::mpegts {

class Continuity {
 public:
  enum class Verdict {
    kNext,
    kDuplicate,
    kSurplus,  // the same a third time: an error (ETSI TR 101 290, 5.2.1: 1.4), but nothing is lost
    kLoss,
  };

  Verdict follow(const Packet& packet) {
    // The counter stands still where there is no payload.
    if (!packet.has_payload) return Verdict::kNext;
    Verdict verdict = judge(packet);
    if (verdict == Verdict::kDuplicate) {
      if (std::exchange(duplicated_, true)) verdict = Verdict::kSurplus;
    } else {
      duplicated_ = false;
      last_counter_ = packet.continuity_counter;
      last_size_ = static_cast<std::uint8_t>(packet.payload.size());
      std::memcpy(last_payload_.data(), packet.payload.data(), packet.payload.size());
    }
    return verdict;
  }

 private:
  Verdict judge(const Packet& packet) const {
    if (!last_counter_) return Verdict::kNext;
    if (packet.continuity_counter == ((*last_counter_ + 1) & 0x0f)) return Verdict::kNext;
    const bool repeated =
        packet.continuity_counter == *last_counter_ && packet.payload.size() == last_size_ &&
        std::equal(packet.payload.begin(), packet.payload.end(), last_payload_.begin());
    if (repeated) return Verdict::kDuplicate;
    return packet.discontinuity ? Verdict::kNext : Verdict::kLoss;
  }

  std::optional<std::uint8_t> last_counter_;
  bool duplicated_ = false;  // the last packet has come twice
  std::uint8_t last_size_ = 0;
  std::array<std::uint8_t, kPacketBytes> last_payload_{};
};

}  // namespace mirror::mpegts
