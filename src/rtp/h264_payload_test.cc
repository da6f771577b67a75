#include "rtp/h264_payload.h"

#include <gtest/gtest.h>

#include "rtp/test_session.h"

namespace mirror::rtp {
namespace {

using namespace test;

SdpMedia h264(std::map<std::string, std::string, std::less<>> parameters = {}) {
  SdpMedia medium;
  medium.kind = "video";
  medium.encoding = "h264";
  medium.clock_rate = 90'000;
  medium.parameters = std::move(parameters);
  return medium;
}

ByteVector slice(bool idr, bool first, std::size_t size, std::uint8_t seed = 1) {
  auto payload = filler(size, seed);
  payload[0] = first ? 0x88 : 0x48;
  return cat({{static_cast<std::uint8_t>(idr ? 0x65 : 0x41)}, payload});
}
const ByteVector kSps = {0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01};
const ByteVector kPps = {0x68, 0xce, 0x38};
const ByteVector kDelimiter = {9, 0xf0};
const ByteVector kRecoveryPoint = {6, 6, 1, 0x84, 0x80};

ByteVector stap_a(std::initializer_list<ByteVector> nals) {
  ByteVector out = {24 | 0x60};
  for (const auto& n : nals) out = cat({out, {0, static_cast<std::uint8_t>(n.size())}, n});
  return out;
}

std::vector<ByteVector> fragments(const ByteVector& n, std::size_t piece) {
  std::vector<ByteVector> out;
  for (std::size_t at = 1; at < n.size(); at += piece) {
    const std::size_t end = std::min(at + piece, n.size());
    const int flags = (at == 1 ? 0x80 : 0) | (end == n.size() ? 0x40 : 0);
    ByteVector fu = {static_cast<std::uint8_t>((n[0] & 0xe0) | 28),
                     static_cast<std::uint8_t>(flags | (n[0] & 0x1f))};
    fu.insert(fu.end(), n.begin() + static_cast<std::ptrdiff_t>(at),
              n.begin() + static_cast<std::ptrdiff_t>(end));
    out.push_back(fu);
  }
  return out;
}

TEST(H264Payload, ReadsSingleUnitsAggregatesAndFragments) {
  Session session(h264({{"packetization-mode", "1"}}));
  const auto picture = slice(true, true, 1000);
  session.push(0, stap_a({kDelimiter, kSps, kPps}));
  for (const auto& piece : fragments(picture, 400)) session.push(0, piece);
  session.push(0, slice(true, false, 20), {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_EQ(bytes_of(session.units()[0]),
            annexb({kDelimiter, kSps, kPps, picture, slice(true, false, 20)}));
  EXPECT_TRUE(session.units()[0].random_access);
  EXPECT_FALSE(session.units()[0].damaged);
  EXPECT_EQ(session.units()[0].codec, media::Codec::kH264);
}

TEST(H264Payload, RecoveryPointsAreRandomAccessAndGetParameterSets) {
  Session session(h264({{"sprop-parameter-sets", "Z0LAHtkB,aM44"}}));
  session.push(0, slice(false, true, 20), {.marker = true});
  session.push(3600, kRecoveryPoint);
  session.push(3600, slice(false, true, 20), {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_FALSE(session.units()[0].random_access);
  EXPECT_TRUE(session.units()[1].random_access);
  EXPECT_EQ(bytes_of(session.units()[1]),
            annexb({kSps, kPps, kRecoveryPoint, slice(false, true, 20)}));
}

TEST(H264Payload, FragmentsOfAnotherNalUnitDoNotMix) {
  Session session(h264());
  const auto picture = slice(false, true, 600);
  const auto other = slice(true, true, 600);
  session.push(0, slice(false, true, 9), {.marker = true});
  session.push(3600, fragments(picture, 300)[0]);
  session.push(3600, fragments(other, 300)[1], {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_TRUE(session.units()[1].damaged);
  EXPECT_EQ(bytes_of(session.units()[1]),
            annexb({ByteVector(picture.begin(), picture.begin() + 301)}));
}

TEST(H264Payload, FieldsOfAFrameStayTogether) {
  // As in codec_test.cc: frame_num of 4 bits, frame_mbs_only_flag 0.
  const ByteVector sps = {0x67, 0x42, 0, 0x1e, 0b11011010, 0b01101000};
  const ByteVector top = {0x41, 0b11101011, 0b00000000};
  const ByteVector bottom = {0x41, 0b11101011, 0b10000000};
  Session session(h264());
  session.push(0, sps);
  session.push(0, kPps);
  session.push(0, top);
  session.push(0, bottom, {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_EQ(bytes_of(session.units()[0]), annexb({sps, kPps, top, bottom}));
  // A marker between them is not believed a second time.
  for (std::uint32_t frame = 1; frame < 3; ++frame) {
    session.push(frame * 3600, top, {.marker = true});
    session.push(frame * 3600, bottom, {.marker = true});
  }
  session.depacketizer->flush();
  ASSERT_EQ(session.units().size(), 3U);
  EXPECT_EQ(bytes_of(session.units()[2]), annexb({top, bottom}));
}

TEST(H264Payload, WhatInterleavesIsSkippedCountedAndDamages) {
  for (const int type : {0, 25, 26, 27, 29, 30, 31}) {
    Session session(h264());
    session.push(0, slice(false, true, 50), {.marker = true});
    session.push(3600, slice(false, true, 50));
    session.push(3600, {static_cast<std::uint8_t>(0x60 | type), 1, 2, 3}, {.marker = true});
    ASSERT_EQ(session.units().size(), 2U) << type;
    EXPECT_TRUE(session.units()[1].damaged) << type;
    EXPECT_EQ(session.stats.dropped_bytes, 4U) << type;
  }
  EXPECT_EQ(fault_of(h264({{"packetization-mode", "2"}})),
            "H.264 with packetization-mode=2: only 0 and 1 are supported");
  EXPECT_EQ(fault_of(h264({{"sprop-parameter-sets", "Z0LAHtkB,!"}})),
            "sprop-parameter-sets: \"!\" is not base64");
}

}  // namespace
}  // namespace mirror::rtp
