// ScriptedTransport: a quic::Transport without packets, for tests of what speaks over it. What the
// Application sends stays in streams() until the test takes it, or delivers it to the Application
// of another one: joined, the two are a connection in memory. Time, windows and stream limits are
// members.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "quic/transport.h"

namespace mirror::http {

class ScriptedTransport final : public quic::Transport {
 public:
  using StreamId = quic::StreamId;
  enum class Side { kClient, kServer };

  struct Stream {
    std::string out;        // all that was sent
    std::size_t taken = 0;  // of it, by the peer
    bool finished = false;  // FIN behind it
    bool fin_taken = false;
    std::optional<std::uint64_t> reset;    // by us
    std::optional<std::uint64_t> stopped;  // we sent STOP_SENDING
    bool stop_taken = false;
    std::size_t tell_below = 0;
    bool peer_over = false;  // FIN or RESET of the peer's has come
    bool closed = false;
    std::size_t consumed = 0;
    std::size_t received = 0;
    quic::Priority priority;
  };

  explicit ScriptedTransport(Side side) : side_(side) {}

  std::optional<StreamId> open_unidirectional() override {
    if (uni_left == 0) return std::nullopt;
    --uni_left;
    const StreamId id = std::exchange(next_uni_, next_uni_ + 4) + 2 + (side_ == Side::kServer);
    streams[id];
    return id;
  }
  std::optional<StreamId> open_bidirectional() override {
    if (bidi_left == 0) return std::nullopt;
    --bidi_left;
    const StreamId id = std::exchange(next_bidi_, next_bidi_ + 4) + (side_ == Side::kServer);
    streams[id];
    return id;
  }
  void send(StreamId id, Bytes bytes) override { append(id, bytes.text()); }
  void send_copy(StreamId id, std::span<const std::uint8_t> bytes) override {
    append(id, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void finish(StreamId id) override {
    Stream& stream = streams[id];
    if (!stream.reset) stream.finished = true;
  }
  void reset(StreamId id, std::uint64_t error) override {
    Stream& stream = streams[id];
    if (stream.reset || stream.fin_taken) return;
    stream.reset = error;
    stream.out.resize(stream.taken);
  }
  void stop_sending(StreamId id, std::uint64_t error) override {
    Stream& stream = streams[id];
    if (!stream.stopped && !stream.peer_over) stream.stopped = error;
  }
  void set_priority(StreamId id, quic::Priority priority) override {
    streams[id].priority = priority;
  }
  void tell_below(StreamId id, std::size_t bytes) override {
    streams[id].tell_below = std::max(streams[id].tell_below, bytes);
  }
  std::size_t queued_bytes(StreamId id) const override {
    const auto it = streams.find(id);
    return it == streams.end() ? 0 : it->second.out.size() - it->second.taken;
  }
  std::size_t queued_bytes() const override {
    std::size_t sum = 0;
    for (const auto& [id, stream] : streams) sum += stream.out.size() - stream.taken;
    return sum;
  }
  std::size_t unacknowledged_bytes() const override { return 0; }
  std::optional<SteadyTime> queued_since(StreamId) const override { return std::nullopt; }
  void consumed(StreamId id, std::size_t bytes) override { streams[id].consumed += bytes; }
  bool send_datagram(std::span<const std::uint8_t> bytes) override {
    if (bytes.size() > datagram_max) return false;
    datagrams.emplace_back(bytes.begin(), bytes.end());
    return true;
  }
  std::size_t datagram_bytes_max() const override { return datagram_max; }
  void close(std::uint64_t error, std::string_view why) override {
    if (closed_with) return;
    closed_with = error;
    close_reason = why;
  }
  bool early_data() const override { return early; }
  const std::string& remote() const override { return remote_; }
  std::string_view alpn() const override { return "h3"; }
  SteadyTime now() const override { return time; }

  // Moves what `stream` has for the peer to `peer`, at most `most` bytes in one piece. True when
  // something moved.
  bool deliver(StreamId id, ScriptedTransport& to, quic::Application& peer, std::size_t most,
               quic::Application& self) {
    Stream& stream = streams[id];
    if (stream.closed) return false;
    bool moved = false;
    if (stream.stopped && !stream.stop_taken) {
      stream.stop_taken = moved = true;
      Stream& there = to.streams[id];
      if (!there.fin_taken && !there.closed) {
        if (!there.reset) to.reset(id, *stream.stopped);
        peer.on_stop_sending(id, *stream.stopped);
      }
    }
    const std::size_t n = std::min({most, stream.out.size() - stream.taken, window});
    const bool fin = stream.finished && stream.taken + n == stream.out.size();
    if (stream.reset) {
      if (!stream.fin_taken) {
        stream.fin_taken = moved = true;
        to.streams[id].peer_over = true;
        peer.on_stream_reset(id, *stream.reset);
      }
    } else if (n > 0 || (fin && !stream.fin_taken)) {
      // A copy of its own: reading past a piece is then seen by the sanitizer.
      const std::vector<std::uint8_t> piece(
          stream.out.begin() + static_cast<std::ptrdiff_t>(stream.taken),
          stream.out.begin() + static_cast<std::ptrdiff_t>(stream.taken + n));
      stream.taken += n;
      if (fin) stream.fin_taken = true;
      moved = true;
      Stream& there = to.streams[id];
      there.received += n;
      if (fin) there.peer_over = true;
      if (!there.stopped) {
        peer.on_stream_data(id, piece, fin);
      } else {
        there.consumed += n;
      }
      if (queued_bytes(id) < stream.tell_below) {
        stream.tell_below = 0;
        self.on_writable(id);
      }
    }
    return moved;
  }

  // Both directions of a stream are over.
  bool over(StreamId id) const {
    const auto it = streams.find(id);
    if (it == streams.end()) return false;
    const Stream& stream = it->second;
    const bool ours = quic::is_client_initiated(id) == (side_ == Side::kClient);
    const bool sent = stream.fin_taken || (quic::is_unidirectional(id) && !ours);
    const bool received = stream.peer_over || (quic::is_unidirectional(id) && ours);
    return sent && received;
  }

  std::map<StreamId, Stream> streams;
  std::vector<std::string> datagrams;
  std::optional<std::uint64_t> closed_with;
  std::string close_reason;
  std::size_t uni_left = 1000;
  std::size_t bidi_left = 1'000'000;
  std::size_t datagram_max = 1200;
  std::size_t window = static_cast<std::size_t>(-1);  // how much of a stream leaves at a time
  bool early = false;
  SteadyTime time{std::chrono::seconds(1000)};

 private:
  void append(StreamId id, std::string_view text) {
    Stream& stream = streams[id];
    if (stream.reset || stream.finished || stream.closed) return;
    stream.out.append(text);
    if (stream.out.size() - stream.taken >= quic::Application::kQueuedBytesHigh) {
      stream.tell_below = std::max(stream.tell_below, quic::Application::kQueuedBytesHigh / 2);
    }
  }

  Side side_;
  StreamId next_uni_ = 0;
  StreamId next_bidi_ = 0;
  std::string remote_ = "192.0.2.1:40000";
};

// Two of them as one connection; pieces of random size, streams in random order.
class JoinedTransports {
 public:
  JoinedTransports(ScriptedTransport& client, ScriptedTransport& server, unsigned seed)
      : client_(client), server_(server), random_(seed) {}

  void join(quic::Application& client, quic::Application& server) {
    client_app_ = &client;
    server_app_ = &server;
    server.on_open();
    client.on_open();
  }

  // One round; false when nothing moved.
  bool move() {
    bool moved = one_way(client_, *client_app_, server_, *server_app_);
    moved = one_way(server_, *server_app_, client_, *client_app_) || moved;
    for (auto* side : {&client_, &server_}) {
      auto* app = side == &client_ ? client_app_ : server_app_;
      std::vector<quic::StreamId> over;
      for (auto& [id, stream] : side->streams) {
        if (!stream.closed && side->over(id)) over.push_back(id);
      }
      for (const auto id : over) {
        side->streams[id].closed = true;
        app->on_stream_closed(id);
      }
      if (forget) std::erase_if(side->streams, [](const auto& s) { return s.second.closed; });
    }
    return moved;
  }

  std::size_t piece_max = 400;
  bool forget = false;  // closed streams, so that long runs stay quick

 private:
  bool one_way(ScriptedTransport& from, quic::Application& self, ScriptedTransport& to,
               quic::Application& peer) {
    bool moved = false;
    if (to.closed_with || from.closed_with) return false;
    std::vector<quic::StreamId> ids;
    for (const auto& [id, stream] : from.streams) {
      if (!stream.closed) ids.push_back(id);
    }
    std::shuffle(ids.begin(), ids.end(), random_);
    for (const auto id : ids) {
      moved = from.deliver(id, to, peer, 1 + random_() % piece_max, self) || moved;
    }
    for (const auto& datagram : std::exchange(from.datagrams, {})) {
      moved = true;
      peer.on_datagram({reinterpret_cast<const std::uint8_t*>(datagram.data()), datagram.size()});
    }
    return moved;
  }

  ScriptedTransport& client_;
  ScriptedTransport& server_;
  quic::Application* client_app_ = nullptr;
  quic::Application* server_app_ = nullptr;
  std::minstd_rand random_;
};

}  // namespace mirror::http
