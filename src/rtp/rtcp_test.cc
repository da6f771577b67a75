#include "rtp/rtcp.h"

#include <gtest/gtest.h>

#include <chrono>

#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

using namespace std::chrono_literals;
using ByteVector = std::vector<std::uint8_t>;

// A sender report of 0x01020304, as RFC 3550 6.4.1 draws it.
const ByteVector kSenderReport = {0x80, 200, 0,    6,    1, 2, 3, 4, 0xe0, 0, 0, 0, 0x80, 0,
                                  0,    0,   0xaa, 0xbb, 0, 1, 0, 0, 0,    7, 0, 0, 0x10, 0};
// Its description: CNAME "me".
const ByteVector kDescription = {0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, 'm', 'e', 0, 0, 0, 0};
const ByteVector kGoodbye = {0x81, 203, 0, 1, 1, 2, 3, 4};

ByteVector cat(std::initializer_list<ByteVector> parts) {
  ByteVector out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

TEST(Rtcp, ReadsACompound) {
  const auto compound = parse_rtcp(cat({kSenderReport, kDescription, kGoodbye}));
  ASSERT_TRUE(compound);
  ASSERT_EQ(compound->sender_reports.size(), 1U);
  const auto& report = compound->sender_reports[0];
  EXPECT_EQ(report.ssrc, 0x01020304U);
  EXPECT_EQ(report.ntp, 0xe000'0000'8000'0000U);
  EXPECT_EQ(report.rtp_timestamp, 0xaabb0001U);
  EXPECT_EQ(report.packets, 7U);
  EXPECT_EQ(report.octets, 0x1000U);
  ASSERT_EQ(compound->names.size(), 1U);
  EXPECT_EQ(compound->names[0].name, "me");
  EXPECT_EQ(compound->goodbyes, std::vector<std::uint32_t>{0x01020304});
}

TEST(Rtcp, PaddingBelongsToTheLastPacketOnly) {
  auto padded = kGoodbye;
  padded[0] |= 0x20;
  padded[3] = 2;
  padded.insert(padded.end(), {0, 0, 0, 4});
  ASSERT_TRUE(parse_rtcp(cat({kSenderReport, padded})));
  EXPECT_EQ(parse_rtcp(cat({kSenderReport, padded}))->goodbyes.size(), 1U);
  EXPECT_FALSE(parse_rtcp(cat({padded, kSenderReport})));
  padded.back() = 9;
  EXPECT_FALSE(parse_rtcp(padded));
}

TEST(Rtcp, RefusesWhatIsNone) {
  EXPECT_FALSE(parse_rtcp({}));
  EXPECT_FALSE(parse_rtcp(ByteVector{0x80, 33, 0, 0}));         // RTP
  EXPECT_FALSE(parse_rtcp(ByteVector{0x40, 200, 0, 0}));        // version 1
  EXPECT_FALSE(parse_rtcp(ByteVector{0x80, 200, 0, 1}));        // cut off
  EXPECT_FALSE(parse_rtcp(cat({kSenderReport, {0x80, 203}})));  // half a header behind
  const auto empty = parse_rtcp(ByteVector{0x80, 200, 0, 0});   // too short for what it says
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->sender_reports.empty());
}

TEST(Rtcp, DescriptionsThatRunOverAreDropped) {
  auto long_item = kDescription;
  long_item[9] = 200;
  const auto compound = parse_rtcp(long_item);
  ASSERT_TRUE(compound);
  EXPECT_TRUE(compound->names.empty());
}

TEST(Rtcp, KeepsSoManyAndNoMore) {
  ByteVector many;
  for (std::size_t i = 0; i < 3 * kRtcpItemsMax; ++i) {
    many = cat({many, kSenderReport, kDescription, kGoodbye});
  }
  const auto compound = parse_rtcp(many);
  ASSERT_TRUE(compound);
  EXPECT_EQ(compound->sender_reports.size(), kRtcpItemsMax);
  EXPECT_EQ(compound->names.size(), kRtcpItemsMax);
  EXPECT_EQ(compound->goodbyes.size(), kRtcpItemsMax);
}

TEST(Rtcp, ReceiverReportIsAsTheStandardDrawsIt) {
  const ReceptionReport report{.ssrc = 0x01020304,
                               .fraction_lost = 0x40,
                               .cumulative_lost = -2,
                               .highest_sequence = 0x0001'0002,
                               .jitter = 5,
                               .last_sr = 6,
                               .delay_since_last_sr = 7};
  const auto bytes = make_receiver_report(0xa0b0c0d0, std::span(&report, 1), "mir");
  EXPECT_EQ(bytes,
            (ByteVector{0x81, 201, 0, 7, 0xa0, 0xb0, 0xc0, 0xd0,                //
                        1,    2,   3, 4, 0x40, 0xff, 0xff, 0xfe, 0, 1, 0,   2,  //
                        0,    0,   0, 5, 0,    0,    0,    6,    0, 0, 0,   7,  //
                        0x81, 202, 0, 3, 0xa0, 0xb0, 0xc0, 0xd0, 1, 3, 'm', 'i', 'r', 0, 0, 0}));
  const auto read_back = parse_rtcp(bytes);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(read_back->names[0].name, "mir");
}

TEST(Rtcp, ReceiverReportClampsAndStaysReadable) {
  const std::vector<ReceptionReport> many(40, {.cumulative_lost = std::int64_t{1} << 40U});
  for (std::size_t length : {0U, 1U, 2U, 3U, 255U, 300U}) {
    const auto bytes = make_receiver_report(1, many, std::string(length, 'x'));
    ASSERT_EQ(bytes.size() % 4, 0U);
    const auto compound = parse_rtcp(bytes);
    ASSERT_TRUE(compound) << length;
    ASSERT_EQ(compound->names.size(), 1U) << length;
    EXPECT_EQ(compound->names[0].name.size(), std::min<std::size_t>(length, 255));
    EXPECT_EQ(bytes[0] & 0x1f, 31);
    EXPECT_EQ(read_u32(std::span(bytes).subspan(12)), 0x007f'ffffU);
  }
}

TEST(Rtcp, Times) {
  EXPECT_EQ(last_sr_of(0x1122'3344'5566'7788), 0x3344'5566U);
  EXPECT_EQ(delay_since_last_sr(1500ms), 98'304U);
  EXPECT_EQ(delay_since_last_sr(-1s), 0U);
  EXPECT_EQ(delay_since_last_sr(24h * 365), 0xffff'ffffU);
  using namespace std::chrono;
  EXPECT_EQ(wall_time_of(0x83aa'7e80'8000'0000), WallTime(500ms));
  EXPECT_EQ(wall_time_of(0x0000'0000'0000'0000), sys_days(2036y / February / 7) + 6h + 28min + 16s);
}

TEST(Rtcp, IsToldApartFromRtp) {
  EXPECT_TRUE(is_rtcp(kSenderReport));
  EXPECT_FALSE(is_rtcp(ByteVector{0x80, 96, 0, 0}));
  EXPECT_FALSE(is_rtcp(ByteVector{0x80, 0xe0, 0, 0}));  // payload type 96 with a marker
  EXPECT_FALSE(is_rtcp(ByteVector{0x80}));
}

}  // namespace
}  // namespace mirror::rtp
