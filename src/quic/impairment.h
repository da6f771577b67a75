// Impairment: what a bad path would do to a client's datagrams, done inside its process.
//
// For load and fault tests: a connection that has one loses what it says. Servers have none.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace mirror::quic {

class Impairment {
 public:
  enum class Way { kIn, kOut };

  virtual ~Impairment() = default;
  // Asked once for each datagram; true: it is lost.
  virtual bool loses(Way way, std::size_t bytes, SteadyTime now) = 0;
};

}  // namespace mirror::quic
