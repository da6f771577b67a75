// One input in virtual time, with a gate of our own behind it.
#include "ingest/rtp_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mpegts/test_stream.h"
#include "rtp/test_packets.h"

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;
using media::PublishRefusal;
using media::PublishRequest;
using rtp::test::Datagram;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = media::FeedState::State;

struct Turn {
  PublishRequest request;
  std::vector<media::Track> tracks;
  std::vector<media::AccessUnit> units;
  media::TransportStats transport;
  bool open = true;
  bool displaced = false;
};

class Gate final : public media::PublisherGate {
 public:
  std::optional<PublishRefusal> admit(const PublishRequest& /*request*/) const override {
    return refusal;
  }
  std::expected<std::unique_ptr<media::Publication>, PublishRefusal> open(
      const PublishRequest& request) override {
    ++asked;
    if (refusal) return std::unexpected(*refusal);
    turns.push_back(std::make_shared<Turn>(Turn{.request = request}));
    return std::make_unique<OneTurn>(turns.back());
  }

  std::vector<std::shared_ptr<Turn>> turns;
  std::optional<PublishRefusal> refusal;
  int asked = 0;

 private:
  struct OneTurn final : media::Publication {
    explicit OneTurn(std::shared_ptr<Turn> t) : turn(std::move(t)) {}
    ~OneTurn() override { turn->open = false; }
    void on_tracks(const std::vector<media::Track>& tracks) override { turn->tracks = tracks; }
    void on_access_unit(media::AccessUnit unit) override { turn->units.push_back(std::move(unit)); }
    void on_stats(const media::TransportStats& transport,
                  const media::DemuxStats& /*demux*/) override {
      turn->transport = transport;
    }
    bool displaced() const override { return turn->displaced; }
    std::shared_ptr<Turn> turn;
  };
};

// A PAT, a PMT and MPEG audio frames, as mpegts/test_stream.h makes them.
Datagram seven_ts_packets() {
  Datagram made;
  for (int i = 0; i < 7; ++i) {
    made.push_back(0x47);
    made.insert(made.end(), {0x1f, 0xff, static_cast<std::uint8_t>(0x10 | i)});
    made.resize(made.size() + 184, 0xff);
  }
  return made;
}

const RemoteAddress kSender{*IpAddress::parse("192.0.2.1"), 40'000, 0};
const RemoteAddress kStranger{*IpAddress::parse("203.0.113.9"), 40'000, 0};

class RtpInputTest : public testing::Test {
 protected:
  void make(RtpInputSettings settings) {
    auto made = RtpInput::create(std::move(settings), gate, log, 1, now());
    ASSERT_TRUE(made) << made.error().message;
    input = *std::move(made);
  }
  static RtpInputSettings settings() {
    return {.stream = *media::StreamKey::parse("cam1"), .endpoint = "*:5004"};
  }
  void SetUp() override { make(settings()); }

  Instant now() const { return {SteadyTime(1000s + passed), WallTime(1000s + passed)}; }
  // Virtual time in turns of 2 ms.
  void pass(std::chrono::milliseconds time) {
    for (const auto end = passed + time; passed < end;) {
      passed += 2ms;
      input->idle(now());
    }
  }
  void rtp(std::uint16_t sequence, const RemoteAddress& from = kSender, std::uint32_t ssrc = 7,
           std::uint8_t type = 33) {
    input->push_media(0, packet(sequence, ssrc, type), from, now());
  }
  static Datagram packet(std::uint16_t sequence, std::uint32_t ssrc = 7, std::uint8_t type = 33) {
    return rtp::test::packet(
        {.sequence = sequence, .timestamp = sequence * 100U, .ssrc = ssrc, .payload_type = type},
        seven_ts_packets());
  }
  void plain(const RemoteAddress& from = kSender) {
    input->push_media(0, seven_ts_packets(), from, now());
  }
  State state() const { return input->state().state; }
  // `count` packets, one each 10 ms.
  void send(std::uint16_t first, int count, std::uint32_t ssrc = 7) {
    for (int i = 0; i < count; ++i) {
      rtp(static_cast<std::uint16_t>(first + i), kSender, ssrc);
      pass(10ms);
    }
  }

  Gate gate;
  const Log log{LogLevel::kError, LogFormat::kReadable};
  std::chrono::milliseconds passed{0};
  std::unique_ptr<RtpInput> input;
};

TEST_F(RtpInputTest, AFeedBeginsWithTwoPackets) {
  EXPECT_EQ(state(), State::kConnecting);
  rtp(1);
  EXPECT_EQ(gate.asked, 0);
  rtp(2);
  ASSERT_EQ(gate.turns.size(), 1U);
  const PublishRequest& request = gate.turns[0]->request;
  EXPECT_EQ(request.key.text(), "cam1");
  EXPECT_EQ(request.protocol, "rtp");
  EXPECT_EQ(request.remote, "192.0.2.1:40000");
  EXPECT_TRUE(request.configured);
  EXPECT_EQ(state(), State::kLive);
  EXPECT_EQ(input->state().endpoint, "*:5004");
  EXPECT_EQ(input->state().attempts, 1U);
}

TEST_F(RtpInputTest, AFeedEndsAfterASilenceAndTheNextBegins) {
  send(1, 10);
  pass(4980ms);
  EXPECT_EQ(state(), State::kLive);
  pass(20ms);
  EXPECT_EQ(state(), State::kReconnecting);
  EXPECT_THAT(input->state().why, HasSubstr("5000 ms"));
  EXPECT_FALSE(gate.turns[0]->open);
  EXPECT_EQ(gate.turns[0]->transport.packets, 10U) << "reported to the end";
  send(500, 2, 8);
  EXPECT_EQ(gate.turns.size(), 2U);
  EXPECT_EQ(state(), State::kLive);
  pass(1s);
  EXPECT_EQ(gate.turns[1]->transport.packets, 2U) << "counted from its own beginning";
}

TEST_F(RtpInputTest, ReportsOnceASecond) {
  send(1, 100);
  rtp(150);
  pass(1010ms);
  EXPECT_EQ(gate.turns[0]->transport.packets, 101U);
  EXPECT_EQ(gate.turns[0]->transport.packets_dropped, 49U);
  EXPECT_EQ(gate.turns[0]->transport.latency_ms, 50);
}

TEST_F(RtpInputTest, ARefusedFeedIsOfferedOnceASecond) {
  gate.refusal = {PublishRefusal::Reason::kOverload, "25 streams are live"};
  send(1, 250);  // 2.5 s
  EXPECT_EQ(gate.asked, 3);
  EXPECT_EQ(state(), State::kRefused);
  EXPECT_EQ(input->state().why, "25 streams are live");
  const auto version = input->state_version();
  send(251, 100);
  EXPECT_EQ(input->state_version(), version) << "nothing new to tell";
  gate.refusal.reset();
  send(351, 100);
  EXPECT_EQ(state(), State::kLive);
}

TEST_F(RtpInputTest, ADisplacedFeedReturnsWhenTheStreamIsFree) {
  send(1, 5);
  gate.turns[0]->displaced = true;
  gate.refusal = {PublishRefusal::Reason::kConflict, "already live"};
  send(6, 120);
  EXPECT_EQ(state(), State::kRefused);
  EXPECT_EQ(input->state().why, "another publisher took its place");
  EXPECT_FALSE(gate.turns[0]->open);
  gate.refusal.reset();
  send(126, 110);
  ASSERT_EQ(gate.turns.size(), 2U);
  EXPECT_FALSE(gate.turns[1]->request.may_displace) << "it would go on for ever";
  EXPECT_TRUE(gate.turns[0]->request.may_displace);
}

TEST_F(RtpInputTest, AnotherSenderIsAnotherFeed) {
  send(1, 10);
  rtp(100, kStranger, 9);
  rtp(101, kStranger, 9);
  EXPECT_EQ(gate.turns.size(), 1U) << "the first one is not silent";
  pass(1000ms);
  rtp(102, kStranger, 9);
  rtp(103, kStranger, 9);
  ASSERT_EQ(gate.turns.size(), 2U);
  EXPECT_FALSE(gate.turns[0]->open);
  EXPECT_EQ(gate.turns[1]->request.remote, "203.0.113.9:40000");
}

TEST_F(RtpInputTest, OnlyTheListedSendersAreHeard) {
  RtpInputSettings listed = settings();
  listed.senders = *SenderList::parse({"192.0.2.0/24"});
  make(std::move(listed));
  for (std::uint16_t n = 1; n < 10; ++n) rtp(n, kStranger);
  plain(kStranger);
  EXPECT_EQ(gate.asked, 0);
  EXPECT_EQ(input->totals().packets_strange, 10U);
  send(1, 2);
  EXPECT_EQ(state(), State::kLive);
}

TEST_F(RtpInputTest, TakesMpegTsWithoutRtp) {
  plain();
  ASSERT_EQ(gate.turns.size(), 1U);
  EXPECT_EQ(gate.turns[0]->request.protocol, "udp");
  plain(kStranger);
  EXPECT_EQ(input->totals().packets_strange, 1U);
  rtp(1);  // of the same address: taken for what it sends
  pass(6s);
  EXPECT_EQ(state(), State::kReconnecting);
  send(1, 2);
  ASSERT_EQ(gate.turns.size(), 2U);
  EXPECT_EQ(gate.turns[1]->request.protocol, "rtp");
}

TEST_F(RtpInputTest, RtpMayFollowPlainAndPlainRtp) {
  plain();
  pass(1002ms);
  send(1, 2);
  ASSERT_EQ(gate.turns.size(), 2U);
  EXPECT_FALSE(gate.turns[0]->open);
  EXPECT_EQ(gate.turns[1]->request.protocol, "rtp");
  plain();
  EXPECT_EQ(gate.turns.size(), 2U) << "the sender by RTP is not silent";
  pass(1002ms);
  plain();
  ASSERT_EQ(gate.turns.size(), 3U);
  EXPECT_FALSE(gate.turns[1]->open);
  EXPECT_EQ(gate.turns[2]->request.protocol, "udp");
}

// What the line test found: noise held a port for ever.
TEST_F(RtpInputTest, NoiseThatLooksLikeSyncBytesKeepsNobodyOut) {
  const Datagram sync_bytes(1316, 0x47);
  input->push_media(0, sync_bytes, kStranger, now());
  EXPECT_EQ(gate.asked, 0);
  plain(kStranger);  // one good one, and then garbage
  for (int i = 0; i < 200; ++i) {
    input->push_media(0, sync_bytes, kStranger, now());
    pass(10ms);
  }
  send(1, 2);
  ASSERT_EQ(gate.turns.size(), 2U);
  EXPECT_EQ(gate.turns[1]->request.remote, "192.0.2.1:40000");
}

TEST_F(RtpInputTest, TakesMpegTsThatIsCutAnywhere) {
  Datagram stream;
  for (int i = 0; i < 6; ++i) {
    const Datagram more = seven_ts_packets();
    stream.insert(stream.end(), more.begin(), more.end());
  }
  // As ffmpeg does without pkt_size: 1472 bytes each. The second one begins in a packet.
  input->push_media(0, std::span(stream).subspan(1472, 1472), kSender, now());
  EXPECT_EQ(gate.turns.size(), 1U);
}

TEST_F(RtpInputTest, RtpOfAnotherTypeIsNotTakenForPlain) {
  for (std::uint16_t n = 1; n < 10; ++n) rtp(n, kSender, 7, 96);
  EXPECT_EQ(gate.asked, 0);
  RtpInputSettings other = settings();
  other.payload_type = 96;
  make(std::move(other));
  for (std::uint16_t n = 1; n < 10; ++n) rtp(n, kSender, 7, 96);
  EXPECT_EQ(gate.asked, 1);
}

TEST_F(RtpInputTest, RtpWithoutATransportStreamOpensNothing) {
  for (std::uint16_t n = 1; n < 10; ++n) {
    input->push_media(0, rtp::test::packet({.sequence = n}, Datagram(100, 0)), kSender, now());
  }
  EXPECT_EQ(gate.asked, 0);
}

TEST_F(RtpInputTest, SaysThatNothingUsableComes) {
  for (int i = 0; i < 600; ++i) {
    input->push_media(0, Datagram(100, 1), kSender, now());
    pass(10ms);
  }
  EXPECT_EQ(state(), State::kConnecting);
  EXPECT_THAT(input->state().why, HasSubstr("not what is expected"));
}

TEST_F(RtpInputTest, AGoodbyeEndsTheFeed) {
  send(1, 10);
  const Datagram goodbye = {0x81, 203, 0, 1, 0, 0, 0, 7};
  input->push_rtcp(0, goodbye, kStranger, now());
  EXPECT_EQ(state(), State::kLive) << "whoever that was";
  input->push_rtcp(0, Datagram{0x81, 203, 0, 1, 0, 0, 0, 8}, kSender, now());
  EXPECT_EQ(state(), State::kLive) << "of another SSRC";
  input->push_rtcp(0, goodbye, kSender, now());
  EXPECT_EQ(state(), State::kReconnecting);
  EXPECT_EQ(input->state().why, "the sender said goodbye");
  send(11, 2);
  EXPECT_EQ(state(), State::kLive);
}

TEST_F(RtpInputTest, AnswersSenderReports) {
  send(1, 10);
  EXPECT_FALSE(input->take_report(now())) << "nobody asks";
  Datagram report = {0x80, 200, 0, 6, 0, 0, 0, 7};
  for (const std::uint32_t word : {0x83aa7e80U, 0x80000000U, 1000U, 10U, 13160U}) {
    rtp::test::put(report, word, 4);
  }
  const RemoteAddress rtcp{kSender.ip, 40'001, 0};
  input->push_rtcp(0, report, rtcp, now());
  int reports = 0;
  std::uint16_t n = 11;
  for (int i = 0; i < 3000; ++i) {  // 30 s
    send(n++, 1);
    auto due = input->take_report(now());
    if (!due) continue;
    ++reports;
    EXPECT_EQ(due->to, rtcp);
    ASSERT_GE(due->bytes.size(), 32U);
    EXPECT_EQ(due->bytes[1], 201);
    EXPECT_EQ(due->bytes[0] & 0x1f, 1);
    EXPECT_THAT(std::vector(due->bytes.begin() + 8, due->bytes.begin() + 12),
                ElementsAre(0, 0, 0, 7));
    EXPECT_THAT(std::vector(due->bytes.begin() + 24, due->bytes.begin() + 28),
                ElementsAre(0x7e, 0x80, 0x80, 0x00))
        << "the middle of the report's NTP time";
    EXPECT_FALSE(input->take_report(now()));
  }
  EXPECT_GE(reports, 4);
  EXPECT_LE(reports, 16);
}

TEST_F(RtpInputTest, ParityOfTheSenderRepairs) {
  std::vector<Datagram> packets;
  for (std::uint16_t n = 0; n < 100; ++n) packets.push_back(packet(n));
  const auto parity = [&](std::size_t first, std::uint8_t offset, const RemoteAddress& from) {
    input->push_fec(rtp::test::parity(packets, first, offset, 5), from, now());
  };
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 25 != 13 || i < 25) input->push_media(0, packets[i], kSender, now());
    if (i % 5 == 4) parity(i - 4, 1, kSender);
    pass(20ms);
  }
  EXPECT_EQ(input->totals().packets_recovered, 3U);
  EXPECT_EQ(input->totals().packets_dropped, 0U);
  const auto strange = input->totals().packets_strange;
  parity(0, 1, kStranger);
  EXPECT_EQ(input->totals().packets_strange, strange + 1);
}

TEST_F(RtpInputTest, EndsWithTheServer) {
  send(1, 10);
  input->stop(now());
  EXPECT_FALSE(gate.turns[0]->open);
  send(11, 10);
  EXPECT_EQ(gate.turns.size(), 1U);
}

rtp::SdpMedia h265() {
  return {.kind = "video",
          .port = 5004,
          .rtcp_port = 5005,
          .payload_type = 96,
          .encoding = "h265",
          .clock_rate = 90'000};
}

class NativeTest : public RtpInputTest {
 protected:
  void SetUp() override {
    RtpInputSettings native = settings();
    native.media = {h265()};
    rtp::SdpMedia sound{.kind = "audio",
                        .port = 5006,
                        .rtcp_port = 5007,
                        .payload_type = 97,
                        .encoding = "mpeg4-generic",
                        .clock_rate = 48'000,
                        .channels = 2};
    sound.parameters = {{"mode", "AAC-hbr"},
                        {"config", "1190"},
                        {"sizelength", "13"},
                        {"indexlength", "3"},
                        {"indexdeltalength", "3"}};
    sound.language = "eng";
    native.media.push_back(std::move(sound));
    make(std::move(native));
  }
  // One picture in one packet: an IDR of HEVC.
  void picture(std::uint16_t sequence, std::uint32_t ssrc = 7) {
    const Datagram idr = {0x26, 0x01, 0xaf, 1, 2, 3};
    input->push_media(0,
                      rtp::test::packet({.sequence = sequence,
                                         .timestamp = sequence * 3000U,
                                         .ssrc = ssrc,
                                         .payload_type = 96,
                                         .marker = true},
                                        idr),
                      kSender, now());
  }
};

TEST_F(NativeTest, TellsTheTracksOfTheDescription) {
  EXPECT_FALSE(input->has_fec());
  picture(1);
  picture(2);
  ASSERT_EQ(gate.turns.size(), 1U);
  EXPECT_THAT(gate.turns[0]->tracks, ElementsAre(media::Track{1, media::Codec::kHevc, "", ""},
                                                 media::Track{2, media::Codec::kAac, "eng", ""}));
  picture(3);
  pass(100ms);
  EXPECT_GE(gate.turns[0]->units.size(), 2U);
  EXPECT_EQ(gate.turns[0]->units[0].track, 1U);
}

TEST_F(NativeTest, AnotherSenderOfOneMediumGoesOnWithTheFeed) {
  picture(1);
  picture(2);
  pass(1200ms);
  const std::size_t before = gate.turns[0]->units.size();
  picture(70, 8);
  picture(71, 8);
  picture(72, 8);
  pass(100ms);
  EXPECT_EQ(gate.turns.size(), 1U);
  ASSERT_GT(gate.turns[0]->units.size(), before);
  EXPECT_TRUE(gate.turns[0]->units[before].discontinuity);
}

TEST_F(NativeTest, EndsWhenEveryMediumHasSaidGoodbye) {
  picture(1);
  picture(2);
  const Datagram frame = {0, 16, 0, 8, 1};  // one AAC frame of one byte (RFC 3640, 3.3.6)
  for (std::uint16_t n = 1; n < 3; ++n) {
    input->push_media(
        1, rtp::test::packet({.sequence = n, .ssrc = 9, .payload_type = 97, .marker = true}, frame),
        kSender, now());
  }
  input->push_rtcp(0, Datagram{0x81, 203, 0, 1, 0, 0, 0, 7}, kSender, now());
  EXPECT_EQ(state(), State::kLive) << "the sound goes on";
  input->push_rtcp(1, Datagram{0x81, 203, 0, 1, 0, 0, 0, 9}, kSender, now());
  EXPECT_EQ(state(), State::kReconnecting);
}

TEST(RtpInput, SaysWhatOfADescriptionIsNotSupported) {
  Gate gate;
  const Log log{LogLevel::kError, LogFormat::kReadable};
  RtpInputSettings settings{.stream = *media::StreamKey::parse("cam1"), .endpoint = ""};
  settings.media = {h265()};
  settings.media[0].encoding = "vp9";
  const auto made = RtpInput::create(settings, gate, log, 1, {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("vp9"));
  settings.media[0].encoding = "mp2t";
  EXPECT_TRUE(RtpInput::create(settings, gate, log, 1, {})) << "MPEG-TS, described";
}

}  // namespace
}  // namespace mirror::ingest
