#include "rtp/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "rtp/test_packets.h"

namespace mirror::rtp {
namespace {

using test::Datagram;
using testing::ElementsAre;

std::vector<std::uint8_t> bytes_of(std::span<const std::uint8_t> view) {
  return {view.begin(), view.end()};
}

TEST(Packet, ReadsTheFixedHeader) {
  const Datagram datagram = test::packet({.sequence = 0xfffe,
                                          .timestamp = 0x89abcdef,
                                          .ssrc = 0xdeadbeef,
                                          .payload_type = 96,
                                          .marker = true},
                                         std::vector<std::uint8_t>{1, 2, 3});
  const auto packet = parse_packet(datagram);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->payload_type, 96);
  EXPECT_TRUE(packet->marker);
  EXPECT_EQ(packet->sequence, 0xfffe);
  EXPECT_EQ(packet->timestamp, 0x89abcdefU);
  EXPECT_EQ(packet->ssrc, 0xdeadbeefU);
  EXPECT_THAT(bytes_of(packet->payload), ElementsAre(1, 2, 3));
}

TEST(Packet, LeavesOutContributorsExtensionAndPadding) {
  Datagram datagram = test::packet({}, {});
  datagram[0] = 0xb2;         // padding, extension, two contributors
  test::put(datagram, 0, 8);  // the contributors
  test::put(datagram, 0xbede, 2);
  test::put(datagram, 1, 2);  // of one word
  test::put(datagram, 0, 4);
  test::put(datagram, 0x0708, 2);      // the payload
  test::put(datagram, 0x00000003, 3);  // three bytes of padding
  const auto packet = parse_packet(datagram);
  ASSERT_TRUE(packet);
  EXPECT_THAT(bytes_of(packet->payload), ElementsAre(7, 8));
}

TEST(Packet, MayBeEmpty) {
  const auto packet = parse_packet(test::packet({}, {}));
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->payload.empty());
}

TEST(Packet, IsNotTakenWhenItIsCutOff) {
  Datagram datagram = test::packet({}, {});
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    EXPECT_FALSE(parse_packet(std::span(datagram).first(size))) << size;
  }
  datagram[0] = 0x81;  // a contributor that is not there
  EXPECT_FALSE(parse_packet(datagram));
  datagram[0] = 0x90;  // an extension that is not there
  EXPECT_FALSE(parse_packet(datagram));
  test::put(datagram, 0xbedeffff, 4);  // one that is longer than the datagram
  EXPECT_FALSE(parse_packet(datagram));
}

TEST(Packet, IsNotTakenWithPaddingThatDoesNotFit) {
  Datagram datagram = test::packet({}, std::vector<std::uint8_t>{9, 9, 4});
  datagram[0] = 0xa0;
  EXPECT_FALSE(parse_packet(datagram));
  datagram.back() = 0;
  EXPECT_FALSE(parse_packet(datagram));
  datagram.back() = 3;
  ASSERT_TRUE(parse_packet(datagram));
  EXPECT_TRUE(parse_packet(datagram)->payload.empty());
  datagram.resize(12);
  EXPECT_FALSE(parse_packet(datagram));
}

TEST(Packet, IsNotTakenInAnotherVersion) {
  for (const int first : {0x00, 0x40, 0x47, 0xc0}) {
    Datagram datagram = test::packet({}, {});
    datagram[0] = static_cast<std::uint8_t>(first);
    EXPECT_FALSE(parse_packet(datagram)) << first;
  }
}

TEST(Packet, ReplaysTheFuzzCorpus) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/rtp")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const Datagram bytes(std::istreambuf_iterator<char>(file), {});
    (void)parse_packet(bytes);
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace mirror::rtp
