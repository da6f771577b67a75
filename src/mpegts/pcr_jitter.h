// PcrJitter: how unevenly a programme's clock references arrive.
//
// Owned by a Demuxer, on its thread; allocates nothing. Each reference has an offset, arrival less
// what it says; the jitter is the largest distance of an offset from the mean of the last kWindow.
// So it holds what the multiplexer, the network and the transport's buffer left of it, all in one.
//
// Two things are no jitter. Of references that are taken at one instant only the newest counts: the
// others waited for it in a buffer (a drain, a burst of the sender). And a new time base, announced
// or told by a jump over kJump, begins the window anew; so does an offset beyond kOffsetMax, which
// only a hostile clock drifts to.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace mirror::mpegts {

class PcrJitter {
 public:
  // References come every 100 ms at the latest (ISO/IEC 13818-1, 2.7.2), mostly every 20 to 40: the
  // last 1 to 6 seconds. A clock that is wrong by 100 ppm adds less than 0.4 ms.
  static constexpr std::size_t kWindow = 64;
  static constexpr std::chrono::seconds kJump{5};
  static constexpr std::chrono::hours kOffsetMax{24};

  // `pcr` as it came: 27 MHz, 33 bits of base times 300 plus the extension.
  void add(std::uint64_t pcr, SteadyTime received);
  void restart() { count_ = 0; }

  // 0 until there are two.
  double milliseconds() const;

 private:
  using Offset = std::chrono::nanoseconds;

  std::array<Offset, kWindow> offsets_{};
  std::size_t count_ = 0;  // since the last restart; the newest is at (count_ - 1) % kWindow
  std::uint64_t last_pcr_ = 0;
  SteadyTime last_received_{};
};

}  // namespace mirror::mpegts
