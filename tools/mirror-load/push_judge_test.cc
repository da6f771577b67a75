// What a push session may not do, each by its name, and what it may.
#include "push_judge.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "push_wall.h"

namespace mirror::load {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTicks = 100;  // of a part

// A media part: moof with tfdt and as many samples as make `kTicks`, and mdat with `text`.
std::vector<std::uint8_t> part_bytes(std::string_view text) {
  const auto box = [](std::string_view type, const std::string& body) {
    const auto size = static_cast<std::uint32_t>(body.size() + 8);
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
    return bytes + std::string(type) + body;
  };
  const std::string whole = box("moof", "") + box("mdat", std::string(text));
  return {whole.begin(), whole.end()};
}

class Session {
 public:
  explicit Session(bool in_order = true) {
    judge.begin(in_order);
    judge.take(push::Hello{.session = "s", .now = WallTime(1s)}, now, wall, stats);
  }
  void track() {
    judge.take(push::TrackInfo{.number = 1,
                               .stream = "cam",
                               .rendition = "v360",
                               .epoch = "e",
                               .codec = "avc1",
                               .timescale = 1000,
                               .sample_duration = 50,
                               .format = push::VideoFormat{}},
               now, wall, stats);
    static constexpr std::string_view kInit(
        "\0\0\0\x08"
        "ftyp\0\0\0\x08"
        "moov",
        16);
    judge.take(push::Init{{1}, {reinterpret_cast<const std::uint8_t*>(kInit.data()), kInit.size()}},
               now, wall, stats);
  }
  push::PartHead head(std::uint64_t segment, std::uint64_t part) const {
    push::PartHead head;
    head.track = 1;
    head.at = {static_cast<hls::MediaSequence>(segment), static_cast<hls::PartIndex>(part)};
    head.independent = part == 0;
    head.decode_time = static_cast<std::int64_t>((segment * 5 + part) * kTicks);
    head.duration = kTicks;
    head.times.published = WallTime(2s);
    return head;
  }
  void take(const push::PartHead& head, std::string_view text = "media") {
    const auto bytes = part_bytes(text);
    judge.take(push::Part{head, bytes}, now, wall, stats);
  }
  void take(std::uint64_t segment, std::uint64_t part) { take(head(segment, part)); }
  void drop(hls::PartPosition from, hls::PartPosition to, std::uint64_t parts) {
    judge.take(push::Dropped{1, from, to, parts, push::DropReason::kAge}, now, wall, stats);
  }
  std::uint64_t count(Fault fault) const { return stats.faults[static_cast<std::size_t>(fault)]; }

  PartLedger ledger;
  PushJudge judge{ledger};
  Stats stats;
  SteadyTime now{10s};
  WallTime wall{WallTime(2s) + 5ms};
};

TEST(PushJudge, PartsInOrderAreClean) {
  Session session;
  session.track();
  for (std::uint64_t n = 0; n < 12; ++n) session.take(n / 5, n % 5);
  EXPECT_EQ(session.stats.fault_count(), 0U) << session.stats.examples.front().what;
  EXPECT_EQ(session.stats.parts, 12U);
  EXPECT_EQ(session.stats.behind_published.quantile(1.0), 5ms);
  EXPECT_EQ(session.stats.late_parts, 0U);
  EXPECT_TRUE(session.judge.is_playing());
}

TEST(PushJudge, LateIsMeasuredFromThePublication) {
  Session session;
  session.track();
  session.wall = WallTime(2s) + 51ms;
  session.take(0, 0);
  EXPECT_EQ(session.stats.late_parts, 1U);
  // What was there before the session began is old.
  auto old = session.head(0, 1);
  old.times.published = WallTime(500ms);
  session.take(old);
  EXPECT_EQ(session.stats.behind_published.count(), 1U);
  EXPECT_EQ(session.stats.fault_count(), 0U);
}

TEST(PushJudge, AHoleMustBeTold) {
  Session session;
  session.track();
  session.take(0, 0);
  session.take(0, 2);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
  session.drop({0, 3}, {1, 4}, 7);
  session.take(2, 0);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
  EXPECT_EQ(session.stats.dropped_parts, 7U);
  // Behind a drop comes an independent part.
  session.drop({2, 1}, {2, 1}, 1);
  session.take(2, 2);
  EXPECT_EQ(session.count(Fault::kGap), 2U);
}

TEST(PushJudge, ASegmentWhoseEndWasLostIsAGapByItsTime) {
  Session session;
  session.track();
  session.take(0, 0);
  session.take(1, 0);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
}

TEST(PushJudge, TheFirstPartIsIndependent) {
  Session session;
  session.track();
  session.take(0, 1);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
}

TEST(PushJudge, RepeatsAreFound) {
  Session session;
  session.track();
  session.take(0, 0);
  session.take(0, 1);
  session.take(0, 1);
  EXPECT_EQ(session.count(Fault::kRepeat), 1U);
}

// On streams of their own: it was on its way when the server gave it up.
TEST(PushJudge, WhatWasDroppedMayComeWholeOnceWhereStreamsOvertake) {
  for (const bool in_order : {false, true}) {
    Session session(in_order);
    session.track();
    for (std::uint64_t n = 0; n < 3; ++n) session.take(0, n);
    session.now += PushJudge::kPatience;
    session.judge.check_time(session.now, session.stats);
    session.drop({0, 3}, {0, 4}, 2);
    session.take(1, 0);
    EXPECT_EQ(session.stats.fault_count(), 0U);
    session.take(0, 4);
    EXPECT_EQ(session.count(Fault::kRepeat), in_order ? 1U : 0U);
    session.take(0, 4);
    session.take(0, 2);
    EXPECT_EQ(session.count(Fault::kRepeat), in_order ? 3U : 2U);
  }
}

TEST(PushJudge, OtherBytesThanAnotherWallGotAreFound) {
  Session session;
  session.track();
  session.take(0, 0);
  session.take(0, 1);
  session.judge.begin(true);
  session.judge.take(push::Hello{}, session.now, session.wall, session.stats);
  session.track();
  session.take(session.head(0, 0), "other");
  EXPECT_EQ(session.count(Fault::kMismatch), 1U);
}

TEST(PushJudge, ChunksMakeThePart) {
  Session session;
  session.track();
  const auto whole = part_bytes("media");
  auto head = session.head(0, 0);
  head.chunk = true;
  head.last = false;
  head.duration = 40;
  const auto first = std::span(whole).first(3);
  session.judge.take(push::Part{head, first}, session.now, session.wall, session.stats);
  EXPECT_EQ(session.stats.parts, 0U);
  head.last = true;
  head.offset = 3;
  head.decode_time = 40;
  head.duration = 60;
  session.judge.take(push::Part{head, std::span(whole).subspan(3)}, session.now, session.wall,
                     session.stats);
  session.take(0, 1);
  EXPECT_EQ(session.stats.parts, 2U);
  EXPECT_EQ(session.stats.fault_count(), 0U);
  // A hole between chunks.
  auto cut = session.head(0, 2);
  cut.chunk = true;
  cut.last = false;
  cut.offset = 7;
  session.take(cut);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
}

TEST(PushJudge, StreamsMayOvertakeEachOther) {
  Session session(false);
  session.take(0, 0);  // before its TRACK
  session.track();
  session.take(0, 2);
  session.take(0, 1);
  session.now += PushJudge::kPatience;
  session.judge.check_time(session.now, session.stats);
  session.take(0, 4);
  session.judge.check_time(session.now, session.stats);
  EXPECT_EQ(session.stats.fault_count(), 0U);
  session.take(0, 3);
  // DROPPED may come behind what follows the hole.
  session.take(2, 0);
  session.drop({1, 0}, {1, 4}, 5);
  session.judge.check_time(session.now, session.stats);
  EXPECT_EQ(session.stats.fault_count(), 0U);
  // A hole that lasts is one.
  session.take(2, 2);
  session.now += PushJudge::kPatience;
  session.judge.check_time(session.now, session.stats);
  EXPECT_EQ(session.count(Fault::kGap), 1U);
}

TEST(PushJudge, WhatBreaksTheProtocolIsTold) {
  Session session;
  session.take(0, 0);  // no TRACK
  EXPECT_EQ(session.count(Fault::kProtocol), 1U);
  session.judge.take(push::ErrorNotice{push::ErrorCode::kTooMany, "no"}, session.now, session.wall,
                     session.stats);
  EXPECT_EQ(session.count(Fault::kRefused), 1U);
}

TEST(PushWall, TilesGoRoundTheSubscriptions) {
  const std::vector<std::string> all = {"a/v", "b/v", "c/v"};
  EXPECT_EQ(target_of_wall("/push", all, 2, 0, false), "/push?subscribe=a/v&subscribe=b/v");
  EXPECT_EQ(target_of_wall("/push", all, 2, 1, true), "/push?subscribe=c/v&subscribe=a/v&chunks=1");
}

}  // namespace
}  // namespace mirror::load
