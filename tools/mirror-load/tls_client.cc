#include "tls_client.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>

#include <array>
#include <utility>

namespace mirror::load {

namespace {

constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
    "+GROUP-SECP384R1";

bool is_numeric(const std::string& host) {
  std::array<unsigned char, 16> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

struct TlsTrust::Impl {
  gnutls_certificate_credentials_t credentials = nullptr;
  gnutls_priority_t priority = nullptr;
  Check check = Check::kNothing;

  ~Impl() {
    if (credentials != nullptr) gnutls_certificate_free_credentials(credentials);
    if (priority != nullptr) gnutls_priority_deinit(priority);
  }
};

TlsTrust::TlsTrust(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsTrust::~TlsTrust() = default;

Result<std::shared_ptr<const TlsTrust>> TlsTrust::create(Check check) {
  auto impl = std::make_unique<Impl>();
  impl->check = check;
  int rc = gnutls_certificate_allocate_credentials(&impl->credentials);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  rc = gnutls_priority_init(&impl->priority, kPriority, nullptr);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  if (check == Check::kSystemAuthorities) {
    rc = gnutls_certificate_set_x509_system_trust(impl->credentials);
    if (rc < 0) return fail("the system's certificate authorities: {}", gnutls_strerror(rc));
  }
  return std::shared_ptr<const TlsTrust>(new TlsTrust(std::move(impl)));
}

Result<std::unique_ptr<TlsClient>> TlsClient::create(std::shared_ptr<const TlsTrust> trust,
                                                     const std::string& host,
                                                     std::string_view alpn) {
  auto records = net::TlsRecords::create(GNUTLS_CLIENT | GNUTLS_NO_TICKETS);
  if (!records) return std::unexpected(std::move(records.error()));
  gnutls_session_t session = (*records)->session();
  const auto& shared = *trust->impl_;
  int rc = gnutls_priority_set(session, shared.priority);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, shared.credentials);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  // A numeric address is no server name (RFC 6066, 3), but a certificate may hold it.
  if (!is_numeric(host)) {
    gnutls_server_name_set(session, GNUTLS_NAME_DNS, host.data(), host.size());
  }
  std::string protocol(alpn);
  const gnutls_datum_t offered{reinterpret_cast<unsigned char*>(protocol.data()),
                               static_cast<unsigned>(protocol.size())};
  gnutls_alpn_set_protocols(session, &offered, 1, 0);
  const bool verify = shared.check == TlsTrust::Check::kSystemAuthorities;
  std::unique_ptr<TlsClient> made(new TlsClient(std::move(trust), std::move(*records), host, alpn));
  if (verify) gnutls_session_set_verify_cert(session, made->host_.c_str(), 0);  // refers to it
  return made;
}

// RFC 7301, 3.2: a server that knows ALPN names the protocol; one that does not speaks HTTP/1.1.
TlsClient::Outcome TlsClient::check_protocol() {
  const std::string chosen = records_->alpn();
  if (chosen == alpn_ || (chosen.empty() && alpn_ == "http/1.1")) return Outcome::kDone;
  failure_ = "the server did not agree to " + alpn_;
  return Outcome::kFailed;
}

TlsClient::Outcome TlsClient::handshake(std::span<const std::uint8_t>& input,
                                        std::vector<std::uint8_t>& output) {
  const Outcome outcome = records_->handshake(input, output);
  if (outcome == Outcome::kDone) return check_protocol();
  if (records_->failure_code() == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
    failure_ = records_->failure() +
               " (--insecure takes any certificate, such as the one that Mirror makes itself)";
  }
  return outcome;
}

}  // namespace mirror::load
