// Live parts over HTTP/3 on bad networks, in virtual time: whatever the link does, every part comes
// whole, byte for byte, or is dropped by the rule and the viewer is told which.
#include "app/simulated_viewer.h"

#include <cstdlib>

namespace mirror::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Way = PartViewer::Way;

constexpr int kFrames = 120;  // of each stream: four seconds, 40 parts
constexpr std::size_t kFrameBytes = 2'000;

struct Case {
  const char* name;
  quic::LinkConditions conditions;
};

constexpr Case kCases[] = {
    {"Clean", {}},
    {"Lan", {.rtt = milliseconds(1)}},
    {"LongWay", {.rtt = milliseconds(300)}},
    {"Loss1", {.loss = 0.01}},
    {"Loss5", {.loss = 0.05, .rtt = milliseconds(60)}},
    {"Loss10", {.loss = 0.10, .rtt = milliseconds(100)}},
    {"Reordering", {.rtt = milliseconds(40), .jitter = milliseconds(20)}},
    {"SmallestMtu", {.loss = 0.01, .mtu = 1228}},
    {"MiddlingMtu", {.loss = 0.01, .mtu = 1400}},
    {"Duplicates", {.duplicates = 0.3, .jitter = milliseconds(2)}},
    {"Rebinding", {.loss = 0.01, .rebind_every = milliseconds(700)}},
    {"Everything",
     {.loss = 0.08,
      .duplicates = 0.1,
      .rtt = milliseconds(200),
      .jitter = milliseconds(60),
      .mtu = 1350,
      .rebind_every = milliseconds(2'500)}},
};

// MIRROR_LONG=1 (scripts/test --long): more chances for the link to find what is wrong.
std::uint64_t seeds() { return std::getenv("MIRROR_LONG") != nullptr ? 40 : 2; }

bool moves(const quic::LinkConditions& conditions) { return conditions.rebind_every.count() > 0; }

void expect_push_viewer(PushViewer::Carrier carrier, const quic::LinkConditions& conditions,
                        std::uint64_t seed, const std::string& chunks) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " " << chunks);
  SimulatedService service(seed);
  PushViewer viewer(carrier,
                    "subscribe=cam/v360:10&subscribe=cam/audio:200&subscribe=cam2/v360" + chunks);
  quic::SimulatedLink link(seed, conditions, SimulatedViewer::server_limits(),
                           SimulatedViewer::limits());
  service.add_stream("cam", kFrameBytes);
  service.add_stream("cam2", kFrameBytes);
  service.serve(link);
  viewer.connect(link);
  service.feed(kFrames);
  const char* const kNames[] = {"cam/v360", "cam/audio", "cam2/v360"};
  const bool all = link.run_until(
      [&] {
        if (!viewer.closed().empty() || viewer.mute(link)) return true;
        if (!service.fed()) return false;
        for (const char* name : kNames) {
          if (!viewer.ledger.judge(name, service.published(), true).accounted) return false;
        }
        return true;
      },
      seconds(180));
  EXPECT_TRUE(all);
  EXPECT_EQ(viewer.closed(), "");
  if (viewer.mute(link)) return;
  for (const char* name : kNames) {
    const auto judgement = viewer.ledger.judge(name, service.published());
    EXPECT_TRUE(judgement.accounted) << name;
    // Where 8 % is lost over 200 ms there is room for the sound, and at times for no tile at all.
    if (conditions.loss < 0.05) {
      EXPECT_GT(judgement.whole, moves(conditions) ? 10u : 30u) << name;
    }
  }
  EXPECT_GT(viewer.ledger.judge("cam/audio", service.published()).whole, 0u);
  if (!chunks.empty() && conditions.loss < 0.05) {
    EXPECT_GT(viewer.ledger.chunks, 2 * kFrames - 40u);
  }
  if (moves(conditions)) {
    EXPECT_GT(link.server.metrics.migrations.Value(), 0);
  }
}

class PushOverLink : public testing::TestWithParam<Case> {};

TEST_P(PushOverLink, WebTransport) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    const std::string chunks = seed % 2 == 0 ? "&chunks=1" : "";
    expect_push_viewer(PushViewer::Carrier::kWebTransport, GetParam().conditions, seed, chunks);
  }
}

TEST_P(PushOverLink, StreamedResponse) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    const std::string chunks = seed % 2 == 0 ? "&chunks=1" : "";
    expect_push_viewer(PushViewer::Carrier::kResponse, GetParam().conditions, seed, chunks);
  }
}

void expect_part_viewer(Way way, const quic::LinkConditions& conditions, std::uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  SimulatedService service(seed);
  PartViewer viewer(way, "cam");
  quic::SimulatedLink link(seed, conditions, SimulatedViewer::server_limits(),
                           SimulatedViewer::limits());
  service.add_stream("cam", kFrameBytes);
  service.serve(link);
  viewer.connect(link);
  service.feed(kFrames);
  const bool all = link.run_until(
      [&] {
        if (!viewer.closed().empty() || viewer.mute(link)) return true;
        return service.fed() &&
               viewer.parts.size() == service.published().renditions.at("cam/v360").size();
      },
      seconds(180));
  EXPECT_TRUE(all);
  EXPECT_EQ(viewer.closed(), "");
  if (viewer.mute(link)) return;
  const auto& published = service.published().renditions.at("cam/v360");
  EXPECT_EQ(published.size(), kFrames / 3u);
  EXPECT_EQ(viewer.parts.size(), published.size());
  for (const auto& [at, bytes] : viewer.parts) {
    EXPECT_EQ(bytes, published.at(at).bytes.text()) << at.segment << "." << at.part;
  }
  if (way == Way::kServerPush) {
    // MAX_PUSH_ID may be overtaken by the first requests.
    EXPECT_GT(viewer.pushed, published.size() - 5);
  } else {
    EXPECT_GT(viewer.in_pieces, 10u);
    // On a near link each part but the first is asked for before it is there.
    if (conditions.rtt <= milliseconds(1)) {
      EXPECT_GT(service.grown, published.size() - 3);
    }
  }
}

TEST_P(PushOverLink, HintedPartsThatGrow) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    expect_part_viewer(Way::kHintedParts, GetParam().conditions, seed);
  }
}

TEST_P(PushOverLink, PlaylistsWithServerPush) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    expect_part_viewer(Way::kServerPush, GetParam().conditions, seed);
  }
}

INSTANTIATE_TEST_SUITE_P(Conditions, PushOverLink, testing::ValuesIn(kCases),
                         [](const auto& which) { return which.param.name; });

// ---- Who lags

// A viewer and its link.
struct Place {
  Place(SimulatedService& service, std::uint64_t seed, PushViewer::Carrier carrier,
        const std::string& query, const quic::LinkConditions& conditions = {})
      : viewer(carrier, query),
        link(seed, conditions, SimulatedViewer::server_limits(), SimulatedViewer::limits()) {
    service.serve(link);
    viewer.connect(link);
  }
  PushViewer viewer;
  quic::SimulatedLink link;
};

class SlowViewer : public testing::TestWithParam<PushViewer::Carrier> {};

// Two tiles, and room for little more than one: the more important one is whole, and the other one
// pays for both.
TEST_P(SlowViewer, LosesTheLeastImportantTileFirst) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedService service(seed);
    service.add_stream("cam", 8'000);
    service.add_stream("cam2", 8'000);
    // Each makes some 290 kB a second.
    Place slow(service, seed, GetParam(), "subscribe=cam/v360:200&subscribe=cam2/v360:10",
               {.rtt = milliseconds(40), .to_client_bytes_per_second = 450'000});
    service.feed(600);
    slow.link.run_until([&] { return service.fed(); }, seconds(30));
    slow.link.run_for(seconds(5));
    EXPECT_EQ(slow.viewer.closed(), "");
    const auto more = slow.viewer.ledger.judge("cam/v360", service.published());
    EXPECT_TRUE(more.accounted);
    EXPECT_EQ(more.dropped, 0u);
    const auto less = slow.viewer.ledger.judge("cam2/v360", service.published());
    EXPECT_TRUE(less.accounted);
    EXPECT_GT(less.dropped, 20u);
    EXPECT_GT(less.whole, 20u);
  }
}

// The link is dead for six seconds: what is kept is bounded, others notice nothing, and both go on.
TEST_P(SlowViewer, CostsNoMoreThanItsCapAndGoesOnWhereItCan) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedService service(seed);
    service.add_stream("cam", 20'000);
    service.add_stream("cam2", 8'000);
    const std::string query = "subscribe=cam/v360:200&subscribe=cam2/v360:10";
    Place stalled(service, seed, GetParam(), query);
    const push::Session* session = nullptr;
    stalled.link.run_until([&] { return (session = service.session) != nullptr; }, seconds(5));
    ASSERT_NE(session, nullptr);
    Place neighbour(service, seed + 100, GetParam(), query);
    // Both links in step; what the stalled one was delayed is not the neighbour's.
    std::size_t queued_max = 0;
    std::chrono::microseconds age_max{0};
    std::size_t lag_max = 0;
    const auto run = [&](milliseconds time) {
      for (milliseconds at{0}; at < time; at += milliseconds(5)) {
        stalled.link.run_for(milliseconds(5));
        neighbour.link.run_for(milliseconds(5));
        queued_max = std::max(queued_max, session->queued_bytes());
        age_max = std::max(age_max, session->queue_age(stalled.link.now));
        if (at.count() % 500 != 0) continue;
        const auto seen = neighbour.viewer.ledger.judge("cam/v360", service.published(), true);
        const auto all = service.published().renditions.find("cam/v360");
        if (seen.whole > 0) lag_max = std::max(lag_max, all->second.size() - seen.whole);
      }
    };
    service.feed(450);
    run(seconds(4));
    bool dead = true;
    stalled.link.tap = [&dead](bool, std::span<const std::uint8_t>) { return !dead; };
    run(seconds(6));
    const std::size_t kept = service.kept_bytes_max;
    dead = false;
    run(seconds(12));
    EXPECT_EQ(stalled.viewer.closed(), "");
    EXPECT_TRUE(service.fed());
    const push::SessionSettings settings;
    EXPECT_LE(queued_max, settings.queued_bytes_max);
    EXPECT_GT(queued_max, 500'000u) << "there was something to bound";
    // Looked at twice a second.
    EXPECT_LE(age_max, settings.queued_age_max + milliseconds(600));
    // Of the transport: what the session gives its carrier, and a part more; in flight no more than
    // the viewer allows.
    EXPECT_LE(kept,
              settings.carrier_bytes + 400'000u + SimulatedViewer::limits().stream_window_bytes);
    for (const char* name : {"cam/v360", "cam2/v360"}) {
      const auto far = stalled.viewer.ledger.judge(name, service.published());
      EXPECT_TRUE(far.accounted) << name;
      EXPECT_GT(far.dropped, 20u) << name;
      const auto near = neighbour.viewer.ledger.judge(name, service.published());
      EXPECT_TRUE(near.accounted) << name;
      EXPECT_EQ(near.dropped, 0u) << name;
    }
    EXPECT_LE(lag_max, 3u) << "parts that the neighbour had not got, when looked at";
  }
}

INSTANTIATE_TEST_SUITE_P(Carriers, SlowViewer,
                         testing::Values(PushViewer::Carrier::kWebTransport,
                                         PushViewer::Carrier::kResponse),
                         [](const auto& which) {
                           return which.param == PushViewer::Carrier::kResponse ? "StreamedResponse"
                                                                                : "WebTransport";
                         });

// The viewer takes another network under way (RFC 9000, 9): nothing is lost, nothing comes twice.
TEST(ViewerThatMoves, KeepsItsSession) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedService service(seed);
    service.add_stream("cam", kFrameBytes);
    Place place(service, seed, PushViewer::Carrier::kWebTransport, "subscribe=cam/v360&chunks=1",
                {.loss = 0.02});
    service.feed(180);
    place.link.run_for(seconds(3));
    const quic::Address there = quic::test_address("198.51.100.99", 40'000);
    EXPECT_TRUE(place.viewer.connection().migrate({there, place.link.server_address}));
    place.link.rebind();
    place.link.run_for(seconds(8));
    EXPECT_EQ(place.viewer.closed(), "");
    const auto judgement = place.viewer.ledger.judge("cam/v360", service.published());
    EXPECT_TRUE(judgement.accounted);
    EXPECT_EQ(judgement.dropped, 0u);
    EXPECT_GE(place.link.server.metrics.migrations.Value(), 1);
  }
}

}  // namespace
}  // namespace mirror::app
