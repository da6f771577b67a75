#include "quic/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <cstring>
#include <utility>

namespace mirror::quic {

namespace {

constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE:"
    "%SERVER_PRECEDENCE";
// RFC 9001, 4.6.1: the one value that a ticket of QUIC may carry. Some clients insist.
constexpr std::size_t kEarlyDataBytes = 0xffffffffu;

std::vector<gnutls_datum_t> datums(const std::vector<std::string>& names) {
  std::vector<gnutls_datum_t> list;
  list.reserve(names.size());
  for (const std::string& name : names) {
    list.push_back({reinterpret_cast<unsigned char*>(const_cast<char*>(name.data())),
                    static_cast<unsigned>(name.size())});
  }
  return list;
}

Status set_up(gnutls_session_t session, gnutls_priority_t priority,
              const std::vector<std::string>& alpn, ngtcp2_crypto_conn_ref& reference) {
  int rc = gnutls_priority_set(session, priority);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  const auto protocols = datums(alpn);
  rc = gnutls_alpn_set_protocols(session, protocols.data(), static_cast<unsigned>(protocols.size()),
                                 GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
  if (rc < 0) return fail("ALPN: {}", gnutls_strerror(rc));
  gnutls_session_set_ptr(session, &reference);
  return {};
}

bool is_numeric(const std::string& name) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
}

}  // namespace

ReplayGuard::ReplayGuard() {
  if (gnutls_anti_replay_init(&anti_replay_) < 0) return;  // enable() then refuses
  gnutls_anti_replay_set_window(anti_replay_, kWindowSeconds * 1000);
  gnutls_anti_replay_set_ptr(anti_replay_, this);
  gnutls_anti_replay_set_add_function(
      anti_replay_,
      [](void* self, std::time_t expires, const gnutls_datum_t* key, const gnutls_datum_t*) {
        std::string ticket(reinterpret_cast<const char*>(key->data), key->size);
        return static_cast<ReplayGuard*>(self)->remember(std::move(ticket), expires)
                   ? 0
                   : GNUTLS_E_DB_ENTRY_EXISTS;
      });
}

ReplayGuard::~ReplayGuard() {
  if (anti_replay_ != nullptr) gnutls_anti_replay_deinit(anti_replay_);
}

void ReplayGuard::enable(gnutls_session_t session) const {
  if (anti_replay_ != nullptr) gnutls_anti_replay_enable(session, anti_replay_);
}

// Every ticket expires one window after it came, so a generation is over when a ticket comes that
// expires more than a window later than the generation's first.
bool ReplayGuard::remember(std::string ticket, std::time_t expires) {
  const std::lock_guard lock(mutex_);
  if (expires > young_since_ + static_cast<std::time_t>(kWindowSeconds) + 1) {
    old_ = std::exchange(young_, {});
    young_since_ = expires;
  }
  if (old_.contains(ticket) || young_.size() >= kTicketsMax) return false;
  return young_.insert(std::move(ticket)).second;
}

Result<std::shared_ptr<const ServerTls>> ServerTls::create(std::vector<std::string> alpn,
                                                           std::shared_ptr<ReplayGuard> guard) {
  std::shared_ptr<ServerTls> made(new ServerTls);
  const int rc = gnutls_priority_init(&made->priority_, kPriority, nullptr);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  made->alpn_ = std::move(alpn);
  made->guard_ = std::move(guard);
  return std::shared_ptr<const ServerTls>(std::move(made));
}

ServerTls::~ServerTls() {
  if (priority_ != nullptr) gnutls_priority_deinit(priority_);
}

Result<TlsSession> ServerTls::session(const net::TlsCredentials& credentials,
                                      ngtcp2_crypto_conn_ref& reference) const {
  // The ticket is sent by hand, once the handshake is complete: GnuTLS's own moment is too early.
  unsigned flags =
      GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_SIGNAL;
  if (guard_) flags |= GNUTLS_ENABLE_EARLY_DATA;
  gnutls_session_t raw = nullptr;
  const int rc = gnutls_init(&raw, flags);
  if (rc < 0) return fail("TLS session: {}", gnutls_strerror(rc));
  TlsSession session(raw);
  if (auto status = set_up(raw, priority_, alpn_, reference); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (ngtcp2_crypto_gnutls_configure_server_session(raw) != 0) return fail("TLS for QUIC");
  if (auto status = credentials.equip(raw); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (guard_) {
    gnutls_record_set_max_early_data_size(raw, kEarlyDataBytes);
    guard_->enable(raw);
  }
  return session;
}

Result<std::shared_ptr<const ClientTls>> ClientTls::create(std::vector<std::string> alpn,
                                                           Verify verify,
                                                           const std::string& ca_file) {
  std::shared_ptr<ClientTls> made(new ClientTls);
  int rc = gnutls_priority_init(&made->priority_, kPriority, nullptr);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  rc = gnutls_certificate_allocate_credentials(&made->trust_);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  if (verify == Verify::kServer) {
    rc = ca_file.empty() ? gnutls_certificate_set_x509_system_trust(made->trust_)
                         : gnutls_certificate_set_x509_trust_file(made->trust_, ca_file.c_str(),
                                                                  GNUTLS_X509_FMT_PEM);
    if (rc < 0) return fail("certificate authorities {}: {}", ca_file, gnutls_strerror(rc));
  }
  made->alpn_ = std::move(alpn);
  made->verify_ = verify;
  return std::shared_ptr<const ClientTls>(std::move(made));
}

ClientTls::~ClientTls() {
  if (priority_ != nullptr) gnutls_priority_deinit(priority_);
  if (trust_ != nullptr) gnutls_certificate_free_credentials(trust_);
}

Result<TlsSession> ClientTls::session(const std::string& server_name, const Resumption* resumption,
                                      ngtcp2_crypto_conn_ref& reference) const {
  gnutls_session_t raw = nullptr;
  int rc = gnutls_init(&raw, GNUTLS_CLIENT | GNUTLS_ENABLE_EARLY_DATA |
                                 GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_SIGNAL);
  if (rc < 0) return fail("TLS session: {}", gnutls_strerror(rc));
  TlsSession session(raw);
  if (auto status = set_up(raw, priority_, alpn_, reference); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (ngtcp2_crypto_gnutls_configure_client_session(raw) != 0) return fail("TLS for QUIC");
  rc = gnutls_credentials_set(raw, GNUTLS_CRD_CERTIFICATE, trust_);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  if (!is_numeric(server_name)) {
    gnutls_server_name_set(raw, GNUTLS_NAME_DNS, server_name.data(), server_name.size());
  }
  if (verify_ == Verify::kServer) gnutls_session_set_verify_cert(raw, server_name.c_str(), 0);
  if (resumption != nullptr && !resumption->ticket.empty()) {
    rc = gnutls_session_set_data(raw, resumption->ticket.data(), resumption->ticket.size());
    if (rc < 0) return fail("TLS ticket: {}", gnutls_strerror(rc));
  }
  return session;
}

std::string alpn_of(gnutls_session_t session) {
  gnutls_datum_t chosen{};
  if (gnutls_alpn_get_selected_protocol(session, &chosen) != 0) return {};
  return std::string(reinterpret_cast<const char*>(chosen.data), chosen.size);
}

}  // namespace mirror::quic
