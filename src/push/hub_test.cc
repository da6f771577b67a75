#include "push/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "push/scripted_world.h"

namespace mirror::push {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What a window serves of a part.
std::string bytes_of(const ScriptedStream& stream, hls::PartPosition at,
                     std::size_t rendition = 0) {
  const auto view = stream.window(rendition).view();
  return std::string(view->find(at.segment)->parts.at(at.part).bytes.text());
}

TEST_F(PushTest, StartsAtTheNewestIndependentPart) {
  auto& cam = stream("cam");
  cam.push(0, 15 + 9);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  EXPECT_THAT(viewer.news(), ElementsAre("hello", "live cam/v360", "track 1 cam/v360", "init 1",
                                         "1:1.0*", "1:1.1", "1:1.2"));
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.3"));
  for (const auto& part : viewer.parts) EXPECT_EQ(part.body, bytes_of(cam, part.head.at));
  EXPECT_EQ(viewer.inits[1], cam.presentation()->renditions()[0].init.text());
}

TEST_F(PushTest, TellsWhatATrackIs) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  cam.push(2, 5);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360:9&subscribe=cam/audio:1");
  const TrackInfo& video = viewer.tracks.at(1);
  EXPECT_EQ(video.epoch, "e1");
  EXPECT_EQ(video.codec, "avc1.64001E");
  EXPECT_EQ(video.timescale, 30'000u);
  EXPECT_EQ(video.sample_duration, 1'000u);
  EXPECT_EQ(std::get<VideoFormat>(video.format).width, 640u);
  const TrackInfo& audio = viewer.tracks.at(2);
  EXPECT_EQ(audio.codec, "mp4a.40.2");
  EXPECT_EQ(std::get<AudioFormat>(audio.format).sample_rate, 48'000u);
}

TEST_F(PushTest, PartsCarryTheirTimes) {
  auto& cam = stream("cam");
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  clock_.advance(200ms);
  cam.push(0, 6);
  turn();
  ASSERT_EQ(viewer.parts.size(), 2u);
  const PartHead& second = viewer.parts[1].head;
  EXPECT_EQ(second.decode_time, 3'000);
  EXPECT_EQ(second.duration, 3'000u);
  EXPECT_EQ(second.times.captured, hls::feed_start() + 100ms);
  EXPECT_EQ(second.times.published, clock_.now().wall);
}

TEST_F(PushTest, AViewerOfEachPartOnce) {
  auto& cam = stream("cam");
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  for (int i = 0; i < 100; ++i) {
    cam.push(0, 1 + i % 7);
    if (i % 3 == 0) turn();
  }
  turn();
  hls::PartPosition expected;
  for (const auto& part : viewer.parts) {
    EXPECT_EQ(part.head.at, expected);
    EXPECT_EQ(part.body, bytes_of(cam, expected));
    expected = expected.part == 4 ? hls::PartPosition{expected.segment + 1, 0}
                                  : hls::PartPosition{expected.segment, expected.part + 1};
  }
  EXPECT_EQ(cam.window().view()->next, expected);
}

TEST_F(PushTest, ChunksOfOneFrameEach) {
  auto& cam = stream("cam");
  ScriptedViewer chunks;
  ScriptedViewer parts;
  open(chunks, "subscribe=cam/v360&chunks=1");
  open(parts, "subscribe=cam/v360");
  chunks.news();
  cam.push(0, 1);
  turn();
  EXPECT_THAT(chunks.news(), ElementsAre("track 1 cam/v360", "init 1", "1:0.0*+"));
  cam.push(0, 1);
  turn();
  EXPECT_THAT(chunks.news(), ElementsAre("1:0.0*+"));
  EXPECT_THAT(parts.parts, IsEmpty());
  cam.push(0, 1);
  turn();
  EXPECT_THAT(chunks.news(), ElementsAre("1:0.0*"));
  ASSERT_EQ(parts.parts.size(), 1u);
  std::string joined;
  for (const auto& chunk : chunks.parts) {
    EXPECT_EQ(chunk.head.offset, joined.size());
    EXPECT_TRUE(chunk.head.chunk);
    EXPECT_EQ(chunk.head.duration, 1'000u);
    joined += chunk.body;
  }
  EXPECT_EQ(joined, parts.parts[0].body);
  EXPECT_EQ(chunks.parts[2].head.decode_time, 2'000);
  EXPECT_EQ(chunks.parts[2].head.times.captured - chunks.parts[0].head.times.captured, 66'666us);
}

TEST_F(PushTest, AViewerOfChunksMayComeInTheMiddleOfAPart) {
  auto& cam = stream("cam");
  ScriptedViewer first;
  open(first, "subscribe=cam/v360&chunks=1");
  cam.push(0, 4);
  turn();
  ScriptedViewer second;
  open(second, "subscribe=cam/v360&chunks=1");
  EXPECT_THAT(second.news(), ElementsAre("hello", "live cam/v360", "track 1 cam/v360", "init 1",
                                         "1:0.0*", "1:0.1+"));
  cam.push(0, 2);
  turn();
  EXPECT_EQ(second.parts.back().head.offset + second.parts.back().body.size(),
            bytes_of(cam, {0, 1}).size());
}

TEST_F(PushTest, ManyFramesInOneTurnAreStillChunksInOrder) {
  auto& cam = stream("cam");
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360&chunks=1");
  cam.push(0, 2);
  turn();
  cam.push(0, 6);
  turn();
  std::map<hls::PartPosition, std::string> joined;
  for (const auto& part : viewer.parts) {
    auto& bytes = joined[part.head.at];
    EXPECT_EQ(part.head.offset, bytes.size());
    bytes += part.body;
  }
  EXPECT_EQ(joined.at({0, 0}), bytes_of(cam, {0, 0}));
  EXPECT_EQ(joined.at({0, 1}), bytes_of(cam, {0, 1}));
  EXPECT_EQ(viewer.parts.back().head.at, (hls::PartPosition{0, 2}));
}

TEST_F(PushTest, TheMoreImportantTrackGoesFirst) {
  auto& cam = stream("cam");
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360:10&subscribe=cam/v180:20");
  viewer.news();
  viewer.room = 0;
  cam.push(0, 60);
  cam.push(1, 60);
  turn();
  take(session, viewer, ScriptedViewer::kEndless);
  std::vector<TrackNumber> order;
  for (const auto& part : viewer.parts) order.push_back(part.head.track);
  // What the carrier had is past changing: less than carrier_bytes and one frame.
  EXPECT_EQ(order.size(), 40u);
  EXPECT_TRUE(std::ranges::is_sorted(order, std::greater()));
}

TEST_F(PushTest, AbsentStreamsMayBeWaitedFor) {
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  EXPECT_THAT(viewer.news(), ElementsAre("hello", "absent cam/v360"));
  auto& cam = stream("cam");
  cam.push(0, 3);
  clock_.advance(60ms);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("live cam/v360", "track 1 cam/v360", "init 1", "1:0.0*"));
}

TEST_F(PushTest, NotEndlesslyMany) {
  ScriptedViewer viewer;
  HubSettings settings;
  settings.session.absent_max = 2;
  make_hub(settings);
  open(viewer, "subscribe=a/v360&subscribe=b/v360&subscribe=c/v360");
  EXPECT_THAT(viewer.news(), ElementsAre("hello", "error 3", "absent a/v360", "absent b/v360"));
  EXPECT_EQ(hub_->feeds(), 2u);
}

TEST_F(PushTest, StatesAreToldBehindTheLastPart) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  viewer.news();
  catalogue_.streams["cam"].state = StreamState::kReconnecting;
  cam.presentation()->suspend();
  tick();
  EXPECT_THAT(viewer.news(), ElementsAre("reconnecting cam/v360"));
  catalogue_.streams["cam"].state = StreamState::kLive;
  cam.push_break(0);
  cam.push(0, 2);
  turn();
  tick();
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.0*!", "live cam/v360"));
  cam.push(0, 3);
  cam.presentation()->finish();
  catalogue_.streams["cam"].state = StreamState::kEnded;
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.1", "ended cam/v360"));
  catalogue_.streams.erase("cam");
  tick();
  EXPECT_THAT(viewer.news(), IsEmpty());
}

TEST_F(PushTest, ANewPresentationIsANewTrack) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  viewer.news();
  cam.push(0, 3);
  cam.presentation()->finish();
  auto& again = stream("cam");
  again.push(0, 6);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:0.1", "track 2 cam/v360", "init 2", "2:0.0*", "2:0.1"));
  EXPECT_EQ(viewer.tracks.at(2).epoch, "e2");
}

TEST_F(PushTest, AGapIsToldAsOne) {
  auto& cam = stream("cam");
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  cam.push(0, 15);
  ScriptedStream other("x", wake_, clock_);
  turn();
  viewer.news();
  // Six frames never come: the rest of their segment is missing with them.
  hls::ScriptedFeed feed(hls::feed_video({30, 1}));
  for (int i = 0; i < 15 + 6; ++i) feed.next();
  media::Sample late = feed.next();
  late.sync = true;
  cam.presentation()->push(0, late);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.0-", "1:1.1-"));
  EXPECT_EQ(viewer.parts.back().body, "");
}

TEST_F(PushTest, PauseAndResume) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.news();
  const std::string target = R"("stream":"cam","rendition":"v360"})";
  ask(session, R"({"type":"pause",)" + target);
  cam.push(0, 15 + 3);
  turn();
  EXPECT_THAT(viewer.news(), IsEmpty());
  tick();
  EXPECT_TRUE(hub_->viewers().empty() || hub_->viewers().at("cam") == 0);
  ask(session, R"({"type":"resume",)" + target);
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.0*", "1:1.1"));
  tick();
  EXPECT_EQ(hub_->viewers().at("cam"), 1u);
}

TEST_F(PushTest, SubscriptionsComeAndGo) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  cam.push(2, 5);
  ScriptedViewer viewer;
  Session& session = open(viewer, "");
  EXPECT_THAT(viewer.news(), ElementsAre("hello"));
  ask(session, R"({"type":"subscribe","stream":"cam","rendition":"audio","priority":9})");
  EXPECT_THAT(viewer.news(),
              ElementsAre("live cam/audio", "track 1 cam/audio", "init 1", "1:0.0*"));
  ask(session, R"({"type":"subscribe","stream":"cam","rendition":"audio"})");
  EXPECT_THAT(viewer.news(), ElementsAre("error 2"));
  ask(session, R"({"type":"unsubscribe","stream":"cam","rendition":"audio"})");
  cam.push(2, 5);
  turn();
  EXPECT_THAT(viewer.news(), IsEmpty());
  EXPECT_EQ(hub_->feeds(), 0u);
  ask(session, R"({"type":"priority","stream":"cam","rendition":"audio","priority":1})");
  EXPECT_THAT(viewer.news(), ElementsAre("error 1"));
}

TEST_F(PushTest, ASwitchLeavesNoHole) {
  for (int lead = 0; lead < 15; ++lead) {
    auto& cam = stream("cam");
    cam.push(0, 15 + lead);
    cam.push(1, 15 + lead);
    ScriptedViewer viewer;
    Session& session = open(viewer, "subscribe=cam/v360");
    ask(session, R"({"type":"switch","stream":"cam","rendition":"v360","to_rendition":"v180"})");
    for (int i = 0; i < 45; ++i) {
      cam.push(0, 1);
      turn();
      cam.push(1, 1);
      turn();
    }
    // Each track's parts follow each other, the second takes over from the first at an independent
    // one, and at most one part comes twice.
    std::int64_t end = viewer.parts.front().head.decode_time;
    const TrackNumber first = viewer.parts.front().head.track;
    bool switched = false;
    for (const auto& part : viewer.parts) {
      if (part.head.track != first && !std::exchange(switched, true)) {
        EXPECT_TRUE(part.head.independent);
        EXPECT_LE(part.head.decode_time, end);
        EXPECT_GE(part.head.decode_time, end - 3'000);
        end = part.head.decode_time;
      }
      EXPECT_EQ(part.head.track != first, switched) << "the old one is done";
      EXPECT_EQ(part.head.decode_time, end);
      end += static_cast<std::int64_t>(part.head.duration);
    }
    EXPECT_TRUE(switched);
    hub_->close(session);
    catalogue_.streams.clear();
  }
}

TEST_F(PushTest, ASwitchOfSoundToAnotherStreamIsImmediate) {
  auto& one = stream("one");
  auto& two = stream("two");
  one.push(2, 10);
  two.push(2, 20);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=one/audio");
  viewer.news();
  ask(session, R"({"type":"switch","stream":"one","rendition":"audio","to_stream":"two"})");
  EXPECT_THAT(viewer.news(),
              ElementsAre("live two/audio", "track 2 two/audio", "init 2", "2:0.3*"));
  one.push(2, 5);
  two.push(2, 5);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("2:0.4*"));
  EXPECT_EQ(session.subscriptions(), 1u);
}

TEST_F(PushTest, ASwitchToWhatDoesNotExistWaitsForIt) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.news();
  ask(session, R"({"type":"switch","stream":"cam","rendition":"v360","to_stream":"later"})");
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("absent later/v360", "1:0.1"));
  auto& later = stream("later");
  later.push(0, 3);
  clock_.advance(60ms);
  turn();
  tick();
  EXPECT_THAT(viewer.news(),
              ElementsAre("live later/v360", "track 2 later/v360", "init 2", "2:0.0*"));
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), IsEmpty());
}

TEST_F(PushTest, ASwitchThatWaitsIsPausedWithWhatItReplaces) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  cam.push(1, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  const std::string target = R"("stream":"cam","rendition":"v360")";
  cam.push(0, 9);
  turn();
  ask(session, R"({"type":"switch",)" + target + R"(,"to_rendition":"v180"})");
  ask(session, R"({"type":"pause",)" + target + "}");
  viewer.news();
  cam.push(0, 30);
  cam.push(1, 40);
  turn();
  tick();
  EXPECT_THAT(viewer.news(), IsEmpty());
  ask(session, R"({"type":"resume","stream":"cam","rendition":"v180"})");
  EXPECT_THAT(viewer.news(), Contains("2:2.0*"));
  EXPECT_EQ(session.subscriptions(), 1u);
}

TEST_F(PushTest, ASwitchMayBeTakenBackOrChanged) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  ask(session, R"({"type":"switch","stream":"cam","rendition":"v360","to_stream":"a"})");
  ask(session, R"({"type":"switch","stream":"a","rendition":"v360","to_stream":"b"})");
  EXPECT_EQ(session.subscriptions(), 2u);
  ask(session, R"({"type":"switch","stream":"b","rendition":"v360","to_stream":"cam"})");
  EXPECT_EQ(session.subscriptions(), 1u);
  viewer.news();
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:0.1"));
  ask(session, R"({"type":"switch","stream":"cam","rendition":"v360","to_stream":"a"})");
  ask(session, R"({"type":"unsubscribe","stream":"cam","rendition":"v360"})");
  ask(session, R"({"type":"unsubscribe","stream":"a","rendition":"v360"})");
  EXPECT_EQ(session.subscriptions(), 0u);
  EXPECT_EQ(hub_->feeds(), 0u);
}

TEST_F(PushTest, AViewerWhoLagsLosesTheLeastImportantFirst) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  cam.push(1, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360:10&subscribe=cam/v180:200");
  turn();
  viewer.news();
  viewer.room = 0;
  // Two megabytes are some 600 parts; v180 alone stays far below.
  for (int i = 0; i < 700; ++i) {
    cam.push(0, 3);
    cam.push(1, 3);
    turn();
  }
  EXPECT_LE(session.queued_bytes(), SessionSettings{}.queued_bytes_max);
  take(session, viewer, ScriptedViewer::kEndless);
  std::map<TrackNumber, std::vector<hls::PartPosition>> got;
  for (const auto& part : viewer.parts) got[part.head.track].push_back(part.head.at);
  EXPECT_EQ(got[2].size(), 701u) << "the important one is whole";
  EXPECT_LT(got[1].size(), 701u);
  EXPECT_THAT(viewer.log, Contains(HasSubstr("dropped 1:")));
  EXPECT_THAT(viewer.log, testing::Not(Contains(HasSubstr("dropped 2:"))));
}

TEST_F(PushTest, WhatIsTooOldIsDroppedAndItGoesOnAtAnIndependentPart) {
  auto& cam = stream("cam", 8'000);
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.news();
  viewer.room = 0;
  for (int i = 0; i < 29; ++i) {  // 0.1 to 5.4
    clock_.advance(100ms);
    cam.push(0, 3);
    turn();
  }
  take(session, viewer, ScriptedViewer::kEndless);
  const auto log = viewer.news();
  EXPECT_THAT(log, Contains(HasSubstr("dropped 1:")));
  // Behind the loss comes an independent part, and from there on every one.
  const auto loss =
      std::ranges::find_if(log, [](const auto& line) { return line.starts_with("dropped"); });
  ASSERT_NE(loss + 1, log.end());
  EXPECT_THAT(*(loss + 1), HasSubstr("*"));
  EXPECT_EQ(log.back(), "1:5.4");
  std::size_t lost = 0;
  for (const std::size_t parts : hub_->totals().dropped) lost += parts;
  EXPECT_EQ(viewer.parts.size() + lost, 30u) << "each part was sent or told as lost";
}

TEST_F(PushTest, ADeadCarrierCostsNoMoreThanItMay) {
  auto& cam = stream("cam", 4'000);
  cam.push(0, 3);
  ScriptedViewer viewer;
  viewer.room = 0;
  Session& session =
      open(viewer, "subscribe=cam/v360&subscribe=cam/v180&subscribe=cam/audio&chunks=1");
  for (int i = 0; i < 4'000; ++i) {
    clock_.advance(i % 3 == 0 ? 34ms : 33ms);
    cam.push(0, 1);
    cam.push(1, 1);
    cam.push(2, i % 2 + 1);
    turn();
    if (i % 15 == 0) tick();
    ASSERT_LE(session.queued_bytes(), SessionSettings{}.queued_bytes_max);
    ASSERT_LE(session.queue_age(clock_.now().steady),
              SessionSettings{}.queued_age_max + 500ms);  // looked at with each tick
  }
  EXPECT_LT(viewer.most_pending, SessionSettings{}.carrier_bytes + 16'384);
  EXPECT_GT(hub_->totals().dropped[static_cast<std::size_t>(DropReason::kAge)], 1'000u);
  hub_->close(session);
  EXPECT_EQ(hub_->sessions(), 0u);
  EXPECT_EQ(hub_->feeds(), 0u);
}

TEST_F(PushTest, AStreamPerPartMayTakeBackWhatItHas) {
  auto& cam = stream("cam", 8'000);
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.room = 0;
  viewer.can_abandon = LostParts{1, {0, 1}, {0, 3}, 3};
  for (int i = 0; i < 25; ++i) {
    clock_.advance(100ms);
    cam.push(0, 3);
    turn();
  }
  EXPECT_THAT(viewer.abandoned, Contains(1u));
  EXPECT_FALSE(viewer.can_abandon);
  take(session, viewer, ScriptedViewer::kEndless);
  EXPECT_THAT(viewer.log, Contains(HasSubstr("dropped 1:0.1-")));
}

TEST_F(PushTest, WhatTheCarrierLostIsToldAndTheNextPartIsIndependent) {
  auto& cam = stream("cam");
  cam.push(0, 6);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  viewer.news();
  viewer.loss = LostParts{1, {0, 0}, {0, 1}, 2};
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("dropped 1:0.0-0.2 (3) 1"));
  cam.push(0, 6);
  turn();
  EXPECT_THAT(viewer.news(), IsEmpty());
  cam.push(0, 6);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("dropped 1:0.3-0.4 (2) 1", "1:1.0*", "1:1.1"));
  EXPECT_EQ(hub_->totals().dropped[static_cast<std::size_t>(DropReason::kBytes)], 5u);
  viewer.loss = LostParts{7, {0, 0}, {0, 0}, 1};  // of what nobody subscribes to
  cam.push(0, 3);
  turn();
  EXPECT_THAT(viewer.news(), ElementsAre("1:1.2"));
}

// The end of one presentation is lost, and then a part of the next: both are told, in order.
TEST_F(PushTest, LossesOfTwoPresentationsAreToldApart) {
  auto& cam = stream("cam", 20'000);
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.room = 0;
  for (int i = 0; i < 25; ++i) {
    clock_.advance(100ms);
    cam.push(0, 3);
    turn();
  }
  cam.presentation()->finish();
  clock_.advance(100ms);
  auto& again = stream("cam", 20'000);
  turn();
  for (int i = 0; i < 50; ++i) {
    clock_.advance(100ms);
    again.push(0, 3);
    turn();
  }
  viewer.news();
  take(session, viewer, ScriptedViewer::kEndless);
  again.push(0, 15);
  turn();
  std::vector<std::string> told;
  for (const std::string& line : viewer.log) {
    if (line.starts_with("dropped")) told.push_back(line.substr(0, line.find(':')));
  }
  EXPECT_THAT(told, ElementsAre("dropped 1", "dropped 2")) << testing::PrintToString(viewer.log);
}

TEST_F(PushTest, NobodyIsAlwaysLast) {
  auto& cam = stream("cam");
  struct Ordered final : Carrier {
    explicit Ordered(std::vector<int>& all, int which) : order(all), number(which) {}
    void send(const Outgoing& frame) override {
      if (frame.media) order.push_back(number);
    }
    std::size_t pending_bytes() const override { return 0; }
    void tell_below(std::size_t) override {}
    void end() override {}
    std::vector<int>& order;
    const int number;
  };
  std::vector<int> order;
  std::vector<std::unique_ptr<Ordered>> carriers;
  for (int i = 0; i < 3; ++i) {
    carriers.push_back(std::make_unique<Ordered>(order, i));
    hub_->open(fmt::format("o{}", i), *carriers.back(),
               *parse_subscribe_query("subscribe=cam/v360"), clock_.now());
  }
  turn();
  std::vector<int> last;
  for (int i = 0; i < 3; ++i) {
    order.clear();
    cam.push(0, 3);
    turn();
    ASSERT_EQ(order.size(), 3u);
    last.push_back(order.back());
  }
  EXPECT_THAT(last, testing::UnorderedElementsAre(0, 1, 2));
  hub_.reset();
}

TEST_F(PushTest, OneTurnServesSoManyAndNoMore) {
  HubSettings settings;
  settings.sessions_per_turn = 2;
  make_hub(settings);
  auto& cam = stream("cam");
  std::vector<std::unique_ptr<ScriptedViewer>> viewers;
  for (int i = 0; i < 5; ++i) {
    viewers.push_back(std::make_unique<ScriptedViewer>());
    open(*viewers.back(), "subscribe=cam/v360");
  }
  cam.push(0, 3);
  EXPECT_TRUE(hub_->turn(clock_.now()));
  EXPECT_TRUE(hub_->turn(clock_.now()));
  EXPECT_FALSE(hub_->turn(clock_.now()));
  for (const auto& viewer : viewers) EXPECT_EQ(viewer->parts.size(), 1u);
  hub_.reset();
}

TEST_F(PushTest, ViewersShareHeadsAndBytes) {
  auto& cam = stream("cam");
  struct Keeping final : Carrier {
    void send(const Outgoing& frame) override {
      if (frame.media) kept.push_back(frame);
    }
    std::size_t pending_bytes() const override { return 0; }
    void tell_below(std::size_t) override {}
    void end() override {}
    std::vector<Outgoing> kept;
  };
  Keeping one;
  Keeping two;
  for (auto* carrier : {&one, &two}) {
    hub_->open(carrier == &one ? "a" : "b", *carrier, *parse_subscribe_query("subscribe=cam/v360"),
               clock_.now());
  }
  turn();
  cam.push(0, 3);
  turn();
  ASSERT_EQ(one.kept.size(), 1u);
  ASSERT_EQ(two.kept.size(), 1u);
  EXPECT_EQ(one.kept[0].pieces[0].data(), two.kept[0].pieces[0].data());
  EXPECT_EQ(one.kept[0].pieces[1].data(), cam.window().view()->find(0)->parts[0].bytes.data());
  hub_.reset();
}

TEST_F(PushTest, PingsWhenThereIsNothingElse) {
  ScriptedViewer viewer;
  open(viewer, "");
  viewer.news();
  for (int i = 0; i < 22; ++i) {
    clock_.advance(500ms);
    tick();
  }
  EXPECT_THAT(viewer.news(), ElementsAre("ping", "ping"));
}

TEST_F(PushTest, ReportsOfGlassToGlass) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  Session& session = open(viewer, "subscribe=cam/v360");
  viewer.news();
  clock_.advance(400ms);
  const std::int64_t captured = hls::feed_start().time_since_epoch().count();
  const auto report = [&](std::int64_t track, int part, std::int64_t at, std::int64_t rendered) {
    ask(session, fmt::format(R"({{"type":"rendered","track":{},"msn":0,"part":{},)"
                             R"("captured_us":{},"rendered_us":{}}})",
                             track, part, at, rendered));
  };
  report(1, 0, captured, captured + 350'000);
  EXPECT_THAT(catalogue_.delays, ElementsAre(std::pair("cam", 350'000us)));
  report(2, 0, captured, captured + 350'000);      // no such track
  report(1, 1, captured, captured + 350'000);      // no such part
  report(1, 0, captured - 1, captured + 350'000);  // captured at another time
  report(1, 0, captured, captured - 1);            // shown before it was seen
  report(1, 0, captured, captured + 3'000'000);    // shown in the future
  EXPECT_EQ(catalogue_.delays.size(), 1u);
  EXPECT_EQ(hub_->totals().reports_refused, 5u);
  EXPECT_THAT(viewer.news(), testing::Each("error 4"));
}

TEST_F(PushTest, ControlHasARateAndASession) {
  ScriptedViewer viewer;
  Session& session = open(viewer, "");
  std::string lines;
  for (std::size_t i = 0; i < kControlLinesMax; ++i) {
    lines += "{\"type\":\"pause\",\"stream\":\"a\",\"rendition\":\"b\"}\n";
  }
  EXPECT_EQ(ask(session, lines), Hub::Answer::kDone);
  EXPECT_EQ(ask(session, lines), Hub::Answer::kTooOften);
  clock_.advance(10s);
  EXPECT_EQ(ask(session, lines), Hub::Answer::kDone);
  EXPECT_LE(viewer.log.size(), 2 * 16 + 1u) << "nor do its errors pile up";
  EXPECT_EQ(hub_->control("s99", {}, clock_.now()), Hub::Answer::kNoSuchSession);
  hub_->close(session);
  EXPECT_EQ(hub_->control("s1", {}, clock_.now()), Hub::Answer::kNoSuchSession);
}

TEST_F(PushTest, DrainingEndsWhoHasNothingToWaitFor) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  ScriptedViewer viewer;
  open(viewer, "subscribe=cam/v360");
  hub_->drain();
  tick();
  EXPECT_FALSE(viewer.ended);
  cam.presentation()->finish();
  catalogue_.streams["cam"].state = StreamState::kEnded;
  turn();
  tick();
  EXPECT_TRUE(viewer.ended);
  EXPECT_EQ(viewer.log.back(), "ended cam/v360");
}

TEST_F(PushTest, ACarrierMayCloseItsSessionWhileItEnds) {
  std::vector<std::unique_ptr<ScriptedViewer>> viewers;
  for (int i = 0; i < 5; ++i) {
    ScriptedViewer& viewer = *viewers.emplace_back(std::make_unique<ScriptedViewer>());
    Session& session = open(viewer, "");
    viewer.when_ended = [this, &session] { hub_->close(session); };
  }
  hub_->drain();
  tick();
  EXPECT_EQ(hub_->sessions(), 0u);
  for (const auto& viewer : viewers) EXPECT_TRUE(viewer->ended);
}

TEST_F(PushTest, AHubMayGoBeforeItsCarriers) {
  ScriptedViewer viewer;
  auto& cam = stream("cam");
  open(viewer, "subscribe=cam/v360&subscribe=cam/audio");
  cam.push(0, 3);
  hub_.reset();
}

}  // namespace
}  // namespace mirror::push
