// PathModel: the last mile of a viewer who has a bad one.
//
// Of QUIC connections it loses datagrams inside this process: by chance, each way, and, of those
// that come, what is beyond a rate (a token bucket, as of an operator that throttles). TCP viewers
// have their rate from the link, which reads no faster. The same seed loses the same datagrams. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "quic/impairment.h"

namespace mirror::load {

struct PathQuality {
  double loss = 0;                   // share of the datagrams, each way; QUIC only
  std::size_t bytes_per_second = 0;  // towards the viewer; 0: as fast as it goes

  bool is_perfect() const { return loss <= 0 && bytes_per_second == 0; }
};

class PathModel final : public quic::Impairment {
 public:
  // What comes at once before the rate holds: a handshake's first flights, and a small part.
  static constexpr std::size_t kBurstBytes = 16 * 1024;

  PathModel(const PathQuality& quality, std::uint64_t seed) : quality_(quality), state_(seed) {}

  bool loses(Way way, std::size_t bytes, SteadyTime now) override;

 private:
  double random();  // 0 to 1
  bool over_rate(std::size_t bytes, SteadyTime now);

  const PathQuality quality_;
  std::uint64_t state_;
  double tokens_ = kBurstBytes;  // bytes
  SteadyTime refilled_{};
};

}  // namespace mirror::load
