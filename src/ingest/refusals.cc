#include "ingest/refusals.h"

#include <algorithm>

namespace mirror::ingest {
namespace {

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
    case RefusalReason::kShuttingDown:
      break;
  }
  return "shutting_down";
}

}  // namespace

Refusals::Refusals(const Log& log, Metrics& metrics) : log_(log), counters_{} {
  for (std::size_t i = 0; i < kRefusalReasons; ++i) {
    counters_[i] =
        &metrics.counter("mirror_srt_refusals_total", "Publishers turned away, by reason",
                         {{"reason", std::string(name_of(RefusalReason(i)))}});
  }
}

void Refusals::tell(RefusalReason reason, std::string_view why, std::string_view remote,
                    std::string_view stream_id, SteadyTime now) {
  counters_[static_cast<std::size_t>(reason)]->Increment();
  std::uint64_t left_out = 0;
  if (!may_write(now, left_out)) return;
  log_.warning("ingest", "publisher refused",
               {{"reason", name_of(reason)},
                {"why", why},
                {"remote", remote},
                {"stream_id", stream_id},
                {"refusals_not_logged", left_out}});
}

bool Refusals::may_write(SteadyTime now, std::uint64_t& left_out) {
  const std::lock_guard lock(mutex_);
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
