#include "stream/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "base/fake_clock.h"
#include "transcode/test_feed.h"

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Reason = media::PublishRefusal::Reason;

media::PublishRequest request(const std::string& key) {
  return {*media::StreamKey::parse(key), "test", "192.0.2.1:1"};
}

// Waits for what a media thread is about to do.
::testing::AssertionResult eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return ::testing::AssertionFailure();
    std::this_thread::yield();
  }
  return ::testing::AssertionSuccess();
}

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() { settings_.reconnect_hold = 60s; }

  std::unique_ptr<media::Publication> open(const std::string& key) {
    auto opened = registry_.open(request(key));
    return opened ? *std::move(opened) : nullptr;
  }
  State state_of(const std::string& key) {
    const auto stream = registry_.find(key);
    return stream ? stream->status()->state : State::kEnded;
  }

  FakeClock clock_;
  Metrics metrics_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
  WakeList wake_list_{{}};
  StreamSettings settings_;
  Registry registry_{2, "e", settings_, {wake_list_, clock_, metrics_, log_}};
};

TEST_F(RegistryTest, ANewPublisherTakesTheKeyOver) {
  const auto first = open("cam1");
  ASSERT_TRUE(first);
  EXPECT_FALSE(registry_.admit(request("cam1")));
  const auto second = open("cam1");
  ASSERT_TRUE(second);
  EXPECT_TRUE(first->displaced());
  EXPECT_EQ(first->displaced_by(), "another publisher took its place");
  EXPECT_FALSE(second->displaced());
}

TEST_F(RegistryTest, AFeedThatWasDisplacedWaitsUntilTheStreamIsFree) {
  auto holder = open("cam1");
  ASSERT_TRUE(holder);
  media::PublishRequest modest = request("cam1");
  modest.may_displace = false;
  EXPECT_TRUE(registry_.admit(modest));
  const auto refused = registry_.open(modest);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, media::PublishRefusal::Reason::kConflict);
  EXPECT_FALSE(holder->displaced());
  holder.reset();
  EXPECT_TRUE(registry_.open(modest));
}

// Two encoders that both come back at once would displace each other many times a second.
TEST_F(RegistryTest, TwoPublishersWithOneKeyDoNotFlap) {
  std::array<std::unique_ptr<media::Publication>, 2> publishers{open("cam1"), nullptr};
  int takeovers = 0;
  int refusals = 0;
  for (int tenth = 0; tenth < 100; ++tenth) {  // 10 s
    for (auto& publisher : publishers) {
      if (publisher && !publisher->displaced()) {
        publisher->on_access_unit(
            {.track = 1, .codec = media::Codec::kAac, .received = clock_.now(), .data = {}});
        continue;
      }
      auto opened = registry_.open(request("cam1"));
      if (opened) {
        publisher = *std::move(opened);
        ++takeovers;
      } else {
        EXPECT_EQ(opened.error().reason, Reason::kConflict);
        EXPECT_THAT(opened.error().message, HasSubstr("two publishers have its key"));
        ++refusals;
      }
    }
    clock_.advance(100ms);
  }
  EXPECT_LE(takeovers, 5);
  EXPECT_GE(takeovers, 3);
  EXPECT_GE(refusals, 90);
}

// The one that took over dies at once: nobody waits for the time of its grace to pass.
TEST_F(RegistryTest, WhoTookOverAndFellSilentIsReplacedSoon) {
  const auto first = open("cam1");
  const auto second = open("cam1");
  clock_.advance(900ms);
  EXPECT_FALSE(open("cam1"));
  clock_.advance(200ms);
  EXPECT_TRUE(open("cam1"));
}

class RejectingRegistryTest : public RegistryTest {
 protected:
  static StreamSettings rejecting() {
    StreamSettings settings;
    settings.takeover = StreamSettings::Takeover::kWhenSilent;
    return settings;
  }
  Registry rejecting_{2, "e", rejecting(), {wake_list_, clock_, metrics_, log_}};
};

TEST_F(RejectingRegistryTest, AKeyBelongsToItsPublisher) {
  const auto first = rejecting_.open(request("cam1"));
  ASSERT_TRUE(first);
  EXPECT_EQ(rejecting_.admit(request("cam1"))->reason, Reason::kConflict);
  const auto second = rejecting_.open(request("cam1"));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("'cam1' is already live"));
}

// OME #2160: an encoder that was killed comes back before its old connection has timed out.
TEST_F(RejectingRegistryTest, APublisherThatFellSilentCanBeReplaced) {
  const auto dead = rejecting_.open(request("cam1"));
  clock_.advance(900ms);
  EXPECT_FALSE(rejecting_.open(request("cam1")));
  clock_.advance(200ms);
  const auto returned = rejecting_.open(request("cam1"));
  ASSERT_TRUE(returned);

  (*dead)->on_tracks({{.id = 1, .codec = media::Codec::kH264}});
  EXPECT_TRUE(rejecting_.find("cam1")->status()->tracks.empty()) << "nobody listens to it any more";
}

// Threads of two ingests take one stream from each other; the newest turn alone is heard, and what
// it says is never written over by an older one. For ThreadSanitizer, too.
TEST_F(RegistryTest, TurnsOnTwoThreadsNeverMix) {
  StreamSettings settings;
  settings.takeover_every = -1ms;  // without any grace
  settings.queue_units_max = 16;   // nothing is to be decoded here
  Registry registry(2, "e", settings, {wake_list_, clock_, metrics_, log_});
  constexpr int kTurns = 100;
  std::atomic<int> opened{0};
  const auto publish = [&](const std::string& remote) {
    for (int i = 0; i < kTurns; ++i) {
      auto turn = registry.open({*media::StreamKey::parse("cam1"), "test", remote});
      if (!turn) continue;
      ++opened;
      for (media::TrackId n = 0; n < 4; ++n) {
        (*turn)->on_tracks(
            {{.id = n, .codec = media::Codec::kH264, .language = "", .description = ""}});
        (*turn)->on_access_unit({.track = n,
                                 .codec = media::Codec::kH264,
                                 .random_access = true,
                                 .received = clock_.now(),
                                 .data = {}});
        (*turn)->on_stats({.bytes = 1}, {});
      }
    }
  };
  std::thread other([&] { publish("192.0.2.2:2"); });
  publish("192.0.2.1:1");
  other.join();
  EXPECT_GE(opened.load(), kTurns);
  // After all that the stream is whose it is, and nobody else's.
  const auto last = registry.open({*media::StreamKey::parse("cam1"), "test", "192.0.2.3:3"});
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_FALSE((*last)->displaced());
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return registry.find("cam1")->status()->remote == "192.0.2.3:3";
  }));
}

TEST_F(RegistryTest, AKeyIsFreeAgainWhenItsPublisherHasLeft) {
  open("cam1").reset();
  EXPECT_TRUE(open("cam1"));
}

TEST_F(RegistryTest, RefusesMoreStreamsThanAllowed) {
  const auto one = open("cam1");
  const auto two = open("cam2");
  const auto refusal = registry_.admit(request("cam3"));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, Reason::kOverload);
}

TEST_F(RegistryTest, AFeedThatCannotBeShownSaysWhy) {
  const auto publication = open("cam1");
  publication->on_tracks({{.id = 33,
                           .codec = media::Codec::kUnsupported,
                           .language = "",
                           .description = "MPEG-2 video"}});
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return state_of("cam1") == State::kFailed;
  }));
  EXPECT_THAT(registry_.find("cam1")->status()->why, HasSubstr("MPEG-2 video"));
}

TEST_F(RegistryTest, EachStateSaysWhy) {
  auto publication = open("cam1");
  const auto stream = registry_.find("cam1");
  const auto tells = [&](State state, const std::string& why) {
    return eventually([&] {
      clock_.advance(100ms);
      const auto status = stream->status();
      return status->state == state && status->why == why;
    });
  };
  EXPECT_TRUE(tells(State::kConnecting, "no tracks are known yet"));
  publication->on_tracks(
      {{.id = 1, .codec = media::Codec::kH264, .language = "", .description = ""}});
  EXPECT_TRUE(tells(State::kConnecting, "there is no picture yet"));
  const WallTime since = stream->status()->since;
  EXPECT_LT(since, clock_.now().wall) << "both are one state, which began before";
  publication.reset();
  EXPECT_TRUE(tells(State::kReconnecting, "the publisher left"));
  EXPECT_GT(stream->status()->since, since);
  EXPECT_TRUE(tells(State::kEnded, "nobody came back within 10 s"));
}

TEST_F(RegistryTest, AStreamWaitsForItsPublisherAndThenGoes) {
  open("cam1").reset();
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return state_of("cam1") == State::kReconnecting || registry_.find("cam1")->expired();
  }));
  clock_.advance(61s);
  ASSERT_TRUE(eventually([&] {
    clock_.advance(1s);
    registry_.sweep();
    return registry_.find("cam1") == nullptr;
  }));
  EXPECT_EQ(metrics_.render().find("stream=\"cam1\""), std::string::npos);
  EXPECT_TRUE(open("cam1")) << "and can begin anew";
}

// A publisher that only keeps its connection alive outlasts the stream that was taken from it.
TEST_F(RegistryTest, ADisplacedTurnMayOutliveItsStream) {
  const auto displaced = open("cam1");
  EXPECT_FALSE(displaced->displaced());
  clock_.advance(2s);
  open("cam1").reset();
  EXPECT_TRUE(displaced->displaced());
  ASSERT_TRUE(eventually([&] {
    clock_.advance(1s);
    registry_.sweep();
    return registry_.find("cam1") == nullptr;
  }));
  displaced->on_stats({}, {});
  EXPECT_TRUE(displaced->displaced());
  EXPECT_EQ(displaced->displaced_by(), "the stream closed");
}

TEST_F(RegistryTest, TheFirstReportHasABitRate) {
  const auto publication = open("cam1");
  clock_.advance(1s);
  publication->on_stats({.bytes = 125'000}, {});
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return registry_.find("cam1")->status()->source_bitrate_bps == 1'000'000;
  }));
}

// After a pause nothing was taken for long, and yet nobody is behind.
TEST_F(RegistryTest, AFeedThatReturnsAfterAPauseIsNotCut) {
  const auto publication = open("cam1");
  publication->on_tracks(
      {{.id = 1, .codec = media::Codec::kH264, .language = "", .description = ""}});
  const auto push = [&] {
    publication->on_access_unit({.track = 1,
                                 .codec = media::Codec::kH264,
                                 .random_access = true,
                                 .received = clock_.now(),
                                 .data = {}});
  };
  constexpr std::uint64_t kBurst = 20;
  const auto stream = registry_.find("cam1");
  // One of them at least is taken before the clock has gone on: what waits for long is left out.
  ASSERT_TRUE(eventually([&] {
    if (stream->queued() == 0) push();
    clock_.advance(100ms);
    return stream->status()->video.access_units >= 1;
  }));
  // The pause begins when all was taken: a unit that lies there throughout is a backlog.
  ASSERT_TRUE(eventually([&] { return stream->queued() == 0; }));
  clock_.advance(5s);
  for (std::uint64_t i = 0; i < kBurst; ++i) push();
  ASSERT_TRUE(eventually([&] { return stream->queued() == 0; }));
  ASSERT_TRUE(eventually([&] {
    clock_.advance(1s);
    return stream->status()->video.access_units >= kBurst;  // the last may find itself late
  }));
  EXPECT_EQ(stream->status()->queue_dropped_units, 0);
}

// A loop that stands still when the media thread named so wakes it: so does that thread.
class Freezer final : public Wakeable {
 public:
  explicit Freezer(std::string thread) : thread_(std::move(thread)) {}
  void wake() noexcept override {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    if (thread_ != name.data()) return;
    if (getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())) > 0) lowered = true;
    if (!frozen.load()) return;
    standing = true;
    while (frozen.load()) std::this_thread::yield();
    standing = false;
  }

  std::atomic<bool> frozen{false};
  std::atomic<bool> standing{false};
  std::atomic<bool> lowered{false};

 private:
  const std::string thread_;
};

// The media thread of one stream stands still for two seconds (of the clock): its queue stays
// within its bounds, the other stream loses nothing, and no playlist breaks.
TEST_F(RegistryTest, AFrozenMediaThreadHarmsNoOtherStream) {
  Freezer freezer("m-cam1");
  const WakeList wake_list{{&freezer}};
  StreamSettings settings;
  settings.video = {.width = 64, .height = 36, .bitrate_bps = 50'000};
  settings.reconnect_hold = 60s;
  Registry registry{2, "e", settings, {wake_list, clock_, metrics_, log_}};
  const auto feed = transcode::test::make_video({.codec = media::Codec::kH264,
                                                 .width = 64,
                                                 .height = 36,
                                                 .frames = 240,
                                                 .gop = 15,
                                                 .b_frames = 0});
  std::array<std::unique_ptr<media::Publication>, 2> publications;
  std::array<std::shared_ptr<Stream>, 2> streams;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string key = i == 0 ? "cam1" : "cam2";
    publications[i] = *registry.open(request(key));
    publications[i]->on_tracks({{.id = 1, .codec = media::Codec::kH264}});
    streams[i] = registry.find(key);
  }
  const auto parts = [&](std::size_t stream) -> std::uint64_t {
    const auto presentation = streams[stream]->presentation();
    if (!presentation) return 0;
    const auto& window = *presentation->renditions().front().window;
    const auto view = window.view();
    return (view->next.segment - window.settings().first_segment) * 5 + view->next.part;
  };
  std::uint64_t sent = 0;
  for (const auto& unit : feed) {
    if (sent == 90) freezer.frozen = true;
    if (sent == 93) {
      ASSERT_TRUE(eventually([&] { return freezer.standing.load(); }));
    }
    if (sent == 150) {  // 2 s later
      freezer.frozen = false;
      ASSERT_TRUE(eventually([&] { return streams[0]->queued() == 0; }));
    }
    // Three at a time: while they are encoded the clock, by which that is measured, stands.
    constexpr auto kFrame = 33'333us;
    if (sent % 3 == 0) clock_.advance(3 * kFrame);
    const auto before_now = (2 - static_cast<int>(sent % 3)) * kFrame;
    for (auto& publication : publications) {
      media::AccessUnit copy = unit;
      copy.track = 1;
      copy.received = clock_.now();
      copy.received.steady -= before_now;
      copy.received.wall -= before_now;
      publication->on_access_unit(std::move(copy));
    }
    EXPECT_LE(streams[0]->queued(), 32U);
    // The clock waits for what does not stand still: the machine is fast enough.
    if (++sent % 3 != 0 || sent < 15) continue;
    for (std::size_t i = freezer.frozen ? 1 : 0; i < 2; ++i) {
      ASSERT_TRUE(eventually([&] { return parts(i) == sent / 3; })) << i << " " << sent;
    }
  }
  publications = {};
  ASSERT_TRUE(eventually([&] {
    clock_.advance(10ms);
    return streams[0]->status()->state == State::kReconnecting &&
           streams[1]->status()->state == State::kReconnecting;
  }));
  const auto frozen = streams[0]->status();
  const auto other = streams[1]->status();
  EXPECT_TRUE(freezer.lowered);
  EXPECT_EQ(other->queue_dropped_units, 0U);
  EXPECT_EQ(other->overload.catch_ups, 0U);
  EXPECT_EQ(other->video.samples, 240U);
  EXPECT_EQ(frozen->overload.catch_ups, 1U);
  EXPECT_EQ(frozen->overload.level, transcode::Effort::kAll);
  EXPECT_GT(frozen->queue_dropped_units + frozen->overload.skipped_units, 30U);
  EXPECT_EQ(frozen->video.samples, 240U) << "the hole is filled";
  EXPECT_EQ(frozen->video.discontinuities, 0U);
}

TEST_F(RegistryTest, AnErrorCanBeReadAfterItsPublisherLeft) {
  auto publication = open("cam1");
  publication->on_tracks({{.id = 33,
                           .codec = media::Codec::kUnsupported,
                           .language = "",
                           .description = "MPEG-2 video"}});
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return state_of("cam1") == State::kFailed;
  }));
  const auto stream = registry_.find("cam1");
  const auto told = stream->status();
  publication.reset();
  ASSERT_TRUE(eventually([&] {
    clock_.advance(1ms);
    return stream->status() != told;
  }));
  EXPECT_THAT(stream->status()->why, HasSubstr("MPEG-2 video"));
}

// A sanitizer keeps what is freed. g++ says that it is there in one way, clang in another.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MIRROR_SANITIZED 1
#endif
#endif
#if !defined(MIRROR_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
std::size_t resident_kib() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4;
}

// Streams that begin and end by the hundred, each with several publishers' turns, leave nothing.
TEST_F(RegistryTest, ReconnectingPublishersLeaveNothingBehind) {
  const auto live_once = [&](int life) {
    const std::string key = "cam" + std::to_string(life % 7);
    for (int turn = 0; turn < 5; ++turn) {
      const auto publication = open(key);
      ASSERT_TRUE(publication);
      publication->on_tracks({{.id = 33,
                               .codec = media::Codec::kUnsupported,
                               .language = "",
                               .description = "MPEG-2 video"}});
      publication->on_access_unit({.track = 33,
                                   .codec = media::Codec::kUnsupported,
                                   .random_access = true,
                                   .received = clock_.now(),
                                   .data = {}});
      clock_.advance(3s);  // so that the next one may take over, were this one still there
    }
    ASSERT_TRUE(eventually([&] {
      clock_.advance(11s);
      registry_.sweep();
      return registry_.streams()->empty();
    }));
  };
  for (int life = 0; life < 30; ++life) live_once(life);
  const std::size_t series = metrics_.render().size();
  const std::size_t before = resident_kib();
  for (int life = 0; life < 150; ++life) live_once(life);
  EXPECT_LE(resident_kib(), before + 4096);
  EXPECT_EQ(metrics_.render().size(), series);
}
#endif

TEST_F(RegistryTest, AdmitsNobodyWhileItStops) {
  const auto publication = open("cam1");
  registry_.stop_all();
  EXPECT_EQ(registry_.admit(request("cam2"))->reason, Reason::kShuttingDown);
  EXPECT_TRUE(eventually([&] { return registry_.all_ended(); }));
}

}  // namespace
}  // namespace mirror::stream
