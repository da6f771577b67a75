// For tests: what one loop of the server has, on simulated links in virtual time: streams by
// script, the push hub, held requests, and HTTP/3 sessions that bring viewers to them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/answers.h"
#include "api/cors.h"
#include "api/growing_part.h"
#include "api/held_requests.h"
#include "api/push_response.h"
#include "api/push_webtransport.h"
#include "hls/scripted_feed.h"
#include "hls/uri.h"
#include "http/http3_session.h"
#include "push/hub.h"
#include "push/scripted_world.h"
#include "quic/simulated_link.h"

namespace mirror::app {

// What was published, by "stream/rendition".
struct Published {
  struct Part {
    Bytes bytes;
    bool independent = false;
  };
  using Rendition = std::map<hls::PartPosition, Part>;
  std::map<std::string, Rendition, std::less<>> renditions;
};

// One stream: v360 of 30 frames a second in parts of 3 and segments of 15, and sound. Frames are of
// chance sizes and bytes, sync frames four times as large.
class SimulatedStream {
 public:
  SimulatedStream(const std::string& key, const WakeList& wake, const Clock& clock,
                  std::size_t frame_bytes, quic::SeededRandom& random)
      : key_(key), frame_bytes_(frame_bytes), random_(random) {
    presentation_ = std::move(*hls::Presentation::create(
        {.epoch = "e-" + key, .clock = &clock}, {{"v360", video_}, {"audio", audio_}}, wake));
  }

  std::shared_ptr<hls::Presentation> presentation() const { return presentation_; }

  // The next frame, and the sound up to its end.
  void push_frame(Published& published) {
    push(0, video_feed_, frame_bytes_);
    const std::int64_t end = video_feed_.slot() * 1'600;  // in units of 48 kHz
    while ((audio_feed_.slot() + 1) * 1'024 <= end) push(1, audio_feed_, 100);
    note(published);
  }

 private:
  void push(std::size_t rendition, hls::ScriptedFeed& feed, std::size_t bytes) {
    media::Sample sample = feed.next();
    const bool large = rendition == 0 && sample.sync;
    const auto extra = static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(bytes)));
    sample.data = Bytes::build((bytes / 2 + extra) * (large ? 4 : 1),
                               [&](std::span<std::uint8_t> room) { random_.fill(room); });
    presentation_->push(rendition, std::move(sample));
  }
  void note(Published& published) const {
    for (const auto& rendition : presentation_->renditions()) {
      auto& parts = published.renditions[key_ + "/" + rendition.name];
      const auto view = rendition.window->view();
      for (std::size_t i = view->segments.size(); i-- > 0;) {
        const hls::Segment& segment = *view->segments[i];
        for (std::size_t part = segment.parts.size(); part-- > 0;) {
          const hls::PartPosition at{segment.number, static_cast<hls::PartIndex>(part)};
          if (!parts.try_emplace(at, segment.parts[part].bytes, segment.parts[part].independent)
                   .second) {
            i = 0;  // all before it is known
            break;
          }
        }
      }
    }
  }

  const std::string key_;
  const std::size_t frame_bytes_;
  quic::SeededRandom& random_;
  const media::TrackDescription video_ = hls::feed_video({30, 1});
  const media::TrackDescription audio_ = hls::feed_audio();
  hls::ScriptedFeed video_feed_{video_};
  hls::ScriptedFeed audio_feed_{audio_};
  std::shared_ptr<hls::Presentation> presentation_;
};

class SimulatedService {
 public:
  explicit SimulatedService(std::uint64_t seed, const push::HubSettings& settings = {})
      : random_(seed), hub_(std::make_shared<push::Hub>(settings, catalogue_)) {}
  ~SimulatedService() { EXPECT_TRUE(connections_.empty()) << "links go first"; }

  void add_stream(const std::string& key, std::size_t frame_bytes) {
    auto& made = streams_.emplace_back(
        std::make_unique<SimulatedStream>(key, wake_, clock_, frame_bytes, random_));
    catalogue_.streams[key] = {made->presentation(), push::StreamState::kLive};
  }
  // So many frames of every stream, one each 33 ms from now on.
  void feed(int frames) { frames_left_ = frames; }
  bool fed() const { return frames_left_ == 0; }

  // Serves the link's connections, and takes part in its turns. The link is destroyed first.
  void serve(quic::SimulatedLink& link) {
    link.server.core.serve({quic::ServerTls::create({"h3"}, nullptr).value(),
                            quic::test_credentials(), [this](quic::Transport& transport) {
                              return std::make_unique<Connection>(*this, transport);
                            }});
    link.at_turn = [this, &link] {
      turn(link.now);
      link.wake_at = next_;
    };
  }

  const Published& published() const { return published_; }
  push::Hub& hub() { return *hub_; }
  // Of the push session that was opened last.
  push::Session* session = nullptr;
  // Of all connections: the most that one kept at the end of a turn.
  std::size_t kept_bytes_max = 0;
  std::size_t grown = 0;  // requests for a part that was still being made

 private:
  static constexpr std::chrono::microseconds kFrame{33'333};
  static constexpr std::chrono::milliseconds kTick{500};

  class Connection final : public quic::Application, private http::Carrier {
   public:
    Connection(SimulatedService& service, quic::Transport& transport)
        : service_(service), transport_(transport), session_(carrier(), transport) {
      service_.connections_.insert(this);
    }
    ~Connection() override { service_.connections_.erase(this); }

    bool pump() {
      if (closed_ || !std::exchange(scheduled_, false)) return false;
      session_.pump();
      return true;
    }
    void look() {
      if (closed_) return;
      service_.kept_bytes_max = std::max(
          service_.kept_bytes_max, transport_.queued_bytes() + transport_.unacknowledged_bytes());
    }
    void tick() {
      if (!closed_) session_.check_timeouts();
    }

    // quic::Application
    void on_open() override { session_.on_open(); }
    void on_stream_data(quic::StreamId id, std::span<const std::uint8_t> bytes, bool fin) override {
      session_.on_stream_data(id, bytes, fin);
    }
    void on_stream_reset(quic::StreamId id, std::uint64_t error) override {
      session_.on_stream_reset(id, error);
    }
    void on_stop_sending(quic::StreamId id, std::uint64_t error) override {
      session_.on_stop_sending(id, error);
    }
    void on_writable(quic::StreamId id) override { session_.on_writable(id); }
    void on_stream_closed(quic::StreamId id) override { session_.on_stream_closed(id); }
    void on_streams_available() override { session_.on_streams_available(); }
    void on_datagram(std::span<const std::uint8_t> bytes) override { session_.on_datagram(bytes); }
    void on_closed(std::string_view reason) override {
      closed_ = true;
      session_.on_closed(reason);
    }

   private:
    http::Carrier& carrier() { return *this; }
    void handle(const http::Request& request, http::Exchange& exchange) override {
      service_.handle(request, exchange);
    }
    const http::Limits& limits() const override { return service_.limits_; }
    SteadyTime now() const override { return transport_.now(); }
    std::string_view date() const override { return "Fri, 02 Jan 2026 03:04:05 GMT"; }
    const std::string& remote() const override { return transport_.remote(); }
    bool secure() const override { return true; }
    void schedule() override { scheduled_ = true; }
    void answered(http::Version, int) override {}
    void broke_protocol() override { ADD_FAILURE() << "somebody broke the protocol"; }

    SimulatedService& service_;
    quic::Transport& transport_;
    bool scheduled_ = false;
    bool closed_ = false;
    http::Http3Session session_;
  };

  // Links take turns in steps, so that one may be a little behind.
  void turn(SteadyTime now) {
    const SteadyTime before = clock_.instant.steady;
    if (!began_) {
      clock_.instant.steady = now;
      next_frame_ = next_tick_ = now;
      began_ = true;
    } else if (now > before) {
      clock_.instant.steady = now;
      clock_.instant.wall += std::chrono::duration_cast<std::chrono::microseconds>(now - before);
    }
    for (; frames_left_ > 0 && next_frame_ <= now; next_frame_ += kFrame, --frames_left_) {
      for (const auto& stream : streams_) stream->push_frame(published_);
    }
    if (frames_left_ == 0) next_frame_ = now;  // whenever it is fed again
    if (next_tick_ <= now) {
      next_tick_ = now + kTick;
      hub_->tick(clock_.now());
      held_.on_tick(now);
      for (Connection* connection : connections_) connection->tick();
    }
    held_.on_wake();
    for (bool again = true; again;) {
      while (hub_->turn(clock_.now())) {
      }
      again = false;
      for (Connection* connection : connections_) again = connection->pump() || again;
    }
    for (Connection* connection : connections_) connection->look();
    next_ = frames_left_ > 0 ? std::min(next_frame_, next_tick_) : next_tick_;
  }

  void handle(const http::Request& request, http::Exchange& exchange) {
    if (request.path == "/push") return open_push(request, exchange);
    const hls::Presentation::Rendition* found = nullptr;
    std::string epoch;
    for (const auto& [key, entry] : catalogue_.streams) {
      if (!request.path.starts_with("/live/" + key + "/v360/")) continue;
      found = entry.presentation->find("v360");
      epoch = entry.presentation->epoch();
    }
    if (found == nullptr) return exchange.respond(http::Response::text(404, "no such stream"));
    const std::string name = request.path.substr(request.path.rfind('/') + 1);
    if (name == "media.m3u8") return playlist(*found, epoch, request, exchange);
    const auto media = hls::parse_media_name(name);
    const auto* part = media ? std::get_if<hls::PartName>(&*media) : nullptr;
    if (part == nullptr) return exchange.respond(http::Response::text(404, "no such media"));
    serve_part(*found, part->position, exchange);
  }

  void open_push(const http::Request& request, http::Exchange& exchange) {
    const auto subscriptions = push::parse_subscribe_query(request.query);
    ASSERT_TRUE(subscriptions);
    const std::string id = fmt::format("0-{}", ++sessions_);
    const auto now = [this] { return clock_.now(); };
    if (http::WebTransportSession* transport = exchange.webtransport()) {
      auto made = std::make_unique<api::WebTransportCarrier>(
          *transport, hub_, now,
          [this](push::Session& which, std::string_view lines) { return control(which, lines); });
      api::WebTransportCarrier& carrier = *made;
      transport->accept(std::move(made));
      session = &hub_->open(id, carrier, *subscriptions, clock_.now());
      return carrier.set_session(*session);
    }
    exchange.start(200, {{"content-type", std::string(push::kContentType)}});
    auto carrier = std::make_unique<api::ResponseCarrier>(exchange, hub_, now);
    session = &hub_->open(id, *carrier, *subscriptions, clock_.now());
    carrier->set_session(*session);
    exchange.attach(std::move(carrier));
  }
  std::string control(push::Session& which, std::string_view lines) {
    const auto messages = push::parse_control(lines);
    EXPECT_TRUE(messages);
    if (messages) hub_->control(which.id(), *messages, clock_.now());
    return "{}\n";
  }

  api::Answer part_answer(const hls::Part& part, hls::PartPosition at) {
    return answers_.media(part.bytes, "video/mp4", fmt::format("{}.{}", at.segment, at.part));
  }
  static api::HeldRequests::Source publications_of(std::shared_ptr<const hls::Window> window) {
    return {std::move(window),
            [](const void* object) { return static_cast<const hls::Window*>(object)->version(); }};
  }

  // As api::LiveRoutes does, which wants a registry of streams that real publishers feed.
  void serve_part(const hls::Presentation::Rendition& rendition, hls::PartPosition at,
                  http::Exchange& exchange) {
    const auto view = rendition.window->view();
    if (readiness_of_part(*view, at.segment, at.part) == hls::Readiness::kReady) {
      return exchange.respond(part_answer(view->find(at.segment)->parts[at.part], at));
    }
    ++grown;
    const auto source = api::GrowingPart::source(rendition.window);
    api::GrowingPart part(rendition.window, at);
    const std::uint64_t seen = source.version_of(source.object.get());
    exchange.start(200, answers_.growing("video/mp4"));
    if (part(exchange, api::HeldRequests::Occasion::kPublished)) return;
    held_.hold(exchange, source, seen, std::move(part), clock_.instant.steady + kHold);
  }

  void playlist(const hls::Presentation::Rendition& rendition, const std::string& epoch,
                const http::Request& request, http::Exchange& exchange) {
    const auto question = hls::parse_playlist_query(request.query);
    ASSERT_TRUE(question);
    const auto window = rendition.window;
    http::Request promise;
    promise.authority = request.authority;
    const hls::PartPosition at{question->msn.value_or(0), question->part.value_or(0)};
    promise.path =
        fmt::format("{}{}/{}.{}.m4s", request.path.substr(0, request.path.rfind('/') + 1), epoch,
                    at.segment, at.part);
    auto attempt = [this, window, at, question = *question, promise](
                       http::Exchange& waiting, api::HeldRequests::Occasion occasion) {
      const auto view = window->view();
      if (readiness_of(*view, question) != hls::Readiness::kReady) {
        if (occasion != api::HeldRequests::Occasion::kTimeOut) return false;
        waiting.respond(http::Response::text(503, "nothing came"));
        return true;
      }
      if (readiness_of_part(*view, at.segment, at.part) == hls::Readiness::kReady) {
        waiting.push(promise, part_answer(view->find(at.segment)->parts[at.part], at));
      }
      waiting.respond(answers_.playlist(view->playlists.full, false, api::Freshness::kDirected));
      return true;
    };
    const std::uint64_t seen = window->version();
    if (attempt(exchange, api::HeldRequests::Occasion::kPublished)) return;
    held_.hold(exchange, publications_of(window), seen, std::move(attempt),
               clock_.instant.steady + kHold);
  }

  static constexpr std::chrono::seconds kHold{30};

  quic::SeededRandom random_;
  const http::Limits limits_;
  push::ScriptedClock clock_;
  const WakeList wake_{{}};
  push::ScriptedCatalogue catalogue_;
  std::vector<std::unique_ptr<SimulatedStream>> streams_;
  Published published_;
  const api::Cors cors_{{"*"}};
  api::Answers answers_{cors_};
  api::HeldRequests held_{100};
  std::shared_ptr<push::Hub> hub_;
  std::set<Connection*> connections_;
  int sessions_ = 0;
  bool began_ = false;
  int frames_left_ = 0;
  SteadyTime next_frame_{};
  SteadyTime next_tick_{};
  SteadyTime next_ = SteadyTime::max();
};

}  // namespace mirror::app
