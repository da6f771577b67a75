// The TLS 1.3 side of QUIC (RFC 9001) by GnuTLS: sessions for ngtcp2 to drive.
//
// ServerTls and ReplayGuard are made once and shared by all loops. AES-128-GCM first and by the
// server's choice, since a peer's own order often costs more; no key log, ever.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "net/tls.h"

namespace mirror::quic {

struct TlsSessionDeleter {
  void operator()(gnutls_session_t session) const { gnutls_deinit(session); }
};
using TlsSession = std::unique_ptr<gnutls_session_int, TlsSessionDeleter>;

// Remembers the tickets that early data came with, so that the same early data is not taken twice
// (RFC 8446, 8.2). One for all loops that share tickets: a replay may come to any of them. Any
// thread. Two generations of at most kTicketsMax; when full, early data is refused, which costs its
// sender one round trip.
class ReplayGuard {
 public:
  static constexpr std::size_t kTicketsMax = 65'536;
  static constexpr unsigned kWindowSeconds = 10;

  ReplayGuard();
  ~ReplayGuard();
  ReplayGuard(const ReplayGuard&) = delete;
  ReplayGuard& operator=(const ReplayGuard&) = delete;

  void enable(gnutls_session_t session) const;
  // Whether `ticket` is new; it is remembered until `expires` at least.
  bool remember(std::string ticket, std::time_t expires);

 private:
  gnutls_anti_replay_t anti_replay_ = nullptr;
  std::mutex mutex_;
  std::unordered_set<std::string> young_;  // guarded by mutex_, as all below
  std::unordered_set<std::string> old_;
  std::time_t young_since_ = 0;
};

class ServerTls {
 public:
  // `alpn` in the order of preference ("h3"); a client that offers none of them is refused (RFC
  // 9001, 8.1). `guard` may be null: then early data is refused.
  static Result<std::shared_ptr<const ServerTls>> create(std::vector<std::string> alpn,
                                                         std::shared_ptr<ReplayGuard> guard);
  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  // `reference` and `credentials` must outlive the session.
  Result<TlsSession> session(const net::TlsCredentials& credentials,
                             ngtcp2_crypto_conn_ref& reference) const;

 private:
  ServerTls() = default;
  std::vector<std::string> alpn_;
  std::shared_ptr<ReplayGuard> guard_;
  gnutls_priority_t priority_ = nullptr;
};

// What a client keeps of one connection for the next one to the same server.
struct Resumption {
  std::vector<std::uint8_t> ticket;
  std::vector<std::uint8_t> transport_params;  // of the server, for early data
  std::vector<std::uint8_t> address_token;     // NEW_TOKEN (RFC 9000, 8.1.3)
};

class ClientTls {
 public:
  enum class Verify { kOff, kServer };

  // `ca_file`: PEM, empty for the system's. Only read when the server is verified.
  static Result<std::shared_ptr<const ClientTls>> create(std::vector<std::string> alpn,
                                                         Verify verify, const std::string& ca_file);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;
  ClientTls& operator=(const ClientTls&) = delete;

  // `server_name` for SNI and verification; must outlive the session, as must `reference`.
  Result<TlsSession> session(const std::string& server_name, const Resumption* resumption,
                             ngtcp2_crypto_conn_ref& reference) const;

 private:
  ClientTls() = default;
  std::vector<std::string> alpn_;
  Verify verify_ = Verify::kServer;
  gnutls_priority_t priority_ = nullptr;
  gnutls_certificate_credentials_t trust_ = nullptr;
};

std::string alpn_of(gnutls_session_t session);

}  // namespace mirror::quic
