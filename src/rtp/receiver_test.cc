#include "rtp/receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>

#include "rtp/receiver_exercise.h"
#include "rtp/test_packets.h"

namespace mirror::rtp {
namespace {

using namespace std::chrono_literals;
using test::Datagram;
using testing::ElementsAre;
using testing::IsEmpty;

Instant at(std::chrono::milliseconds ms) { return {SteadyTime(1000s + ms), WallTime(1000s + ms)}; }

// "7", or "g7" behind a gap; "|" where another sender begins.
class Recorder final : public PacketSink {
 public:
  void on_packet(const Packet& packet, bool gap, Instant received) override {
    seen.push_back((gap ? "g" : "") + std::to_string(packet.sequence));
    payloads.emplace_back(packet.payload.begin(), packet.payload.end());
    last_received = received;
  }
  void on_sender_changed() override { seen.emplace_back("|"); }

  std::vector<std::string> take() { return std::exchange(seen, {}); }
  std::vector<std::string> seen;
  std::vector<Datagram> payloads;
  Instant last_received{};
};

class ReceiverTest : public testing::Test {
 protected:
  void come(std::uint16_t sequence, std::chrono::milliseconds when = 0ms,
            std::uint32_t ssrc = 0x11223344) {
    receiver.push(made(sequence, ssrc), at(when));
  }
  static Datagram made(std::uint16_t sequence, std::uint32_t ssrc = 0x11223344) {
    return test::packet({.sequence = sequence, .timestamp = sequence * 900U, .ssrc = ssrc},
                        Datagram{static_cast<std::uint8_t>(sequence)});
  }
  const media::TransportStats& stats() const { return receiver.stats(); }

  Recorder recorder;
  Receiver receiver{{.payload_types = {33}}, recorder};
};

TEST_F(ReceiverTest, BeginsWithTwoPacketsThatFollowEachOther) {
  come(5);
  EXPECT_THAT(recorder.take(), IsEmpty());
  EXPECT_FALSE(receiver.ssrc());
  come(6);
  EXPECT_THAT(recorder.take(), ElementsAre("5", "6"));
  EXPECT_EQ(receiver.ssrc(), 0x11223344U);
  EXPECT_EQ(stats().packets, 2U);
  EXPECT_EQ(stats().bytes, 26U);
}

TEST_F(ReceiverTest, PassesOnAcrossTheWrap) {
  for (std::uint16_t n = 65533; n != 3; ++n) come(n);
  EXPECT_THAT(recorder.take(), ElementsAre("65533", "65534", "65535", "0", "1", "2"));
}

TEST_F(ReceiverTest, PutsInOrderWhatComesInTime) {
  come(1);
  come(2);
  come(5, 10ms);
  come(4, 11ms);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2"));
  receiver.idle(at(59ms));
  come(3, 59ms);
  EXPECT_THAT(recorder.take(), ElementsAre("3", "4", "5"));
  EXPECT_EQ(recorder.last_received.steady, at(10ms).steady) << "when it came, not when it was due";
  EXPECT_EQ(stats().packets_reordered, 2U);
  EXPECT_EQ(stats().packets_lost, 0U);
  EXPECT_EQ(recorder.payloads.back(), Datagram{5});
}

TEST_F(ReceiverTest, GivesUpWhatDoesNotComeInTime) {
  come(1);
  come(2);
  come(5, 10ms);
  come(7, 40ms);
  receiver.idle(at(59ms));
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2"));
  receiver.idle(at(60ms));
  EXPECT_THAT(recorder.take(), ElementsAre("g5")) << "5 has waited 50 ms, 7 has not";
  EXPECT_EQ(stats().packets_dropped, 2U);
  come(4, 61ms);
  EXPECT_EQ(stats().packets_belated, 1U);
  receiver.idle(at(89ms));
  EXPECT_THAT(recorder.take(), IsEmpty());
  receiver.idle(at(90ms));
  EXPECT_THAT(recorder.take(), ElementsAre("g7"));
  come(8, 91ms);
  EXPECT_THAT(recorder.take(), ElementsAre("8")) << "the gap is told once";
  EXPECT_EQ(stats().packets_lost, 3U);
}

TEST_F(ReceiverTest, WaitsNoLongerBecauseALaterPacketCameLate) {
  come(1);
  come(2);
  come(6, 0ms);
  come(4, 49ms);  // held behind the first hole, but 6 has waited long
  receiver.idle(at(50ms));
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "g4", "g6"));
}

TEST_F(ReceiverTest, DropsDuplicates) {
  come(1);
  come(2);
  come(2);
  come(4);
  come(4);
  come(1);
  come(3);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(stats().packets_duplicate, 3U);
  EXPECT_EQ(stats().packets_belated, 0U);
}

TEST_F(ReceiverTest, KeepsStrangersOut) {
  come(1);
  come(2);
  come(3, 0ms, 0xbad);
  come(4, 0ms, 0xbad);
  EXPECT_FALSE(receiver.push(Datagram{0x80, 33}, at(0ms)));
  EXPECT_FALSE(receiver.push(test::packet({.sequence = 3, .payload_type = 34}, {}), at(0ms)));
  EXPECT_FALSE(receiver.push(Datagram(kDatagramBytesMax + 1, 0x80), at(0ms)));
  come(3);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "3"));
  EXPECT_EQ(stats().packets_strange, 5U);
}

TEST_F(ReceiverTest, LetsAnotherSenderFollowASilence) {
  come(1);
  come(2);
  come(5, 0ms);
  come(700, 999ms, 0xbeef);
  come(701, 1001ms, 0xbeef);
  come(702, 1002ms, 0xbeef);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "g5", "|", "701", "702"));
  EXPECT_EQ(receiver.ssrc(), 0xbeefU);
  come(6, 1003ms);
  EXPECT_THAT(recorder.take(), IsEmpty()) << "it is the stranger now";
}

TEST_F(ReceiverTest, SenderWhoReturnsAfterASilenceGoesOn) {
  come(1);
  come(2);
  come(3, 4000ms);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "3"));
}

TEST_F(ReceiverTest, TwoSendersWhoTakeTurnsDoNotKeepEachOtherOut) {
  come(1, 0ms, 0xa);
  come(11, 0ms, 0xb);
  come(2, 0ms, 0xa);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2"));
}

TEST_F(ReceiverTest, FollowsASenderThatBeginsAnewElsewhere) {
  for (const int begin : {30'000, 60'000}) {
    come(1);
    come(2);
    recorder.take();
    for (int n = begin; n < begin + 20; ++n) come(static_cast<std::uint16_t>(n));
    const auto seen = recorder.take();
    ASSERT_FALSE(seen.empty()) << begin;
    EXPECT_EQ(seen.front(), "g" + std::to_string(begin + 15));
    EXPECT_EQ(seen.back(), std::to_string(begin + 19));
    receiver.release();
    recorder.take();
  }
}

TEST_F(ReceiverTest, FollowsASenderThatBeginsAnewAtNumbersOfLate) {
  for (std::uint16_t n = 1; n < 200; ++n) come(n);
  recorder.take();
  // The same numbers again, with other timestamps: no duplicates.
  for (std::uint16_t n = 1; n < 40; ++n) {
    receiver.push(test::packet({.sequence = n, .timestamp = 77'000'000U + n}, Datagram{1}),
                  at(5ms));
  }
  const auto seen = recorder.take();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front(), "g16");
  EXPECT_EQ(seen.back(), "39");
}

TEST_F(ReceiverTest, ASecondPathThatLagsIsNoNewBeginning) {
  // ST 2022-7: the same packets by two paths; the first one breaks, the second is 60 behind.
  for (std::uint16_t n = 1; n <= 100; ++n) come(n);
  for (std::uint16_t n = 41; n <= 110; ++n) come(n);
  const auto seen = recorder.take();
  EXPECT_EQ(seen.size(), 110U);
  EXPECT_EQ(seen.back(), "110");
  EXPECT_EQ(stats().packets_duplicate, 60U);
}

TEST_F(ReceiverTest, OnePacketFromFarAwayMovesNothing) {
  come(1);
  come(2);
  come(20'000);
  come(50'000);
  come(3);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "3"));
  EXPECT_EQ(stats().packets_strange, 1U);
  EXPECT_EQ(stats().packets_belated, 1U);
}

TEST_F(ReceiverTest, ALongLossMovesTheWindow) {
  come(1);
  come(2);
  come(4);
  come(2500);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "g4")) << "2500 may still be early";
  EXPECT_EQ(stats().packets_dropped, 1U + (2500 - 1023 - 5));
  receiver.idle(at(50ms));
  EXPECT_THAT(recorder.take(), ElementsAre("g2500"));
  EXPECT_EQ(stats().packets_dropped, 2500U - 4U);
}

TEST_F(ReceiverTest, WaitsForRepairAsLongAsItMayCome) {
  receiver.expect_repair(10);
  come(1);
  come(2);
  for (std::uint16_t n = 4; n < 14; ++n) come(n, 0ms);
  receiver.idle(at(100ms));
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2")) << "nine after the one behind the gap";
  receiver.push_recovered(made(3), at(100ms));
  EXPECT_EQ(recorder.take().size(), 11U);
  EXPECT_EQ(stats().packets_recovered, 1U);
  EXPECT_EQ(stats().packets_lost, 1U);
  EXPECT_EQ(stats().packets_dropped, 0U);

  come(15, 200ms);
  for (std::uint16_t n = 16; n < 26; ++n) come(n, 201ms);
  receiver.idle(at(260ms));
  EXPECT_EQ(recorder.take().front(), "g15") << "ten have come after it";
  come(30, 300ms);
  receiver.idle(at(1299ms));
  EXPECT_THAT(recorder.take(), IsEmpty());
  receiver.idle(at(1300ms));
  EXPECT_THAT(recorder.take(), ElementsAre("g30")) << "nothing comes any more";
}

TEST_F(ReceiverTest, TakesRecoveredPacketsOnlyWhereTheyAreMissing) {
  come(1);
  come(2);
  receiver.push_recovered(made(2), at(0ms));
  receiver.push_recovered(made(4, 0xbad), at(0ms));
  receiver.push_recovered(made(4), at(0ms));
  receiver.push_recovered(made(4), at(0ms));
  come(3);
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(stats().packets_recovered, 1U);
}

TEST_F(ReceiverTest, PassesOnWhatIsHeldAtTheEnd) {
  come(1);
  come(2);
  come(4);
  receiver.release();
  EXPECT_THAT(recorder.take(), ElementsAre("1", "2", "g4"));
  EXPECT_FALSE(receiver.ssrc());
  come(9, 1ms, 0x9);
  come(10, 1ms, 0x9);
  EXPECT_THAT(recorder.take(), ElementsAre("9", "10")) << "whoever it was released for";
}

TEST_F(ReceiverTest, ReportsAsRfc3550Says) {
  EXPECT_EQ(receiver.take_reception().fraction_lost, 0);
  for (std::uint16_t n = 65530; n != 4; ++n) {
    if (n == 65534 || n == 2) continue;
    come(n);
  }
  ReceptionReport reception = receiver.take_reception();
  EXPECT_EQ(reception.ssrc, 0x11223344U);
  EXPECT_EQ(reception.cumulative_lost, 2);
  EXPECT_EQ(reception.fraction_lost, 2 * 256 / 10);
  EXPECT_EQ(reception.highest_sequence, 0x10003U);
  come(4);
  come(2);  // late, but it came
  reception = receiver.take_reception();
  EXPECT_EQ(reception.cumulative_lost, 1);
  EXPECT_EQ(reception.fraction_lost, 0) << "more than expected came";
}

TEST_F(ReceiverTest, MeasuresJitterInTimestampUnits) {
  // 10 ms apart by timestamp; every other one comes 4 ms late, which is 360 units.
  for (std::uint16_t n = 0; n < 400; ++n) come(n, n * 10ms + (n % 2) * 4ms);
  EXPECT_NEAR(receiver.take_reception().jitter, 360, 10);
}

// A lossy path with jitter and duplicates, seeded: what comes out is what came in, in order.
TEST_F(ReceiverTest, RandomPathsLoseOnlyWhatWasLost) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Recorder out;
    Receiver one({.payload_types = {33}}, out);
    std::mt19937 random(seed);
    std::vector<std::pair<int, std::uint16_t>> arrivals;  // ms, number
    const auto begin = static_cast<std::uint16_t>(random());
    int lost = 0;
    for (int n = 0; n < 3000; ++n) {
      const auto sequence = static_cast<std::uint16_t>(begin + n);
      const bool drop = n > 2 && n < 2998 && random() % 100 < 3;
      if (drop) {
        ++lost;
        continue;
      }
      const int jitter = n < 2 ? 0 : static_cast<int>(random() % 40);
      arrivals.emplace_back(n * 2 + jitter, sequence);
      if (n > 2 && random() % 100 == 0) arrivals.emplace_back(n * 2 + 45, sequence);
    }
    std::ranges::sort(arrivals, {}, &std::pair<int, std::uint16_t>::first);
    for (const auto& [ms, sequence] : arrivals) {
      one.push(made(sequence), at(std::chrono::milliseconds(ms)));
      one.idle(at(std::chrono::milliseconds(ms)));
    }
    one.release();
    EXPECT_EQ(out.seen.size(), 3000U - lost);
    EXPECT_EQ(one.stats().packets_dropped, static_cast<std::uint64_t>(lost));
    EXPECT_EQ(one.stats().packets_belated, 0U);
  }
}

TEST(Receiver, SurvivesTheFuzzCorpus) {
  int files = 0;
  for (const char* name : {"/rtp", "/fec"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(MIRROR_FUZZ_CORPUS) + name)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const Datagram bytes(std::istreambuf_iterator<char>(file), {});
      exercise_receiver(bytes);
      ++files;
    }
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace mirror::rtp
