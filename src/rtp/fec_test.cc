#include "rtp/fec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "rtp/test_packets.h"

namespace mirror::rtp {
namespace {

using test::Datagram;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// Media of different lengths, timestamps, markers: all of it is protected.
std::vector<Datagram> media(std::uint16_t first, std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<Datagram> made;
  for (std::size_t i = 0; i < count; ++i) {
    Datagram payload(1 + random() % 1400);
    for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random());
    made.push_back(test::packet({.sequence = static_cast<std::uint16_t>(first + i),
                                 .timestamp = static_cast<std::uint32_t>(random()),
                                 .payload_type = 96,
                                 .marker = random() % 3 == 0},
                                payload));
  }
  return made;
}

struct Decoder {
  void give(const Datagram& datagram) {
    fec.push_media(static_cast<std::uint16_t>(datagram[2] << 8 | datagram[3]), datagram);
  }
  std::vector<Datagram> recover() {
    std::vector<Datagram> made;
    fec.recover([&](auto bytes) { made.emplace_back(bytes.begin(), bytes.end()); });
    return made;
  }
  FecDecoder fec;
};

TEST(Fec, ReadsTheHeaderAsProMpegSendersWriteIt) {
  const auto packets = media(1000, 25);
  const Datagram column = test::parity(packets, 2, 5, 5);
  const auto fec = parse_fec(column);
  ASSERT_TRUE(fec);
  EXPECT_EQ(fec->base, 1002);
  EXPECT_EQ(fec->offset, 5);
  EXPECT_EQ(fec->count, 5);
  EXPECT_EQ(fec->payload.size(), column.size() - 28);
}

TEST(Fec, TakesNothingThatMakesNoSense) {
  const auto packets = media(0, 25);
  const Datagram good = test::parity(packets, 0, 1, 5);
  ASSERT_TRUE(parse_fec(good));
  for (std::size_t size = 0; size < 28; ++size) {
    EXPECT_FALSE(parse_fec(std::span(good).first(size)));
  }
  const auto with = [&good](std::size_t at, std::uint8_t value) {
    Datagram changed = good;
    changed[at] = value;
    return changed;
  };
  EXPECT_FALSE(parse_fec(with(0, 0x47))) << "no RTP";
  EXPECT_FALSE(parse_fec(with(16, 33))) << "RFC 2733 with a mask";
  EXPECT_FALSE(parse_fec(with(24, 0x48))) << "another code than the exclusive or";
  EXPECT_FALSE(parse_fec(with(25, 0))) << "no offset";
  EXPECT_FALSE(parse_fec(with(26, 0))) << "protects nothing";
  EXPECT_FALSE(parse_fec(with(26, 51))) << "too many";
  Datagram wide = with(25, 200);
  EXPECT_FALSE(parse_fec(wide)) << "1000 packets";
}

TEST(Fec, MakesAnyOnePacketOfARowAgain) {
  const auto packets = media(65534, 5);
  for (std::size_t lost = 0; lost < packets.size(); ++lost) {
    Decoder decoder;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      if (i != lost) decoder.give(packets[i]);
    }
    decoder.fec.push_fec(test::parity(packets, 0, 1, 5));
    EXPECT_THAT(decoder.recover(), UnorderedElementsAre(packets[lost])) << lost;
    EXPECT_EQ(decoder.fec.stats().recovered, 1U);
  }
}

TEST(Fec, MakesNothingWhereNothingIsMissing) {
  const auto packets = media(7, 5);
  Decoder decoder;
  for (const auto& packet : packets) decoder.give(packet);
  decoder.fec.push_fec(test::parity(packets, 0, 1, 5));
  EXPECT_THAT(decoder.recover(), IsEmpty());
}

TEST(Fec, WaitsUntilOneIsMissing) {
  const auto packets = media(7, 5);
  Decoder decoder;
  decoder.give(packets[0]);
  decoder.fec.push_fec(test::parity(packets, 0, 1, 5));
  EXPECT_THAT(decoder.recover(), IsEmpty());
  decoder.give(packets[4]);
  decoder.give(packets[2]);
  EXPECT_THAT(decoder.recover(), IsEmpty());
  decoder.give(packets[3]);
  EXPECT_THAT(decoder.recover(), UnorderedElementsAre(packets[1]));
}

// A whole row is lost and one more: only rows and columns together can mend it.
TEST(Fec, GoesFromRowsToColumnsAndBack) {
  const auto packets = media(500, 25);
  const std::set<std::size_t> lost = {5, 6, 7, 8, 9, 11};
  Decoder decoder;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (!lost.contains(i)) decoder.give(packets[i]);
  }
  for (std::size_t column = 0; column < 5; ++column) {
    decoder.fec.push_fec(test::parity(packets, column, 5, 5));
  }
  for (std::size_t row = 0; row < 5; ++row) {
    decoder.fec.push_fec(test::parity(packets, row * 5, 1, 5));
  }
  const auto made = decoder.recover();
  EXPECT_EQ(made.size(), lost.size());
  for (const std::size_t each : lost) EXPECT_THAT(made, testing::Contains(packets[each])) << each;
}

TEST(Fec, LeavesWhatTheMatrixCannotMend) {
  const auto packets = media(500, 25);
  const std::set<std::size_t> lost = {6, 7, 11, 12};  // two of two rows and two columns
  Decoder decoder;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (!lost.contains(i)) decoder.give(packets[i]);
  }
  for (std::size_t n = 0; n < 5; ++n) {
    decoder.fec.push_fec(test::parity(packets, n, 5, 5));
    decoder.fec.push_fec(test::parity(packets, n * 5, 1, 5));
  }
  EXPECT_THAT(decoder.recover(), IsEmpty());
}

TEST(Fec, SaysHowLongARepairMayTake) {
  const auto packets = media(0, 100);
  Decoder decoder;
  EXPECT_FALSE(decoder.fec.active());
  decoder.fec.push_fec(test::parity(packets, 0, 1, 10));
  EXPECT_EQ(decoder.fec.repair_packets(), 20U);
  decoder.fec.push_fec(test::parity(packets, 0, 10, 5));
  EXPECT_EQ(decoder.fec.repair_packets(), 100U);
  decoder.fec.push_fec(test::parity(packets, 0, 1, 10));
  EXPECT_EQ(decoder.fec.repair_packets(), 100U);
  decoder.fec.push_fec(test::parity(packets, 0, 5, 5));
  EXPECT_EQ(decoder.fec.repair_packets(), 50U) << "the matrix has changed";
  decoder.fec.reset();
  EXPECT_FALSE(decoder.fec.active());
}

TEST(Fec, ParityThatLiesAboutLengthsMakesNothing) {
  const auto packets = media(500, 5);
  Decoder decoder;
  for (std::size_t i = 1; i < 5; ++i) decoder.give(packets[i]);
  Datagram lie = test::parity(packets, 0, 1, 5);
  lie[14] ^= 0x80;  // 32 KiB more
  decoder.fec.push_fec(lie);
  EXPECT_THAT(decoder.recover(), IsEmpty());
  Datagram cut = test::parity(packets, 0, 1, 5);
  cut.resize(29);  // shorter than what it protects
  decoder.fec.push_fec(cut);
  EXPECT_THAT(decoder.recover(), IsEmpty());
  EXPECT_EQ(decoder.fec.stats().failed, 2U);
  decoder.fec.push_fec(test::parity(packets, 0, 1, 5));
  EXPECT_THAT(decoder.recover(), UnorderedElementsAre(packets[0])) << "a true one still helps";
}

TEST(Fec, ParityOfOtherTimesIsNotKept) {
  const auto packets = media(0, 25);
  const auto far = media(20'000, 5);
  Decoder decoder;
  for (const auto& packet : packets) decoder.give(packet);
  decoder.fec.push_fec(test::parity(far, 0, 1, 5));
  EXPECT_EQ(decoder.fec.stats().malformed, 1U);
}

TEST(Fec, AFloodOfParityKeepsToItsLimit) {
  const auto packets = media(0, 40);
  Decoder decoder;
  decoder.give(packets[0]);
  for (int i = 0; i < 1000; ++i) {
    decoder.fec.push_fec(test::parity(packets, static_cast<std::size_t>(i % 30), 1, 8));
  }
  EXPECT_EQ(decoder.fec.stats().overflow, 1000 - kFecPendingMax);
  EXPECT_THAT(decoder.recover(), IsEmpty());
}

TEST(Fec, ASenderThatBeginsAnewIsFollowed) {
  const auto before = media(60'000, 10);
  const auto after = media(100, 5, 2);
  Decoder decoder;
  for (const auto& packet : before) decoder.give(packet);
  for (std::size_t i = 1; i < 5; ++i) decoder.give(after[i]);
  decoder.fec.push_fec(test::parity(after, 0, 1, 5));
  EXPECT_THAT(decoder.recover(), UnorderedElementsAre(after[0]));
}

// Losses as they fall, in a long stream of 5 x 5 matrices: everything that a reference that peels
// rows and columns can mend is mended, and is what was sent.
TEST(Fec, MendsWhatAMatrixCanMend) {
  std::mt19937 random(7);
  Decoder decoder;
  int mended = 0;
  for (int matrix = 0; matrix < 200; ++matrix) {
    const auto packets =
        media(static_cast<std::uint16_t>(64'000 + 25 * matrix), 25, static_cast<unsigned>(matrix));
    std::set<std::size_t> lost;
    for (std::size_t i = 0; i < 25; ++i) {
      // The first one of all is there, so that there is something to begin with.
      if (random() % 100 < 8 && matrix + i > 0) lost.insert(i);
    }
    for (std::size_t i = 0; i < 25; ++i) {
      if (!lost.contains(i)) decoder.give(packets[i]);
    }
    for (std::size_t n = 0; n < 5; ++n) {
      decoder.fec.push_fec(test::parity(packets, n, 5, 5));
      decoder.fec.push_fec(test::parity(packets, n * 5, 1, 5));
    }
    std::set<std::size_t> left = lost;
    for (bool progress = true; progress;) {
      progress = false;
      for (std::size_t n = 0; n < 5; ++n) {
        std::vector<std::size_t> row;
        std::vector<std::size_t> column;
        for (const std::size_t each : left) {
          if (each / 5 == n) row.push_back(each);
          if (each % 5 == n) column.push_back(each);
        }
        for (const auto& line : {row, column}) {
          if (line.size() == 1) progress = left.erase(line[0]) > 0 || progress;
        }
      }
    }
    const auto made = decoder.recover();
    EXPECT_EQ(made.size(), lost.size() - left.size()) << matrix;
    for (const auto& one : made) EXPECT_THAT(packets, testing::Contains(one));
    mended += static_cast<int>(made.size());
  }
  EXPECT_GT(mended, 300);
}

}  // namespace
}  // namespace mirror::rtp
