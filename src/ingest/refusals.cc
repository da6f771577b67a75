#include "ingest/refusals.h"

#include <algorithm>

#include "ingest/stream_id.h"

namespace mirror::ingest {

std::string_view name_of(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kBadStreamId:
      return "bad_stream_id";
    case RefusalReason::kBadMode:
      return "bad_mode";
    case RefusalReason::kConflict:
      return "conflict";
    case RefusalReason::kOverload:
      return "overload";
    case RefusalReason::kUnauthorized:
      return "unauthorized";
    case RefusalReason::kHandshake:
      return "handshake";
    case RefusalReason::kShuttingDown:
      break;
  }
  return "shutting_down";
}

Refusals::Refusals(const Log& log, Metrics& metrics) : log_(log), counters_{} {
  for (std::size_t i = 0; i < kRefusalReasons; ++i) {
    counters_[i] =
        &metrics.counter("mirror_srt_refusals_total", "Publishers turned away, by reason",
                         {{"reason", std::string(name_of(RefusalReason(i)))}});
  }
}

void Refusals::tell(RefusalReason reason, std::string_view why, std::string_view remote,
                    std::string_view stream_id, Instant now) {
  const std::string shown = without_token(stream_id);
  counters_[static_cast<std::size_t>(reason)]->Increment();
  std::uint64_t left_out = 0;
  {
    const std::lock_guard lock(mutex_);
    if (recent_.size() == kRecentMax) recent_.pop_front();
    recent_.push_back({.at = now.wall,
                       .reason = std::string(name_of(reason)),
                       .why = std::string(why),
                       .remote = std::string(remote),
                       .asked_for = shown.substr(0, kRefusedIdBytesMax)});
    if (!may_write(now.steady, left_out)) return;
  }
  log_.warning("ingest", "publisher refused",
               {{"reason", name_of(reason)},
                {"why", why},
                {"remote", remote},
                {"stream_id", shown},
                {"refusals_not_logged", left_out}});
}

std::vector<media::TurnedAway> Refusals::recent() const {
  const std::lock_guard lock(mutex_);
  return {recent_.begin(), recent_.end()};
}

bool Refusals::may_write(SteadyTime now, std::uint64_t& left_out) {
  const double seconds = std::chrono::duration<double>(now - last_).count();
  tokens_ = std::min(kBurst, tokens_ + std::max(0.0, seconds) * kLinesPerSecond);
  last_ = now;
  if (tokens_ < 1) {
    ++left_out_;
    return false;
  }
  tokens_ -= 1;
  left_out = left_out_;
  left_out_ = 0;
  return true;
}

}  // namespace mirror::ingest
