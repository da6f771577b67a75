// Http2Transport: one HTTP/2 connection that any number of viewers share, by nghttp2.
//
// Requests that the server lets wait (its MAX_CONCURRENT_STREAMS, or a connection that is not open
// yet) wait here, at most kWaitingMax. After a GOAWAY (RFC 9113, 6.8) the answers under way are
// taken, then the connection is opened anew.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "link.h"
#include "transport.h"

namespace mirror::load {

class Http2Transport final : public Transport, private Link::User {
 public:
  static constexpr std::size_t kWaitingMax = 4096;

  explicit Http2Transport(Workplace& workplace);
  ~Http2Transport() override;

  void get(std::string_view target, ResponseSink& sink) override;
  void abandon(ResponseSink& sink) override;
  bool is_concurrent() const override { return true; }
  void hang_up() override;

 private:
  // A request under way. Stays until its stream is closed, then serves another.
  struct Stream {
    std::int32_t id = -1;          // -1: free
    ResponseSink* sink = nullptr;  // null: abandoned
    ResponseHead head;
    bool has_head = false;
  };
  struct Waiting {
    std::string target;
    ResponseSink* sink;
  };
  struct Callbacks;
  using Session = std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)>;

  void on_open() override;
  void on_bytes(std::span<const std::uint8_t> bytes) override;
  void on_closed(Fault fault, std::string_view why) override;

  void open();
  bool may_submit() const;
  void submit(std::string_view target, ResponseSink& sink);
  void submit_waiting();
  Stream& free_stream();
  std::size_t active() const { return streams_.size() - free_.size(); }
  void flush();
  void flush_later();
  std::vector<ResponseSink*> take_all();
  void fail_all(Fault fault, std::string_view why);
  // A connection that takes no more requests and has answered all it took.
  void replace_if_done();

  Workplace& workplace_;
  Link link_;
  Session session_{nullptr, &nghttp2_session_del};
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> free_;
  std::deque<Waiting> waiting_;
  std::vector<std::uint8_t> output_;
  bool was_open_ = false;
  bool receiving_ = false;      // on_bytes() flushes when it is through
  bool flush_pending_ = false;  // a deferred task will
  // Keeps deferred tasks from reaching a transport that is gone.
  std::shared_ptr<Http2Transport*> self_;
};

}  // namespace mirror::load
