#include "rtp/hevc_payload.h"

#include <gtest/gtest.h>

#include "rtp/test_session.h"

namespace mirror::rtp {
namespace {

using namespace test;

SdpMedia hevc(std::map<std::string, std::string, std::less<>> parameters = {}) {
  SdpMedia medium;
  medium.kind = "video";
  medium.encoding = "h265";
  medium.clock_rate = 90'000;
  medium.parameters = std::move(parameters);
  return medium;
}

constexpr int kTrail = 1;
constexpr int kIdr = 19;

ByteVector nal(int type, const ByteVector& payload) {
  return cat({{static_cast<std::uint8_t>(type << 1), 1}, payload});
}
ByteVector slice(int type, bool first, std::size_t size, std::uint8_t seed = 1) {
  auto payload = filler(size, seed);
  payload[0] = first ? 0x80 : 0x40;
  return nal(type, payload);
}
const ByteVector kVps = nal(32, {0x0c, 0x01, 0xff});
// An id of 0 behind the profile: general_profile… of 88 bits, the level, then ue(0).
const ByteVector kSps = nal(33, {0x01, 1, 0x60, 0x11, 0x11, 0x90, 0x11, 0x11, 0x11, 0x11, 0x11,
                                 0x11, 0x5d, 0xa0, 0x02, 0x80});
const ByteVector kPps = nal(34, {0xc1, 0x72, 0xb4});
const ByteVector kDelimiter = nal(35, {0x50});
const ByteVector kPrefixSei = nal(39, {5, 1, 9, 0x80});
const ByteVector kSuffixSei = nal(40, {5, 1, 9, 0x80});

ByteVector aggregate(std::initializer_list<ByteVector> nals) {
  ByteVector out = {48 << 1, 1};
  for (const auto& n : nals) {
    out = cat(
        {out, {static_cast<std::uint8_t>(n.size() >> 8), static_cast<std::uint8_t>(n.size())}, n});
  }
  return out;
}

// Fragmentation units of at most `piece` bytes of payload.
std::vector<ByteVector> fragments(const ByteVector& n, std::size_t piece) {
  std::vector<ByteVector> out;
  const auto type = static_cast<std::uint8_t>(n[0] >> 1 & 0x3f);
  for (std::size_t at = 2; at < n.size(); at += piece) {
    const std::size_t end = std::min(at + piece, n.size());
    const std::uint8_t flags = (at == 2 ? 0x80 : 0) | (end == n.size() ? 0x40 : 0);
    ByteVector fu = {static_cast<std::uint8_t>((n[0] & 0x81) | 49 << 1), n[1],
                     static_cast<std::uint8_t>(flags | type)};
    fu.insert(fu.end(), n.begin() + static_cast<std::ptrdiff_t>(at),
              n.begin() + static_cast<std::ptrdiff_t>(end));
    out.push_back(fu);
  }
  return out;
}

TEST(HevcPayload, MarkerEndsAUnitOfAllThreeStructures) {
  Session session(hevc());
  const auto picture = slice(kIdr, true, 1000);
  session.push(9000, aggregate({kVps, kSps, kPps}), {.ms = 1});
  session.push(9000, kPrefixSei, {.ms = 2});
  const auto pieces = fragments(picture, 300);
  ASSERT_EQ(pieces.size(), 4U);
  for (const auto& piece : pieces) {
    EXPECT_TRUE(session.units().empty());
    session.push(9000, piece, {.marker = &piece == &pieces.back(), .ms = 5});
  }
  ASSERT_EQ(session.units().size(), 1U);
  const auto& unit = session.units()[0];
  EXPECT_EQ(bytes_of(unit), annexb({kVps, kSps, kPps, kPrefixSei, picture}));
  EXPECT_EQ(unit.track, 3U);
  EXPECT_EQ(unit.codec, media::Codec::kHevc);
  EXPECT_EQ(unit.pts.count(), 9000);
  EXPECT_EQ(unit.dts.count(), 9000);
  EXPECT_TRUE(unit.random_access);
  EXPECT_FALSE(unit.damaged);
  EXPECT_EQ(unit.received.steady, at_ms(5).steady);
  EXPECT_EQ(session.stats.access_units, 1U);
  EXPECT_EQ(session.stats.dropped_bytes, 0U);
  EXPECT_EQ(session.clock.dates, 1);
}

TEST(HevcPayload, ANewTimestampEndsAUnitToo) {
  Session session(hevc());
  session.push(9000, slice(kTrail, true, 50));
  session.push(9000, slice(kTrail, false, 50, 2));
  session.push(5400, slice(kTrail, true, 50));  // a B picture
  session.depacketizer->flush();
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_EQ(bytes_of(session.units()[0]),
            annexb({slice(kTrail, true, 50), slice(kTrail, false, 50, 2)}));
  EXPECT_EQ(session.units()[1].pts.count(), 5400);
  EXPECT_FALSE(session.units()[0].damaged);
  EXPECT_FALSE(session.units()[1].damaged);
  EXPECT_FALSE(session.units()[1].random_access);
}

TEST(HevcPayload, PicturesUnderOneTimestampAreCutApart) {
  Session session(hevc());
  session.push(9000, slice(kTrail, true, 50));
  session.push(9000, kSuffixSei);
  session.push(9000, aggregate({kDelimiter, kPrefixSei}));
  session.push(9000, slice(kIdr, true, 60));
  session.push(9000, slice(kIdr, false, 60));
  session.depacketizer->flush();
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_EQ(bytes_of(session.units()[0]), annexb({slice(kTrail, true, 50), kSuffixSei}));
  EXPECT_FALSE(session.units()[0].random_access);
  EXPECT_EQ(bytes_of(session.units()[1]),
            annexb({kDelimiter, kPrefixSei, slice(kIdr, true, 60), slice(kIdr, false, 60)}));
  EXPECT_TRUE(session.units()[1].random_access);
}

TEST(HevcPayload, ALostFragmentDamagesAndKeepsWhatCameBefore) {
  Session session(hevc());
  const auto picture = slice(kTrail, true, 1000);
  const auto pieces = fragments(picture, 300);
  session.push(9000, pieces[0]);
  session.push(9000, pieces[2], {.gap = true});
  session.push(9000, pieces[3], {.marker = true});
  const auto whole = slice(kTrail, true, 40);
  session.push(12600, whole, {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_TRUE(session.units()[0].damaged);
  EXPECT_EQ(bytes_of(session.units()[0]),
            annexb({ByteVector(picture.begin(), picture.begin() + 302)}));
  EXPECT_FALSE(session.units()[1].damaged);
  EXPECT_EQ(bytes_of(session.units()[1]), annexb({whole}));
  EXPECT_EQ(session.stats.damaged_access_units, 1U);
  EXPECT_EQ(session.stats.dropped_bytes, 300U + 100);
}

TEST(HevcPayload, AUnitWithItsEndLostIsDamagedAndTheNextIsNot) {
  Session session(hevc());
  session.push(9000, slice(kTrail, true, 50), {.marker = true});
  session.push(12600, fragments(slice(kTrail, true, 600), 300)[0]);
  session.push(16200, slice(kTrail, true, 50), {.marker = true, .gap = true});
  ASSERT_EQ(session.units().size(), 3U);
  EXPECT_FALSE(session.units()[0].damaged);
  EXPECT_TRUE(session.units()[1].damaged);
  EXPECT_FALSE(session.units()[2].damaged);
}

TEST(HevcPayload, AUnitWithItsStartLostIsDamagedOrDropped) {
  Session session(hevc());
  // Of several slices the first is missing.
  session.push(9000, slice(kTrail, true, 50), {.marker = true});
  session.push(12600, slice(kTrail, false, 50), {.marker = true, .gap = true});
  // Of one slice the first half is missing: nothing is of use.
  session.push(16200, fragments(slice(kTrail, true, 600), 300)[1], {.marker = true, .gap = true});
  session.push(19800, slice(kTrail, true, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 3U);
  EXPECT_TRUE(session.units()[1].damaged);
  EXPECT_EQ(session.units()[2].pts.count(), 19800);
  EXPECT_FALSE(session.units()[2].damaged);
  EXPECT_EQ(session.stats.dropped_bytes, 300U);
}

TEST(HevcPayload, JoiningInMidPictureIsLikeALoss) {
  Session session(hevc());
  session.push(9000, slice(kTrail, false, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_TRUE(session.units()[0].damaged);
}

TEST(HevcPayload, ParameterSetsComeBeforeEachRandomAccessUnitThatLacksThem) {
  // kVps, kSps and kPps in base64.
  Session session(hevc({{"sprop-vps", "QAEMAf8="},
                        {"sprop-sps", "QgEBAWAREZARERERERFdoAKA"},
                        {"sprop-pps", "RAHBcrQ="}}));
  session.push(0, cat({kDelimiter}));
  session.push(0, slice(kIdr, true, 50), {.marker = true});
  session.push(3600, slice(kTrail, true, 50), {.marker = true});
  const auto other_sps = cat({kSps, {0x55}});
  session.push(7200, aggregate({kVps, other_sps, kPps}));
  session.push(7200, slice(kIdr, true, 50), {.marker = true});
  session.push(10800, slice(kIdr, true, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 4U);
  EXPECT_EQ(bytes_of(session.units()[0]),
            annexb({kDelimiter, kVps, kSps, kPps, slice(kIdr, true, 50)}));
  EXPECT_EQ(bytes_of(session.units()[1]), annexb({slice(kTrail, true, 50)}));
  EXPECT_EQ(bytes_of(session.units()[2]), annexb({kVps, other_sps, kPps, slice(kIdr, true, 50)}));
  EXPECT_EQ(bytes_of(session.units()[3]), annexb({kVps, other_sps, kPps, slice(kIdr, true, 50)}));
}

TEST(HevcPayload, ParameterSetsThatComeAloneWaitForTheirPicture) {
  Session session(hevc());
  session.push(100, aggregate({kVps, kSps, kPps}), {.marker = true});
  EXPECT_TRUE(session.units().empty());
  session.push(3600, slice(kIdr, true, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_EQ(bytes_of(session.units()[0]), annexb({kVps, kSps, kPps, slice(kIdr, true, 50)}));
  EXPECT_EQ(session.units()[0].pts.count(), 3600);
}

TEST(HevcPayload, MarkersInMidPictureAreNoticed) {
  Session session(hevc());
  for (std::uint32_t picture = 0; picture < 3; ++picture) {
    session.push(picture * 3600, slice(kTrail, true, 50), {.marker = true});
    session.push(picture * 3600, slice(kTrail, false, 50), {.marker = true});
  }
  session.depacketizer->flush();
  // The first was believed; nobody can flag it any more.
  ASSERT_EQ(session.units().size(), 3U);
  for (std::size_t i : {1U, 2U}) {
    EXPECT_EQ(session.units()[i].data.size(), 2 * 56U);
    EXPECT_FALSE(session.units()[i].damaged);
  }
}

TEST(HevcPayload, SilenceEndsAUnitWithoutAMarker) {
  Session session(hevc());
  session.push(0, slice(kTrail, true, 50), {.ms = 0});
  session.depacketizer->idle(at_ms(99));
  EXPECT_TRUE(session.units().empty());
  session.depacketizer->idle(at_ms(100));
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_FALSE(session.units()[0].damaged);
  session.push(0, slice(kTrail, false, 50), {.ms = 200});  // too late
  EXPECT_EQ(session.stats.dropped_bytes, 52U);
  // Where markers are the custom, one is missing.
  session.push(3600, slice(kTrail, true, 50), {.marker = true, .ms = 300});
  session.push(7200, slice(kTrail, true, 50), {.ms = 400});
  session.depacketizer->idle(at_ms(600));
  ASSERT_EQ(session.units().size(), 3U);
  EXPECT_FALSE(session.units()[1].damaged);
  EXPECT_TRUE(session.units()[2].damaged);
}

TEST(HevcPayload, WhatCannotBeReadIsSkippedCountedAndDamages) {
  const ByteVector unreadable[] = {
      {50 << 1, 1, 0x02, 0x10, 1, 2, 3},     // PACI
      {63 << 1, 1, 1},                       // reserved
      {2},                                   // half a header
      {48 << 1, 1, 0, 9, 2, 1, 0x40},        // an aggregate that is cut off
      {48 << 1, 1, 0, 3, 49 << 1, 1, 0x40},  // a fragment in an aggregate
      {49 << 1, 1, 0x80 | 1},                // a fragment of nothing
      {49 << 1, 1, 0x80 | 48, 1},            // a fragmented aggregate
  };
  for (const auto& payload : unreadable) {
    SCOPED_TRACE(testing::PrintToString(payload));
    Session session(hevc());
    session.push(0, slice(kTrail, true, 50), {.marker = true});
    session.push(3600, slice(kTrail, true, 50));
    session.push(3600, payload, {.marker = true});
    session.push(7200, slice(kTrail, true, 50), {.marker = true});
    ASSERT_EQ(session.units().size(), 3U);
    EXPECT_TRUE(session.units()[1].damaged);
    EXPECT_FALSE(session.units()[2].damaged);
    EXPECT_GT(session.stats.dropped_bytes, 0U);
  }
}

TEST(HevcPayload, AnEmptyPayloadSaysNothing) {
  Session session(hevc());
  session.push(0, slice(kTrail, true, 50));
  session.push(0, {}, {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_FALSE(session.units()[0].damaged);
}

TEST(HevcPayload, AUnitOverTheLimitIsDroppedWhole) {
  Session session(hevc());
  session.push(0, slice(kTrail, true, 50), {.marker = true});
  const auto pieces = fragments(slice(kTrail, true, kAccessUnitBytesMax + 5000), 60'000);
  for (const auto& piece : pieces) session.push(3600, piece, {.marker = &piece == &pieces.back()});
  EXPECT_EQ(session.units().size(), 1U);
  EXPECT_GE(session.stats.dropped_bytes, kAccessUnitBytesMax);
  session.push(7200, slice(kTrail, true, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_FALSE(session.units()[1].damaged);
}

TEST(HevcPayload, ABrokenTimeLineIsToldOnce) {
  Session session(hevc());
  session.clock.broken = true;
  session.push(0, kPrefixSei, {.marker = true});
  session.push(3600, slice(kTrail, true, 50), {.marker = true});
  session.push(7200, slice(kTrail, true, 50), {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_TRUE(session.units()[0].discontinuity);
  EXPECT_FALSE(session.units()[1].discontinuity);
}

TEST(HevcPayload, RefusesWhatItCannotRead) {
  EXPECT_EQ(fault_of(hevc({{"sprop-max-don-diff", "2"}})),
            "H.265 with sprop-max-don-diff=2: decoding order numbers are not supported");
  EXPECT_EQ(fault_of(hevc({{"sprop-max-don-diff", "0"}})), "");
  EXPECT_EQ(fault_of(hevc({{"tx-mode", "MRST"}})),
            "H.265 with tx-mode=MRST: only SRST is supported");
  EXPECT_EQ(fault_of(hevc({{"sprop-vps", "?"}})), "sprop-vps: \"?\" is not base64");
  EXPECT_EQ(fault_of(hevc({{"sprop-vps", "AAAA"}})), "sprop-vps: \"AAAA\" is no parameter set");
  EXPECT_EQ(fault_of(hevc({{"sprop-vps", ""}, {"sprop-sps", ","}})), "");
  auto slow = hevc();
  slow.clock_rate = 48'000;
  EXPECT_EQ(fault_of(slow), "h265 with a clock rate of 48000 Hz; it has to be 90000");
  auto other = hevc();
  other.encoding = "vp8";
  EXPECT_EQ(fault_of(other), "RTP payload format \"vp8\" is not supported");
}

TEST(ParameterSets, NewestOfEachIdInOrderAndWithinLimits) {
  ParameterSets sets(media::Codec::kHevc);
  EXPECT_TRUE(sets.offer(kPps));
  EXPECT_TRUE(sets.offer(kSps));
  EXPECT_TRUE(sets.offer(kVps));
  EXPECT_FALSE(sets.offer(kPrefixSei));
  EXPECT_TRUE(sets.offer(kVps));
  const auto held = [&] {
    return ByteVector(sets.byte_stream().begin(), sets.byte_stream().end());
  };
  EXPECT_EQ(held(), annexb({kVps, kSps, kPps}));
  const auto other_pps = cat({kPps, {1}});
  EXPECT_TRUE(sets.offer(other_pps));
  EXPECT_EQ(held(), annexb({kVps, kSps, other_pps}));
  const auto second_pps = nal(34, {0x41, 0x72});  // id 1
  EXPECT_TRUE(sets.offer(second_pps));
  EXPECT_EQ(held(), annexb({kVps, kSps, other_pps, second_pps}));
  EXPECT_FALSE(sets.offer(cat({kPps, filler(ParameterSets::kSetBytesMax)})));
  EXPECT_FALSE(sets.offer(nal(34, {0, 0, 0, 0, 0})));  // an id without end
  for (int i = 0; i < 16; ++i) {
    sets.offer(cat({nal(32, {static_cast<std::uint8_t>(i << 4 | 0xc)}), filler(4000)}));
  }
  EXPECT_LE(sets.byte_stream().size(), ParameterSets::kBytesMax);
}

}  // namespace
}  // namespace mirror::rtp
