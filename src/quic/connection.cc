#include "quic/connection.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace mirror::quic {

namespace {

constexpr std::size_t kVectorsMax = 16;           // pieces of a stream in one STREAM frame
constexpr std::size_t kStreamsPerPacketMax = 32;  // tries to fill one packet
// A shorter packet had room for any frame that the library does not split: it holds all there was.
constexpr std::size_t kRoomLeftBytes = NGTCP2_MAX_UDP_PAYLOAD_SIZE - 128;
constexpr std::size_t kReasonBytesMax = 200;
constexpr std::size_t kClientIdBytes = NGTCP2_MIN_INITIAL_DCIDLEN + 8;
// New connection ids that a peer may make us issue: each costs us a key derivation.
constexpr double kNewIdsBurst = 64;
constexpr double kNewIdsPerSecond = 2;
// DATAGRAM frame, 1-RTT header with the longest id, packet number and AEAD tag.
constexpr std::size_t kDatagramOverhead = 3 + 1 + NGTCP2_MAX_CIDLEN + 4 + 16;

ngtcp2_tstamp timestamp(SteadyTime time) {
  return static_cast<ngtcp2_tstamp>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

ngtcp2_duration nanoseconds(std::chrono::milliseconds duration) {
  return static_cast<ngtcp2_duration>(std::chrono::nanoseconds(duration).count());
}

// The library's view of a Path. It copies what it keeps. Its pointer for our use holds an index.
ngtcp2_path library_path(const Path& path) {
  ngtcp2_path made{{const_cast<sockaddr*>(path.local.get()), path.local.size()},
                   {const_cast<sockaddr*>(path.remote.get()), path.remote.size()},
                   nullptr};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): never followed
  made.user_data = reinterpret_cast<void*>(static_cast<std::uintptr_t>(path.socket));
  return made;
}

Path path_of(const ngtcp2_path& path) {
  return {Address::of(path.local.addr, path.local.addrlen),
          Address::of(path.remote.addr, path.remote.addrlen),
          static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(path.user_data))};
}

End end_of(int error) {
  switch (error) {
    case NGTCP2_ERR_IDLE_CLOSE:
      return End::kIdle;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
      return End::kHandshakeTimeout;
    case NGTCP2_ERR_CRYPTO:
      return End::kTls;
    case NGTCP2_ERR_DRAINING:
      return End::kPeer;
    case NGTCP2_ERR_NOMEM:
    case NGTCP2_ERR_INTERNAL:
    case NGTCP2_ERR_CALLBACK_FAILURE:
      return End::kInternal;
    default:
      return End::kProtocol;
  }
}

}  // namespace

struct Connection::Stream : Scheduled {
  explicit Stream(StreamId stream_id) : id(stream_id) {}

  const StreamId id;
  SendQueue out;
  std::uint64_t unconsumed = 0;  // given to the application and not yet released by it
  std::size_t tell_below = 0;    // of queued_bytes(); 0: nobody waits for room
  bool sending_over = false;     // reset, stopped, or the peer's own unidirectional stream
  bool reset_by_us = false;
  bool reset_by_peer = false;
  bool stopped_by_us = false;
  bool stop_told = false;
  bool blocked = false;  // by the stream's window
};

// ngtcp2's callbacks. `user` is the Connection, `stream_user` the Stream or null.
struct Connection::Callbacks {
  static Connection& self(void* user) { return *static_cast<Connection*>(user); }

  static ngtcp2_conn* conn_of(ngtcp2_crypto_conn_ref* reference) {
    return self(reference->user_data).conn_;
  }

  static void rand(std::uint8_t* bytes, std::size_t size, const ngtcp2_rand_ctx* context) {
    static_cast<Random*>(context->native_handle)->fill({bytes, size});
  }

  static int path_challenge(ngtcp2_conn*, std::uint8_t* bytes, void* user) {
    self(user).owner_.random().fill({bytes, NGTCP2_PATH_CHALLENGE_DATALEN});
    return 0;
  }

  static int path_validated(ngtcp2_conn*, std::uint32_t, const ngtcp2_path* path,
                            const ngtcp2_path*, ngtcp2_path_validation_result result, void* user) {
    if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) return 0;
    Connection& c = self(user);
    c.proven_ = path_of(*path).remote;
    if (c.proven_ == c.path_.remote) c.allowance_.proven();
    return 0;
  }

  static int new_connection_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t,
                               void* user) {
    Connection& c = self(user);
    if (!c.new_ids_limit_.take(c.now())) return NGTCP2_ERR_CALLBACK_FAILURE;
    const ConnectionId made = c.owner_.ids().make();
    *id = made.get();
    std::ranges::copy(c.owner_.ids().reset_token(made), token);
    c.ids_.push_back(made);
    c.owner_.own(made, c);
    return 0;
  }

  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user) {
    Connection& c = self(user);
    const ConnectionId gone(*id);
    std::erase(c.ids_, gone);
    c.owner_.disown(gone);
    return 0;
  }

  static int peer_id_status(ngtcp2_conn*, ngtcp2_connection_id_status_type type, std::uint64_t,
                            const ngtcp2_cid*, const std::uint8_t* token, void* user) {
    Connection& c = self(user);
    if (token == nullptr) return 0;
    const ConnectionId key(std::span(token, NGTCP2_STATELESS_RESET_TOKENLEN));
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
      c.tokens_.push_back(key);
      c.owner_.own_token(key, c);
    } else {
      std::erase(c.tokens_, key);
      c.owner_.disown_token(key, c);
    }
    return 0;
  }

  static int handshake_completed(ngtcp2_conn* conn, void* user) {
    Connection& c = self(user);
    c.handshake_completed_ = true;
    c.alpn_ = alpn_of(c.tls_.get());
    c.owner_.handshake_over(c);
    if (c.side_ == Side::kClient) return 0;
    // One ticket and one address token each: what a viewer needs to come back quickly.
    gnutls_session_ticket_send(c.tls_.get(), 1, 0);
    const auto token = c.owner_.address_token(c.path_.remote);
    if (!token.empty()) ngtcp2_conn_submit_new_token(conn, token.data(), token.size());
    return 0;
  }

  static int sending_keys(ngtcp2_conn*, ngtcp2_encryption_level level, void* user) {
    Connection& c = self(user);
    if (level == NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE) c.handshake_keys_ = true;
    const bool early = level == NGTCP2_ENCRYPTION_LEVEL_0RTT && c.sends_early_;
    if (c.opened_ || (level != NGTCP2_ENCRYPTION_LEVEL_1RTT && !early)) return 0;
    c.opened_ = true;
    if (c.side_ == Side::kServer) {
      c.alpn_ = alpn_of(c.tls_.get());
      c.application_ = c.owner_.application(c);
      if (!c.application_) {
        c.refuse();
        return 0;
      }
      c.application_->on_open();  // before early data, which may come in this same datagram
    } else {
      c.event(Event::What::kOpen);
    }
    return 0;
  }

  static int early_data_rejected(ngtcp2_conn*, void* user) {
    // The library forgot the streams; what was queued on them would have to be said anew by who
    // knows what it meant.
    Connection& c = self(user);
    if (c.resumption_) *c.resumption_ = {};
    ngtcp2_ccerr error{};
    ngtcp2_ccerr_default(&error);
    c.begin_close(error, End::kTls, "early data refused");
    return 0;
  }

  static int stream_open(ngtcp2_conn*, std::int64_t id, void* user) {
    Connection& c = self(user);
    c.adopt(id).sending_over = is_unidirectional(id);
    c.count_opened();
    return 0;
  }

  static int stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t id, std::uint64_t,
                         const std::uint8_t* data, std::size_t size, void* user,
                         void* stream_user) {
    Connection& c = self(user);
    if ((flags & NGTCP2_STREAM_DATA_FLAG_0RTT) != 0 && !std::exchange(c.early_seen_, true)) {
      c.owner_.metrics().early_data.Increment();
    }
    auto* stream = static_cast<Stream*>(stream_user);
    if (stream == nullptr || c.state_ != State::kOpen || !c.application_) return 0;
    stream->unconsumed += size;
    c.application_->on_stream_data(id, {data, size}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    return 0;
  }

  static int acked(ngtcp2_conn*, std::int64_t, std::uint64_t, std::uint64_t size, void* user,
                   void* stream_user) {
    auto* stream = static_cast<Stream*>(stream_user);
    if (stream == nullptr) return 0;
    stream->out.acknowledged(size);
    self(user).unacknowledged_ -= size;
    return 0;
  }

  static int stream_close(ngtcp2_conn*, std::uint32_t flags, std::int64_t, std::uint64_t error,
                          void* user, void* stream_user) {
    auto* stream = static_cast<Stream*>(stream_user);
    const bool cancelled = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;
    if (stream != nullptr) self(user).closed(*stream, cancelled, error);
    return 0;
  }

  static int stream_reset(ngtcp2_conn*, std::int64_t id, std::uint64_t, std::uint64_t error,
                          void* user, void* stream_user) {
    Connection& c = self(user);
    auto* stream = static_cast<Stream*>(stream_user);
    if (stream == nullptr || std::exchange(stream->reset_by_peer, true)) return 0;
    if (!stream->stopped_by_us) c.count_cancelled();  // else we asked for it
    if (c.state_ == State::kOpen && c.application_) c.application_->on_stream_reset(id, error);
    return 0;
  }

  static int more_stream_data(ngtcp2_conn*, std::int64_t, std::uint64_t, void* user,
                              void* stream_user) {
    auto* stream = static_cast<Stream*>(stream_user);
    if (stream == nullptr || !std::exchange(stream->blocked, false)) return 0;
    if (stream->out.anything()) self(user).scheduler_.add(*stream);
    return 0;
  }

  static int more_streams(ngtcp2_conn*, std::uint64_t, void* user) {
    Connection& c = self(user);
    if (std::exchange(c.wants_streams_, false)) c.event(Event::What::kStreamsAvailable);
    return 0;
  }

  static int datagram(ngtcp2_conn*, std::uint32_t, const std::uint8_t* data, std::size_t size,
                      void* user) {
    Connection& c = self(user);
    if (c.state_ == State::kOpen && c.application_) c.application_->on_datagram({data, size});
    return 0;
  }

  static int stateless_reset(ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*, void* user) {
    self(user).end_ = End::kReset;
    return 0;
  }

  static int update_key(ngtcp2_conn* conn, std::uint8_t* rx_secret, std::uint8_t* tx_secret,
                        ngtcp2_crypto_aead_ctx* rx, std::uint8_t* rx_iv, ngtcp2_crypto_aead_ctx* tx,
                        std::uint8_t* tx_iv, const std::uint8_t* current_rx,
                        const std::uint8_t* current_tx, std::size_t size, void* user) {
    self(user).owner_.metrics().key_updates.Increment();
    return ngtcp2_crypto_update_key_cb(conn, rx_secret, tx_secret, rx, rx_iv, tx, tx_iv, current_rx,
                                       current_tx, size, user);
  }

  static int new_token(ngtcp2_conn*, const std::uint8_t* token, std::size_t size, void* user) {
    Connection& c = self(user);
    if (c.resumption_) c.resumption_->address_token.assign(token, token + size);
    return 0;
  }

  static int new_ticket(gnutls_session_t session, unsigned, unsigned, unsigned,
                        const gnutls_datum_t*) {
    auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
    self(reference->user_data).remember_resumption();
    return 0;
  }

  static ngtcp2_callbacks common() {
    ngtcp2_callbacks calls{};
    calls.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    calls.encrypt = ngtcp2_crypto_encrypt_cb;
    calls.decrypt = ngtcp2_crypto_decrypt_cb;
    calls.hp_mask = ngtcp2_crypto_hp_mask_cb;
    calls.update_key = &update_key;
    calls.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    calls.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    calls.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    calls.rand = &rand;
    calls.get_path_challenge_data = &path_challenge;
    calls.path_validation = &path_validated;
    calls.get_new_connection_id = &new_connection_id;
    calls.remove_connection_id = &remove_connection_id;
    calls.dcid_status = &peer_id_status;
    calls.handshake_completed = &handshake_completed;
    calls.recv_tx_key = &sending_keys;
    calls.stream_open = &stream_open;
    calls.recv_stream_data = &stream_data;
    calls.acked_stream_data_offset = &acked;
    calls.stream_close = &stream_close;
    calls.stream_reset = &stream_reset;
    calls.extend_max_stream_data = &more_stream_data;
    calls.extend_max_local_streams_bidi = &more_streams;
    calls.extend_max_local_streams_uni = &more_streams;
    calls.recv_datagram = &datagram;
    calls.recv_stateless_reset = &stateless_reset;
    return calls;
  }
};

Connection::Connection(Owner& owner, const Path& path, Side side)
    : owner_(owner),
      side_(side),
      path_(path),
      proven_(path.remote),
      remote_name_(path.remote.name()),
      reference_{&Callbacks::conn_of, this},
      opened_limit_(owner.limits().streams_opened_burst, owner.limits().streams_opened_per_second),
      cancelled_limit_(owner.limits().streams_cancelled_burst,
                       owner.limits().streams_cancelled_per_second),
      new_ids_limit_(kNewIdsBurst, kNewIdsPerSecond) {
  ngtcp2_ccerr_default(&close_error_);
}

Connection::~Connection() {
  if (conn_ != nullptr) ngtcp2_conn_del(conn_);
}

void Connection::fill_settings(ngtcp2_settings& settings, ngtcp2_transport_params& params) const {
  const Limits& limits = owner_.limits();
  ngtcp2_settings_default(&settings);
  // settings.qlog_write stays null, always: writing qlog overflows the stack in the ngtcp2 that
  // Debian 12 has (CVE-2026-40170), and nothing in it may reach a peer.
  settings.initial_ts = timestamp(owner_.now());
  settings.handshake_timeout = nanoseconds(limits.handshake_timeout);
  settings.rand_ctx.native_handle = &owner_.random();
  settings.max_tx_udp_payload_size = std::clamp<std::size_t>(
      limits.datagram_payload_max, NGTCP2_MAX_UDP_PAYLOAD_SIZE, SendBuffer::kPacketBytesMax);
  ngtcp2_transport_params_default(&params);
  params.initial_max_stream_data_bidi_local = limits.stream_window_bytes;
  params.initial_max_stream_data_bidi_remote = limits.stream_window_bytes;
  params.initial_max_stream_data_uni = limits.stream_window_bytes;
  params.initial_max_data = limits.connection_window_bytes;
  params.initial_max_streams_bidi = limits.bidirectional_streams_max;
  params.initial_max_streams_uni = limits.unidirectional_streams_max;
  params.max_idle_timeout = nanoseconds(limits.idle_timeout);
  params.max_datagram_frame_size = limits.datagram_bytes_max;
}

Result<std::unique_ptr<Connection>> Connection::accept(
    Owner& owner, const Path& path, const Initial& initial, const ServerTls& tls,
    std::shared_ptr<const net::TlsCredentials> credentials) {
  std::unique_ptr<Connection> made(new Connection(owner, path, Side::kServer));
  auto session = tls.session(*credentials, made->reference_);
  if (!session) return std::unexpected(std::move(session.error()));
  made->tls_ = std::move(*session);
  made->credentials_ = std::move(credentials);

  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  made->fill_settings(settings, params);
  if (initial.token != NGTCP2_TOKEN_TYPE_UNKNOWN) {
    settings.token = initial.header.token;
    settings.tokenlen = initial.header.tokenlen;
    settings.token_type = initial.token;
  }
  params.original_dcid = initial.original.get();
  params.original_dcid_present = 1;
  if (initial.token == NGTCP2_TOKEN_TYPE_RETRY) {
    params.retry_scid = initial.header.dcid;
    params.retry_scid_present = 1;
  }
  const ConnectionId id = owner.ids().make();
  std::ranges::copy(owner.ids().reset_token(id), params.stateless_reset_token);
  params.stateless_reset_token_present = 1;

  ngtcp2_callbacks calls = Callbacks::common();
  calls.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  const ngtcp2_path library = library_path(path);
  const int rc = ngtcp2_conn_server_new(&made->conn_, &initial.header.scid, &id.get(), &library,
                                        initial.header.version, &calls, &settings, &params, nullptr,
                                        made.get());
  if (rc != 0) return mirror::fail("{}", ngtcp2_strerror(rc));
  ngtcp2_conn_set_tls_native_handle(made->conn_, made->tls_.get());
  made->keep_alive();
  made->ids_ = {id, ConnectionId(initial.header.dcid)};
  for (const ConnectionId& mine : made->ids_) owner.own(mine, *made);
  return made;
}

Result<std::unique_ptr<Connection>> Connection::connect(Owner& owner, const Path& path,
                                                        const Server& server,
                                                        std::unique_ptr<Application> application) {
  std::unique_ptr<Connection> made(new Connection(owner, path, Side::kClient));
  made->server_name_ = server.name;
  made->client_tls_ = server.tls;
  made->resumption_ = server.resumption;
  made->impairment_ = server.impairment;
  made->application_ = std::move(application);
  const Resumption* resumption = server.resumption.get();
  auto session = server.tls->session(made->server_name_, resumption, made->reference_);
  if (!session) return std::unexpected(std::move(session.error()));
  made->tls_ = std::move(*session);
  gnutls_handshake_set_hook_function(made->tls_.get(), GNUTLS_HANDSHAKE_NEW_SESSION_TICKET,
                                     GNUTLS_HOOK_POST, &Callbacks::new_ticket);

  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  made->fill_settings(settings, params);
  if (resumption != nullptr && !resumption->address_token.empty()) {
    settings.token = resumption->address_token.data();
    settings.tokenlen = resumption->address_token.size();
  }
  ngtcp2_callbacks calls = Callbacks::common();
  calls.client_initial = ngtcp2_crypto_client_initial_cb;
  calls.recv_retry = ngtcp2_crypto_recv_retry_cb;
  calls.recv_new_token = &Callbacks::new_token;
  calls.tls_early_data_rejected = &Callbacks::early_data_rejected;
  std::array<std::uint8_t, kClientIdBytes> random_id{};
  owner.random().fill(random_id);
  const ConnectionId peer(random_id);
  const ConnectionId id = owner.ids().make();
  const ngtcp2_path library = library_path(path);
  const int rc =
      ngtcp2_conn_client_new(&made->conn_, &peer.get(), &id.get(), &library, NGTCP2_PROTO_VER_V1,
                             &calls, &settings, &params, nullptr, made.get());
  if (rc != 0) return mirror::fail("{}", ngtcp2_strerror(rc));
  ngtcp2_conn_set_tls_native_handle(made->conn_, made->tls_.get());
  if (server.early_data && resumption != nullptr && !resumption->transport_params.empty()) {
    made->sends_early_ = ngtcp2_conn_decode_and_set_0rtt_transport_params(
                             made->conn_, resumption->transport_params.data(),
                             resumption->transport_params.size()) == 0;
  }
  made->keep_alive();
  made->ids_ = {id};
  owner.own(id, *made);
  return made;
}

void Connection::keep_alive() {
  const auto period = owner_.limits().keep_alive;
  if (period.count() > 0) ngtcp2_conn_set_keep_alive_timeout(conn_, nanoseconds(period));
}

void Connection::remember_resumption() {
  if (!resumption_) return;
  gnutls_datum_t ticket{};
  if (gnutls_session_get_data2(tls_.get(), &ticket) != 0) return;
  resumption_->ticket.assign(ticket.data, ticket.data + ticket.size);
  gnutls_free(ticket.data);
  std::array<std::uint8_t, 256> params{};
  const auto size = ngtcp2_conn_encode_0rtt_transport_params(conn_, params.data(), params.size());
  if (size > 0) resumption_->transport_params.assign(params.begin(), params.begin() + size);
}

// --- In.

Connection::Received Connection::receive(std::span<const std::uint8_t> datagram, const Path& path,
                                         std::uint8_t ecn) {
  if (state_ != State::kOpen) return Received::kOk;
  if (loses(Impairment::Way::kIn, datagram.size())) return Received::kOk;
  const ngtcp2_path library = library_path(path);
  ngtcp2_pkt_info info{};
  info.ecn = ecn;
  const int rc = ngtcp2_conn_read_pkt(conn_, &library, &info, datagram.data(), datagram.size(),
                                      timestamp(now()));
  if (rc == NGTCP2_ERR_RETRY) return Received::kRetry;
  // A ClientHello without transport parameters (RFC 9001, 8.2). GnuTLS lets it pass, and
  // ngtcp2 1.11 asserts as soon as it is asked to write: it has not been told a version.
  if (handshake_keys_ && ngtcp2_conn_get_negotiated_version(conn_) == 0) return Received::kDrop;
  if (rc == NGTCP2_ERR_DROP_CONN) return Received::kDrop;
  if (rc != 0) {
    fail(rc);
  } else {
    note_path();
    if (path.remote == path_.remote) allowance_.received(datagram.size());
  }
  held_back_ = false;
  mark_due();
  return Received::kOk;
}

void Connection::note_path() {
  const ngtcp2_path* current = ngtcp2_conn_get_path(conn_);
  const Path now_on = path_of(*current);
  if (now_on == path_) return;
  if (!(now_on.remote == path_.remote)) {
    remote_name_ = now_on.remote.name();
    owner_.metrics().migrations.Increment();
    if (now_on.remote == proven_) {
      allowance_.proven();
    } else if (side_ == Side::kServer) {
      allowance_.moved(now());
    }
  }
  path_ = now_on;
}

SteadyTime Connection::expiry() const {
  if (state_ == State::kOver) return SteadyTime::max();
  if (held_back_) return allowance_.until();  // no timer's packet may go: it would be due for ever
  const ngtcp2_tstamp when = ngtcp2_conn_get_expiry(conn_);
  if (when >= static_cast<ngtcp2_tstamp>(INT64_MAX)) return SteadyTime::max();
  return SteadyTime(std::chrono::nanoseconds(static_cast<std::int64_t>(when)));
}

void Connection::expire() {
  if (state_ != State::kOpen) return;
  const int rc = ngtcp2_conn_handle_expiry(conn_, timestamp(now()));
  if (rc != 0) fail(rc);
  mark_due();
}

// --- The end.

void Connection::fail(int error) {
  if (state_ != State::kOpen) return;
  if (error == NGTCP2_ERR_DRAINING) {
    const ngtcp2_ccerr* peer = ngtcp2_conn_get_ccerr(conn_);
    if (end_ == End::kReset) return end_silently(End::kReset, "stateless reset");
    return end_silently(
        End::kPeer,
        fmt::format("closed by the peer: {} {:#x} {}",
                    peer->type == NGTCP2_CCERR_TYPE_APPLICATION ? "application" : "error",
                    peer->error_code,
                    std::string_view(reinterpret_cast<const char*>(peer->reason),
                                     std::min(peer->reasonlen, kReasonBytesMax))));
  }
  // RFC 9000, 10.1 and 10.2: nobody listens any more, or nobody must be told.
  if (error == NGTCP2_ERR_IDLE_CLOSE || error == NGTCP2_ERR_HANDSHAKE_TIMEOUT ||
      error == NGTCP2_ERR_CLOSING || error == NGTCP2_ERR_DROP_CONN ||
      error == NGTCP2_ERR_RECV_VERSION_NEGOTIATION) {
    return end_silently(end_of(error), ngtcp2_strerror(error));
  }
  ngtcp2_ccerr close{};
  if (error == NGTCP2_ERR_CRYPTO) {
    ngtcp2_ccerr_set_tls_alert(&close, ngtcp2_conn_get_tls_alert(conn_), nullptr, 0);
  } else {
    ngtcp2_ccerr_set_liberr(&close, error, nullptr, 0);
  }
  begin_close(close, end_of(error), ngtcp2_strerror(error));
}

void Connection::begin_close(const ngtcp2_ccerr& error, End why, std::string_view reason) {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  end_ = why;
  close_error_ = error;
  close_reason_ = reason.substr(0, kReasonBytesMax);
  mark_due();
}

// Nobody wants it: there are as many connections as may be, or the server ends.
void Connection::refuse() {
  ngtcp2_ccerr close{};
  ngtcp2_ccerr_set_transport_error(&close, NGTCP2_CONNECTION_REFUSED, nullptr, 0);
  begin_close(close, End::kRefused, "refused");
}

void Connection::end_silently(End why, std::string_view reason) {
  if (state_ == State::kOver) return;
  if (state_ == State::kOpen) {
    end_ = why;
    close_reason_ = reason;
  }
  state_ = State::kOver;
  owner_.metrics().ended(end_).Increment();
  mark_due();
}

void Connection::write_close(SendBuffer& out) {
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  // Only what the application says is for the peer's eyes.
  if (end_ == End::kApplication) {
    close_error_.reason = reinterpret_cast<const std::uint8_t*>(close_reason_.data());
    close_error_.reasonlen = close_reason_.size();
  }
  const auto room = out.room();
  const auto size = ngtcp2_conn_write_connection_close(
      conn_, &path.path, &info, room.data(),
      std::min<std::size_t>(room.size(), NGTCP2_MAX_UDP_PAYLOAD_SIZE), &close_error_,
      timestamp(now()));
  if (size > 0) {
    close_packet_.assign(room.begin(), room.begin() + size);
    out.add(static_cast<std::size_t>(size), path_of(path.path), info.ecn);
  }
  end_silently(end_, close_reason_);
}

std::unique_ptr<Application> Connection::take_application() {
  if (application_ && !std::exchange(application_closed_, true)) {
    application_->on_closed(close_reason_);
  }
  return std::move(application_);
}

void Connection::close(std::uint64_t error, std::string_view reason) {
  ngtcp2_ccerr close{};
  ngtcp2_ccerr_set_application_error(&close, error, nullptr, 0);
  begin_close(close, End::kApplication, reason);
}

// --- Out.

Connection::Written Connection::write(SendBuffer& out) {
  if (state_ == State::kOver) return Written::kAll;
  if (out.full()) return Written::kFull;
  const ngtcp2_tstamp now_ts = timestamp(now());
  std::size_t quantum = 0;
  std::size_t bytes = 0;
  std::size_t packets = 0;
  Written written = Written::kAll;
  while (state_ == State::kOpen) {
    if (out.full()) {
      written = Written::kFull;
      break;
    }
    // Not known before the first packet: the library may not be asked before the handshake.
    if (packets > 0) quantum = ngtcp2_conn_get_send_quantum(conn_);
    if (packets >= kPacketsPerWrite || (packets > 0 && bytes >= quantum)) {
      written = Written::kMore;
      break;
    }
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info{};
    const std::size_t allowed = allowance_.left(now());
    held_back_ = allowed == 0;
    if (held_back_) break;
    const auto room = out.room();
    const ngtcp2_ssize size =
        write_packet(room.first(std::min(room.size(), allowed)), path.path, info);
    unpark();
    if (size < 0) fail(static_cast<int>(size));
    if (size <= 0) break;
    if (Address::of(path.path.remote.addr, path.path.remote.addrlen) == path_.remote) {
      allowance_.sent(static_cast<std::size_t>(size));
    }
    if (!loses(Impairment::Way::kOut, static_cast<std::size_t>(size))) {
      out.add(static_cast<std::size_t>(size), path_of(path.path), info.ecn);
    }
    bytes += static_cast<std::size_t>(size);
    ++packets;
    // Asking once more would cost as much as a small packet.
    if (static_cast<std::size_t>(size) < kRoomLeftBytes && nothing_to_send()) break;
  }
  if (packets > 0 && state_ != State::kOver) ngtcp2_conn_update_pkt_tx_time(conn_, now_ts);
  if (state_ == State::kClosing) {
    if (out.full()) return Written::kFull;
    write_close(out);
    return Written::kAll;
  }
  // What pacing holds back comes with the timer.
  if (written == Written::kMore && expiry() > now()) return Written::kAll;
  return written;
}

bool Connection::write_datagrams(std::span<std::uint8_t> room, ngtcp2_path& path,
                                 ngtcp2_pkt_info& info, ngtcp2_ssize& written) {
  while (!datagrams_.empty()) {
    const auto view = datagrams_.front().span();
    ngtcp2_vec vector{const_cast<std::uint8_t*>(view.data()), view.size()};
    int accepted = 0;
    written = ngtcp2_conn_writev_datagram(conn_, &path, &info, room.data(), room.size(), &accepted,
                                          NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, &vector, 1,
                                          timestamp(now()));
    const bool impossible =
        written == NGTCP2_ERR_INVALID_STATE || written == NGTCP2_ERR_INVALID_ARGUMENT;
    if (impossible) owner_.metrics().datagrams_dropped.Increment();
    if (accepted != 0 || impossible) datagrams_.pop_front();
    if (written != NGTCP2_ERR_WRITE_MORE && !impossible) return true;
  }
  return false;
}

// One packet: frames of the library's own, datagrams, then streams in the scheduler's order, as
// many as fit.
ngtcp2_ssize Connection::write_packet(std::span<std::uint8_t> room, ngtcp2_path& path,
                                      ngtcp2_pkt_info& info) {
  const ngtcp2_tstamp now_ts = timestamp(now());
  // Before the first call: between calls that fill one packet the library may not be asked.
  window_spent_ = ngtcp2_conn_get_max_data_left(conn_) == 0;
  if (!datagrams_.empty() && datagrams_.front().size() > datagram_bytes_max()) {
    datagrams_.pop_front();  // the path became narrower meanwhile
    owner_.metrics().datagrams_dropped.Increment();
  }
  ngtcp2_ssize written = 0;
  if (write_datagrams(room, path, info, written)) return written;

  for (std::size_t tries = 0; tries < kStreamsPerPacketMax && !window_spent_; ++tries) {
    auto* stream = static_cast<Stream*>(scheduler_.next());
    if (stream == nullptr) break;
    std::array<ngtcp2_vec, kVectorsMax> vectors;
    const auto gathered = stream->out.gather(vectors, room.size());
    const bool fin = gathered.all && stream->out.finished();
    const std::uint32_t flags =
        NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
    ngtcp2_ssize taken = -1;
    written = ngtcp2_conn_writev_stream(conn_, &path, &info, room.data(), room.size(), &taken,
                                        flags, stream->id, vectors.data(), gathered.pieces, now_ts);
    if (taken >= 0) {
      const auto bytes = static_cast<std::size_t>(taken);
      took(*stream, bytes, fin && bytes == gathered.bytes);
    }
    switch (written) {
      case NGTCP2_ERR_WRITE_MORE:
        break;
      case NGTCP2_ERR_STREAM_DATA_BLOCKED:
        scheduler_.remove(*stream);
        parked_.push_back(stream);
        break;
      case NGTCP2_ERR_STREAM_SHUT_WR:
      case NGTCP2_ERR_STREAM_NOT_FOUND:
        stopped_by_peer(*stream);
        break;
      default:
        return written;
    }
  }
  return ngtcp2_conn_writev_stream(conn_, &path, &info, room.data(), room.size(), nullptr,
                                   NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now_ts);
}

// Streams that a window held back: the stream's own, and then the library tells when it opens; or
// the connection's, and then they are asked again with the next packet.
void Connection::unpark() {
  for (Stream* stream : std::exchange(parked_, {})) {
    if (ngtcp2_conn_get_max_stream_data_left(conn_, stream->id) == 0) {
      stream->blocked = true;
    } else {
      scheduler_.add(*stream);
    }
  }
}

void Connection::took(Stream& stream, std::size_t bytes, bool fin) {
  stream.out.sent(bytes, fin);
  queued_ -= bytes;
  unacknowledged_ += bytes;
  scheduler_.took_turn(stream);
  if (!stream.out.anything()) scheduler_.remove(stream);
  tell_if_below(stream);
}

void Connection::tell_if_below(Stream& stream) {
  if (stream.out.queued() >= stream.tell_below) return;
  stream.tell_below = 0;
  event(Event::What::kWritable, stream.id);
}

void Connection::tell_below(StreamId id, std::size_t bytes) {
  Stream* stream = sendable(id);
  if (stream == nullptr) return;
  stream->tell_below = std::max(stream->tell_below, bytes);
  tell_if_below(*stream);
}

// STOP_SENDING: the library has answered it, and says so only when we want to send more. Which
// error it carried is known no earlier than the stream's end.
void Connection::stopped_by_peer(Stream& stream) {
  forget_queued(stream);
  stream.sending_over = true;
  if (stream.reset_by_us || std::exchange(stream.stop_told, true)) return;
  count_cancelled();
  event(Event::What::kStopped, stream.id);
}

void Connection::forget_queued(Stream& stream) {
  scheduler_.remove(stream);
  queued_ -= stream.out.queued();
  stream.out.forget_queued();
}

void Connection::tell() {
  for (const Event& told : std::exchange(events_, {})) {
    if (state_ != State::kOpen || !application_) return;
    switch (told.what) {
      case Event::What::kOpen:
        application_->on_open();
        break;
      case Event::What::kWritable:
        if (find(told.stream) != nullptr) application_->on_writable(told.stream);
        break;
      case Event::What::kStopped:
        if (find(told.stream) != nullptr) application_->on_stop_sending(told.stream, 0);
        break;
      case Event::What::kStreamsAvailable:
        application_->on_streams_available();
        break;
    }
  }
}

void Connection::mark_due() { owner_.due(*this); }

// --- Streams.

Connection::Stream* Connection::find(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

Connection::Stream& Connection::adopt(StreamId id) {
  auto& place = streams_[id];
  if (!place) {
    place = std::make_unique<Stream>(id);
    place->age = streams_adopted_++;
    ngtcp2_conn_set_stream_user_data(conn_, id, place.get());
  }
  return *place;
}

Connection::Stream* Connection::sendable(StreamId id) const {
  Stream* stream = state_ == State::kOpen ? find(id) : nullptr;
  return stream == nullptr || stream->sending_over || stream->out.finished() ? nullptr : stream;
}

std::optional<StreamId> Connection::open(bool unidirectional) {
  if (state_ != State::kOpen) return std::nullopt;
  StreamId id = -1;
  const int rc = unidirectional ? ngtcp2_conn_open_uni_stream(conn_, &id, nullptr)
                                : ngtcp2_conn_open_bidi_stream(conn_, &id, nullptr);
  if (rc != 0) {
    wants_streams_ = true;
    return std::nullopt;
  }
  return adopt(id).id;
}

std::optional<StreamId> Connection::open_unidirectional() { return open(true); }
std::optional<StreamId> Connection::open_bidirectional() { return open(false); }

void Connection::queue(Stream& stream, Bytes bytes) {
  if (bytes.empty()) return;
  queued_ += bytes.size();
  stream.out.push(std::move(bytes), now());
  if (stream.out.queued() >= Application::kQueuedBytesHigh) {
    stream.tell_below = std::max(stream.tell_below, Application::kQueuedBytesHigh / 2);
  }
  if (!stream.blocked) scheduler_.add(stream);
  mark_due();
}

void Connection::send(StreamId id, Bytes bytes) {
  if (Stream* stream = sendable(id)) queue(*stream, std::move(bytes));
}

void Connection::send_copy(StreamId id, std::span<const std::uint8_t> bytes) {
  Stream* stream = sendable(id);
  if (stream == nullptr) return;
  queue(*stream, Bytes::build(bytes.size(), [&](std::span<std::uint8_t> room) {
    std::ranges::copy(bytes, room.begin());
  }));
}

void Connection::finish(StreamId id) {
  Stream* stream = sendable(id);
  if (stream == nullptr) return;
  stream->out.finish();
  if (!stream->blocked) scheduler_.add(*stream);
  mark_due();
}

void Connection::reset(StreamId id, std::uint64_t error) {
  Stream* stream = state_ == State::kOpen ? find(id) : nullptr;
  if (stream == nullptr || stream->sending_over) return;
  stream->sending_over = true;
  stream->reset_by_us = true;
  forget_queued(*stream);
  ngtcp2_conn_shutdown_stream_write(conn_, 0, id, error);
  mark_due();
}

void Connection::stop_sending(StreamId id, std::uint64_t error) {
  Stream* stream = state_ == State::kOpen ? find(id) : nullptr;
  if (stream == nullptr) return;
  stream->stopped_by_us = true;
  ngtcp2_conn_shutdown_stream_read(conn_, 0, id, error);
  mark_due();
}

void Connection::set_priority(StreamId id, Priority priority) {
  if (Stream* stream = find(id)) scheduler_.set_priority(*stream, priority);
}

std::size_t Connection::queued_bytes(StreamId id) const {
  const Stream* stream = find(id);
  return stream == nullptr ? 0 : stream->out.queued();
}

std::optional<SteadyTime> Connection::queued_since(StreamId id) const {
  const Stream* stream = find(id);
  return stream == nullptr ? std::nullopt : stream->out.queued_since();
}

void Connection::consumed(StreamId id, std::size_t bytes) {
  Stream* stream = state_ == State::kOpen ? find(id) : nullptr;
  if (stream == nullptr) return;
  const auto released = std::min<std::uint64_t>(bytes, stream->unconsumed);
  if (released == 0) return;
  stream->unconsumed -= released;
  ngtcp2_conn_extend_max_stream_offset(conn_, id, released);
  ngtcp2_conn_extend_max_offset(conn_, released);
  mark_due();
}

// Everything of the stream is acknowledged, or given up by both sides.
void Connection::closed(Stream& stream, bool cancelled, std::uint64_t error) {
  const StreamId id = stream.id;
  const bool by_peer = is_client_initiated(id) == (side_ == Side::kServer);
  // A STOP_SENDING that found nothing to stop shows only here.
  const bool stopped = cancelled && !stream.reset_by_us && !stream.stopped_by_us &&
                       !stream.reset_by_peer && !stream.sending_over && !stream.stop_told;
  if (stopped) count_cancelled();
  unacknowledged_ -= stream.out.unacknowledged();
  forget_queued(stream);
  std::erase(parked_, &stream);
  ngtcp2_conn_extend_max_offset(conn_, stream.unconsumed);
  streams_.erase(id);
  if (by_peer && is_unidirectional(id)) ngtcp2_conn_extend_max_streams_uni(conn_, 1);
  if (by_peer && !is_unidirectional(id)) ngtcp2_conn_extend_max_streams_bidi(conn_, 1);
  if (state_ != State::kOpen || !application_) return;
  if (stopped) application_->on_stop_sending(id, error);
  application_->on_stream_closed(id);
}

void Connection::count_opened() {
  if (opened_limit_.take(now())) return;
  ngtcp2_ccerr close{};
  ngtcp2_ccerr_set_application_error(&close, owner_.limits().flood_error, nullptr, 0);
  begin_close(close, End::kFlood, "too many streams");
}

void Connection::count_cancelled() {
  if (cancelled_limit_.take(now())) return;
  ngtcp2_ccerr close{};
  ngtcp2_ccerr_set_application_error(&close, owner_.limits().flood_error, nullptr, 0);
  begin_close(close, End::kFlood, "too many streams cancelled");
}

// --- Datagrams.

std::size_t Connection::datagram_bytes_max() const {
  const auto* peer = ngtcp2_conn_get_remote_transport_params(conn_);
  if (peer == nullptr || peer->max_datagram_frame_size == 0) return 0;
  const std::size_t packet = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_);
  const std::size_t by_path = packet > kDatagramOverhead ? packet - kDatagramOverhead : 0;
  const std::size_t by_peer = peer->max_datagram_frame_size > 3
                                  ? static_cast<std::size_t>(peer->max_datagram_frame_size) - 3
                                  : 0;
  return std::min(by_path, by_peer);
}

bool Connection::send_datagram(std::span<const std::uint8_t> bytes) {
  const bool fits = state_ == State::kOpen && bytes.size() <= datagram_bytes_max() &&
                    datagram_bytes_max() > 0 &&
                    datagrams_.size() < owner_.limits().datagrams_queued_max;
  if (!fits) {
    owner_.metrics().datagrams_dropped.Increment();
    return false;
  }
  datagrams_.push_back(Bytes::copy_of(bytes));
  mark_due();
  return true;
}

// --- For tests and operation.

bool Connection::update_keys() {
  if (state_ != State::kOpen) return false;
  const bool begun = ngtcp2_conn_initiate_key_update(conn_, timestamp(now())) == 0;
  mark_due();
  return begun;
}

bool Connection::migrate(const Path& path) {
  if (state_ != State::kOpen) return false;
  const ngtcp2_path library = library_path(path);
  const int rc = ngtcp2_conn_initiate_immediate_migration(conn_, &library, timestamp(now()));
  mark_due();
  return rc == 0;
}

std::uint64_t Connection::rtt_ns() const {
  ngtcp2_conn_info info{};
  ngtcp2_conn_get_conn_info(conn_, &info);
  return info.smoothed_rtt;
}

}  // namespace mirror::quic
