// FakeExchange: an http::Exchange that remembers its answer. For tests.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "http/http.h"
#include "http/prepared.h"

namespace mirror::api {

class FakeExchange final : public http::Exchange {
 public:
  void respond(http::Response response) override {
    response_ = std::move(response);
    attachment_.reset();
  }
  void respond(std::shared_ptr<const http::Prepared> answer,
               std::span<const http::Header> extra) override {
    http::Response response{
        .status = answer->status(), .headers = answer->headers(), .body = answer->body()};
    response.headers.insert(response.headers.end(), extra.begin(), extra.end());
    respond(std::move(response));
  }
  void start(int status, http::Headers headers) override {
    response_ = http::Response{.status = status, .headers = std::move(headers), .body = {}};
  }
  void write(Bytes bytes) override { response_->body.push_back(std::move(bytes)); }
  // Its attachment goes with this or by leave(): never from within.
  void finish() override { finished_ = std::move(attachment_); }
  void abort() override { finished_ = std::move(attachment_); }
  std::size_t queued_bytes() const override { return 0; }
  void tell_below(std::size_t) override {}
  void attach(std::unique_ptr<Attachment> attachment) override {
    attachment_ = std::move(attachment);
  }

  // The peer goes away.
  void leave() {
    attachment_.reset();
    finished_.reset();
  }

  bool answered() const { return response_.has_value(); }
  bool held() const { return attachment_ != nullptr; }
  const http::Response& response() const { return *response_; }
  std::string body() const {
    std::string text;
    for (const Bytes& bytes : response_->body) text += bytes.text();
    return text;
  }
  std::string header(std::string_view name) const {
    for (const auto& header : response_->headers) {
      if (header.name == name) return header.value;
    }
    return {};
  }

 private:
  std::optional<http::Response> response_;
  std::unique_ptr<Attachment> attachment_;
  std::unique_ptr<Attachment> finished_;
};

}  // namespace mirror::api
