#include "impairment.h"

#include <algorithm>
#include <utility>

namespace mirror::relay {

using std::chrono::microseconds;

bool Impairment::later(const Flight& a, const Flight& b) {
  return std::pair(a.arrival, a.number) > std::pair(b.arrival, b.number);
}

bool Impairment::chance(double share) {
  return share > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < share;
}

microseconds Impairment::up_to(microseconds limit) {
  if (limit <= microseconds(0)) return microseconds(0);
  return microseconds(std::uniform_int_distribution<std::int64_t>(0, limit.count())(random_));
}

// Gilbert's model: two states, of which one loses everything. It is left with 1 / burst and entered
// so often that `loss` is the share of the whole.
bool Impairment::loses() {
  const double loss = conditions_.loss;
  const double burst = std::max(1.0, conditions_.loss_burst);
  if (burst <= 1 || loss >= 1) return losing_ = chance(loss);
  if (losing_) {
    losing_ = !chance(1 / burst);
  } else {
    losing_ = chance(loss / (burst * (1 - loss)));
  }
  return losing_;
}

void Impairment::push(std::span<const std::uint8_t> datagram, SteadyTime now) {
  ++counts_.received;
  if (now < conditions_.down_until) {
    ++counts_.lost_in_outage;
    return;
  }
  if (loses()) {
    ++counts_.lost;
    return;
  }
  SteadyTime departure = now;
  if (conditions_.rate_bps > 0) {
    free_at_ = std::max(free_at_, now);
    if (free_at_ - now > conditions_.queue) {
      ++counts_.dropped_by_rate;
      return;
    }
    free_at_ +=
        microseconds(static_cast<std::int64_t>(datagram.size()) * 8'000'000 / conditions_.rate_bps);
    departure = free_at_;
  }
  if (chance(conditions_.reorder)) {
    ++counts_.held_back;
    departure += conditions_.reorder_by;
  }
  launch(datagram, departure);
  if (chance(conditions_.duplicate)) {
    ++counts_.duplicated;
    launch(datagram, departure);
  }
}

void Impairment::launch(std::span<const std::uint8_t> datagram, SteadyTime departure) {
  if (flights_.size() >= kDatagramsMax) {
    ++counts_.dropped_when_full;
    return;
  }
  const SteadyTime arrival = departure + conditions_.delay + up_to(conditions_.jitter);
  flights_.push_back({arrival, number_++, {datagram.begin(), datagram.end()}});
  std::ranges::push_heap(flights_, later);
}

std::optional<SteadyTime> Impairment::next_arrival() const {
  if (flights_.empty()) return std::nullopt;
  return flights_.front().arrival;
}

bool Impairment::pop(SteadyTime now, std::vector<std::uint8_t>& datagram) {
  if (flights_.empty() || flights_.front().arrival > now) return false;
  std::ranges::pop_heap(flights_, later);
  datagram = std::move(flights_.back().bytes);
  flights_.pop_back();
  ++counts_.forwarded;
  return true;
}

}  // namespace mirror::relay
