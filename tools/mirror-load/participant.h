// Participant: one of those who watch, whichever way: what a crew does with all of them.
#pragma once

#include "base/clock.h"
#include "stats.h"

namespace mirror::load {

class Participant {
 public:
  enum class State { kWaiting, kJoining, kFollowing, kPausing, kEnded };

  virtual ~Participant() = default;
  virtual void start(Stats& stats) = 0;
  // Every so often: time-outs, and the end of a pause.
  virtual void tick(SteadyTime now, Stats& stats) = 0;
  // From now on it is counted there.
  virtual void use_stats(Stats& stats) = 0;
  // The run is over: a stall that lasts is counted.
  virtual void finish(SteadyTime now) = 0;
  virtual State state() const = 0;
};

}  // namespace mirror::load
