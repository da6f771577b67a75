// TLS by GnuTLS, server side: the certificate, and one session that does no I/O of its own.
//
// TlsCredentials is immutable after creation and shared by every loop. A TlsSession belongs to one
// connection: records from the peer go in, plain bytes come out, and the other way round; it never
// touches a socket. TLS 1.2 and 1.3 with AEAD ciphers and ephemeral keys only (RFC 9325),
// AES-128-GCM first, ALPN h2 before http/1.1 (RFC 7301), session tickets (RFC 8446 4.6.1), no early
// data.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

struct gnutls_session_int;  // what GnuTLS's session handle points to

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
  enum class Outcome {
    kDone,        // handshake: complete; read: `bytes` were produced
    kWantsInput,  // every record given so far is used up
    kClosed,      // the peer said close_notify
    kFailed,      // `failure()` says why; `output` may hold an alert
  };
  struct Read {
    Outcome outcome = Outcome::kWantsInput;
    std::size_t bytes = 0;
  };

  static constexpr std::size_t kRecordBytesMax = 16'384;  // RFC 8446 5.1

  static Result<std::unique_ptr<TlsSession>> create(
      std::shared_ptr<const TlsCredentials> credentials);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // `input` is advanced past what was taken; what must go to the peer is appended to `output`.
  Outcome handshake(std::span<const std::uint8_t>& input, std::vector<std::uint8_t>& output);
  Read read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
            std::vector<std::uint8_t>& output);
  // At most kRecordBytesMax at once: one record, or several where the peer asked for smaller ones.
  Status write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output);
  void close(std::vector<std::uint8_t>& output);  // close_notify

  std::string_view alpn() const;  // "h2", "http/1.1" or empty
  const std::string& failure() const { return failure_; }

 private:
  struct Impl;
  explicit TlsSession(std::unique_ptr<Impl> impl);
  Outcome outcome_of(int code);

  std::unique_ptr<Impl> impl_;
  std::string failure_;
};

}  // namespace mirror::net
