// Prepared: an answer made once and sent many times, by any thread to any number of viewers.
//
// Made by the thread that publishes what it says, then immutable and shared by reference. What the
// codecs put on the wire and what is the same for every viewer is encoded here: once, not once a
// request.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/http.h"

namespace mirror::http {

class Prepared {
 public:
  // One field as HTTP/2 sends it; points into the Prepared.
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  // `headers` in lower case, without content-length and date, which the server sets; these, fields
  // of the connection and what could not be sent as it is (CR, LF, NUL) are left out here.
  Prepared(int status, Headers headers, std::vector<Bytes> body);
  Prepared(const Prepared&) = delete;  // its fields point into it
  Prepared& operator=(const Prepared&) = delete;

  int status() const { return status_; }
  const Headers& headers() const { return headers_; }
  const std::vector<Bytes>& body() const { return body_; }
  std::size_t body_size() const { return body_size_; }
  std::optional<std::string_view> header(std::string_view name) const;
  std::optional<std::string_view> etag() const { return header("etag"); }

  // For the codecs.
  //
  // The status line and every field line that does not depend on the request or the time: the
  // codec adds date, connection and the empty line.
  std::string_view http1_head() const { return http1_head_; }
  // :status first, then content-length where there is one, then headers().
  std::span<const Field> http2_fields() const { return http2_fields_; }
  // The same fields as one field section without a dynamic table, which field lines may be appended
  // to; encoded when it is first asked for, as most answers never are over HTTP/3. Any thread.
  std::string_view http3_section() const;

 private:
  int status_;
  Headers headers_;
  std::vector<Bytes> body_;
  std::size_t body_size_ = 0;
  std::string status_text_;
  std::string length_text_;
  std::string http1_head_;
  std::vector<Field> http2_fields_;
  mutable std::once_flag http3_once_;
  mutable std::string http3_section_;
};

}  // namespace mirror::http
