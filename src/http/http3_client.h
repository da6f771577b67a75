// Http3Client: HTTP/3 on one connection, the client's side (RFC 9114): requests, pushes,
// WebTransport.
//
// For load and tests: strict about what it is given, without caches, retries or redirects. Sans-IO
// over a quic::Transport, on its loop. Bounded by its Limits where it keeps something: field
// sections, WebTransport; bodies are handed on as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "http/header_store.h"
#include "http/http.h"
#include "http/http3_frames.h"
#include "http/http3_settings.h"
#include "http/http3_webtransport.h"
#include "http/limits.h"
#include "http/qpack.h"
#include "quic/transport.h"

namespace mirror::http {

class Http3Client final : public quic::Application, private Http3WebTransport::Host {
 public:
  using StreamId = quic::StreamId;

  // What comes back. Streams are those of request() and, for pushes, the server's. Called from
  // within the transport's calls, never from within the client's own.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_head(StreamId stream, int status, const Headers& headers) = 0;
    virtual void on_body(StreamId stream, std::span<const std::uint8_t> bytes) = 0;
    virtual void on_end(StreamId stream) = 0;  // whole, as long as its content-length said
    // No answer, or a broken one: the server's code, or ours for what it broke.
    virtual void on_failed(StreamId stream, std::uint64_t error) = 0;

    // Promised on `stream`; `request` holds method, authority and target, undecoded, in path.
    virtual void on_promise(StreamId stream, std::uint64_t push, const Request& request) {
      (void)stream, (void)push, (void)request;
    }
    // The promise is kept on this stream: on_head() and so on follow.
    virtual void on_push(std::uint64_t push, StreamId stream) { (void)push, (void)stream; }
    virtual void on_push_cancelled(std::uint64_t push) { (void)push; }
    virtual void on_goaway(StreamId first_rejected) { (void)first_rejected; }
    virtual void on_closed(std::string_view reason) { (void)reason; }
  };

  Http3Client(quic::Transport& transport, const Limits& limits, Events& events);
  ~Http3Client() override;

  // Sends a request with its whole body. `target` as it goes on the wire. Empty: no stream can be
  // opened (now, or after a GOAWAY).
  std::optional<StreamId> request(std::string_view method, std::string_view authority,
                                  std::string_view target, const Headers& headers = {},
                                  Bytes body = {});
  void cancel(StreamId stream);

  // MAX_PUSH_ID: pushes up to and including this id (RFC 9114 7.2.7); grows only.
  void allow_pushes(std::uint64_t max_id);
  void cancel_push(std::uint64_t id);

  // Extended CONNECT; `observer` is given the session's events once the server said 2xx, which
  // on_head() tells too. session() is null before that.
  std::optional<StreamId> connect(std::string_view authority, std::string_view target,
                                  std::unique_ptr<WebTransportSession::Observer> observer,
                                  const Headers& headers = {});
  WebTransportSession* session(StreamId connect);

  const h3::Settings& peer_settings() const { return peer_settings_; }
  bool settings_seen() const { return settings_seen_; }
  std::size_t open_requests() const { return streams_.size(); }

  // Destroys what is finished; to be called now and then, not from within an event.
  void pump();

  // quic::Application
  void on_open() override;
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override;
  void on_stream_reset(StreamId stream, std::uint64_t error) override;
  void on_stop_sending(StreamId stream, std::uint64_t error) override;
  void on_writable(StreamId stream) override;
  void on_stream_closed(StreamId stream) override;
  void on_streams_available() override;
  void on_datagram(std::span<const std::uint8_t> bytes) override;
  void on_closed(std::string_view reason) override;

 private:
  // An answer that comes in, on a request's stream or a push stream.
  struct Answer {
    enum class State { kHead, kBody, kTrailers, kTunnel, kOver };
    State state = State::kHead;
    bool head_request = false;
    bool push = false;
    bool connect = false;
    h3::FrameReader frames;
    h3::Wire section;
    std::optional<std::uint64_t> length;
    std::uint64_t received = 0;
    std::unique_ptr<WebTransportSession::Observer> observer;
  };
  struct UniStream {
    enum class Kind { kUntyped, kControl, kEncoder, kDecoder, kPushId, kIgnored };
    Kind kind = Kind::kUntyped;
    h3::VarintReader integer;
    h3::FrameReader frames;
    h3::Wire payload;
    h3::QpackStreamReader qpack{h3::QpackStreamReader::Kind::kEncoder};
  };

  // Http3WebTransport::Host
  void connection_error(std::uint64_t code, std::string_view why) override { fail(code, why); }
  bool may_become_session(StreamId id) const override;
  void session_over(StreamId id) override;
  void dropped_stream() override {}
  void dropped_datagram() override {}
  void schedule() override {}

  void fail(std::uint64_t code, std::string_view why);
  void stream_fails(StreamId id, Answer& answer, std::uint64_t code);
  std::optional<StreamId> open_request(std::span<const QpackField> fields, const Headers& headers);
  void receive(StreamId id, Answer& answer, std::span<const std::uint8_t> bytes, bool fin);
  bool frame_begins(const Answer& answer);
  bool frame_head(const Answer& answer);
  void take_payload(StreamId id, Answer& answer, std::span<const std::uint8_t> piece);
  void take_section(StreamId id, Answer& answer, std::span<const std::uint8_t> section);
  void take_promise(StreamId id, std::span<const std::uint8_t> payload);
  void answer_ends(StreamId id, Answer& answer);
  void receive_uni(StreamId id, std::span<const std::uint8_t> bytes, bool fin);
  bool begin_uni(StreamId id, UniStream& stream, std::uint64_t type);
  void begin_push(StreamId id, std::uint64_t push);
  void receive_control(UniStream& stream, std::span<const std::uint8_t> bytes);
  void control_frame(std::uint64_t type, std::span<const std::uint8_t> payload);
  void send_max_push_id();

  quic::Transport& transport_;
  const Limits limits_;
  Events& events_;
  QpackDecoder qpack_;
  h3::Settings peer_settings_;
  h3::Wire wire_;  // scratch

  bool closing_ = false;
  bool settings_seen_ = false;
  std::optional<StreamId> control_;
  std::optional<StreamId> peer_control_;
  std::optional<StreamId> peer_encoder_;
  std::optional<StreamId> peer_decoder_;
  std::optional<StreamId> goaway_;
  std::optional<std::uint64_t> max_push_id_;
  std::map<std::uint64_t, std::string> promises_;  // field sections by id, which must not differ
  std::unordered_set<std::uint64_t> pushed_;       // ids of push streams that came

  std::unordered_map<StreamId, UniStream> uni_streams_;
  Http3WebTransport webtransport_;
  std::unordered_map<StreamId, std::unique_ptr<Answer>> streams_;
  std::vector<std::unique_ptr<Answer>> finished_;
};

}  // namespace mirror::http
