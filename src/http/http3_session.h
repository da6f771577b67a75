// Http3Session: HTTP/3 on one connection, the server's side (RFC 9114), with extended CONNECT for
// WebTransport (RFC 9220), priorities (RFC 9218), datagrams (RFC 9297) and server push (4.6).
//
// Sans-IO between a quic::Transport and a Carrier, on their loop; QPACK without a dynamic table. A
// request that the client cancels takes its Exchange with it at once. What the peer breaks ends the
// stream or the connection with the code that the RFC names. Limits: requests at a time, the field
// section (advertised and kept), bodies, growing answers (Limits), and, per time, cancelled
// requests and frames that bring no progress; a peer over a limit is told H3_EXCESSIVE_LOAD.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/rate_limit.h"
#include "http/codec.h"
#include "http/header_store.h"
#include "http/http3_fields.h"
#include "http/http3_frames.h"
#include "http/http3_settings.h"
#include "http/http3_webtransport.h"
#include "http/qpack.h"
#include "quic/transport.h"

namespace mirror::http {

class Http3Session final : public quic::Application, private Http3WebTransport::Host {
 public:
  using StreamId = quic::StreamId;

  Http3Session(Carrier& carrier, quic::Transport& transport);
  ~Http3Session() override;

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

  // The end of a turn in which the carrier's schedule() was called: destroys what is finished.
  void pump();

  // How many requests were ended, or whether the connection was, by each time-out. To be called a
  // few times per the shortest of them.
  struct TimedOut {
    std::size_t head = 0;
    std::size_t body = 0;
    std::size_t write = 0;
    bool idle = false;
  };
  TimedOut check_timeouts();

  // GOAWAY in two steps (RFC 9114 5.2): the peer hears at once that it should ask elsewhere, and
  // kGoawayGrace later, at the next check_timeouts(), which of its requests were the last: what was
  // on its way meanwhile is answered. The connection ends with the last of these.
  void drain();
  static constexpr std::chrono::milliseconds kGoawayGrace{500};  // a round trip, nearly everywhere

  std::size_t requests() const { return streams_.size(); }  // until the transport is done with them
  const h3::Settings& peer_settings() const { return peer_settings_; }

 private:
  static constexpr StreamId kNoRequestRefused = (StreamId{1} << 62) - 4;  // 5.2: the largest id
  class Stream;
  struct Push {
    StreamId stream = 0;
    // For the write time-out, as of when somebody last looked.
    std::size_t queued = 0;
    SteadyTime since{};
  };
  // A unidirectional stream of the peer's.
  struct UniStream {
    enum class Kind { kUntyped, kControl, kEncoder, kDecoder, kIgnored };
    Kind kind = Kind::kUntyped;
    h3::VarintReader type;
    h3::FrameReader frames;
    h3::Wire payload;  // of the control frame that comes in
    h3::QpackStreamReader qpack{h3::QpackStreamReader::Kind::kEncoder};
  };

  // Http3WebTransport::Host
  void connection_error(std::uint64_t code, std::string_view why) override { fail(code, why); }
  bool may_become_session(StreamId id) const override;
  void session_over(StreamId id) override;
  void dropped_stream() override;
  void dropped_datagram() override;
  void schedule() override { carrier_.schedule(); }

  void fail(std::uint64_t code, std::string_view why);
  bool note_idle_frame();  // false: the connection was ended
  bool note_reset();
  void reject(StreamId id);
  Stream* find(StreamId id);
  Stream* open_request(StreamId id);
  void end_exchange(Stream& stream);
  void maybe_drained();
  void send_goaway();
  bool goaway_is_final() const { return goaway_ != kNoRequestRefused; }

  void receive_uni(StreamId id, std::span<const std::uint8_t> bytes, bool fin);
  bool begin_uni(StreamId id, UniStream& stream);
  void receive_control(UniStream& stream, std::span<const std::uint8_t> bytes);
  bool control_frame_begins(const h3::FrameReader& reader);
  void control_frame(std::uint64_t type, std::span<const std::uint8_t> payload);
  void take_settings(std::span<const std::uint8_t> payload);
  void take_priority_update(std::uint64_t type, std::span<const std::uint8_t> payload);
  void take_max_push_id(std::uint64_t id);
  void cancel_push(std::uint64_t id);
  std::size_t end_stalled_pushes(SteadyTime now);
  bool is_critical(StreamId id) const;
  bool growing_over_limit() const;
  bool takes_pushes() const;
  bool push(Stream& stream, const Request& promise, const Prepared& answer);

  Request take_request() { return std::exchange(spare_request_, {}); }
  void keep_request(Request&& request);

  Carrier& carrier_;
  quic::Transport& transport_;
  QpackDecoder qpack_;
  h3::Settings peer_settings_;
  h3::Wire wire_;  // scratch, within one call

  bool open_ = false;
  bool closing_ = false;  // CONNECTION_CLOSE is on its way: nothing matters any more
  bool draining_ = false;
  SteadyTime draining_since_{};
  bool settings_seen_ = false;
  std::optional<StreamId> control_;  // ours
  std::optional<StreamId> peer_control_;
  std::optional<StreamId> peer_encoder_;
  std::optional<StreamId> peer_decoder_;
  StreamId requests_end_ = 0;            // the first request id above all that came
  StreamId goaway_ = kNoRequestRefused;  // requests from this one on are

  // Push (RFC 9114 4.6).
  std::optional<std::uint64_t> max_push_id_;
  std::uint64_t next_push_id_ = 0;
  std::uint64_t push_goaway_ = h3::kVarintMax;  // the peer's: no push of this id or above
  std::map<std::uint64_t, Push> pushes_;        // on their way, by push id

  std::map<StreamId, quic::Priority> early_priorities_;  // of requests that have not come yet
  RateLimit resets_;
  RateLimit idle_frames_;
  SteadyTime idle_since_;
  std::size_t growing_ = 0;  // streams with an answer that grows

  Request spare_request_;
  HeaderStore header_store_;
  std::vector<std::unique_ptr<Exchange::Attachment>> finished_attachments_;
  std::vector<std::unique_ptr<Stream>> finished_streams_;
  std::unordered_map<StreamId, UniStream> uni_streams_;
  std::unique_ptr<Http3WebTransport> webtransport_;  // null where it is not offered
  // Last, so that a stream that dies with the session still finds the rest.
  std::unordered_map<StreamId, std::unique_ptr<Stream>> streams_;
};

}  // namespace mirror::http
