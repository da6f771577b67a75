// What strangers and bad peers try.
#include <gtest/gtest.h>

#include <fstream>

#include "quic/datagram_exercise.h"
#include "quic/simulated_link.h"

namespace mirror::quic {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Address kStranger = test_address("198.51.100.99", 1234);

std::vector<std::uint8_t> long_header(std::uint32_t version, std::size_t size) {
  std::vector<std::uint8_t> packet(size, 0x55);
  packet[0] = 0xc0;
  for (int i = 0; i < 4; ++i) packet[1 + i] = static_cast<std::uint8_t>(version >> (24 - 8 * i));
  packet[5] = 8;   // destination id
  packet[14] = 8;  // source id
  return packet;
}

// What the core wrote, packet by packet.
std::vector<std::vector<std::uint8_t>> written(SimulatedLink::Node& node) {
  std::vector<std::vector<std::uint8_t>> packets;
  for (bool all = false; !all;) {
    all = node.core.write(node.out);
    for (const auto& batch : node.out.batches()) {
      auto bytes = node.out.bytes_of(batch);
      while (!bytes.empty()) {
        const auto packet = bytes.first(std::min(bytes.size(), batch.segment_bytes));
        packets.emplace_back(packet.begin(), packet.end());
        bytes = bytes.subspan(packet.size());
      }
    }
    node.out.drop(node.out.batches().size());
  }
  return packets;
}

// RFC 9000, 6.1.
TEST(Hardening, AnUnknownVersionIsAnsweredWithOurs) {
  SimulatedLink link(1);
  link.inject(long_header(0xdeadbeef, 1200), kStranger);
  const auto packets = written(link.server);
  ASSERT_EQ(packets.size(), 1u);
  const auto& packet = packets.front();
  ASSERT_GE(packet.size(), 4u);
  EXPECT_EQ(packet[1] | packet[2] | packet[3] | packet[4], 0) << "Version Negotiation";
  EXPECT_EQ(std::vector<std::uint8_t>(packet.end() - 4, packet.end()),
            (std::vector<std::uint8_t>{0, 0, 0, 1}));
  EXPECT_EQ(link.server.metrics.version_negotiations.Value(), 1);
}

TEST(Hardening, AShortDatagramIsNotAnswered) {
  SimulatedLink link(1);
  link.inject(long_header(0xdeadbeef, 1199), kStranger);
  link.inject(long_header(1, 1199), kStranger);
  link.inject(std::vector<std::uint8_t>{0x40}, kStranger);
  link.inject({}, kStranger);
  link.inject(std::vector<std::uint8_t>(60, 0x40), kStranger);
  EXPECT_TRUE(written(link.server).empty());
  EXPECT_EQ(link.server.metrics.dropped_packets.Value(), 5);
}

TEST(Hardening, StatelessAnswersHaveALimit) {
  Limits limits;
  limits.stateless_answers_per_second = 10;
  SimulatedLink link(1, {}, limits);
  std::size_t answers = 0;
  for (int i = 0; i < 500; ++i) {
    link.inject(long_header(0xdeadbeef, 1200), kStranger);
    answers += written(link.server).size();
  }
  EXPECT_EQ(answers, 10u);
  EXPECT_EQ(link.server.metrics.answers_withheld.Value(), 490);
}

// RFC 9000, 8.1.2.
TEST(Hardening, ManyHandshakesMakeClientsProveTheirAddress) {
  Limits limits;
  limits.handshakes_unproven_max = 0;
  SimulatedLink link(1, {}, limits);
  auto resumption = std::make_shared<Resumption>();
  BlobClient& client = link.connect(resumption, false, [](BlobClient& c) { c.ask(1'000); });
  ASSERT_TRUE(link.run_until([&] { return !client.replies.empty() && client.all_whole(1'000); }));
  EXPECT_EQ(link.server.metrics.retries.Value(), 1);

  // Who comes back has a token (8.1.3).
  ASSERT_TRUE(link.run_until([&] { return !resumption->address_token.empty(); }));
  BlobClient& again = link.connect(resumption, false, [](BlobClient& c) { c.ask(1'000); });
  ASSERT_TRUE(link.run_until([&] { return !again.replies.empty() && again.all_whole(1'000); }));
  EXPECT_EQ(link.server.metrics.retries.Value(), 1);

  // From another address it is worth nothing. (A NEW_TOKEN is good for an address, not for a port.)
  link.nat_address = test_address("203.0.113.77", 1'000);
  BlobClient& moved = link.connect(resumption, false, [](BlobClient& c) { c.ask(1'000); });
  ASSERT_TRUE(link.run_until([&] { return !moved.replies.empty() && moved.all_whole(1'000); }));
  EXPECT_EQ(link.server.metrics.retries.Value(), 2);
}

// It is for the next process, too, and for a machine that was started anew: its time is the day's.
TEST(Hardening, AnAddressTokenExpiresAcrossAStartOfTheMachine) {
  using std::chrono::hours;
  for (const hours later : {hours(1), hours(25)}) {
    SCOPED_TRACE(later.count());
    Limits limits;
    limits.handshakes_unproven_max = 0;
    auto resumption = std::make_shared<Resumption>();
    {
      SimulatedLink before(1, {}, limits);
      before.connect(resumption);
      ASSERT_TRUE(before.run_until([&] { return !resumption->address_token.empty(); }));
    }
    SimulatedLink after(2, {}, limits);
    const hours up = std::chrono::duration_cast<hours>(after.now.time_since_epoch());
    after.now = SteadyTime(hours(1));
    after.wall_ahead = up - hours(1) + later;
    BlobClient& client = after.connect(resumption, false, [](BlobClient& c) { c.ask(1'000); });
    ASSERT_TRUE(
        after.run_until([&] { return !client.replies.empty() && client.all_whole(1'000); }));
    EXPECT_EQ(after.server.metrics.retries.Value(), later > hours(24) ? 1 : 0);
  }
}

TEST(Hardening, ARetryTokenOfAnotherAddressIsRefused) {
  Limits limits;
  limits.handshakes_unproven_max = 0;
  SimulatedLink link(1, {}, limits);
  bool moved = false;
  link.tap = [&](bool to_server, std::span<const std::uint8_t>) {
    if (to_server && link.server.metrics.retries.Value() > 0 && !std::exchange(moved, true)) {
      link.nat_address = test_address("203.0.113.77", 1'000);
    }
    return true;
  };
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }));
  EXPECT_NE(link.ended.find("0xb"), std::string::npos) << link.ended;  // INVALID_TOKEN
  EXPECT_EQ(link.server.metrics.handshakes_begun.Value(), 0);
}

// RFC 9000, 10.3.
TEST(Hardening, AServerThatForgotSaysSoIfItKnowsTheSecret) {
  for (const bool same_secret : {true, false}) {
    SimulatedLink link(1);
    BlobClient& client = link.connect();
    ASSERT_TRUE(link.run_until([&] { return client.opened && link.blob_server; }));
    link.run_for(milliseconds(500));
    SimulatedLink::Node restarted(link, {}, same_secret ? Secret{1} : Secret{77}, 0, 9,
                                  "restarted");
    link.serve_on(restarted, nullptr);
    std::vector<std::vector<std::uint8_t>> sent;
    link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
      if (to_server) sent.emplace_back(packet.begin(), packet.end());
      return false;
    };
    client.ask(10);
    link.run_for(milliseconds(50));
    ASSERT_FALSE(sent.empty());
    restarted.core.receive(sent.front(), {link.server_address, link.nat_address}, 0);
    const auto answers = written(restarted);
    ASSERT_EQ(answers.size(), same_secret ? 1u : 0u);
    if (!same_secret) continue;
    EXPECT_LT(answers.front().size(), sent.front().size());
    link.client.core.receive(answers.front(), {link.client_address, link.server_address}, 0);
    ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }, seconds(1)));
    EXPECT_EQ(link.ended, "stateless reset");
  }
}

TEST(Hardening, AStrayIsHandedToItsWorkerOnce) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  SimulatedLink::Node other(link, {}, Secret{1}, 5, 9, "other");
  link.serve_on(other, nullptr);
  std::vector<std::uint8_t> sent;
  link.tap = [&](bool, std::span<const std::uint8_t> packet) {
    sent.assign(packet.begin(), packet.end());
    return true;
  };
  client.ask(10);
  link.run_for(milliseconds(50));
  const Path path{link.server_address, link.nat_address};
  other.core.receive(sent, path, 0);
  EXPECT_EQ(other.strays, std::vector<std::uint8_t>{0});
  // Handed on to us, and we do not know it either: no ping-pong.
  other.core.receive(sent, path, 0, EndpointCore::Origin::kOtherWorker);
  EXPECT_EQ(other.strays.size(), 1u);
}

// A restart with fewer loops: nobody has the connection, so whoever is asked says that it is gone.
TEST(Hardening, AStrayOfAWorkerThatIsNoMoreIsReset) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened && link.blob_server; }));
  link.run_for(milliseconds(500));
  SimulatedLink::Node other(link, {}, Secret{1}, 5, 9, "other");
  link.serve_on(other, nullptr);
  other.workers = 0;
  std::vector<std::uint8_t> sent;
  link.tap = [&](bool, std::span<const std::uint8_t> packet) {
    sent.assign(packet.begin(), packet.end());
    return false;
  };
  client.ask(10);
  link.run_for(milliseconds(50));
  ASSERT_FALSE(sent.empty());
  other.core.receive(sent, {link.server_address, link.nat_address}, 0);
  EXPECT_TRUE(other.strays.empty());
  EXPECT_EQ(written(other).size(), 1u);
  EXPECT_EQ(other.metrics.resets.Value(), 1);
}

// As many connections as may be, those of HTTP/1.1 and 2 among them: only the application knows.
TEST(Hardening, AConnectionThatNobodyWantsIsRefused) {
  SimulatedLink link(1);
  link.server.core.serve({ServerTls::create({"blob"}, nullptr).value(), test_credentials(),
                          [](Transport&) { return nullptr; }});
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }, seconds(5)));
  EXPECT_NE(link.ended.find("0x2"), std::string::npos) << link.ended;  // CONNECTION_REFUSED
  EXPECT_EQ(link.server.metrics.ended(End::kRefused).Value(), 1);
  EXPECT_EQ(link.server.metrics.ended(End::kInternal).Value(), 0);
}

// CVE-2023-44487, in HTTP/3's clothes.
TEST(Hardening, RapidResetEndsTheConnection) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  const auto cancel = [&] {
    for (;;) {
      const StreamId stream = client.ask(1'000'000);
      if (stream < 0) return;
      // The request is finished, so its side cannot be reset: what is left is STOP_SENDING.
      client.transport->stop_sending(stream, 0x10c);
    }
  };
  client.when_streams_available = cancel;
  cancel();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }, seconds(20)));
  EXPECT_NE(link.ended.find("0x107"), std::string::npos) << link.ended;
  EXPECT_EQ(link.server.metrics.ended(End::kFlood).Value(), 1);
  EXPECT_LE(link.blob_server == nullptr ? 0 : link.server.metrics.connections.Value(), 0);
}

TEST(Hardening, AFloodOfResetsEndsTheConnection) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  const auto cancel = [&] {
    while (const auto stream = client.transport->open_bidirectional()) {
      client.transport->send_copy(*stream, std::vector<std::uint8_t>{1});
      client.transport->reset(*stream, 0x10c);
    }
  };
  client.when_streams_available = cancel;
  cancel();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }, seconds(20)));
  EXPECT_EQ(link.server.metrics.ended(End::kFlood).Value(), 1);
}

TEST(Hardening, AFloodOfStreamsEndsTheConnection) {
  Limits limits;
  limits.streams_opened_burst = 50;
  limits.streams_opened_per_second = 50;
  SimulatedLink link(1, {}, limits);
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) {
    for (int i = 0; i < 60; ++i) c.ask(10);
  });
  EXPECT_TRUE(link.run_until([&] { return !link.ended.empty(); }, seconds(20)));
  EXPECT_EQ(link.server.metrics.ended(End::kFlood).Value(), 1);
  static_cast<void>(client);
}

TEST(Hardening, OneConnectionTooManyIsRefusedAtOnce) {
  Limits limits;
  limits.connections_max = 1;
  SimulatedLink link(1, {}, limits);
  BlobClient& first = link.connect();
  ASSERT_TRUE(link.run_until([&] { return first.opened; }));
  const SteadyTime began = link.now;
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }));
  EXPECT_LT(link.now - began, milliseconds(50));
  EXPECT_NE(link.ended.find("0x2"), std::string::npos) << link.ended;  // CONNECTION_REFUSED
  EXPECT_EQ(link.server.metrics.ended(End::kRefused).Value(), 1);
}

TEST(Hardening, ADrainingServerTellsAndRefuses) {
  SimulatedLink link(1);
  BlobClient& first = link.connect();
  ASSERT_TRUE(link.run_until([&] { return first.opened && link.blob_server; }));
  link.server.core.drain();
  EXPECT_EQ(link.blob_server->drains, 1);
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }));
  EXPECT_EQ(link.server.core.connections(), 1u);
}

TEST(Hardening, AHandshakeThatNobodyGoesOnWithEnds) {
  SimulatedLink link(1);
  std::size_t to_client_bytes = 0;
  std::size_t to_server_bytes = 0;
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    (to_server ? to_server_bytes : to_client_bytes) += packet.size();
    // One datagram arrives, then the client is silent, as if its address were somebody else's.
    return to_server && to_server_bytes <= packet.size();
  };
  link.connect();
  link.run_until([&] { return link.server.metrics.handshakes_begun.Value() > 0; });
  const std::size_t asked = to_server_bytes;
  link.client.core.close_all(0, "");
  link.run_for(seconds(30));
  EXPECT_LE(to_client_bytes, 3 * asked) << "RFC 9000, 8.1";
  EXPECT_EQ(link.server.core.connections(), 0u);
  EXPECT_EQ(link.server.metrics.handshakes.Value(), 0);
  EXPECT_EQ(link.server.metrics.ended(End::kHandshakeTimeout).Value(), 1);
}

TEST(Hardening, HandshakesInProgressHaveALimit) {
  Limits limits;
  limits.handshakes_max = 5;
  SimulatedLink link(1, {}, limits);
  std::vector<std::vector<std::uint8_t>> flights;
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    if (to_server) flights.emplace_back(packet.begin(), packet.end());
    return false;
  };
  for (int i = 0; i < 20; ++i) link.connect();
  link.run_for(milliseconds(1));
  for (const auto& flight : flights) link.inject(flight, kStranger);
  EXPECT_EQ(link.server.metrics.handshakes.Value(), 5);
  link.run_for(seconds(30));
  EXPECT_EQ(link.server.core.connections(), 0u);
}

// A closed connection says so again, ever more seldom (RFC 9000, 10.2.1).
TEST(Hardening, ALateComerHearsThatItIsOver) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened && link.blob_server; }));
  link.run_for(milliseconds(500));  // the handshake is confirmed: short headers from here on
  std::vector<std::uint8_t> sent;
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    if (to_server) sent.assign(packet.begin(), packet.end());
    return to_server;
  };
  client.ask(10);
  link.run_for(milliseconds(50));
  link.blob_server->transport().close(7, "over");
  link.turn();
  std::size_t answers = 0;
  for (int i = 0; i < 100; ++i) {
    link.inject(sent, link.nat_address);
    answers += written(link.server).size();
  }
  EXPECT_EQ(answers, 7u);
  link.run_for(seconds(5));
  link.inject(sent, link.nat_address);
  EXPECT_GE(link.server.metrics.resets.Value(), 1) << "and after a while a reset";
}

TEST(Hardening, DamagedPacketsDoNotHurtTheConnection) {
  SimulatedLink link(1, {.loss = 0.01});
  SeededRandom random(3);
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    std::vector<std::uint8_t> damaged(packet.begin(), packet.end());
    for (int i = 0; i < 3; ++i) {
      damaged[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(damaged.size())))] ^=
          static_cast<std::uint8_t>(1 + random.below(255));
    }
    if (random.chance(0.3))
      damaged.resize(
          static_cast<std::size_t>(1 + random.below(static_cast<std::int64_t>(damaged.size()))));
    if (to_server) {
      link.inject(damaged, link.nat_address);
    } else {
      link.client.core.receive(damaged, {link.client_address, link.server_address}, 0);
    }
    return true;
  };
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(300'000); });
  EXPECT_TRUE(link.run_until([&] { return !client.replies.empty() && client.all_whole(300'000); }))
      << link.ended;
}

TEST(Hardening, NoSharedProtocolNoConnection) {
  SimulatedLink link(1);
  link.client_tls = ClientTls::create({"other"}, ClientTls::Verify::kOff, "").value();
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }));
  EXPECT_NE(link.ended.find("0x178"), std::string::npos) << link.ended;  // no_application_protocol
  EXPECT_EQ(link.server.metrics.ended(End::kTls).Value(), 1);
  EXPECT_EQ(link.applications, 0u);
}

TEST(Hardening, ANewCertificateServesTheNextHandshake) {
  namespace fs = std::filesystem;
  std::string pattern = fs::temp_directory_path() / "mirror_quic.XXXXXX";
  const fs::path folder = ::mkdtemp(pattern.data());
  const auto make = [&](const char* name) {
    return net::TlsCredentials::load_or_generate(folder / name, {"mirror.test"},
                                                 SystemClock().now().wall)
        .value();
  };
  SimulatedLink link(1);
  link.server.core.set_credentials(make("first"));
  const auto second = make("second");
  link.client_tls = ClientTls::create({"blob"}, ClientTls::Verify::kServer,
                                      (folder / "first" / "tls-cert.pem").string())
                        .value();
  BlobClient& client = link.connect();
  EXPECT_TRUE(link.run_until([&] { return client.opened && link.blob_server; })) << link.ended;

  link.server.core.set_credentials(second);
  client.ask(1'000);
  EXPECT_TRUE(link.run_until([&] { return !client.replies.empty() && client.all_whole(1'000); }));
  link.connect();
  ASSERT_TRUE(link.run_until([&] { return !link.ended.empty(); }));
  EXPECT_EQ(link.client.metrics.ended(End::kTls).Value(), 1) << link.ended;

  link.client_tls = ClientTls::create({"blob"}, ClientTls::Verify::kServer,
                                      (folder / "second" / "tls-cert.pem").string())
                        .value();
  BlobClient& third = link.connect();
  EXPECT_TRUE(link.run_until([&] { return third.opened; })) << link.ended;
  fs::remove_all(folder);
}

// What the fuzzer starts from, and what it once found.
TEST(Hardening, SurvivesTheFuzzCorpus) {
  std::size_t count = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/quic_datagram")) {
    SCOPED_TRACE(file.path());
    std::ifstream stream(file.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    exercise_datagrams({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    ++count;
  }
  EXPECT_GE(count, 6u);
}

TEST(ReplayGuard, RemembersForAWindowAndRefusesWhenFull) {
  ReplayGuard guard;
  EXPECT_TRUE(guard.remember("a", 1'010));
  EXPECT_FALSE(guard.remember("a", 1'010));
  EXPECT_FALSE(guard.remember("a", 1'020));
  EXPECT_TRUE(guard.remember("b", 1'022));
  EXPECT_FALSE(guard.remember("a", 1'030)) << "still of the generation before";
  for (std::size_t i = 0; i < ReplayGuard::kTicketsMax; ++i) {
    guard.remember(std::to_string(i), 1'030);
  }
  EXPECT_FALSE(guard.remember("one more", 1'030));
  EXPECT_TRUE(guard.remember("later", 1'100));
}

TEST(ConnectionIds, AreKnownByTheirSecretOnly) {
  SeededRandom random(1);
  const ConnectionIds mine(Secret{1}, 3, random);
  const ConnectionIds sibling(Secret{1}, 4, random);
  const ConnectionIds other(Secret{2}, 3, random);
  const ConnectionId id = mine.make();
  EXPECT_EQ(ConnectionIds::worker_of(id.span()), 3);
  EXPECT_TRUE(sibling.ours(id.span()));
  EXPECT_FALSE(other.ours(id.span()));
  EXPECT_EQ(mine.reset_token(id), sibling.reset_token(id));
  EXPECT_NE(mine.reset_token(id), other.reset_token(id));
  EXPECT_FALSE(mine.ours(id.span().first(15)));
}

}  // namespace
}  // namespace mirror::quic
