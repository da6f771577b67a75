// TLS by GnuTLS, client side: one session that does no I/O of its own (net/tls.h is the server's).
//
// TlsTrust is made once and shared by every thread; a TlsClient belongs to one connection. TLS 1.2
// and 1.3, no session tickets: every connection pays for its own handshake, as a new viewer does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mirror::load {

class TlsTrust {
 public:
  enum class Check { kSystemAuthorities, kNothing };

  static Result<std::shared_ptr<const TlsTrust>> create(Check check);
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

 private:
  friend class TlsClient;
  struct Impl;
  explicit TlsTrust(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class TlsClient {
 public:
  enum class Outcome { kDone, kWantsInput, kClosed, kFailed };
  struct Read {
    Outcome outcome = Outcome::kWantsInput;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kRecordBytesMax = 16'384;  // RFC 8446, 5.1

  // `host` is a name or a numeric address; `alpn` the one protocol that is offered (RFC 7301).
  static Result<std::unique_ptr<TlsClient>> create(std::shared_ptr<const TlsTrust> trust,
                                                   const std::string& host, std::string_view alpn);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // `input` is advanced past what was taken; what must go to the peer is appended to `output`.
  // kDone: complete, and the server agreed to the protocol.
  Outcome handshake(std::span<const std::uint8_t>& input, std::vector<std::uint8_t>& output);
  Read read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
            std::vector<std::uint8_t>& output);
  Status write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output);

  const std::string& failure() const { return failure_; }

 private:
  struct Impl;
  explicit TlsClient(std::unique_ptr<Impl> impl);
  Outcome outcome_of(int code);
  Outcome check_protocol();

  std::unique_ptr<Impl> impl_;
  std::string failure_;
};

}  // namespace mirror::load
