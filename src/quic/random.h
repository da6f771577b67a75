// Random: where random bytes come from, so that tests and fuzzers can make them come again.
#pragma once

#include <cstdint>
#include <span>

namespace mirror::quic {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;
};

// GnuTLS's generator; one thread, as everything that holds a Random.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override;
};

}  // namespace mirror::quic
