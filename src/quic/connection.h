// Connection: one QUIC connection (RFC 9000) over ngtcp2, without socket, thread or clock.
//
// Datagrams and the passing of time come in through receive() and expire(); packets go out through
// write(), which its owner calls after the connection said that it is due. Belongs to an
// EndpointCore, which routes datagrams to it, keeps its deadline and destroys it once it is over.
// Server and client are the same thing but for how they begin.
//
// Nothing is copied for sending: the application's Bytes are held until they are acknowledged.
#pragma once

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/rate_limit.h"
#include "base/result.h"
#include "quic/address.h"
#include "quic/connection_id.h"
#include "quic/impairment.h"
#include "quic/limits.h"
#include "quic/metrics.h"
#include "quic/path_allowance.h"
#include "quic/scheduler.h"
#include "quic/send_buffer.h"
#include "quic/send_queue.h"
#include "quic/tls.h"
#include "quic/transport.h"

namespace mirror::quic {

class Connection final : public Transport {
 public:
  // What a connection needs of who owns it. Never calls back.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual SteadyTime now() const = 0;
    virtual const Limits& limits() const = 0;
    virtual const EndpointMetrics& metrics() const = 0;
    virtual Random& random() = 0;
    virtual const ConnectionIds& ids() const = 0;
    virtual void own(const ConnectionId& id, Connection& connection) = 0;
    virtual void disown(const ConnectionId& id) = 0;
    // The peer's stateless reset tokens (RFC 9000, 10.3.1): a reset carries nothing else.
    virtual void own_token(const ConnectionId& token, Connection& connection) = 0;
    virtual void disown_token(const ConnectionId& token, const Connection& connection) = 0;
    virtual void due(Connection& connection) = 0;  // it may have something to write
    virtual void handshake_over(Connection& connection) = 0;
    // A token by which the client shows its address next time; empty: none.
    virtual std::vector<std::uint8_t> address_token(const Address& remote) = 0;
    virtual std::unique_ptr<Application> application(Connection& connection) = 0;
  };

  // The first packet of a new connection, as the core has judged it.
  struct Initial {
    ngtcp2_pkt_hd header{};
    ConnectionId original;  // the id that the client chose; header.dcid unless after a Retry
    ngtcp2_token_type token = NGTCP2_TOKEN_TYPE_UNKNOWN;  // kind of the valid token it carries
  };

  static Result<std::unique_ptr<Connection>> accept(
      Owner& owner, const Path& path, const Initial& initial, const ServerTls& tls,
      std::shared_ptr<const net::TlsCredentials> credentials);

  struct Server {
    std::string name;  // SNI, and what the certificate is verified against
    std::shared_ptr<const ClientTls> tls;
    std::shared_ptr<Resumption> resumption;  // used, and kept up to date; may be null
    bool early_data = false;                 // send before the handshake, where a ticket allows it
    std::shared_ptr<Impairment> impairment = nullptr;  // null: the path is as it is
  };
  static Result<std::unique_ptr<Connection>> connect(Owner& owner, const Path& path,
                                                     const Server& server,
                                                     std::unique_ptr<Application> application);
  ~Connection() override;

  // --- For the owner.

  enum class Received {
    kOk,
    kRetry,  // the client must prove its address; forget this connection without a word
    kDrop,   // forget this connection without a word
  };
  Received receive(std::span<const std::uint8_t> datagram, const Path& path, std::uint8_t ecn);

  enum class Written {
    kAll,   // nothing more for now
    kMore,  // a quantum was written and there is more
    kFull,  // `out` is full
  };
  // At most one quantum (RFC 9002, 7.7), and at most kPacketsPerWrite packets.
  Written write(SendBuffer& out);
  static constexpr std::size_t kPacketsPerWrite = SendBuffer::kBatchPacketsMax;
  // Tells the application what came of the last calls. After every receive(), write(), expire().
  void tell();

  SteadyTime expiry() const;  // SteadyTime::max(): never
  void expire();
  bool over() const { return state_ == State::kOver; }
  // The last packet of a connection that we closed; empty when the peer did or it just ended.
  std::span<const std::uint8_t> close_packet() const { return close_packet_; }
  const std::vector<ConnectionId>& own_ids() const { return ids_; }
  const std::vector<ConnectionId>& peer_tokens() const { return tokens_; }
  void end_silently(End why, std::string_view reason);  // over at once
  // Says on_closed() to the application and lets it go. Once, when over().
  std::unique_ptr<Application> take_application();
  Application* application() { return application_.get(); }
  bool handshake_completed() const { return handshake_completed_; }

  // --- For tests and operation.
  bool update_keys();              // RFC 9001, 6; false: not yet possible
  bool migrate(const Path& path);  // client only: to another local address
  std::uint64_t rtt_ns() const;

  // --- Transport.
  std::optional<StreamId> open_unidirectional() override;
  std::optional<StreamId> open_bidirectional() override;
  void send(StreamId stream, Bytes bytes) override;
  void send_copy(StreamId stream, std::span<const std::uint8_t> bytes) override;
  void finish(StreamId stream) override;
  void reset(StreamId stream, std::uint64_t error) override;
  void stop_sending(StreamId stream, std::uint64_t error) override;
  void set_priority(StreamId stream, Priority priority) override;
  void tell_below(StreamId stream, std::size_t bytes) override;
  std::size_t queued_bytes(StreamId stream) const override;
  std::size_t queued_bytes() const override { return queued_; }
  std::size_t unacknowledged_bytes() const override { return unacknowledged_; }
  std::optional<SteadyTime> queued_since(StreamId stream) const override;
  void consumed(StreamId stream, std::size_t bytes) override;
  bool send_datagram(std::span<const std::uint8_t> bytes) override;
  std::size_t datagram_bytes_max() const override;
  void close(std::uint64_t error, std::string_view reason) override;
  bool early_data() const override { return early_seen_ && !handshake_completed_; }
  const std::string& remote() const override { return remote_name_; }
  std::string_view alpn() const override { return alpn_; }
  SteadyTime now() const override { return owner_.now(); }

  // For the owner's bookkeeping.
  bool marked_due = false;
  std::size_t slot = 0;
  std::size_t deadline_index = static_cast<std::size_t>(-1);
  SteadyTime deadline{};
  bool counts_as_handshake = false;

 private:
  enum class Side { kServer, kClient };
  enum class State {
    kOpen,
    kClosing,  // CONNECTION_CLOSE is still to be written
    kOver,
  };
  struct Stream;
  struct Callbacks;  // what ngtcp2 calls
  struct Event {
    enum class What { kOpen, kWritable, kStopped, kStreamsAvailable } what;
    StreamId stream = 0;
  };

  Connection(Owner& owner, const Path& path, Side side);
  void fill_settings(ngtcp2_settings& settings, ngtcp2_transport_params& params) const;
  void keep_alive();
  void remember_resumption();

  Stream* find(StreamId id) const;
  Stream& adopt(StreamId id);
  Stream* sendable(StreamId id) const;
  std::optional<StreamId> open(bool unidirectional);
  void queue(Stream& stream, Bytes bytes);
  void stopped_by_peer(Stream& stream);
  void closed(Stream& stream, bool cancelled, std::uint64_t error);
  void forget_queued(Stream& stream);
  void count_opened();
  void count_cancelled();

  ngtcp2_ssize write_packet(std::span<std::uint8_t> room, ngtcp2_path& path, ngtcp2_pkt_info& info);
  bool write_datagrams(std::span<std::uint8_t> room, ngtcp2_path& path, ngtcp2_pkt_info& info,
                       ngtcp2_ssize& written);
  void took(Stream& stream, std::size_t bytes, bool fin);
  void tell_if_below(Stream& stream);
  void unpark();
  void write_close(SendBuffer& out);
  void fail(int error);
  void refuse();
  void begin_close(const ngtcp2_ccerr& error, End why, std::string_view reason);
  void event(Event::What what, StreamId stream = 0) { events_.push_back({what, stream}); }
  void mark_due();
  // As far as this side knows; handshakes have flights of several packets of their own.
  bool nothing_to_send() const {
    return handshake_completed_ && datagrams_.empty() && scheduler_.next() == nullptr;
  }
  bool loses(Impairment::Way way, std::size_t bytes) const {
    return impairment_ && impairment_->loses(way, bytes, now());
  }
  void note_path();

  Owner& owner_;
  const Side side_;
  Path path_;
  Address proven_;           // of the peer, validated last
  PathAllowance allowance_;  // as a server, for path_.remote
  bool held_back_ = false;   // by it, until more came from there
  std::string remote_name_;
  std::string server_name_;
  ngtcp2_crypto_conn_ref reference_{};
  std::shared_ptr<const net::TlsCredentials> credentials_;
  std::shared_ptr<const ClientTls> client_tls_;
  std::shared_ptr<Resumption> resumption_;
  std::shared_ptr<Impairment> impairment_;
  TlsSession tls_;
  ngtcp2_conn* conn_ = nullptr;
  std::unique_ptr<Application> application_;
  std::string alpn_;

  State state_ = State::kOpen;
  bool opened_ = false;  // on_open() was called
  bool application_closed_ = false;
  bool handshake_completed_ = false;
  bool handshake_keys_ = false;
  bool early_seen_ = false;
  bool wants_streams_ = false;
  bool window_spent_ = false;  // the connection's, as of the last packet
  bool sends_early_ = false;   // as a client
  End end_ = End::kInternal;
  ngtcp2_ccerr close_error_{};
  std::string close_reason_;
  std::vector<std::uint8_t> close_packet_;

  std::vector<ConnectionId> ids_;     // that the owner's table has for us
  std::vector<ConnectionId> tokens_;  // the same, of the peer's reset tokens
  std::unordered_map<StreamId, std::unique_ptr<Stream>> streams_;
  std::uint64_t streams_adopted_ = 0;
  Scheduler scheduler_;
  std::vector<Stream*> parked_;  // blocked by a window while a packet was being filled
  std::size_t queued_ = 0;
  std::size_t unacknowledged_ = 0;
  std::deque<Bytes> datagrams_;
  std::vector<Event> events_;
  RateLimit opened_limit_;
  RateLimit cancelled_limit_;
  RateLimit new_ids_limit_;
};

}  // namespace mirror::quic
