#include "net/tls_records.h"

#include <gnutls/gnutls.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mirror::net {

// GnuTLS pulls from and pushes to the buffers of the call in progress.
struct TlsRecords::Buffers {
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    auto& records = *static_cast<TlsRecords*>(self);
    if (records.input_ == nullptr || records.input_->empty()) {
      gnutls_transport_set_errno(records.session_, EAGAIN);
      return -1;
    }
    const std::size_t n = std::min(size, records.input_->size());
    std::memcpy(data, records.input_->data(), n);
    *records.input_ = records.input_->subspan(n);
    return static_cast<ssize_t>(n);
  }

  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    const auto& records = *static_cast<TlsRecords*>(self);
    return records.input_ != nullptr && !records.input_->empty() ? 1 : 0;
  }

  static ssize_t push(gnutls_transport_ptr_t self, const giovec_t* parts, int count) {
    auto& records = *static_cast<TlsRecords*>(self);
    ssize_t total = 0;
    for (int i = 0; i < count; ++i) {
      const auto* data = static_cast<const std::uint8_t*>(parts[i].iov_base);
      records.output_->insert(records.output_->end(), data, data + parts[i].iov_len);
      total += static_cast<ssize_t>(parts[i].iov_len);
    }
    return total;
  }
};

TlsRecords::~TlsRecords() {
  if (session_ != nullptr) gnutls_deinit(session_);
}

Result<std::unique_ptr<TlsRecords>> TlsRecords::create(unsigned side) {
  std::unique_ptr<TlsRecords> made(new TlsRecords);
  const int rc = gnutls_init(&made->session_, side | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
  if (rc < 0) return fail("TLS session: {}", gnutls_strerror(rc));
  gnutls_session_t session = made->session_;
  gnutls_handshake_set_timeout(session, 0);  // whoever owns it keeps the time
  gnutls_transport_set_ptr(session, made.get());
  gnutls_transport_set_pull_function(session, &Buffers::pull);
  gnutls_transport_set_pull_timeout_function(session, &Buffers::pull_timeout);
  gnutls_transport_set_vec_push_function(session, &Buffers::push);
  return made;
}

TlsRecords::Outcome TlsRecords::outcome_of(int code) {
  if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) return Outcome::kWantsInput;
  failure_ = gnutls_strerror(code);
  failure_code_ = code;
  // Without effect where the error has no alert of its own.
  gnutls_alert_send_appropriate(session_, code);
  return Outcome::kFailed;
}

TlsRecords::Outcome TlsRecords::handshake(std::span<const std::uint8_t>& input,
                                          std::vector<std::uint8_t>& output) {
  input_ = &input;
  output_ = &output;
  int rc = 0;
  do {
    rc = gnutls_handshake(session_);
    // A warning alert is not fatal; each one uses up input, so this ends.
  } while (rc < 0 && !gnutls_error_is_fatal(rc) && rc != GNUTLS_E_AGAIN);
  return rc < 0 ? outcome_of(rc) : Outcome::kDone;
}

TlsRecords::Read TlsRecords::read(std::span<const std::uint8_t>& input,
                                  std::span<std::uint8_t> plain,
                                  std::vector<std::uint8_t>& output) {
  // GnuTLS would ask for more and be told that there is none, which costs it a third of a record.
  if (input.empty() && gnutls_record_check_pending(session_) == 0) return {};
  input_ = &input;
  output_ = &output;
  ssize_t rc = 0;
  std::size_t left = 0;
  do {
    left = input.size();
    rc = gnutls_record_recv(session_, plain.data(), plain.size());
    // A record without data (a key update or a ticket, RFC 8446 4.6) is told of as "again", also
    // when there is more behind it. Each turn uses some up, so this ends.
  } while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED ||
           (rc == GNUTLS_E_AGAIN && !input.empty() && input.size() < left));
  if (rc > 0) return {Outcome::kDone, static_cast<std::size_t>(rc)};
  if (rc == 0) return {Outcome::kClosed, 0};
  // Renegotiation (TLS 1.2) is refused by ending the session: GNUTLS_E_REHANDSHAKE lands here.
  return {outcome_of(static_cast<int>(rc)), 0};
}

Status TlsRecords::write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output) {
  input_ = nullptr;
  output_ = &output;
  // A peer may ask for smaller records (RFC 8449; RFC 6066 4): GnuTLS then takes less at once.
  while (!plain.empty()) {
    const ssize_t rc = gnutls_record_send(session_, plain.data(), plain.size());
    if (rc <= 0) return fail("{}", gnutls_strerror(static_cast<int>(rc)));
    plain = plain.subspan(static_cast<std::size_t>(rc));
  }
  return {};
}

void TlsRecords::close(std::vector<std::uint8_t>& output) {
  input_ = nullptr;
  output_ = &output;
  gnutls_bye(session_, GNUTLS_SHUT_WR);
}

std::string TlsRecords::alpn() const {
  gnutls_datum_t chosen{};
  if (gnutls_alpn_get_selected_protocol(session_, &chosen) != 0) return {};
  return std::string(reinterpret_cast<const char*>(chosen.data), chosen.size);
}

}  // namespace mirror::net
