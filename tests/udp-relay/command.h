// What the relay is told on its standard input: `DIRECTION NAME=VALUE...`, a line for each change.
//
//   up loss=2% loss_burst=5        DIRECTION: up (client to server), down, both
//   both delay=150ms jitter=10ms   times: us, ms, s; from 0 to 60 s
//   both clear                     all as at the start; an outage ends
//   both outage=5s                 loses everything for so long from now
//
// Names: loss, loss_burst, delay, jitter, reorder, reorder_by, duplicate, rate (bits a second; k
// and M are known), queue, outage. Shares are 0 to 1, or 0% to 100%. What is not named stays.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "impairment.h"

namespace mirror::relay {

inline constexpr std::size_t kCommandBytesMax = 1024;

struct Link {
  Conditions up;
  Conditions down;
};

// All of a line, or nothing of it and why.
Status apply(std::string_view line, Link& link, SteadyTime now);

}  // namespace mirror::relay
