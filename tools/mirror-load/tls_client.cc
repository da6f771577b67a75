#include "tls_client.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
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

// GnuTLS pulls from and pushes to the buffers of the call in progress.
struct TlsClient::Impl {
  std::shared_ptr<const TlsTrust> trust;
  gnutls_session_t session = nullptr;
  std::string host;
  std::string alpn;
  std::span<const std::uint8_t>* input = nullptr;
  std::vector<std::uint8_t>* output = nullptr;

  ~Impl() {
    if (session != nullptr) gnutls_deinit(session);
  }

  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    auto& impl = *static_cast<Impl*>(self);
    if (impl.input == nullptr || impl.input->empty()) {
      gnutls_transport_set_errno(impl.session, EAGAIN);
      return -1;
    }
    const std::size_t n = std::min(size, impl.input->size());
    std::memcpy(data, impl.input->data(), n);
    *impl.input = impl.input->subspan(n);
    return static_cast<ssize_t>(n);
  }

  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    const auto& impl = *static_cast<Impl*>(self);
    return impl.input != nullptr && !impl.input->empty() ? 1 : 0;
  }

  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    auto& impl = *static_cast<Impl*>(self);
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    impl.output->insert(impl.output->end(), bytes, bytes + size);
    return static_cast<ssize_t>(size);
  }
};

TlsClient::TlsClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsClient::~TlsClient() = default;

Result<std::unique_ptr<TlsClient>> TlsClient::create(std::shared_ptr<const TlsTrust> trust,
                                                     const std::string& host,
                                                     std::string_view alpn) {
  auto impl = std::make_unique<Impl>();
  impl->trust = std::move(trust);
  impl->host = host;
  impl->alpn = alpn;
  const auto& shared = *impl->trust->impl_;
  int rc = gnutls_init(&impl->session,
                       GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
  if (rc < 0) return fail("TLS session: {}", gnutls_strerror(rc));
  rc = gnutls_priority_set(impl->session, shared.priority);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  rc = gnutls_credentials_set(impl->session, GNUTLS_CRD_CERTIFICATE, shared.credentials);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  // A numeric address is no server name (RFC 6066, 3), but a certificate may hold it.
  if (!is_numeric(impl->host)) {
    gnutls_server_name_set(impl->session, GNUTLS_NAME_DNS, impl->host.data(), impl->host.size());
  }
  if (shared.check == TlsTrust::Check::kSystemAuthorities) {
    gnutls_session_set_verify_cert(impl->session, impl->host.c_str(), 0);
  }
  const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(impl->alpn.data()),
                                static_cast<unsigned>(impl->alpn.size())};
  gnutls_alpn_set_protocols(impl->session, &protocol, 1, 0);
  gnutls_handshake_set_timeout(impl->session, 0);  // whoever asks keeps the time
  gnutls_transport_set_ptr(impl->session, impl.get());
  gnutls_transport_set_pull_function(impl->session, &Impl::pull);
  gnutls_transport_set_pull_timeout_function(impl->session, &Impl::pull_timeout);
  gnutls_transport_set_push_function(impl->session, &Impl::push);
  return std::unique_ptr<TlsClient>(new TlsClient(std::move(impl)));
}

TlsClient::Outcome TlsClient::outcome_of(int code) {
  if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) return Outcome::kWantsInput;
  failure_ = gnutls_strerror(code);
  if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
    failure_ += " (--insecure takes any certificate, such as the one that Mirror makes itself)";
  }
  gnutls_alert_send_appropriate(impl_->session, code);
  return Outcome::kFailed;
}

// RFC 7301, 3.2: a server that knows ALPN names the protocol; one that does not speaks HTTP/1.1.
TlsClient::Outcome TlsClient::check_protocol() {
  gnutls_datum_t chosen{};
  const bool said = gnutls_alpn_get_selected_protocol(impl_->session, &chosen) == 0;
  const std::string_view name(reinterpret_cast<const char*>(chosen.data), said ? chosen.size : 0);
  if (said ? name == impl_->alpn : impl_->alpn == "http/1.1") return Outcome::kDone;
  failure_ = "the server did not agree to " + impl_->alpn;
  return Outcome::kFailed;
}

TlsClient::Outcome TlsClient::handshake(std::span<const std::uint8_t>& input,
                                        std::vector<std::uint8_t>& output) {
  impl_->input = &input;
  impl_->output = &output;
  int rc = 0;
  do {
    rc = gnutls_handshake(impl_->session);
    // A warning alert is not fatal; each one uses up input, so this ends.
  } while (rc < 0 && !gnutls_error_is_fatal(rc) && rc != GNUTLS_E_AGAIN);
  return rc < 0 ? outcome_of(rc) : check_protocol();
}

TlsClient::Read TlsClient::read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
                                std::vector<std::uint8_t>& output) {
  impl_->input = &input;
  impl_->output = &output;
  ssize_t rc = 0;
  bool again = false;
  do {
    const std::size_t left = input.size();
    rc = gnutls_record_recv(impl_->session, plain.data(), plain.size());
    // GnuTLS also asks for patience behind a record without data, such as a session ticket (RFC
    // 8446, 4.6.1), although there may be more input. Each turn uses some up, so this ends.
    again = rc == GNUTLS_E_AGAIN && !input.empty() && input.size() < left;
  } while (again || rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED);
  if (rc > 0) return {Outcome::kDone, static_cast<std::size_t>(rc)};
  if (rc == 0) return {Outcome::kClosed, 0};
  return {outcome_of(static_cast<int>(rc)), 0};
}

Status TlsClient::write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output) {
  impl_->input = nullptr;
  impl_->output = &output;
  while (!plain.empty()) {
    const ssize_t rc = gnutls_record_send(impl_->session, plain.data(), plain.size());
    if (rc <= 0) return fail("{}", gnutls_strerror(static_cast<int>(rc)));
    plain = plain.subspan(static_cast<std::size_t>(rc));
  }
  return {};
}

}  // namespace mirror::load
