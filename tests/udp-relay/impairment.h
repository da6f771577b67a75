// Impairment: one direction of one flow over a bad link. Datagrams and instants go in; those that
// the link does not lose come out, when and as often as it says.
//
// Sans-IO and seeded: the same calls with the same seed give the same fate. Holds at most
// kDatagramsMax datagrams; what comes while it is full is dropped and counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "base/clock.h"

namespace mirror::relay {

// What a link does to each datagram. Changed while it is in use; datagrams on their way keep the
// fate that they have.
struct Conditions {
  double loss = 0;        // share of datagrams, 0 to 1
  double loss_burst = 1;  // mean length of a row of losses, in datagrams; 1: each on its own
  std::chrono::microseconds delay{0};
  std::chrono::microseconds jitter{0};  // added to the delay: from 0 to so much, evenly
  double reorder = 0;                   // share of datagrams that `reorder_by` holds back
  std::chrono::microseconds reorder_by{20'000};
  double duplicate = 0;       // share of datagrams that come twice, each with its own jitter
  std::int64_t rate_bps = 0;  // of the link, counted in bytes of UDP payload; 0: no limit
  std::chrono::microseconds queue{200'000};  // what may wait for the rate; more is dropped
  SteadyTime down_until{};                   // an outage: everything sent before is lost
};

struct Counts {
  std::uint64_t received = 0;
  std::uint64_t lost = 0;
  std::uint64_t lost_in_outage = 0;
  std::uint64_t dropped_by_rate = 0;
  std::uint64_t dropped_when_full = 0;
  std::uint64_t held_back = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t forwarded = 0;    // copies included
  std::uint64_t send_errors = 0;  // of those, what the socket would not take
};

class Impairment {
 public:
  static constexpr std::size_t kDatagramsMax = 16'384;

  // `conditions` and `counts` belong to the direction, and outlive this.
  Impairment(const Conditions& conditions, Counts& counts, std::uint64_t seed)
      : conditions_(conditions), counts_(counts), random_(seed) {}

  // A datagram was sent.
  void push(std::span<const std::uint8_t> datagram, SteadyTime now);
  // When the next one arrives; none: nothing is on its way.
  std::optional<SteadyTime> next_arrival() const;
  // Takes what has arrived by `now`, the earliest first; false: nothing has.
  bool pop(SteadyTime now, std::vector<std::uint8_t>& datagram);

 private:
  struct Flight {
    SteadyTime arrival;
    std::uint64_t number;  // keeps those of one instant in their order
    std::vector<std::uint8_t> bytes;
  };
  static bool later(const Flight& a, const Flight& b);

  bool loses();
  bool chance(double share);
  std::chrono::microseconds up_to(std::chrono::microseconds limit);
  void launch(std::span<const std::uint8_t> datagram, SteadyTime departure);

  const Conditions& conditions_;
  Counts& counts_;
  std::mt19937_64 random_;
  bool losing_ = false;   // within a row of losses
  SteadyTime free_at_{};  // when the link has sent what waits for its rate
  std::uint64_t number_ = 0;
  std::vector<Flight> flights_;  // a heap, the earliest arrival in front
};

}  // namespace mirror::relay
