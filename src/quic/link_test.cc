// Whole connections over a simulated link, in virtual time.
#include <gtest/gtest.h>

#include "quic/simulated_link.h"

namespace mirror::quic {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Case {
  const char* name;
  LinkConditions conditions;
};

class Link : public testing::TestWithParam<Case> {};

// Every byte arrives, whatever the link does.
TEST_P(Link, CarriesEveryByte) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Limits limits;
    limits.stream_window_bytes = 256 * 1024;
    limits.connection_window_bytes = 1024 * 1024;
    // Who only listens would never show its new address.
    if (GetParam().conditions.rebind_every.count() > 0) limits.keep_alive = milliseconds(200);
    SimulatedLink link(seed, GetParam().conditions, {}, limits);
    constexpr std::uint64_t kBytes = 150'000;
    BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) {
      for (int i = 0; i < 10; ++i) c.ask(kBytes);
    });
    const bool done = link.run_until(
        [&] { return client.replies.size() == 10 && client.all_whole(kBytes); }, seconds(900));
    ASSERT_TRUE(done) << "ended: " << link.ended;
    ASSERT_TRUE(link.run_until([&] { return link.blob_server->streams_closed == 10; }));
    EXPECT_EQ(link.blob_server->transport().queued_bytes(), 0u);
    EXPECT_EQ(link.blob_server->transport().unacknowledged_bytes(), 0u);
    if (GetParam().conditions.rebind_every.count() > 0) {
      EXPECT_GT(link.server.metrics.migrations.Value(), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Conditions, Link,
    testing::Values(Case{"Clean", {}}, Case{"Lan", {.rtt = milliseconds(1)}},
                    Case{"LongWay", {.rtt = milliseconds(300)}}, Case{"Loss1", {.loss = 0.01}},
                    Case{"Loss5", {.loss = 0.05}},
                    Case{"Loss10", {.loss = 0.10, .rtt = milliseconds(100)}},
                    Case{"Reordering", {.rtt = milliseconds(40), .jitter = milliseconds(20)}},
                    Case{"SmallestMtu", {.loss = 0.01, .mtu = 1228}},
                    Case{"MiddlingMtu", {.loss = 0.01, .mtu = 1400}},
                    Case{"Duplicates", {.duplicates = 0.3, .jitter = milliseconds(2)}},
                    Case{"Rebinding", {.loss = 0.01, .rebind_every = milliseconds(150)}},
                    Case{"Everything",
                         {.loss = 0.08,
                          .duplicates = 0.1,
                          .rtt = milliseconds(200),
                          .jitter = milliseconds(60),
                          .mtu = 1350,
                          .rebind_every = milliseconds(2500)}}),
    [](const auto& which) { return which.param.name; });

// The peer's address changes while the congestion window is full, and what it says next but a first
// word is lost. From its keep-alives alone the server must come out of the amplification limit
// again (RFC 9000, 8.1 and 9.3).
TEST(Connection, GoesOnAfterAMoveWhoseFirstAnswersWereLost) {
  Limits client_limits;
  client_limits.keep_alive = milliseconds(200);
  SimulatedLink link(1, {.rtt = milliseconds(40), .to_client_bytes_per_second = 200'000}, {},
                     client_limits);
  constexpr std::uint64_t kBytes = 1'000'000;
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& self) { self.ask(kBytes); });
  ASSERT_TRUE(link.run_until([&] { return client.replies[0].received > kBytes / 4; }));
  // What is under way to the old address is lost, and its acknowledgements with it.
  link.tap = [](bool, std::span<const std::uint8_t>) { return false; };
  link.run_for(milliseconds(300));
  link.rebind();
  std::optional<SteadyTime> moved;
  link.tap = [&](bool to_server, std::span<const std::uint8_t>) {
    if (!to_server) return true;
    if (!moved) {
      moved = link.now;
      return true;
    }
    return link.now - *moved > milliseconds(500);
  };
  EXPECT_TRUE(link.run_until([&] { return client.all_whole(kBytes); }, seconds(30)))
      << client.replies[0].received << " of " << kBytes;
}

TEST(Connection, BatchesManyPacketsOfOnePath) {
  Limits wide;
  wide.stream_window_bytes = 8 << 20;
  wide.connection_window_bytes = 8 << 20;
  SimulatedLink link(1, {.rtt = milliseconds(5)}, {}, wide);
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(4'000'000); });
  ASSERT_TRUE(
      link.run_until([&] { return !client.replies.empty() && client.all_whole(4'000'000); }));
  EXPECT_GT(link.packets_max_in_batch, 8u);
  EXPECT_LE(link.packets_max_in_batch, SendBuffer::kBatchPacketsMax);
}

TEST(Connection, ASlowReaderHoldsNoMoreThanItsWindowAndTheQueue) {
  SimulatedLink link(1);
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) {
    c.hold = true;
    c.ask(10'000'000);
  });
  link.run_for(seconds(5));
  ASSERT_TRUE(client.opened);
  EXPECT_EQ(client.replies.begin()->second.received, Limits{}.stream_window_bytes);
  EXPECT_LE(link.blob_server->queued_bytes_max, Application::kQueuedBytesHigh + 20'000);
  EXPECT_GT(link.blob_server->transport().queued_bytes(), 0u);
  EXPECT_TRUE(link.blob_server->transport().queued_since(0).has_value());
}

TEST(Connection, UrgentStreamsGoFirstAndIncrementalOnesTakeTurns) {
  Limits wide;
  wide.stream_window_bytes = 1 << 20;
  wide.connection_window_bytes = 8 << 20;
  SimulatedLink link(1, {}, {}, wide);
  std::vector<StreamId> finished;
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  for (int i = 0; i < 4; ++i) client.ask(200'000);
  // Streams 0 and 4 as they come; 8 before all others; 12 shares with nobody, as the last.
  ASSERT_TRUE(
      link.run_until([&] { return link.blob_server && link.blob_server->requests.size() == 4; }));
  link.blob_server->transport().set_priority(0, {.urgency = 3, .incremental = true});
  link.blob_server->transport().set_priority(4, {.urgency = 3, .incremental = true});
  link.blob_server->transport().set_priority(8, {.urgency = 1});
  link.blob_server->transport().set_priority(12, {.urgency = 7});
  std::uint64_t apart_max = 0;
  ASSERT_TRUE(link.run_until([&] {
    for (const auto& [stream, reply] : client.replies) {
      if (reply.finished && std::ranges::find(finished, stream) == finished.end()) {
        finished.push_back(stream);
      }
    }
    const auto a = client.replies[0].received;
    const auto b = client.replies[4].received;
    if (a > 60'000 && b > 60'000) apart_max = std::max(apart_max, a > b ? a - b : b - a);
    return finished.size() == 4;
  }));
  EXPECT_EQ(finished.front(), 8);
  EXPECT_EQ(finished.back(), 12);
  EXPECT_LT(apart_max, 60'000u);
}

TEST(Connection, AResetForgetsWhatIsQueuedAndTellsThePeer) {
  SimulatedLink link(1);
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(10'000'000); });
  ASSERT_TRUE(
      link.run_until([&] { return !client.replies.empty() && client.replies[0].received > 0; }));
  link.blob_server->transport().reset(0, 0x10c);
  EXPECT_EQ(link.blob_server->transport().queued_bytes(), 0u);
  link.blob_server->transport().send(0, blob(0, 0, 10));
  EXPECT_EQ(link.blob_server->transport().queued_bytes(), 0u);
  ASSERT_TRUE(link.run_until([&] { return client.replies[0].closed; }));
  EXPECT_TRUE(client.replies[0].reset);
  ASSERT_TRUE(link.run_until([&] { return link.blob_server->streams_closed == 1; }));
  EXPECT_EQ(link.blob_server->transport().unacknowledged_bytes(), 0u);
}

TEST(Connection, StopSendingReachesTheApplicationOnce) {
  SimulatedLink link(1);
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(10'000'000); });
  ASSERT_TRUE(
      link.run_until([&] { return !client.replies.empty() && client.replies[0].received > 0; }));
  client.transport->stop_sending(0, 0x10c);
  ASSERT_TRUE(link.run_until([&] { return link.blob_server->streams_closed == 1; }));
  EXPECT_EQ(link.blob_server->stopped[0], 1);
  EXPECT_EQ(link.blob_server->transport().queued_bytes(), 0u);
}

TEST(Connection, KeysAreUpdatedUnderWay) {
  SimulatedLink link(1, {.loss = 0.02});
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(500'000); });
  ASSERT_TRUE(link.run_until(
      [&] { return !client.replies.empty() && client.replies[0].received > 100'000; }));
  EXPECT_TRUE(link.client_connection->update_keys());
  ASSERT_TRUE(link.run_until([&] { return client.all_whole(500'000); }));
  EXPECT_GE(link.server.metrics.key_updates.Value(), 1);
}

TEST(Connection, DatagramsGoBothWays) {
  Limits limits;
  limits.datagram_bytes_max = 1200;
  SimulatedLink link(1, {}, limits, limits);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  const std::vector<std::uint8_t> word = {1, 2, 3};
  EXPECT_GT(client.transport->datagram_bytes_max(), 1000u);
  EXPECT_TRUE(client.transport->send_datagram(word));
  EXPECT_FALSE(client.transport->send_datagram(std::vector<std::uint8_t>(3000)));
  ASSERT_TRUE(link.run_until([&] { return !client.datagrams.empty(); }));
  EXPECT_EQ(client.datagrams.front(), word);
}

// Loses every n-th datagram of each way.
class EveryNth final : public Impairment {
 public:
  explicit EveryNth(int n) : n_(n) {}
  bool loses(Way way, std::size_t bytes, SteadyTime /*now*/) override {
    EXPECT_GT(bytes, 0u);
    const bool lost = ++seen_[way == Way::kIn ? 0 : 1] % n_ == 0;
    lost_ += lost ? 1 : 0;
    return lost;
  }
  int lost() const { return lost_; }

 private:
  const int n_;
  std::array<int, 2> seen_{};
  int lost_ = 0;
};

TEST(Connection, AnImpairedClientGetsEveryByteAllTheSame) {
  SimulatedLink link(1, {});
  const auto path = std::make_shared<EveryNth>(9);
  link.client_impairment = path;
  constexpr std::uint64_t kBytes = 150'000;
  BlobClient& client = link.connect(nullptr, false, [](BlobClient& c) { c.ask(kBytes); });
  EXPECT_TRUE(link.run_until([&] { return client.all_whole(kBytes) && !client.replies.empty(); }));
  EXPECT_GT(path->lost(), 10);
}

TEST(Connection, AnImpairedClientCanBeSilent) {
  SimulatedLink link(1, {});
  link.client_impairment = std::make_shared<EveryNth>(1);
  link.connect();
  link.run_for(seconds(2));
  EXPECT_EQ(link.server.metrics.handshakes_begun.Value(), 0);
}

TEST(Connection, CloseReachesThePeerWithItsReason) {
  SimulatedLink link(1);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened && link.blob_server; }));
  link.blob_server->transport().close(0x100, "done");
  ASSERT_TRUE(link.run_until([&] { return link.client.core.connections() == 0; }));
  EXPECT_NE(link.ended.find("done"), std::string::npos) << link.ended;
  EXPECT_EQ(link.server.core.connections(), 0u);
}

TEST(Connection, AnIdleOneEnds) {
  Limits limits;
  limits.idle_timeout = milliseconds(3'000);
  SimulatedLink link(1, {}, limits);
  BlobClient& client = link.connect();
  ASSERT_TRUE(link.run_until([&] { return client.opened; }));
  link.run_for(seconds(10));
  EXPECT_EQ(link.server.core.connections(), 0u);
  EXPECT_EQ(link.client.core.connections(), 0u);
  EXPECT_EQ(link.server.metrics.ended(End::kIdle).Value(), 1);
}

TEST(Connection, EarlyDataIsTakenOnceAndMarked) {
  Limits limits;
  limits.early_data = true;
  // A guard trusts no ticket that is older than itself.
  const auto other_guard = std::make_shared<ReplayGuard>();
  SimulatedLink link(1, {.rtt = milliseconds(100)}, limits);
  auto resumption = std::make_shared<Resumption>();
  BlobClient& first = link.connect(resumption);
  ASSERT_TRUE(link.run_until(
      [&] { return !resumption->ticket.empty() && !resumption->address_token.empty(); }));
  EXPECT_TRUE(first.opened);

  std::vector<std::vector<std::uint8_t>> flight;
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    if (to_server && link.server.metrics.early_data.Value() == 0) {
      flight.emplace_back(packet.begin(), packet.end());
    }
    return true;
  };
  const SteadyTime began = link.now;
  BlobClient& second = link.connect(resumption, true, [](BlobClient& c) { c.ask(100); });
  ASSERT_TRUE(link.run_until([&] { return !second.replies.empty() && second.all_whole(100); }));
  EXPECT_LE(link.now - began, milliseconds(101)) << "one round trip";
  EXPECT_TRUE(link.blob_server->early);
  ASSERT_TRUE(link.run_until([&] { return !link.blob_server->transport().early_data(); }));
  EXPECT_EQ(link.server.metrics.early_data.Value(), 1);

  // The same packets once more, to another loop of the same server and to a stranger's: only what
  // shares the guard knows that it has seen them.
  const auto replay = [&](SimulatedLink::Node& node) {
    for (const auto& packet : flight) {
      node.core.receive(packet, {link.server_address, link.nat_address}, 0);
      node.core.write(node.out);
    }
    return node.metrics.early_data.Value();
  };
  SimulatedLink::Node sibling(link, limits, Secret{1}, 1, 7, "sibling");
  link.serve_on(sibling, link.guard);
  EXPECT_EQ(replay(sibling), 0);
  EXPECT_EQ(sibling.metrics.handshakes_begun.Value(), 1);
  SimulatedLink::Node stranger(link, limits, Secret{1}, 1, 8, "stranger");
  link.serve_on(stranger, other_guard);
  EXPECT_EQ(replay(stranger), 1);
}

// Tickets hold under the certificate that they were given under: whoever comes back with an older
// one shakes hands as a stranger, who sees the new certificate, and what it sent early is not
// looked at but comes again.
TEST(Connection, ANewCertificateEndsTheTicketsOfTheOldOne) {
  Limits limits;
  limits.early_data = true;
  SimulatedLink link(1, {}, limits);
  auto resumption = std::make_shared<Resumption>();
  std::size_t early_packets = 0;
  link.tap = [&](bool to_server, std::span<const std::uint8_t> packet) {
    if (to_server && (packet[0] & 0xf0) == 0xd0) ++early_packets;  // 0-RTT (RFC 9000, 17.2.3)
    return true;
  };
  const auto visit = [&](bool early_data) {
    const BlobClient& client =
        link.connect(resumption, early_data, [](BlobClient& c) { c.ask(100); });
    link.run_until(
        [&] { return !link.ended.empty() || (!client.replies.empty() && client.all_whole(100)); },
        seconds(5));
    link.run_for(milliseconds(100));
    return link.ended.empty() && !client.replies.empty() && client.all_whole(100);
  };
  ASSERT_TRUE(visit(false));
  const Resumption old = *resumption;
  ASSERT_TRUE(visit(true));
  ASSERT_EQ(link.server.metrics.early_data.Value(), 1) << "the ticket is good";

  link.server.core.set_credentials(test_credentials("another"));
  for (const bool early_data : {false, true}) {
    SCOPED_TRACE(early_data);
    *resumption = old;
    early_packets = 0;
    EXPECT_TRUE(visit(early_data)) << link.ended;
    EXPECT_EQ(early_packets > 0, early_data);
    EXPECT_EQ(link.server.metrics.early_data.Value(), 1);
  }
  EXPECT_TRUE(visit(true)) << link.ended;
  EXPECT_EQ(link.server.metrics.early_data.Value(), 2) << "the new one is good, too";
}

TEST(Connection, EarlyDataIsRefusedWithoutTheSetting) {
  SimulatedLink link(1);
  auto resumption = std::make_shared<Resumption>();
  link.connect(resumption);
  ASSERT_TRUE(link.run_until([&] { return !resumption->ticket.empty(); }));
  BlobClient& second = link.connect(resumption, true, [](BlobClient& c) { c.ask(100); });
  link.run_until([&] { return second.closed || second.all_whole(100); }, seconds(5));
  EXPECT_EQ(link.server.metrics.early_data.Value(), 0);
}

}  // namespace
}  // namespace mirror::quic
