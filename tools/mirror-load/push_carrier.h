// PushCarrier: brings one push session (docs/push-protocol.md) to its wall, as streams of bytes.
//
// The seam between walls, who know frames, and what carries them: a streamed response of any HTTP
// version, which is one stream, or WebTransport, where each part has its own. One thread, its
// crew's. Open again at will.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http3_link.h"
#include "transport.h"

namespace mirror::load {

// None of these is called from within open() or close(); each of them may call those.
class PushSink {
 public:
  virtual ~PushSink() = default;
  // The next bytes of a stream, valid during the call; `fin` with the last ones.
  virtual void on_push_bytes(std::uint64_t stream, std::span<const std::uint8_t> bytes,
                             bool fin) = 0;
  virtual void on_push_reset(std::uint64_t stream) = 0;  // nothing more comes of it
  // The session is over: in order, or not; `status` is 0 unless the server refused it.
  virtual void on_push_ended() = 0;
  virtual void on_push_failed(Fault fault, int status, std::string_view why) = 0;
};

class PushCarrier {
 public:
  virtual ~PushCarrier() = default;
  virtual void open(std::string_view target) = 0;
  virtual void close() = 0;
  // Whether frames come in the order in which they were sent.
  virtual bool in_order() const = 0;
};

class StreamedPush final : public PushCarrier, private ResponseSink {
 public:
  // `transport` outlives this.
  StreamedPush(Transport& transport, PushSink& sink) : transport_(transport), sink_(sink) {}
  ~StreamedPush() override { close(); }

  void open(std::string_view target) override;
  void close() override;
  bool in_order() const override { return true; }

 private:
  void on_head(const ResponseHead& head) override { status_ = head.status; }
  void on_body(std::span<const std::uint8_t> piece) override;
  void on_end() override;
  void on_failed(Fault fault, std::string_view why) override;

  Transport& transport_;
  PushSink& sink_;
  bool open_ = false;
  int status_ = 0;
};

class WebTransportPush final : public PushCarrier, private Http3Link::User {
 public:
  WebTransportPush(Workplace& workplace, PushSink& sink)
      : workplace_(workplace), sink_(sink), link_(workplace, *this) {}
  ~WebTransportPush() override { close(); }

  void open(std::string_view target) override;
  void close() override;
  bool in_order() const override { return false; }

 private:
  using StreamId = Http3Link::StreamId;
  class Observer;

  void on_settings() override;
  void on_head(StreamId stream, int status, const http::Headers& headers) override;
  void on_body(StreamId, std::span<const std::uint8_t>) override {}
  void on_end(StreamId stream) override;
  void on_failed(StreamId stream, std::uint64_t error) override;
  void on_closed(Fault fault, std::string_view why) override;

  void session_over(std::string_view reason);
  void fail(Fault fault, int status, std::string_view why);

  Workplace& workplace_;
  PushSink& sink_;
  Http3Link link_;
  std::string target_;
  std::optional<StreamId> request_;
  Observer* observer_ = nullptr;  // belongs to the session
  bool was_open_ = false;
};

}  // namespace mirror::load
