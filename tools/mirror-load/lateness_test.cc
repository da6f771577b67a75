// What the figures are made of: the histogram, the playout buffer and the ledger of parts.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "histogram.h"
#include "part_ledger.h"
#include "playout_buffer.h"
#include "stats.h"

namespace mirror::load {
namespace {

using namespace std::chrono_literals;
using Us = std::chrono::microseconds;

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0us);
  EXPECT_EQ(histogram.max(), 0us);
  EXPECT_EQ(histogram.quantile(0.99), 0us);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.record(Us(i));
  EXPECT_EQ(histogram.min(), 1us);
  EXPECT_EQ(histogram.quantile(0.5), 500us);
  EXPECT_EQ(histogram.quantile(0.99), 990us);
  EXPECT_EQ(histogram.quantile(1.0), 1000us);
  EXPECT_EQ(histogram.quantile(0.0), 1us);
}

TEST(Histogram, LargeValuesAreWithinAFewThousandths) {
  std::mt19937 random(7);  // NOLINT: the same figures each time
  std::vector<std::int64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(random() >> (random() % 24)) >> 3);
    histogram.record(Us(values.back()));
  }
  std::ranges::sort(values);
  for (const double share : {0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    const double exact = static_cast<double>(values[rank]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(share).count()), exact, 1 + exact * 0.004);
  }
  EXPECT_EQ(histogram.max().count(), values.back());
}

TEST(Histogram, KeepsToItsRange) {
  Histogram histogram;
  histogram.record(-5us);
  histogram.record(std::chrono::hours(1000));
  EXPECT_EQ(histogram.min(), 0us);
  EXPECT_EQ(histogram.max().count(), static_cast<std::int64_t>(Histogram::kValueMax));
  EXPECT_EQ(histogram.quantile(0.99), histogram.max());
}

TEST(Histogram, AddsUp) {
  Histogram a;
  Histogram b;
  Histogram both;
  for (int i = 0; i < 500; ++i) {
    a.record(Us(i * 3));
    b.record(Us(i * 1000));
    both.record(Us(i * 3));
    both.record(Us(i * 1000));
  }
  a.add(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  for (const double share : {0.1, 0.5, 0.99}) EXPECT_EQ(a.quantile(share), both.quantile(share));
}

// One part of 100 ms at each of these moments.
std::vector<Us> stalls_of(const std::vector<int>& arrivals_ms, PlayoutBuffer& buffer) {
  std::vector<Us> stalls;
  for (const int ms : arrivals_ms) {
    if (const auto stall = buffer.take(SteadyTime(std::chrono::milliseconds(ms)), 100ms)) {
      stalls.push_back(*stall);
    }
  }
  return stalls;
}

TEST(PlayoutBuffer, PartsInTimeDoNotStall) {
  PlayoutBuffer buffer;
  EXPECT_TRUE(stalls_of({0, 100, 200, 300, 400, 500}, buffer).empty());
  EXPECT_FALSE(buffer.stalled_at(SteadyTime(800ms)));
}

// Playing begins with the third part, at 200; then every part may be 200 ms late.
TEST(PlayoutBuffer, LatenessUpToTheBufferDoesNotStall) {
  PlayoutBuffer buffer;
  EXPECT_TRUE(stalls_of({0, 100, 200, 500, 600, 700}, buffer).empty());
}

// Dry at 500. It fills up again with the parts of 520, 530 and 540.
TEST(PlayoutBuffer, AStallLastsUntilItPlaysOn) {
  PlayoutBuffer buffer;
  EXPECT_EQ(stalls_of({0, 100, 200, 520, 530, 540, 640}, buffer), std::vector<Us>{40ms});
}

TEST(PlayoutBuffer, AStallThatLastsIsSeenAtTheEnd) {
  PlayoutBuffer buffer;
  EXPECT_TRUE(stalls_of({0, 100, 200}, buffer).empty());
  EXPECT_FALSE(buffer.stalled_at(SteadyTime(500ms)));
  EXPECT_EQ(buffer.stalled_at(SteadyTime(900ms)), std::optional<Us>(400ms));
  EXPECT_TRUE(stalls_of({950}, buffer).empty());
  EXPECT_EQ(buffer.stalled_at(SteadyTime(1000ms)), std::optional<Us>(500ms));
}

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<std::uint8_t> a_part(char last) {
  auto bytes = bytes_of(std::string_view("\0\0\0\x08moof\0\0\0\x09mdat", 16));
  bytes.push_back(static_cast<std::uint8_t>(last));
  return bytes;
}

TEST(PartLedger, ComparesEachViewerWithTheFirst) {
  PartLedger ledger;
  const auto right = a_part('a');
  const auto wrong = a_part('b');
  const auto first = ledger.check_part("/1.0", right, SteadyTime(10ms));
  EXPECT_TRUE(first.same);
  EXPECT_EQ(first.fault, "");
  const auto second = ledger.check_part("/1.0", right, SteadyTime(13ms));
  EXPECT_TRUE(second.same);
  EXPECT_EQ(second.first_arrival, SteadyTime(10ms));
  EXPECT_FALSE(ledger.check_part("/1.0", wrong, SteadyTime(14ms)).same);
  EXPECT_FALSE(ledger.check_part("/1.0", {}, SteadyTime(14ms)).same);
  EXPECT_TRUE(ledger.check_part("/1.1", wrong, SteadyTime(14ms)).same);
  // Another thread read its clock before.
  EXPECT_EQ(ledger.check_part("/1.0", right, SteadyTime(9ms)).first_arrival, SteadyTime(9ms));
}

TEST(PartLedger, SaysOnceWhatIsNoMedia) {
  PartLedger ledger;
  EXPECT_NE(ledger.check_part("/1.0", bytes_of("<html>...</html>"), {}).fault, "");
  EXPECT_EQ(ledger.check_part("/1.0", bytes_of("<html>...</html>"), {}).fault, "");
}

TEST(PartLedger, ForgetsTheOldest) {
  PartLedger ledger;
  ledger.check_part("/first", a_part('a'), {});
  for (std::size_t i = 0; i < PartLedger::kEntriesMax; ++i) {
    ledger.check_part("/" + std::to_string(i), a_part('a'), {});
  }
  EXPECT_TRUE(ledger.check_part("/first", a_part('b'), {}).same);
}

TEST(Stats, AddsUpAndKeepsAFewExamples) {
  Stats all;
  for (int i = 0; i < 10; ++i) {
    Stats one;
    one.note(Fault::kGap, "part");
    one.note_status(404, "/x");
    one.playing = 2;
    one.requests = 3;
    all.add(one);
  }
  EXPECT_EQ(all.fault_count(), 20U);
  EXPECT_EQ(all.statuses[404], 10U);
  EXPECT_EQ(all.playing, 20U);
  EXPECT_EQ(all.requests, 30U);
  EXPECT_EQ(all.examples.size(), 2 * Stats::kExamplesMax);
  EXPECT_EQ(all.examples[1].fault, Fault::kStatus);
  EXPECT_EQ(all.examples[1].what, "404: /x");
}

// What slowness explains is no fault, and their figures are apart.
TEST(Stats, SlowViewersAreCountedApart) {
  Stats slow;
  slow.parts = 7;
  slow.dropped_parts = 3;
  slow.stalls = 2;
  slow.connections = 1;
  slow.behind_published.record(900ms);
  slow.note(Fault::kGap, "left out");
  slow.note(Fault::kTimeout, "late");
  slow.note(Fault::kMismatch, "wrong bytes");
  Stats all;
  all.parts = 100;
  all.add_slow(slow);
  EXPECT_EQ(all.parts, 100u);
  EXPECT_EQ(all.dropped_parts, 0u);
  EXPECT_EQ(all.stalls, 0u);
  EXPECT_EQ(all.behind_published.count(), 0u);
  EXPECT_EQ(all.connections, 1u);
  EXPECT_EQ(all.slow.parts, 7u);
  EXPECT_EQ(all.slow.dropped_parts, 3u);
  EXPECT_EQ(all.slow.stalls, 2u);
  EXPECT_EQ(all.slow.left_behind, 2u);
  EXPECT_EQ(all.fault_count(), 1u);
  ASSERT_EQ(all.examples.size(), 1u);
  EXPECT_EQ(all.examples[0].what, "wrong bytes");
  Stats sum;
  sum.add(all);
  sum.add(all);
  EXPECT_EQ(sum.slow.parts, 14u);
  EXPECT_EQ(sum.slow.left_behind, 4u);
}

}  // namespace
}  // namespace mirror::load
