#include "rtp/aac_depacketizer.h"

#include <gtest/gtest.h>

#include "codec/audio_frame.h"
#include "rtp/test_session.h"

namespace mirror::rtp {
namespace {

using namespace test;

SdpMedia aac(std::map<std::string, std::string, std::less<>> parameters = {}) {
  SdpMedia medium;
  medium.kind = "audio";
  medium.encoding = "mpeg4-generic";
  medium.clock_rate = 48'000;
  medium.channels = 2;
  medium.parameters = {{"mode", "AAC-hbr"},
                       {"sizelength", "13"},
                       {"indexlength", "3"},
                       {"indexdeltalength", "3"},
                       {"config", "119056E500"}};
  for (auto& [name, value] : parameters) medium.parameters[name] = value;
  return medium;
}

// The AU headers of AAC-hbr for frames of these sizes, and their bytes.
ByteVector packet(std::initializer_list<std::size_t> sizes, const ByteVector& bytes,
                  std::uint8_t index = 0, std::uint8_t delta = 0) {
  ByteVector out = {0, static_cast<std::uint8_t>(16 * sizes.size())};
  bool first = true;
  for (const std::size_t size : sizes) {
    const std::uint8_t number = first ? index : delta;
    out = cat(
        {out,
         {static_cast<std::uint8_t>(size >> 5), static_cast<std::uint8_t>(size << 3 | number)}});
    first = false;
  }
  return cat({out, bytes});
}

ByteVector raw_of(const media::AccessUnit& unit) {
  const auto bytes = bytes_of(unit);
  return {bytes.begin() + 7, bytes.end()};
}

TEST(AacDepacketizer, FramesGetAHeaderAndATime) {
  Session session(aac());
  session.push(1000, packet({5, 300}, cat({filler(5), filler(300)})), {.marker = true, .ms = 4});
  ASSERT_EQ(session.units().size(), 2U);
  const auto& unit = session.units()[1];
  EXPECT_EQ(unit.pts.count(), 1000 + 1024);
  EXPECT_EQ(unit.dts.count(), 1000 + 1024);
  EXPECT_EQ(unit.codec, media::Codec::kAac);
  EXPECT_EQ(unit.track, 3U);
  EXPECT_TRUE(unit.random_access);
  EXPECT_EQ(unit.received.steady, at_ms(4).steady);
  EXPECT_EQ(raw_of(unit), filler(300));
  const auto header = codec::parse_adts(unit.data.span());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->frame_size, 307);
  EXPECT_EQ(header->header_size, 7);
  EXPECT_EQ(header->audio_object_type, 2);
  EXPECT_EQ(header->sample_rate(), 48'000U);
  EXPECT_EQ(header->channel_configuration, 2);
  EXPECT_EQ(header->raw_data_blocks, 1);
  EXPECT_EQ(session.stats.access_units, 2U);
}

TEST(AacDepacketizer, AFrameOverSeveralPackets) {
  Session session(aac());
  const auto frame = filler(2000);
  const ByteVector head(frame.begin(), frame.begin() + 1200);
  const ByteVector tail(frame.begin() + 1200, frame.end());
  session.push(0, packet({2000}, head));
  EXPECT_TRUE(session.units().empty());
  session.push(0, packet({2000}, tail), {.marker = true});
  ASSERT_EQ(session.units().size(), 1U);
  EXPECT_EQ(raw_of(session.units()[0]), frame);
  EXPECT_EQ(session.stats.dropped_bytes, 0U);

  // Without its beginning, its end, or its middle it is dropped, and the next one is whole.
  session.push(1024, packet({2000}, tail), {.marker = true, .gap = true});
  session.push(2048, packet({2000}, head));
  session.push(3072, packet({10}, filler(10)), {.marker = true});
  session.push(4096, packet({2000}, head));
  session.push(4096, packet({2000}, tail), {.marker = true, .gap = true});
  session.push(5120, packet({11}, filler(11)), {.marker = true});
  ASSERT_EQ(session.units().size(), 3U);
  EXPECT_EQ(session.units()[1].pts.count(), 3072);
  EXPECT_EQ(session.units()[2].pts.count(), 5120);
  EXPECT_EQ(session.stats.dropped_bytes, 800U + 1200 + 1200 + 800);
}

TEST(AacDepacketizer, LowRate) {
  auto medium = aac(
      {{"mode", "aac-lbr"}, {"sizelength", "6"}, {"indexlength", "2"}, {"indexdeltalength", "2"}});
  Session session(medium);
  session.push(0, cat({{0, 16, 3 << 2, 2 << 2}, filler(3), filler(2)}), {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_EQ(raw_of(session.units()[0]), filler(3));
  EXPECT_EQ(raw_of(session.units()[1]), filler(2));
}

TEST(AacDepacketizer, WhatCannotBeReadIsDroppedAndCounted) {
  Session session(aac());
  session.push(0, packet({5, 5}, filler(10), 0, 1));  // interleaved
  EXPECT_EQ(session.stats.dropped_bytes, 16U);
  session.push(0, {0, 0, 1, 2});   // no header
  session.push(0, {0, 64, 1, 2});  // cut off
  session.push(0, {7});
  EXPECT_EQ(session.stats.dropped_bytes, 16U + 4 + 4 + 1);
  EXPECT_TRUE(session.units().empty());
  session.push(0, packet({5, 9}, filler(8)));  // the second is cut off
  EXPECT_EQ(session.units().size(), 1U);
  session.push(0, packet({8190}, filler(8190)));  // longer than ADTS can say
  session.push(0, packet({0}, {}));
  session.push(0, {});
  EXPECT_EQ(session.units().size(), 1U);
  session.push(0, packet({5}, filler(5), 3));  // a sender that numbers its packets
  EXPECT_EQ(session.units().size(), 2U);
}

TEST(AacDepacketizer, RefusesWhatItCannotRead) {
  EXPECT_EQ(fault_of(aac()), "");
  EXPECT_EQ(fault_of(aac({{"maxdisplacement", "4096"}})),
            "mpeg4-generic with maxdisplacement=4096 is not supported");
  EXPECT_EQ(fault_of(aac({{"ctsdeltalength", "8"}})),
            "mpeg4-generic with ctsdeltalength=8 is not supported");
  EXPECT_EQ(fault_of(aac({{"mode", "generic"}})),
            "mpeg4-generic with mode \"generic\": only AAC-hbr and AAC-lbr are supported");
  EXPECT_EQ(fault_of(aac({{"sizelength", "0"}})), "mpeg4-generic without sizelength");
  EXPECT_EQ(fault_of(aac({{"indexlength", "99"}})), "mpeg4-generic: indexlength=99 is too long");
  EXPECT_EQ(fault_of(aac({{"config", "11x0"}})), "mpeg4-generic: config is not hexadecimal");
  EXPECT_EQ(fault_of(aac({{"config", "11"}})), "AudioSpecificConfig of 1 bytes is too short");
  EXPECT_EQ(fault_of(aac({{"config", "1180"}})), "AAC of channel configuration 0 is not supported");
  EXPECT_EQ(fault_of(aac({{"config", "B990"}})), "AAC of audio object type 23 is not supported");
  EXPECT_EQ(fault_of(aac({{"config", "1194"}})), "AAC with frames of 960 samples is not supported");
  EXPECT_EQ(fault_of(aac({{"constantduration", "0"}})), "mpeg4-generic with frames of 0 ticks");
  auto without = aac();
  without.parameters.erase("config");
  EXPECT_EQ(fault_of(without), "mpeg4-generic without config");
}

// HE-AAC, signalled: the core at 24 kHz, the RTP clock at what is heard.
TEST(AacDepacketizer, SbrDoublesTheTicksOfAFrame) {
  auto medium = aac({{"config", "2B098800"}});  // 00101 0110 0001 0011 00010 0…
  Session session(medium);
  session.push(0, packet({5, 5}, filler(10)), {.marker = true});
  ASSERT_EQ(session.units().size(), 2U);
  EXPECT_EQ(session.units()[1].pts.count(), 2048);
  const auto header = codec::parse_adts(session.units()[0].data.span());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->sample_rate(), 24'000U);
  EXPECT_EQ(header->channel_configuration, 1);
  EXPECT_EQ(header->audio_object_type, 2);
}

}  // namespace
}  // namespace mirror::rtp
