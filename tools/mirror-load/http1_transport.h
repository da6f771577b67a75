// Http1Transport: one HTTP/1.1 connection, one request at a time (no pipelining, as browsers).
//
// A connection that the server ends between two answers is opened anew without a word, and a
// request that met such an end is sent once more (RFC 9112, 9.3.1).
#pragma once

#include <string>

#include "http1_response.h"
#include "link.h"
#include "transport.h"

namespace mirror::load {

class Http1Transport final : public Transport, private Link::User {
 public:
  explicit Http1Transport(Workplace& workplace);

  void get(std::string_view target, ResponseSink& sink) override;
  void abandon(ResponseSink& sink) override;
  bool is_concurrent() const override { return false; }
  void hang_up() override { link_.close(); }

 private:
  void on_open() override;
  void on_bytes(std::span<const std::uint8_t> bytes) override;
  void on_closed(Fault fault, std::string_view why) override;

  void open();
  void send();
  void refuse_surplus(std::span<const std::uint8_t> bytes);
  void finish();
  void fail_with(Fault fault, std::string_view why);

  Workplace& workplace_;
  Link link_;
  Http1Response response_;
  std::string fields_;   // what every request ends with
  std::string request_;  // the one under way
  ResponseSink* sink_ = nullptr;
  bool was_open_ = false;  // a connection has been there before
  bool fresh_ = false;     // this connection has not answered yet
  bool has_head_ = false;  // of the answer under way
};

}  // namespace mirror::load
