// A push session over a WebTransport session by script: what goes on which stream, and what becomes
// of it when the viewer lags, refuses, or says what makes no sense.
#include "api/push_webtransport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "push/scripted_world.h"

namespace mirror::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Takes what it is given up to `room` bytes for each stream; opens `credit` streams.
class ScriptedSession final : public http::WebTransportSession {
 public:
  struct Stream {
    std::string sent;
    std::string queued;
    bool fin = false;
    std::optional<std::uint32_t> reset;
    std::size_t tell_below = 0;
    quic::Priority priority;
  };

  void accept(std::unique_ptr<Observer> made, std::span<const http::Header>) override {
    observer = std::move(made);
  }
  std::optional<StreamId> open_unidirectional() override {
    if (credit == 0) return std::nullopt;
    --credit;
    const StreamId id = next_;
    next_ += 4;
    streams[id];
    return id;
  }
  std::optional<StreamId> open_bidirectional() override { return std::nullopt; }
  bool send(StreamId id, Bytes bytes) override {
    Stream& stream = streams[id];
    if (stream.fin || stream.reset) return true;
    if (bytes.size() > send_max) {
      reset(id, 0);
      return false;
    }
    stream.queued += bytes.text();
    if (room == kEndless) take(id);
    return true;
  }
  void finish(StreamId id) override { streams[id].fin = true; }
  void reset(StreamId id, std::uint32_t code) override {
    streams[id].reset = code;
    streams[id].queued.clear();
  }
  void stop_sending(StreamId id, std::uint32_t code) override { stopped[id] = code; }
  void set_priority(StreamId id, quic::Priority priority) override {
    streams[id].priority = priority;
  }
  std::size_t queued_bytes(StreamId id) const override {
    const auto found = streams.find(id);
    return found == streams.end() ? 0 : found->second.queued.size();
  }
  void tell_below(StreamId id, std::size_t bytes) override { streams[id].tell_below = bytes; }
  bool send_datagram(std::span<const std::uint8_t>) override { return false; }
  std::size_t datagram_bytes_max() const override { return 0; }
  void close(std::uint32_t code, std::string_view) override { closed = code; }

  // The network takes `bytes` of a stream.
  void take(StreamId id, std::size_t bytes = kEndless) {
    Stream& stream = streams[id];
    const std::size_t n = std::min(bytes, stream.queued.size());
    stream.sent += stream.queued.substr(0, n);
    stream.queued.erase(0, n);
  }
  // Tells who asked for it, as the transport does at the end of a turn.
  void tell() {
    for (bool again = true; std::exchange(again, false);) {
      for (auto& [id, stream] : streams) {
        if (stream.queued.size() >= stream.tell_below) continue;
        stream.tell_below = 0;
        again = true;
        observer->on_writable(id);
      }
    }
  }
  void gone(StreamId id) { observer->on_stream_closed(id); }

  static constexpr std::size_t kEndless = ~std::size_t{0};
  std::unique_ptr<Observer> observer;
  std::map<StreamId, Stream> streams;
  std::map<StreamId, std::uint32_t> stopped;
  std::size_t credit = 1'000;
  std::size_t room = kEndless;
  std::size_t send_max = kEndless;  // a longer piece loses its stream
  std::optional<std::uint32_t> closed;

 private:
  StreamId next_ = 3;  // the server's first unidirectional stream
};

constexpr quic::StreamId kFrames = 3;
constexpr quic::StreamId kControl = 0;

class WebTransportCarrierTest : public push::PushTest {
 protected:
  void watch(const std::string& query) {
    auto carrier = std::make_unique<WebTransportCarrier>(
        session_, shared_, [this] { return clock_.now(); },
        [this](push::Session&, std::string_view lines) {
          asked.emplace_back(lines);
          return answer;
        });
    carrier_ = carrier.get();
    session_.accept(std::move(carrier), {});
    push_ = &shared_->open("s", *carrier_, *push::parse_subscribe_query(query), clock_.now());
    carrier_->set_session(*push_);
    shared_->turn(clock_.now());
  }
  void push_parts(push::ScriptedStream& stream, int parts) {
    stream.push(0, parts * 3);
    shared_->turn(clock_.now());
  }
  void say(std::string_view text, bool fin = false, quic::StreamId stream = kControl) {
    session_.observer->on_stream_data(
        stream, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, fin);
  }

  // "3: hello live… / 7: 1:0.0* fin": the frames of each stream.
  std::vector<std::string> frames_of(quic::StreamId id) {
    push::FrameReader reader;
    const std::string& bytes = session_.streams[id].sent;
    reader.append({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    std::vector<std::string> list;
    while (true) {
      const auto frame = reader.next();
      if (!frame || !*frame) return list;
      const auto* part = std::get_if<push::Part>(&**frame);
      list.push_back(part != nullptr ? push::ScriptedViewer::describe(part->head)
                                     : push::ScriptedViewer::describe(**frame));
    }
  }

  // Before the hub, which carriers ask for at their end.
  std::shared_ptr<push::Hub> shared_ = std::make_shared<push::Hub>(push::HubSettings{}, catalogue_);
  ScriptedSession session_;
  WebTransportCarrier* carrier_ = nullptr;
  push::Session* push_ = nullptr;
  std::vector<std::string> asked;
  std::string answer = "ok\n";
};

TEST_F(WebTransportCarrierTest, EachPartHasAStreamAndAllElseTheFirst) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  watch("subscribe=cam/v360");
  push_parts(cam, 1);
  EXPECT_THAT(frames_of(kFrames),
              ElementsAre("hello", "live cam/v360", "track 1 cam/v360", "init 1"));
  EXPECT_THAT(frames_of(7), ElementsAre("1:0.0*"));
  EXPECT_THAT(frames_of(11), ElementsAre("1:0.1"));
  EXPECT_FALSE(session_.streams[kFrames].fin);
  EXPECT_TRUE(session_.streams[7].fin);
  EXPECT_TRUE(session_.streams[11].fin);
  EXPECT_LT(session_.streams[kFrames].priority.urgency, session_.streams[7].priority.urgency);
}

TEST_F(WebTransportCarrierTest, ThePartsChunksShareItsStream) {
  auto& cam = stream("cam");
  watch("subscribe=cam/v360&chunks=1");
  for (int i = 0; i < 4; ++i) {
    cam.push(0, 1);
    shared_->turn(clock_.now());
  }
  EXPECT_THAT(frames_of(7), ElementsAre("1:0.0*+", "1:0.0*+", "1:0.0*"));
  EXPECT_TRUE(session_.streams[7].fin);
  EXPECT_THAT(frames_of(11), ElementsAre("1:0.1+"));
  EXPECT_FALSE(session_.streams[11].fin);
}

TEST_F(WebTransportCarrierTest, FramesWaitInOrderForTheViewerToAllowStreams) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  session_.credit = 0;
  watch("subscribe=cam/v360");
  push_parts(cam, 1);
  EXPECT_THAT(session_.streams, IsEmpty());
  EXPECT_GT(carrier_->pending_bytes(), 6'000u);
  session_.credit = 2;
  session_.observer->on_streams_available();
  EXPECT_THAT(frames_of(kFrames),
              ElementsAre("hello", "live cam/v360", "track 1 cam/v360", "init 1"));
  EXPECT_THAT(frames_of(7), ElementsAre("1:0.0*"));
  EXPECT_FALSE(session_.streams.contains(11));
  session_.credit = 9;
  session_.observer->on_streams_available();
  EXPECT_THAT(frames_of(11), ElementsAre("1:0.1"));
  EXPECT_EQ(carrier_->pending_bytes(), 0u);
}

TEST_F(WebTransportCarrierTest, WhatLagsIsResetAndToldAsDropped) {
  auto& cam = stream("cam", 20'000);
  cam.push(0, 3);
  watch("subscribe=cam/v360");
  session_.room = 0;
  push_parts(cam, 1);
  ASSERT_EQ(session_.streams[11].queued.size(), carrier_->pending_bytes());
  for (int i = 0; i < 12; ++i) {
    clock_.advance(std::chrono::milliseconds(250));
    push_parts(cam, 2);
  }
  EXPECT_FALSE(session_.streams[7].reset) << "it went as a whole";
  EXPECT_EQ(session_.streams[11].reset, 1u);
  session_.room = ScriptedSession::kEndless;
  session_.take(kFrames);
  session_.tell();
  push_parts(cam, 5);
  const auto frames = frames_of(kFrames);
  EXPECT_THAT(frames, testing::Contains(HasSubstr("dropped 1:0.1-")))
      << testing::PrintToString(frames);
}

TEST_F(WebTransportCarrierTest, AbandonTakesBackWhatIsNotWithTheTransportAsAWhole) {
  auto& cam = stream("cam", 4'000);
  cam.push(0, 3);
  watch("subscribe=cam/v360");
  session_.room = 0;
  push_parts(cam, 2);
  session_.take(11, 100);  // the first of them has begun
  EXPECT_EQ(carrier_->abandon(2), std::nullopt) << "another track's";
  const auto lost = carrier_->abandon(1);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->from, (hls::PartPosition{0, 1}));
  EXPECT_EQ(lost->to, (hls::PartPosition{0, 2}));
  EXPECT_EQ(lost->parts, 2u);
  EXPECT_EQ(session_.streams[11].reset, 1u);
  EXPECT_EQ(session_.streams[15].reset, 1u);
  EXPECT_EQ(carrier_->pending_bytes(), 0u);
  EXPECT_EQ(carrier_->abandon(1), std::nullopt);
}

TEST_F(WebTransportCarrierTest, APartThatTheConnectionDidNotTakeIsToldAsDropped) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  watch("subscribe=cam/v360&subscribe=cam/audio");
  session_.send_max = 1'000;
  push_parts(cam, 1);
  EXPECT_EQ(session_.streams[11].reset, 0u);
  session_.send_max = ScriptedSession::kEndless;
  push_parts(cam, 5);
  EXPECT_THAT(frames_of(kFrames),
              testing::IsSupersetOf({"dropped 1:0.1-0.1 (1) 1", "dropped 1:0.2-0.4 (3) 1"}));
  EXPECT_THAT(frames_of(15), ElementsAre("1:1.0*")) << "the next one is independent";
}

TEST_F(WebTransportCarrierTest, SoAreThoseThatWaitedForTheViewerToAllowStreams) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  session_.credit = 1;
  watch("subscribe=cam/v360");
  push_parts(cam, 3);
  session_.send_max = 1'000;
  session_.credit = 9;
  session_.observer->on_streams_available();
  EXPECT_THAT(frames_of(kFrames), testing::Contains("dropped 1:0.0-0.3 (4) 1"));
  EXPECT_EQ(session_.streams.size(), 2u) << "one was lost, and no further one opened";
  EXPECT_EQ(carrier_->pending_bytes(), 0u);
}

TEST_F(WebTransportCarrierTest, RoomThatAbandonMadeIsToldToo) {
  auto& cam = stream("cam", 4'000);
  cam.push(0, 3);
  watch("subscribe=cam/v360");
  session_.room = 0;
  push_parts(cam, 4);
  ASSERT_GE(carrier_->pending_bytes(), 48u * 1024);
  carrier_->abandon(1);
  carrier_->tell_below(24 * 1024);
  session_.room = ScriptedSession::kEndless;
  const auto before = session_.streams.size();
  cam.push(0, 15);
  session_.tell();
  shared_->turn(clock_.now());
  EXPECT_GT(session_.streams.size(), before);
}

TEST_F(WebTransportCarrierTest, ARefusedPartIsNotSentAndTheNextOneIs) {
  auto& cam = stream("cam");
  watch("subscribe=cam/v360&chunks=1");
  cam.push(0, 1);
  shared_->turn(clock_.now());
  session_.observer->on_stop_sending(7, 9);
  session_.gone(7);
  const std::string before = session_.streams[7].sent;
  cam.push(0, 3);
  shared_->turn(clock_.now());
  EXPECT_EQ(session_.streams[7].sent, before);
  EXPECT_THAT(frames_of(11), ElementsAre("1:0.1+"));
  EXPECT_FALSE(session_.closed);
}

TEST_F(WebTransportCarrierTest, WithoutTheStreamOfFramesThereIsNoSession) {
  stream("cam").push(0, 3);
  watch("subscribe=cam/v360");
  session_.observer->on_stop_sending(kFrames, 5);
  EXPECT_EQ(session_.closed, 5u);
  session_.closed.reset();
  session_.gone(kFrames);  // or the connection dropped it
  EXPECT_EQ(session_.closed, 3u);
}

TEST_F(WebTransportCarrierTest, TheEndWaitsUntilTheViewerHasEverything) {
  auto& cam = stream("cam");
  cam.push(0, 3);
  watch("subscribe=cam/v360");
  session_.gone(7);
  session_.room = 0;
  push_parts(cam, 1);
  carrier_->end();
  EXPECT_TRUE(session_.streams[kFrames].fin);
  EXPECT_FALSE(session_.streams[11].reset);
  EXPECT_FALSE(session_.closed);
  session_.take(11);
  session_.gone(11);
  EXPECT_FALSE(session_.closed);
  session_.gone(kFrames);
  EXPECT_EQ(session_.closed, 0u);
}

TEST_F(WebTransportCarrierTest, TheEndWaitsForStreamsThatAreNotAllowedYet) {
  stream("cam").push(0, 3);
  session_.credit = 1;
  watch("subscribe=cam/v360");
  carrier_->end();
  EXPECT_FALSE(session_.streams[kFrames].fin);
  session_.credit = 1;
  session_.observer->on_streams_available();
  EXPECT_TRUE(session_.streams[kFrames].fin);
  EXPECT_THAT(frames_of(7), ElementsAre("1:0.0*"));
  session_.gone(kFrames);
  session_.gone(7);
  EXPECT_EQ(session_.closed, 0u);
}

// ---- The viewer's control stream

TEST_F(WebTransportCarrierTest, ControlLinesMayBeCutAnywhere) {
  watch("");
  const std::string lines = "{\"type\":\"pause\"}\n{\"type\":\"resume\"}\n{\"type\":\"x\"}";
  for (const char c : lines) say({&c, 1});
  EXPECT_THAT(asked, ElementsAre("{\"type\":\"pause\"}\n", "{\"type\":\"resume\"}\n"));
  say("", true);
  EXPECT_EQ(asked.back(), "{\"type\":\"x\"}") << "the end ends a line, too";
  EXPECT_EQ(session_.streams[kControl].sent, "ok\nok\nok\n");
  EXPECT_TRUE(session_.streams[kControl].fin);
}

TEST_F(WebTransportCarrierTest, SeveralLinesAreOneRequest) {
  watch("");
  say("a\nb\nc");
  EXPECT_THAT(asked, ElementsAre("a\nb\n"));
}

TEST_F(WebTransportCarrierTest, ALineWithoutAnEndEndsTheControlStreamAlone) {
  watch("");
  const std::string piece(1'000, 'x');
  for (int i = 0; i < 16; ++i) say(piece);
  EXPECT_THAT(session_.stopped, IsEmpty());
  say(piece);
  EXPECT_EQ(session_.stopped.at(kControl), 2u);
  EXPECT_EQ(session_.streams[kControl].reset, 2u);
  say("\nmore\n");
  EXPECT_THAT(asked, IsEmpty());
  EXPECT_FALSE(session_.closed);
}

TEST_F(WebTransportCarrierTest, TooMuchAtOnceIsNotRead) {
  watch("");
  say(std::string(WebTransportCarrier::kControlBytesMax, 'x') + "\n");
  EXPECT_THAT(asked, IsEmpty());
  EXPECT_EQ(session_.streams[kControl].reset, 2u);
}

TEST_F(WebTransportCarrierTest, AViewerThatDoesNotReadIsNotAnswered) {
  watch("");
  session_.room = 0;
  answer = std::string(9'000, 'a');
  say("a\n");
  EXPECT_FALSE(session_.streams[kControl].reset);
  say("b\n");
  EXPECT_EQ(session_.streams[kControl].reset, 2u);
  say("c\n");
  EXPECT_EQ(asked.size(), 2u);
}

TEST_F(WebTransportCarrierTest, ThereIsOneControlStream) {
  watch("");
  say("a\n");
  say("b\n", false, 4);
  EXPECT_EQ(session_.stopped.at(4), 2u);
  EXPECT_EQ(session_.streams[4].reset, 2u);
  say("c", false, 2);  // the viewer's unidirectional one: there is nothing to reset
  EXPECT_EQ(session_.stopped.at(2), 2u);
  EXPECT_FALSE(session_.streams.contains(2));
  say("d\n");
  EXPECT_THAT(asked, ElementsAre("a\n", "d\n"));
  session_.observer->on_stream_reset(kControl, 0);
  EXPECT_TRUE(session_.streams[kControl].fin);
}

TEST_F(WebTransportCarrierTest, TheSessionsEndIsThePushSessionsEnd) {
  watch("");
  EXPECT_EQ(shared_->sessions(), 1u);
  session_.observer.reset();
  EXPECT_EQ(shared_->sessions(), 0u);
  // And the other way round: the hub may go first.
  watch("");
  shared_.reset();
  say("");
  session_.observer.reset();
}

}  // namespace
}  // namespace mirror::api
