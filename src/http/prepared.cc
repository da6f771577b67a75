#include "http/prepared.h"

#include <fmt/format.h>

#include <utility>

#include "http/qpack.h"
#include "http/request_rules.h"

namespace mirror::http {

namespace {

bool is_sendable(const Header& header) {
  return is_token(header.name) && is_field_value(header.value) &&
         !is_connection_field(header.name) && header.name != "content-length" &&
         header.name != "date";
}

}  // namespace

Prepared::Prepared(int status, Headers headers, std::vector<Bytes> body)
    : status_(status), headers_(std::move(headers)), body_(std::move(body)) {
  std::erase_if(headers_, [](const Header& header) { return !is_sendable(header); });
  for (const Bytes& piece : body_) body_size_ += piece.size();
  status_text_ = fmt::format("{}", status_);
  http1_head_ = fmt::format("HTTP/1.1 {} {}\r\n", status_, reason_phrase(status_));
  http2_fields_.push_back({":status", status_text_});
  if (!is_bodiless(status_)) {
    length_text_ = fmt::format("{}", body_size_);
    http1_head_ += fmt::format("content-length: {}\r\n", length_text_);
    http2_fields_.push_back({"content-length", length_text_});
  }
  for (const Header& header : headers_) {
    http1_head_ += fmt::format("{}: {}\r\n", header.name, header.value);
    http2_fields_.push_back({header.name, header.value});
  }
}

std::string_view Prepared::http3_section() const {
  std::call_once(http3_once_, [this] {
    std::vector<QpackField> fields;
    fields.reserve(http2_fields_.size());
    for (const auto& [name, value] : http2_fields_) fields.push_back({name, value});
    http3_section_ = qpack_encode(fields);
  });
  return http3_section_;
}

std::optional<std::string_view> Prepared::header(std::string_view name) const {
  for (const Header& header : headers_) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

}  // namespace mirror::http
