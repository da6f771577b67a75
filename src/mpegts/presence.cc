#include "mpegts/presence.h"

#include <algorithm>
#include <utility>

namespace mirror::mpegts {

void Presence::begin(SteadyTime now) {
  begun_ = true;
  last_ = now;
  pat_.awaited = true;
}

void Presence::await_pmt() { pmt_ = {true, feed_time_}; }

void Presence::await_streams(std::size_t count) {
  streams_.fill({});
  std::fill_n(streams_.begin(), std::min(count, streams_.size()), Awaited{true, feed_time_});
}

void Presence::look() {
  next_look_ = feed_time_ + kLookEvery;
  miss(pat_, kTableSilenceMax, counters_.pat_errors);
  miss(pmt_, kTableSilenceMax, counters_.pmt_errors);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (std::exchange(seen_[i], false)) streams_[i].since = feed_time_;
    miss(streams_[i], kPidSilenceMax, counters_.pid_errors);
  }
}

void Presence::see(Awaited& awaited, std::uint64_t& errors) const {
  miss(awaited, kTableSilenceMax, errors);
  awaited.since = feed_time_;
}

void Presence::miss(Awaited& awaited, Duration silence_max, std::uint64_t& errors) const {
  if (!awaited.awaited || feed_time_ - awaited.since <= silence_max) return;
  ++errors;
  awaited.since = feed_time_;
}

}  // namespace mirror::mpegts
