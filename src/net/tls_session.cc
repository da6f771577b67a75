#include <gnutls/gnutls.h>

#include <utility>

#include "net/tls.h"
#include "net/tls_credentials_impl.h"

namespace mirror::net {

Result<std::unique_ptr<TlsSession>> TlsSession::create(
    std::shared_ptr<const TlsCredentials> credentials) {
  auto records = TlsRecords::create(GNUTLS_SERVER);
  if (!records) return std::unexpected(std::move(records.error()));
  gnutls_session_t session = (*records)->session();
  const int rc = gnutls_priority_set(session, credentials->impl_->priority);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  if (auto status = credentials->equip(session); !status) {
    return std::unexpected(std::move(status.error()));
  }
  unsigned char h2[] = "h2";
  unsigned char h1[] = "http/1.1";
  const gnutls_datum_t protocols[] = {{h2, 2}, {h1, 8}};
  gnutls_alpn_set_protocols(session, protocols, 2, GNUTLS_ALPN_SERVER_PRECEDENCE);
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(credentials), std::move(*records)));
}

TlsSession::Outcome TlsSession::handshake(std::span<const std::uint8_t>& input,
                                          std::vector<std::uint8_t>& output) {
  const Outcome outcome = records_->handshake(input, output);
  if (outcome == Outcome::kDone) alpn_ = records_->alpn();
  return outcome;
}

}  // namespace mirror::net
