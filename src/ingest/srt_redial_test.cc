#include "ingest/srt_redial.h"

#include <gtest/gtest.h>

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;

TEST(Redial, WaitsLongerAndLongerWithinItsLimitsForEver) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Redial redial(seed);
    SteadyTime now{1h};
    std::chrono::milliseconds span = Redial::kFirst;
    for (int i = 0; i < 1000; ++i) {
      const SteadyTime next = redial.next(now);
      EXPECT_GE(next - now, span / 2) << "seed " << seed;
      EXPECT_LE(next - now, span) << "seed " << seed;
      span = std::min(2 * span, Redial::kLongest);
      now = next;
    }
  }
}

TEST(Redial, AStableConnectionBeginsAnew) {
  Redial redial(1);
  SteadyTime now{1h};
  for (int i = 0; i < 10; ++i) now = redial.next(now);
  redial.connected(now);
  now += Redial::kStable;
  EXPECT_LE(redial.next(now) - now, Redial::kFirst);
}

// A far end that takes the call and hangs up at once is not hammered.
TEST(Redial, AShortConnectionDoesNot) {
  Redial redial(1);
  SteadyTime now{1h};
  for (int i = 0; i < 10; ++i) now = redial.next(now);
  redial.connected(now);
  now += Redial::kStable - 1ms;
  EXPECT_GE(redial.next(now) - now, Redial::kLongest / 2);
}

TEST(Redial, ARefusalWaitsLongest) {
  Redial redial(1);
  const SteadyTime now{1h};
  EXPECT_GE(redial.next_after_refusal(now) - now, Redial::kLongest / 2);
  EXPECT_GE(redial.next(now) - now, Redial::kLongest / 2);
}

TEST(Redial, CallersDoNotCallTogether) {
  const SteadyTime now{1h};
  EXPECT_NE(Redial(1).next_after_refusal(now), Redial(2).next_after_refusal(now));
}

}  // namespace
}  // namespace mirror::ingest
