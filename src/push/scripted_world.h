// For tests: streams by script, a viewer behind a carrier that takes as much as it is told, and the
// hub between them; all in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hls/presentation.h"
#include "hls/scripted_feed.h"
#include "push/carrier.h"
#include "push/frame_reader.h"
#include "push/hub.h"

namespace mirror::push {

class ScriptedCatalogue final : public Catalogue {
 public:
  std::optional<Entry> find(std::string_view stream) const override {
    const auto found = streams.find(stream);
    return found == streams.end() ? std::nullopt : std::optional(found->second);
  }
  void count_glass_to_glass(std::string_view stream, std::chrono::microseconds delay) override {
    delays.emplace_back(stream, delay);
  }

  std::map<std::string, Entry, std::less<>> streams;
  std::vector<std::pair<std::string, std::chrono::microseconds>> delays;
};

class ScriptedClock final : public Clock {
 public:
  Instant now() const override { return instant; }
  void advance(std::chrono::milliseconds by) {
    instant.steady += by;
    instant.wall += by;
  }
  Instant instant{SteadyTime(std::chrono::hours(1)), hls::feed_start()};
};

// A viewer: reads what the carrier lets through. `room` bytes are let through; the rest waits.
class ScriptedViewer final : public Carrier {
 public:
  void send(const Outgoing& frame) override {
    most_pending = std::max(most_pending, pending_bytes() + frame.size());
    for (const Bytes& piece : frame.pieces) waiting_ += piece.text();
    flush();
  }
  std::size_t pending_bytes() const override { return waiting_.size(); }
  void tell_below(std::size_t bytes) override { told_below = bytes; }
  std::optional<LostParts> abandon(TrackNumber track) override {
    abandoned.push_back(track);
    return std::exchange(can_abandon, std::nullopt);
  }
  std::optional<LostParts> take_loss() override { return std::exchange(loss, std::nullopt); }
  void end() override {
    ended = true;
    if (when_ended) when_ended();
  }

  void flush() {
    const std::size_t n = std::min(room, waiting_.size());
    reader_.append({reinterpret_cast<const std::uint8_t*>(waiting_.data()), n});
    received += n;
    if (room != kEndless) room -= n;
    waiting_.erase(0, n);
    while (true) {
      auto frame = reader_.next();
      ASSERT_TRUE(frame) << frame.error().message;
      if (!*frame) break;
      if (auto* part = std::get_if<Part>(&**frame)) {
        parts.push_back({part->head, {part->body.begin(), part->body.end()}});
        log.push_back(describe(part->head));
      } else {
        log.push_back(describe(**frame));
      }
      if (auto* track = std::get_if<TrackInfo>(&**frame)) tracks[track->number] = *track;
      if (auto* init = std::get_if<Init>(&**frame)) {
        inits[init->head.track] = {init->body.begin(), init->body.end()};
      }
    }
  }

  // "1:7.3*": track, part, independent; "!" discontinuity, "-" gap, "+" more chunks follow.
  static std::string describe(const PartHead& head) {
    return fmt::format("{}:{}.{}{}{}{}{}", head.track, head.at.segment, head.at.part,
                       head.independent ? "*" : "", head.discontinuity ? "!" : "",
                       head.gap ? "-" : "", head.last ? "" : "+");
  }
  static std::string describe(const Frame& frame) {
    if (std::holds_alternative<Hello>(frame)) return "hello";
    if (std::holds_alternative<Ping>(frame)) return "ping";
    if (const auto* track = std::get_if<TrackInfo>(&frame)) {
      return fmt::format("track {} {}/{}", track->number, track->stream, track->rendition);
    }
    if (const auto* init = std::get_if<Init>(&frame))
      return fmt::format("init {}", init->head.track);
    if (const auto* error = std::get_if<ErrorNotice>(&frame)) {
      return fmt::format("error {}", static_cast<int>(error->code));
    }
    if (const auto* dropped = std::get_if<Dropped>(&frame)) {
      return fmt::format("dropped {}:{}.{}-{}.{} ({}) {}", dropped->track, dropped->from.segment,
                         dropped->from.part, dropped->to.segment, dropped->to.part, dropped->parts,
                         static_cast<int>(dropped->reason));
    }
    if (const auto* change = std::get_if<StateChange>(&frame)) {
      constexpr const char* kNames[] = {"absent", "live", "reconnecting", "ended"};
      return fmt::format("{} {}/{}", kNames[static_cast<int>(change->state)], change->stream,
                         change->rendition);
    }
    return "unknown";
  }

  // What came since the last time.
  std::vector<std::string> news() { return std::exchange(log, {}); }

  struct Received {
    PartHead head;
    std::string body;
  };
  static constexpr std::size_t kEndless = ~std::size_t{0};
  std::size_t room = kEndless;
  std::size_t received = 0;
  std::size_t most_pending = 0;
  std::size_t told_below = 0;
  bool ended = false;
  std::function<void()> when_ended;
  std::optional<LostParts> can_abandon;  // the next time
  std::optional<LostParts> loss;
  std::vector<TrackNumber> abandoned;
  std::vector<std::string> log;
  std::vector<Received> parts;
  std::map<TrackNumber, TrackInfo> tracks;
  std::map<TrackNumber, std::string> inits;

 private:
  std::string waiting_;
  FrameReader reader_;
};

// One stream with two video renditions of the same frames and sound: 30 fps, parts of 3 frames,
// segments of 15.
class ScriptedStream {
 public:
  ScriptedStream(std::string epoch, const WakeList& wake, const Clock& clock,
                 std::size_t sample_bytes = 1'000, hls::MediaSequence first = 0) {
    auto made = hls::Presentation::create(
        {.epoch = std::move(epoch), .first_segment = first, .clock = &clock},
        {{"v360", video_}, {"v180", video_}, {"audio", audio_}}, wake);
    presentation_ = std::move(*made);
    feeds_.emplace_back(video_, sample_bytes);
    feeds_.emplace_back(video_, sample_bytes / 2);
    feeds_.emplace_back(audio_, 100);
  }

  std::shared_ptr<hls::Presentation> presentation() const { return presentation_; }
  const hls::Window& window(std::size_t rendition = 0) const {
    return *presentation_->renditions()[rendition].window;
  }
  void push(std::size_t rendition, int samples) {
    for (int i = 0; i < samples; ++i) presentation_->push(rendition, feeds_[rendition].next());
  }
  void push_break(std::size_t rendition) {
    presentation_->push(rendition, feeds_[rendition].next_after_break(150));
  }

 private:
  const media::TrackDescription video_ = hls::feed_video({30, 1});
  const media::TrackDescription audio_ = hls::feed_audio();
  std::shared_ptr<hls::Presentation> presentation_;
  std::vector<hls::ScriptedFeed> feeds_;
};

class PushTest : public testing::Test {
 protected:
  ScriptedStream& stream(const std::string& key, std::size_t sample_bytes = 1'000) {
    auto& made = made_.emplace_back(std::make_unique<ScriptedStream>(
        fmt::format("e{}", made_.size() + 1), wake_, clock_, sample_bytes));
    catalogue_.streams[key] = {made->presentation(), StreamState::kLive};
    return *made;
  }
  Session& open(ScriptedViewer& viewer, const std::string& query) {
    const auto subscriptions = parse_subscribe_query(query);
    EXPECT_TRUE(subscriptions);
    Session& session =
        hub_->open(fmt::format("s{}", ++sessions_), viewer, *subscriptions, clock_.now());
    turn();
    return session;
  }
  Hub::Answer ask(const Session& session, const std::string& lines) {
    const auto messages = parse_control(lines);
    EXPECT_TRUE(messages) << messages.error().message;
    const auto answer = hub_->control(session.id(), *messages, clock_.now());
    turn();
    return answer;
  }
  void turn() { hub_->turn(clock_.now()); }
  void tick() { hub_->tick(clock_.now()); }
  // The network takes `bytes` more of what waits.
  void take(Session& session, ScriptedViewer& viewer, std::size_t bytes) {
    viewer.room = bytes;
    viewer.flush();
    while (viewer.told_below > 0 && viewer.pending_bytes() < viewer.told_below) {
      viewer.told_below = 0;
      hub_->on_room(session, clock_.now());
    }
  }

  void make_hub(const HubSettings& settings) {
    hub_.reset();
    hub_ = std::make_unique<Hub>(settings, catalogue_);
  }

  ScriptedClock clock_;
  const WakeList wake_{{}};
  ScriptedCatalogue catalogue_;
  std::vector<std::unique_ptr<ScriptedStream>> made_;
  std::unique_ptr<Hub> hub_ = std::make_unique<Hub>(HubSettings{}, catalogue_);
  int sessions_ = 0;
};

}  // namespace mirror::push
