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
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/tls_records.h"

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
  using Outcome = net::TlsRecords::Outcome;
  using Read = net::TlsRecords::Read;
  static constexpr std::size_t kRecordBytesMax = net::TlsRecords::kRecordBytesMax;

  // `host` is a name or a numeric address; `alpn` the one protocol that is offered (RFC 7301).
  static Result<std::unique_ptr<TlsClient>> create(std::shared_ptr<const TlsTrust> trust,
                                                   const std::string& host, std::string_view alpn);

  // As TlsRecords has them. kDone: complete, and the server agreed to the protocol.
  Outcome handshake(std::span<const std::uint8_t>& input, std::vector<std::uint8_t>& output);
  Read read(std::span<const std::uint8_t>& input, std::span<std::uint8_t> plain,
            std::vector<std::uint8_t>& output) {
    return records_->read(input, plain, output);
  }
  Status write(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& output) {
    return records_->write(plain, output);
  }

  const std::string& failure() const { return failure_.empty() ? records_->failure() : failure_; }

 private:
  TlsClient(std::shared_ptr<const TlsTrust> trust, std::unique_ptr<net::TlsRecords> records,
            const std::string& host, std::string_view alpn)
      : trust_(std::move(trust)), host_(host), alpn_(alpn), records_(std::move(records)) {}
  Outcome check_protocol();

  const std::shared_ptr<const TlsTrust> trust_;  // outlives records_, and so does host_
  const std::string host_;
  const std::string alpn_;
  const std::unique_ptr<net::TlsRecords> records_;
  std::string failure_;  // where the session has none of its own, or not enough to say
};

}  // namespace mirror::load
