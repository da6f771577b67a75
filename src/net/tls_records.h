// TlsRecords: a GnuTLS session between buffers, for either side: records of the peer go in, plain
// bytes come out, and the other way round. It never touches a socket and keeps no time.
//
// Whoever owns it sets the session up (credentials, priorities, ALPN) first. One thread at
// a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

struct gnutls_session_int;  // what GnuTLS's session handle points to

namespace mirror::net {

class TlsRecords {
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

  // `side` is GNUTLS_SERVER or GNUTLS_CLIENT, with more flags of gnutls_init() if they are wanted.
  static Result<std::unique_ptr<TlsRecords>> create(unsigned side);
  ~TlsRecords();
  TlsRecords(const TlsRecords&) = delete;  // the session points to it
  TlsRecords& operator=(const TlsRecords&) = delete;

  gnutls_session_int* session() { return session_; }

  // `input` is advanced past what was taken; what must go to the peer is appended to `output`.
  Outcome handshake(std::span<const std::uint8_t>& input, std::vector<std::uint8_t>& output);
  Read read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
            std::vector<std::uint8_t>& output);
  // At most kRecordBytesMax at once: one record, or several where the peer asked for smaller ones.
  Status write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output);
  void close(std::vector<std::uint8_t>& output);  // close_notify

  // RFC 7301: empty where the handshake agreed to none.
  std::string alpn() const;
  const std::string& failure() const { return failure_; }
  // GnuTLS's code of it.
  int failure_code() const { return failure_code_; }

 private:
  struct Buffers;  // what GnuTLS calls
  TlsRecords() = default;
  Outcome outcome_of(int code);

  gnutls_session_int* session_ = nullptr;
  // Of the call in progress.
  std::span<const std::uint8_t>* input_ = nullptr;
  std::vector<std::uint8_t>* output_ = nullptr;
  std::string failure_;
  int failure_code_ = 0;
};

}  // namespace mirror::net
