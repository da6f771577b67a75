// Real UDP over loopback, with a gate of our own behind it.
#include "ingest/rtp_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "ingest/fake_gate.h"
#include "ingest/udp_port.h"
#include "rtp/test_packets.h"

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;
using rtp::test::Datagram;
using test::FakeGate;
using test::kDeadline;
using test::Seen;
using testing::HasSubstr;
using State = media::FeedState::State;

Datagram null_packets(int count = 7) {
  Datagram made;
  for (int i = 0; i < count; ++i) {
    made.insert(made.end(), {0x47, 0x1f, 0xff, static_cast<std::uint8_t>(0x10 | (i & 0xf))});
    made.resize(made.size() + 184, 0xff);
  }
  return made;
}

// A socket of a test's own, on any port.
UdpPort open_port(const std::string& address) {
  auto port = UdpPort::open({.address = address});
  EXPECT_TRUE(port) << port.error().message;
  return std::move(*port);
}

class RtpListenerTest : public testing::Test {
 protected:
  // Free at this moment, with those beside it, most likely.
  static std::uint16_t free_port() {
    static std::uint16_t next = static_cast<std::uint16_t>(40'000 + ::getpid() % 2'000 * 6);
    for (;; next = static_cast<std::uint16_t>(next + 6)) {
      bool free = true;
      for (const int offset : {0, 1, 2, 4}) {
        free = free && UdpPort::open({.port = static_cast<std::uint16_t>(next + offset)});
      }
      if (free) return std::exchange(next, static_cast<std::uint16_t>(next + 6));
    }
  }
  static RtpSettings::Input input(const std::string& key, std::uint16_t port) {
    return {.stream = *media::StreamKey::parse(key), .port = port};
  }
  void listen(RtpSettings settings) {
    auto made = RtpListener::create(std::move(settings), gate, log, metrics, clock);
    ASSERT_TRUE(made) << made.error().message;
    listener = *std::move(made);
  }
  // Packets of a feed until the gate has opened it.
  void send_until_open(const UdpPort& from, const std::string& key, const std::string& host,
                       std::uint16_t port, bool with_rtp = true, int ts_packets = 7) {
    const auto give_up = std::chrono::steady_clock::now() + kDeadline;
    for (std::uint16_t n = 0; gate.seen(key).opened == 0; ++n) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      const Datagram payload = null_packets(ts_packets);
      const Datagram datagram = with_rtp ? rtp::test::packet({.sequence = n}, payload) : payload;
      EXPECT_TRUE(from.send(datagram, {*IpAddress::parse(host), port, 0}));
      std::this_thread::sleep_for(1ms);  // paces the sender, no more
    }
  }
  State state_of(std::size_t index) const { return listener->feeds().at(index).state; }

  FakeGate gate;
  // What was logged so far.
  std::string logged() const {
    std::string text(static_cast<std::size_t>(::lseek(log_file, 0, SEEK_END)), '\0');
    text.resize(static_cast<std::size_t>(::pread(log_file, text.data(), text.size(), 0)));
    return text;
  }

  const int log_file = ::memfd_create("log", MFD_CLOEXEC);
  const Log log{LogLevel::kInfo, LogFormat::kReadable, log_file};
  Metrics metrics;
  const SystemClock clock;
  std::unique_ptr<RtpListener> listener;
};

TEST_F(RtpListenerTest, FeedsOfBothFamiliesBegin) {
  const std::uint16_t one = free_port();
  const std::uint16_t two = free_port();
  listen({.inputs = {input("one", one), input("two", two)}});
  ASSERT_EQ(listener->feeds().size(), 2U);
  EXPECT_EQ(state_of(0), State::kConnecting);
  EXPECT_EQ(listener->feeds()[1].endpoint, fmt::format("*:{}", two));
  send_until_open(open_port("127.0.0.1"), "one", "127.0.0.1", one);
  EXPECT_TRUE(gate.seen("one").configured);
  if (UdpPort::open({.address = "::1"})) {
    send_until_open(open_port("::1"), "two", "::1", two, false);
  }
  listener->stop();
  EXPECT_EQ(gate.seen("one").closed, 1);
  EXPECT_EQ(state_of(0), State::kReconnecting);
  listener->stop();  // again is nothing
}

// 47 packets of MPEG-TS fill a jumbo frame of 9,000 bytes, with RTP's 12, UDP's 8 and IP's 20.
TEST_F(RtpListenerTest, TakesJumboDatagrams) {
  const std::uint16_t by_rtp = free_port();
  const std::uint16_t by_udp = free_port();
  listen({.address = "127.0.0.1", .inputs = {input("rtp", by_rtp), input("udp", by_udp)}});
  const UdpPort sender = open_port("127.0.0.1");
  send_until_open(sender, "rtp", "127.0.0.1", by_rtp, true, 47);
  send_until_open(sender, "udp", "127.0.0.1", by_udp, false, 47);
  const auto whole = [](const Seen& seen) { return seen.packets > 0 && seen.packets % 47 == 0; };
  EXPECT_TRUE(gate.wait_for("rtp", whole));
  EXPECT_TRUE(gate.wait_for("udp", whole));
}

TEST_F(RtpListenerTest, TellsOfDatagramsThatAreTooLong) {
  const std::uint16_t port = free_port();
  listen({.address = "127.0.0.1", .inputs = {input("cam", port)}});
  const UdpPort sender = open_port("127.0.0.1");
  const Datagram long_one(UdpPort::Inbox::kBytesMax + 1, 0x47);
  const RemoteAddress to{*IpAddress::parse("127.0.0.1"), port, 0};
  EXPECT_TRUE(sender.send(long_one, to));
  EXPECT_TRUE(sender.send(long_one, to));
  send_until_open(sender, "cam", "127.0.0.1", port);
  listener->stop();
  const std::string text = logged();
  const auto told = text.find("longer than any that is taken");
  ASSERT_NE(told, std::string::npos) << text;
  EXPECT_EQ(text.find("longer than any", told + 1), std::string::npos) << "told once\n" << text;
  EXPECT_THAT(text, HasSubstr("bytes_max=9216"));
  EXPECT_EQ(metrics.render().find("mirror_rtp_strange_packets_total 0"), std::string::npos);
}

TEST_F(RtpListenerTest, AnswersTheSendersReport) {
  const std::uint16_t port = free_port();
  listen({.address = "127.0.0.1", .inputs = {input("cam", port)}});
  UdpPort sender = open_port("127.0.0.1");
  UdpPort rtcp = open_port("127.0.0.1");
  send_until_open(sender, "cam", "127.0.0.1", port);
  Datagram report = {0x80, 200, 0, 6};
  rtp::test::put(report, 0x11223344, 4);
  rtp::test::put(report, 0x83aa7e8000000000, 8);
  rtp::test::put(report, 0, 4 + 4 + 4);
  const RemoteAddress to{*IpAddress::parse("127.0.0.1"), static_cast<std::uint16_t>(port + 1), 0};
  EXPECT_TRUE(rtcp.send(report, to));
  UdpPort::Inbox inbox;
  const auto give_up = std::chrono::steady_clock::now() + kDeadline;
  std::uint16_t n = 10'000;
  for (;;) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    sender.send(rtp::test::packet({.sequence = n++}, null_packets()),
                {*IpAddress::parse("127.0.0.1"), port, 0});
    const auto answers = rtcp.receive(inbox);
    if (!answers.empty()) {
      EXPECT_EQ(answers[0].bytes[1], 201);
      EXPECT_EQ(RemoteAddress::of(*answers[0].from)->port, port + 1);
      break;
    }
    std::this_thread::sleep_for(1ms);
  }
}

TEST_F(RtpListenerTest, JoinsAGroup) {
  const std::uint16_t port = free_port();
  RtpSettings::Input grouped = input("group", port);
  grouped.multicast = "239.255.77.1";
  grouped.interface = "lo";
  auto made = RtpListener::create({.inputs = {grouped}}, gate, log, metrics, clock);
  if (!made) GTEST_SKIP() << made.error().message;
  listener = *std::move(made);
  EXPECT_EQ(listener->feeds()[0].endpoint, fmt::format("239.255.77.1:{}", port));
  const UdpPort sender = open_port("127.0.0.1");
  const in_addr loopback{htonl(INADDR_LOOPBACK)};
  setsockopt(sender.fd(), IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback);
  send_until_open(sender, "group", "239.255.77.1", port);
}

TEST_F(RtpListenerTest, SaysWhatItCannotDo) {
  const std::uint16_t port = free_port();
  const auto why = [&](RtpSettings::Input wanted) {
    auto made = RtpListener::create({.inputs = {std::move(wanted)}}, gate, log, metrics, clock);
    return made ? std::string() : made.error().message;
  };
  const UdpPort taken = *UdpPort::open({.port = port});
  EXPECT_THAT(why(input("cam", port)), HasSubstr("RTP input 'cam'"));
  EXPECT_THAT(why(input("cam", port)), HasSubstr("in use by another program"));
  const std::uint16_t free = free_port();
  RtpSettings::Input wrong = input("cam", free);
  wrong.multicast = "192.0.2.1";
  EXPECT_THAT(why(wrong), HasSubstr("multicast group"));
  wrong.multicast = "239.1.1.1";
  wrong.interface = "nosuch0";
  EXPECT_THAT(why(wrong), HasSubstr("no network interface \"nosuch0\""));
  wrong = input("cam", free);
  wrong.multicast = "232.1.1.1";
  EXPECT_THAT(why(wrong), HasSubstr("source-specific"));
  wrong = input("cam", free);
  wrong.senders = {"nonsense"};
  EXPECT_THAT(why(wrong), HasSubstr("\"nonsense\""));
  wrong = input("cam", free);
  wrong.description = rtp::SessionDescription{};
  EXPECT_THAT(why(wrong), HasSubstr("no media"));
  EXPECT_THAT(why(input("cam", 65'535)), HasSubstr("no port 65536"));
}

TEST(UdpPort, TellsWhatTheKernelThrewAway) {
  auto port = UdpPort::open({.address = "127.0.0.1", .receive_buffer_bytes = 4096});
  ASSERT_TRUE(port) << port.error().message;
  const UdpPort sender = open_port("127.0.0.1");
  EXPECT_EQ(port->dropped(), 0U);
  const Datagram datagram(1000);
  const RemoteAddress to{*IpAddress::parse("127.0.0.1"), port->port(), 0};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(sender.send(datagram, to));
  UdpPort::Inbox inbox;
  const auto got = port->receive(inbox);
  EXPECT_EQ(port->dropped() + got.size(), 100U);
  EXPECT_GT(port->dropped(), 0U);
}

TEST_F(RtpListenerTest, WithoutInputsItIsIdle) {
  listen({});
  EXPECT_TRUE(listener->feeds().empty());
}

}  // namespace
}  // namespace mirror::ingest
