// Http3Transport: one HTTP/3 connection that any number of viewers share (RFC 9114).
//
// Requests that cannot be sent yet (no connection, or the server's limit of streams) wait here, at
// most kWaitingMax. After a GOAWAY (RFC 9114, 5.2) the answers under way are taken, then the
// connection is opened anew.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "http3_link.h"
#include "transport.h"

namespace mirror::load {

class Http3Transport final : public Transport, private Http3Link::User {
 public:
  static constexpr std::size_t kWaitingMax = 4096;

  explicit Http3Transport(Workplace& workplace) : workplace_(workplace), link_(workplace, *this) {}

  void get(std::string_view target, ResponseSink& sink) override;
  void abandon(ResponseSink& sink) override;
  bool is_concurrent() const override { return true; }
  void hang_up() override;

 private:
  using StreamId = Http3Link::StreamId;
  struct Waiting {
    std::string target;
    ResponseSink* sink;
  };

  void on_open() override { send_waiting(); }
  void on_room() override { send_waiting(); }
  void on_head(StreamId stream, int status, const http::Headers& headers) override;
  void on_body(StreamId stream, std::span<const std::uint8_t> bytes) override;
  void on_end(StreamId stream) override;
  void on_failed(StreamId stream, std::uint64_t error) override;
  void on_goaway() override { leaving_ = true; }
  void on_closed(Fault fault, std::string_view why) override;

  void open();
  void send_waiting();
  ResponseSink* take(StreamId stream);
  void replace_if_done();

  Workplace& workplace_;
  Http3Link link_;
  std::unordered_map<StreamId, ResponseSink*> sinks_;
  std::deque<Waiting> waiting_;
  bool was_open_ = false;
  bool leaving_ = false;  // the server takes no more requests on this connection
};

}  // namespace mirror::load
