// Http3WebTransport: the WebTransport sessions of one HTTP/3 connection, and the streams that
// belong to them; the same for either side.
//
// Owned by the connection's session or client, on its loop. Bounded: sessions
// (Limits::webtransport_sessions_max), streams and bytes that came before their session
// (Limits::webtransport_held_…; not consumed, so the peer stops), streams by the transport's
// credit.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "http/limits.h"
#include "http/webtransport.h"
#include "quic/transport.h"

namespace mirror::http {

class Http3WebTransport {
 public:
  using StreamId = quic::StreamId;

  // The connection that it is part of.
  class Host {
   public:
    virtual ~Host() = default;
    virtual void connection_error(std::uint64_t code, std::string_view why) = 0;
    // The CONNECT request of this id may still come, or be accepted.
    virtual bool may_become_session(StreamId id) const = 0;
    // The CONNECT stream's sending side is finished or reset by us.
    virtual void session_over(StreamId id) = 0;
    virtual void dropped_stream() = 0;
    virtual void dropped_datagram() = 0;
    // Call pump() before this turn ends.
    virtual void schedule() = 0;
  };

  enum class Side { kServer, kClient };

  Http3WebTransport(Host& host, quic::Transport& transport, const Limits& limits, Side side);
  ~Http3WebTransport();

  // --- Sessions

  // A session that is asked for, not accepted yet. `on_accept` sends the answer's head. Null: there
  // are as many as there may be. (`draft02`: error codes have 8 bits.)
  WebTransportSession* ask(StreamId connect, bool draft02,
                           std::function<void(std::span<const Header>)> on_accept);
  void refuse(StreamId connect);  // it was answered otherwise
  bool has_session(StreamId connect) const { return sessions_.contains(connect); }
  WebTransportSession* session(StreamId connect);

  // What its CONNECT stream brings (the payload of DATA frames), and its end.
  void on_connect_data(StreamId connect, std::span<const std::uint8_t> bytes);
  void on_connect_end(StreamId connect);  // FIN, or a reset by either side

  // --- Streams

  // The stream's type was read; the session's id comes next.
  void begin_stream(StreamId stream);
  bool owns(StreamId stream) const { return streams_.contains(stream); }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin);
  void on_stream_reset(StreamId stream, std::uint64_t error);
  void on_stop_sending(StreamId stream, std::uint64_t error);
  void on_writable(StreamId stream);
  void on_stream_closed(StreamId stream);
  void on_streams_available();
  void on_datagram(StreamId connect, std::span<const std::uint8_t> bytes);

  // Rejects what has waited for its session since before `late`.
  void end_waiting(SteadyTime late);
  // Hands on what waited for a session that is there now; destroys what is over.
  void pump();
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  class Session;
  struct Stream {
    enum class State {
      kSessionId,  // comes in
      kHeld,       // its session is not there yet
      kOpen,
      kDead,  // rejected or its session is gone; waits for the transport to be done with it
    };
    State state = State::kSessionId;
    StreamId session = 0;
    h3::VarintReader id_reader;
    h3::Wire held;
    bool held_fin = false;
    bool closed = false;  // by the transport, while it was held
    SteadyTime since{};
  };

  void resolve(StreamId id, Stream& stream, StreamId connect);
  void reject(StreamId id, Stream& stream, std::uint64_t code);
  void deliver(StreamId id, Stream& stream, std::span<const std::uint8_t> bytes, bool fin);
  void hold(StreamId id, Stream& stream, std::span<const std::uint8_t> bytes, bool fin);
  void let_go(StreamId id, Stream& stream);
  void end_session(StreamId connect, std::uint32_t code, std::string_view reason, bool tell);
  std::optional<StreamId> open(StreamId connect, std::uint64_t type);
  bool over_limit(std::size_t more) const;  // with so many bytes
  Session* find_open(StreamId connect);

  Host& host_;
  quic::Transport& transport_;
  const Limits& limits_;
  const Side side_;
  bool newly_open_ = false;  // a session was accepted: streams may have waited for it
  std::size_t held_bytes_ = 0;
  std::size_t held_streams_ = 0;
  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<StreamId, std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Session>> finished_;
};

}  // namespace mirror::http
