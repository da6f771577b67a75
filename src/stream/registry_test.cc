#include "stream/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/fake_clock.h"

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

TEST_F(RegistryTest, AKeyBelongsToItsPublisher) {
  const auto first = open("cam1");
  ASSERT_TRUE(first);
  EXPECT_EQ(registry_.admit(request("cam1"))->reason, Reason::kConflict);
  const auto second = registry_.open(request("cam1"));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("'cam1' is already live"));
}

TEST_F(RegistryTest, AKeyIsFreeAgainWhenItsPublisherHasLeft) {
  open("cam1").reset();
  EXPECT_TRUE(open("cam1"));
}

// OME #2160: an encoder that was killed comes back before its old connection has timed out.
TEST_F(RegistryTest, APublisherThatFellSilentCanBeReplaced) {
  const auto dead = open("cam1");
  clock_.advance(900ms);
  EXPECT_FALSE(open("cam1"));
  clock_.advance(200ms);
  const auto returned = open("cam1");
  ASSERT_TRUE(returned);

  dead->on_tracks({{.id = 1, .codec = media::Codec::kH264}});
  EXPECT_TRUE(registry_.find("cam1")->status()->tracks.empty()) << "nobody listens to it any more";
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
  EXPECT_THAT(registry_.find("cam1")->status()->error, HasSubstr("MPEG-2 video"));
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
  push();
  ASSERT_TRUE(eventually([&] {
    clock_.advance(100ms);
    return stream->status()->video.access_units == 1;
  }));
  clock_.advance(5s);
  for (std::uint64_t i = 0; i < kBurst; ++i) push();
  ASSERT_TRUE(eventually([&] {
    clock_.advance(1s);
    return stream->status()->video.access_units > kBurst;
  }));
  EXPECT_EQ(stream->status()->queue_dropped_units, 0);
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
  EXPECT_THAT(stream->status()->error, HasSubstr("MPEG-2 video"));
}

TEST_F(RegistryTest, AdmitsNobodyWhileItStops) {
  const auto publication = open("cam1");
  registry_.stop_all();
  EXPECT_EQ(registry_.admit(request("cam2"))->reason, Reason::kShuttingDown);
  EXPECT_TRUE(eventually([&] { return registry_.all_ended(); }));
}

}  // namespace
}  // namespace mirror::stream
