// TLS by GnuTLS, server side: the certificate, and one session that does no I/O of its own.
//
// TlsCredentials is immutable after creation and shared by every loop. A TlsSession belongs to one
// connection and never touches a socket (TlsRecords). TLS 1.2 and 1.3 with AEAD ciphers and
// ephemeral keys only (RFC 9325), AES-128-GCM first, ALPN h2 before http/1.1 (RFC 7301), session
// tickets (RFC 8446 4.6.1), no early data.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls_records.h"

namespace mirror::net {

class TlsCredentials {
 public:
  // A certificate chain (leaf first) and its private key, PEM. Errors name the file and the fault:
  // unreadable, not PEM, key of another certificate, not yet valid, expired.
  static Result<std::shared_ptr<TlsCredentials>> load(const std::filesystem::path& certificate,
                                                      const std::filesystem::path& key,
                                                      WallTime now);

  // A self-signed ECDSA P-256 certificate for `names` (host names and numeric addresses), kept in
  // `state_dir` as tls-cert.pem and tls-key.pem (mode 0600), valid for a year. Made anew when it is
  // missing, damaged, lacks a name, or ends within 30 days. Files appear whole or not at all.
  static Result<std::shared_ptr<TlsCredentials>> load_or_generate(
      const std::filesystem::path& state_dir, const std::vector<std::string>& names, WallTime now);

  // localhost, 127.0.0.1, ::1 and this machine's host name.
  static std::vector<std::string> local_names();

  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  WallTime expires() const;

  // Gives a server session this certificate and the key of its tickets, for those who do TLS by
  // other means than TlsSession (QUIC). The credentials must outlive the session.
  Status equip(gnutls_session_int* session) const;

 private:
  friend class TlsSession;
  struct Impl;
  explicit TlsCredentials(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class TlsSession {
 public:
  using Outcome = TlsRecords::Outcome;
  using Read = TlsRecords::Read;

  static constexpr std::size_t kRecordBytesMax = TlsRecords::kRecordBytesMax;

  static Result<std::unique_ptr<TlsSession>> create(
      std::shared_ptr<const TlsCredentials> credentials);

  // As TlsRecords has them.
  Outcome handshake(std::span<const std::uint8_t>& input, std::vector<std::uint8_t>& output);
  Read read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
            std::vector<std::uint8_t>& output) {
    return records_->read(input, plain, output);
  }
  Status write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output) {
    return records_->write(plain, output);
  }
  void close(std::vector<std::uint8_t>& output) { records_->close(output); }

  std::string_view alpn() const { return alpn_; }  // "h2", "http/1.1" or empty
  const std::string& failure() const { return records_->failure(); }

 private:
  TlsSession(std::shared_ptr<const TlsCredentials> credentials, std::unique_ptr<TlsRecords> records)
      : credentials_(std::move(credentials)), records_(std::move(records)) {}

  const std::shared_ptr<const TlsCredentials> credentials_;  // outlive records_
  const std::unique_ptr<TlsRecords> records_;
  std::string alpn_;
};

}  // namespace mirror::net
