#include <gnutls/gnutls.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/tls.h"
#include "net/tls_credentials_impl.h"

namespace mirror::net {

// GnuTLS pulls from and pushes to the buffers of the call in progress.
struct TlsSession::Impl {
  std::shared_ptr<const TlsCredentials> credentials;
  gnutls_session_t session = nullptr;
  std::span<const std::uint8_t>* input = nullptr;
  std::vector<std::uint8_t>* output = nullptr;
  std::string alpn;

  ~Impl() {
    if (session != nullptr) gnutls_deinit(session);
  }

  void use(std::span<const std::uint8_t>* in, std::vector<std::uint8_t>* out) {
    input = in;
    output = out;
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

  static ssize_t push(gnutls_transport_ptr_t self, const giovec_t* parts, int count) {
    auto& impl = *static_cast<Impl*>(self);
    ssize_t total = 0;
    for (int i = 0; i < count; ++i) {
      const auto* data = static_cast<const std::uint8_t*>(parts[i].iov_base);
      impl.output->insert(impl.output->end(), data, data + parts[i].iov_len);
      total += static_cast<ssize_t>(parts[i].iov_len);
    }
    return total;
  }
};

TlsSession::TlsSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsSession::~TlsSession() = default;

Result<std::unique_ptr<TlsSession>> TlsSession::create(
    std::shared_ptr<const TlsCredentials> credentials) {
  auto impl = std::make_unique<Impl>();
  impl->credentials = std::move(credentials);
  int rc = gnutls_init(&impl->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
  if (rc < 0) return fail("TLS session: {}", gnutls_strerror(rc));
  const auto& shared = *impl->credentials->impl_;
  rc = gnutls_priority_set(impl->session, shared.priority);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  if (auto status = impl->credentials->equip(impl->session); !status) {
    return std::unexpected(std::move(status.error()));
  }
  unsigned char h2[] = "h2";
  unsigned char h1[] = "http/1.1";
  const gnutls_datum_t protocols[] = {{h2, 2}, {h1, 8}};
  gnutls_alpn_set_protocols(impl->session, protocols, 2, GNUTLS_ALPN_SERVER_PRECEDENCE);
  gnutls_handshake_set_timeout(impl->session, 0);  // the connection keeps the time
  gnutls_transport_set_ptr(impl->session, impl.get());
  gnutls_transport_set_pull_function(impl->session, &Impl::pull);
  gnutls_transport_set_pull_timeout_function(impl->session, &Impl::pull_timeout);
  gnutls_transport_set_vec_push_function(impl->session, &Impl::push);
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(impl)));
}

TlsSession::Outcome TlsSession::outcome_of(int code) {
  if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) return Outcome::kWantsInput;
  failure_ = gnutls_strerror(code);
  // Without effect where the error has no alert of its own.
  gnutls_alert_send_appropriate(impl_->session, code);
  return Outcome::kFailed;
}

TlsSession::Outcome TlsSession::handshake(std::span<const std::uint8_t>& input,
                                          std::vector<std::uint8_t>& output) {
  impl_->use(&input, &output);
  int rc = 0;
  do {
    rc = gnutls_handshake(impl_->session);
    // A warning alert is not fatal; each one uses up input, so this ends.
  } while (rc < 0 && !gnutls_error_is_fatal(rc) && rc != GNUTLS_E_AGAIN);
  if (rc < 0) return outcome_of(rc);
  gnutls_datum_t chosen{};
  if (gnutls_alpn_get_selected_protocol(impl_->session, &chosen) == 0) {
    impl_->alpn.assign(reinterpret_cast<const char*>(chosen.data), chosen.size);
  }
  return Outcome::kDone;
}

TlsSession::Read TlsSession::read(std::span<const std::uint8_t>& input,
                                  std::span<std::uint8_t> plain,
                                  std::vector<std::uint8_t>& output) {
  // GnuTLS would ask for more and be told that there is none, which costs it a third of a record.
  if (input.empty() && gnutls_record_check_pending(impl_->session) == 0) return {};
  impl_->use(&input, &output);
  ssize_t rc = 0;
  std::size_t left = 0;
  do {
    left = input.size();
    rc = gnutls_record_recv(impl_->session, plain.data(), plain.size());
    // A record without data (a key update, RFC 8446 4.6.3) is told of as "again", also when there
    // is more behind it.
  } while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED ||
           (rc == GNUTLS_E_AGAIN && !input.empty() && input.size() < left));
  if (rc > 0) return {Outcome::kDone, static_cast<std::size_t>(rc)};
  if (rc == 0) return {Outcome::kClosed, 0};
  // Renegotiation (TLS 1.2) is refused by ending the session: GNUTLS_E_REHANDSHAKE lands here.
  return {outcome_of(static_cast<int>(rc)), 0};
}

Status TlsSession::write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output) {
  impl_->use(nullptr, &output);
  // A peer may ask for smaller records (RFC 8449; RFC 6066 4): GnuTLS then takes less at once.
  while (!plain.empty()) {
    const ssize_t rc = gnutls_record_send(impl_->session, plain.data(), plain.size());
    if (rc <= 0) return fail("{}", gnutls_strerror(static_cast<int>(rc)));
    plain = plain.subspan(static_cast<std::size_t>(rc));
  }
  return {};
}

void TlsSession::close(std::vector<std::uint8_t>& output) {
  impl_->use(nullptr, &output);
  gnutls_bye(impl_->session, GNUTLS_SHUT_WR);
}

std::string_view TlsSession::alpn() const { return impl_->alpn; }

}  // namespace mirror::net
