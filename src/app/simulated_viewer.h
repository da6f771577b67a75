// For tests: a viewer on a simulated link, with our HTTP/3 client and our reader of push frames,
// and the ledger that says whether it got every part whole or was told which it did not.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/simulated_service.h"
#include "http/http3_client.h"
#include "push/frame_reader.h"

namespace mirror::app {

// What one push viewer was given, checked against what was published.
class PartLedger {
 public:
  void take(const push::Frame& frame) {
    if (const auto* track = std::get_if<push::TrackInfo>(&frame)) {
      tracks_[track->number].name = track->stream + "/" + track->rendition;
    } else if (const auto* part = std::get_if<push::Part>(&frame)) {
      Got& got = tracks_[part->head.track].parts[part->head.at];
      if (part->head.offset != got.bytes.size()) {
        // The same part once more: a subscription that began anew.
        EXPECT_EQ(part->head.offset, 0u) << "a hole in a part";
        got = {};
      }
      got.bytes.append(part->body.begin(), part->body.end());
      got.whole = part->head.last;
      ++chunks;
    } else if (const auto* dropped = std::get_if<push::Dropped>(&frame)) {
      tracks_[dropped->track].drops.push_back(*dropped);
    } else if (std::holds_alternative<push::ErrorNotice>(frame)) {
      ADD_FAILURE() << "an error was told";
    }
  }

  struct Judgement {
    std::size_t whole = 0;
    std::size_t dropped = 0;
    bool accounted = false;  // to the last part
  };
  // Every part of `name` ("cam/v360") from the first one that this viewer knows of to the last is
  // whole, byte for byte, or told as dropped; behind what was dropped the next is independent.
  // Under `quiet` nothing is said of what does not hold yet.
  Judgement judge(const std::string& name, const Published& published, bool quiet = false) const {
    Judgement judgement;
    const Track* track = nullptr;
    for (const auto& [number, each] : tracks_) {
      if (each.name == name) track = &each;
    }
    const auto found = published.renditions.find(name);
    if (track == nullptr || found == published.renditions.end()) return judgement;
    const Published::Rendition& rendition = found->second;
    std::map<hls::PartPosition, int> dropped;
    for (const push::Dropped& one : track->drops) {
      std::uint64_t parts = 0;
      for (auto it = rendition.lower_bound(one.from); it != rendition.end() && it->first <= one.to;
           ++it, ++parts) {
        ++dropped[it->first];
      }
      if (!quiet) {
        EXPECT_EQ(one.parts, parts) << "the count of what was dropped";
      }
    }
    if (track->parts.empty() && dropped.empty()) return judgement;
    auto first = track->parts.empty() ? dropped.begin()->first : track->parts.begin()->first;
    if (!dropped.empty()) first = std::min(first, dropped.begin()->first);
    bool gap = false;
    bool accounted = true;
    for (auto it = rendition.lower_bound(first); it != rendition.end(); ++it) {
      const auto& [at, part] = *it;
      const auto got = track->parts.find(at);
      const bool whole = got != track->parts.end() && got->second.whole;
      accounted = accounted && (whole || dropped.contains(at));
      if (whole) {
        ++judgement.whole;
        if (!quiet) {
          EXPECT_EQ(got->second.bytes, part.bytes.text()) << at.segment << "." << at.part;
          EXPECT_FALSE(dropped.contains(at)) << "whole, and told as dropped";
          EXPECT_TRUE(!gap || part.independent) << at.segment << "." << at.part;
        }
      } else if (dropped.contains(at)) {
        ++judgement.dropped;
      } else if (!quiet) {
        ADD_FAILURE() << name << " " << at.segment << "." << at.part
                      << " never came and nobody said";
      }
      gap = !whole;
    }
    judgement.accounted = accounted;
    return judgement;
  }

  std::size_t chunks = 0;

 private:
  struct Got {
    std::string bytes;
    bool whole = false;
  };
  struct Track {
    std::string name;
    std::map<hls::PartPosition, Got> parts;
    std::vector<push::Dropped> drops;
  };
  std::map<push::TrackNumber, Track> tracks_;
};

// One HTTP/3 connection of a viewer; what it does there is its owner's.
class SimulatedViewer : private http::Http3Client::Events {
 public:
  using StreamId = quic::StreamId;
  virtual ~SimulatedViewer() = default;

  // What browsers let a server send; and who only listens would never show its new address.
  static quic::Limits limits() {
    quic::Limits limits;
    limits.stream_window_bytes = 1 << 20;
    limits.connection_window_bytes = 4 << 20;
    limits.unidirectional_streams_max = 100;
    limits.datagram_bytes_max = 1'500;
    limits.keep_alive = kKeepAlive;
    return limits;
  }
  static quic::Limits server_limits() {
    quic::Limits limits;
    limits.datagram_bytes_max = 1'500;
    return limits;
  }

  void connect(quic::SimulatedLink& link) {
    if (!tls_) tls_ = quic::ClientTls::create({"h3"}, quic::ClientTls::Verify::kOff, "").value();
    auto made = std::make_unique<Application>(*this);
    Application& application = *made;
    connection_ = *link.client.core.connect({link.client_address, link.server_address},
                                            {"mirror.test", tls_, nullptr, false}, std::move(made));
    http_limits_.webtransport_held_streams_max = 256;
    http_limits_.webtransport_held_bytes_max = 4 << 20;
    application.client.emplace(*connection_, http_limits_, events());
    client_ = &*application.client;
  }
  quic::Connection& connection() { return *connection_; }
  // ngtcp2 as a client (1.11) may fall silent for ever, keep-alive or not: its congestion window is
  // full of path responses, which no timer is set for, and their acknowledgement was lost. Browsers
  // have QUIC of their own. Nothing a server does reaches such a viewer; a real one comes again.
  static bool mute(const quic::SimulatedLink& link) {
    return link.now - link.client_spoke > 10 * kKeepAlive;
  }
  const std::string& closed() const { return closed_; }

 protected:
  static constexpr std::chrono::milliseconds kKeepAlive{200};
  http::Http3Client& client() { return *client_; }
  // The server's SETTINGS are here: requests and sessions can be asked for.
  virtual void on_ready() = 0;
  void on_head(StreamId, int status, const http::Headers&) override { EXPECT_EQ(status, 200); }
  void on_body(StreamId, std::span<const std::uint8_t>) override {}
  void on_end(StreamId) override {}
  void on_failed(StreamId, std::uint64_t error) override {
    ADD_FAILURE() << "a request failed: " << error;
  }

 private:
  http::Http3Client::Events& events() { return *this; }

  struct Application final : quic::Application {
    explicit Application(SimulatedViewer& viewer) : owner(viewer) {}
    void on_open() override { client->on_open(); }
    void on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) override {
      client->on_stream_data(id, bytes, fin);
      if (client->settings_seen() && !std::exchange(ready, true)) owner.on_ready();
      client->pump();
    }
    void on_stream_reset(StreamId id, std::uint64_t error) override {
      client->on_stream_reset(id, error);
    }
    void on_stop_sending(StreamId id, std::uint64_t error) override {
      client->on_stop_sending(id, error);
    }
    void on_writable(StreamId id) override { client->on_writable(id); }
    void on_stream_closed(StreamId id) override {
      client->on_stream_closed(id);
      client->pump();
    }
    void on_streams_available() override { client->on_streams_available(); }
    void on_datagram(std::span<const std::uint8_t> bytes) override { client->on_datagram(bytes); }
    void on_closed(std::string_view reason) override {
      owner.closed_ = reason.empty() ? "-" : std::string(reason);
      client->on_closed(reason);
    }
    SimulatedViewer& owner;
    bool ready = false;
    std::optional<http::Http3Client> client;
  };

  http::Limits http_limits_;
  std::shared_ptr<const quic::ClientTls> tls_;
  quic::Connection* connection_ = nullptr;
  http::Http3Client* client_ = nullptr;
  std::string closed_;
};

// A push session, over WebTransport or as one response.
class PushViewer final : public SimulatedViewer {
 public:
  enum class Carrier { kWebTransport, kResponse };
  PushViewer(Carrier carrier, std::string query) : carrier_(carrier), query_(std::move(query)) {}

  PartLedger ledger;
  std::size_t resets = 0;  // streams of parts that were overtaken

 private:
  class Observer final : public http::WebTransportSession::Observer {
   public:
    explicit Observer(PushViewer& viewer) : viewer_(viewer) {}
    void on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) override {
      viewer_.read(viewer_.readers_[id], bytes);
      if (fin) {
        EXPECT_EQ(viewer_.readers_[id].unread(), 0u) << "a stream ends within a frame";
      }
    }
    void on_stream_reset(StreamId, std::uint32_t code) override {
      EXPECT_EQ(code, 1u);
      ++viewer_.resets;
    }
    void on_closed(std::uint32_t code, std::string_view reason) override {
      if (!viewer_.closed().empty()) return;
      EXPECT_EQ(code, 0u) << reason;
    }

   private:
    PushViewer& viewer_;
  };

  void on_ready() override {
    if (carrier_ == Carrier::kResponse) {
      EXPECT_TRUE(client().request("GET", "mirror.test", "/push?" + query_));
    } else {
      EXPECT_TRUE(
          client().connect("mirror.test", "/push?" + query_, std::make_unique<Observer>(*this)));
    }
  }
  void on_body(StreamId id, std::span<const std::uint8_t> bytes) override {
    read(readers_[id], bytes);
  }
  void read(push::FrameReader& reader, std::span<const std::uint8_t> bytes) {
    reader.append(bytes);
    while (true) {
      const auto frame = reader.next();
      ASSERT_TRUE(frame) << frame.error().message;
      if (!*frame) return;
      ledger.take(**frame);
    }
  }

  const Carrier carrier_;
  const std::string query_;
  std::map<StreamId, push::FrameReader> readers_;
};

// LL-HLS of one stream's v360: each part is asked for as soon as the one before it is there, most
// of them while they are still being made; or each playlist, and its part is pushed (RFC 9114 4.6),
// or asked for where it was not.
class PartViewer final : public SimulatedViewer {
 public:
  enum class Way { kHintedParts, kServerPush };
  PartViewer(Way way, std::string stream) : way_(way), stream_(std::move(stream)) {}

  std::map<hls::PartPosition, std::string> parts;  // whole ones
  std::size_t pushed = 0;
  // Answers that came in several pieces, as only what grows does where all of it fits one packet.
  std::size_t in_pieces = 0;

 private:
  static constexpr hls::PartIndex kPartsPerSegment = 5;
  struct Answer {
    std::string bytes;
    std::size_t pieces = 0;
  };
  // Whichever of the two comes last.
  struct Push {
    std::optional<hls::PartPosition> promised;
    std::optional<std::string> whole;
  };

  void on_ready() override {
    if (way_ == Way::kServerPush) client().allow_pushes(1'000'000);
    ask();
  }
  void ask() {
    const std::string folder = "/live/" + stream_ + "/v360/";
    const std::string target =
        way_ == Way::kHintedParts || asked_for_part_
            ? fmt::format("{}e-{}/{}.{}.m4s", folder, stream_, at_.segment, at_.part)
            : fmt::format("{}media.m3u8?_HLS_msn={}&_HLS_part={}", folder, at_.segment, at_.part);
    EXPECT_TRUE(client().request("GET", "mirror.test", target));
  }
  void on_body(StreamId id, std::span<const std::uint8_t> bytes) override {
    Answer& answer = answers_[id];
    answer.bytes.append(bytes.begin(), bytes.end());
    ++answer.pieces;
  }
  void on_end(StreamId id) override {
    const Answer answer = std::move(answers_[id]);
    answers_.erase(id);
    if (const auto push = push_streams_.find(id); push != push_streams_.end()) {
      pushes_[push->second].whole = answer.bytes;
      return settle(pushes_[push->second]);
    }
    if (way_ == Way::kHintedParts || asked_for_part_) {
      parts[at_] = answer.bytes;
      if (answer.pieces > 1) ++in_pieces;
    } else if (!promised_.contains(at_)) {  // a promise comes before the answer
      asked_for_part_ = true;
      return ask();
    }
    asked_for_part_ = false;
    at_ = at_.part + 1 < kPartsPerSegment ? hls::PartPosition{at_.segment, at_.part + 1}
                                          : hls::PartPosition{at_.segment + 1, 0};
    ask();
  }
  void on_promise(StreamId, std::uint64_t push, const http::Request& request) override {
    const auto name = hls::parse_media_name(request.path.substr(request.path.rfind('/') + 1));
    const auto* part = name ? std::get_if<hls::PartName>(&*name) : nullptr;
    ASSERT_NE(part, nullptr) << request.path;
    pushes_[push].promised = part->position;
    promised_.insert(part->position);
    settle(pushes_[push]);
  }
  void on_push(std::uint64_t push, StreamId stream) override { push_streams_[stream] = push; }
  void settle(const Push& push) {
    if (!push.promised || !push.whole) return;
    parts[*push.promised] = *push.whole;
    ++pushed;
  }

  const Way way_;
  const std::string stream_;
  hls::PartPosition at_{0, 0};
  bool asked_for_part_ = false;  // after a playlist with which it was not pushed
  std::map<StreamId, Answer> answers_;
  std::set<hls::PartPosition> promised_;
  std::map<std::uint64_t, Push> pushes_;
  std::map<StreamId, std::uint64_t> push_streams_;
};

}  // namespace mirror::app
