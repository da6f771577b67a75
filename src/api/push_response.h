// ResponseCarrier: a push session as one growing HTTP response (docs/push-protocol.md, "Carriers"),
// over any HTTP version.
//
// Lives on its loop; owned by its exchange, whose end is the push session's. What was taken cannot
// be taken back: the response is one stream. Limit: what the push session gives it
// (SessionSettings::carrier_bytes).
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "http/http.h"
#include "push/hub.h"

namespace mirror::api {

class ResponseCarrier final : public http::Exchange::Attachment, public push::Carrier {
 public:
  // `exchange` was started.
  ResponseCarrier(http::Exchange& exchange, const std::shared_ptr<push::Hub>& hub,
                  std::function<Instant()> now)
      : exchange_(exchange), hub_(hub), now_(std::move(now)) {}
  ~ResponseCarrier() override {
    const auto hub = hub_.lock();
    if (hub && session_ != nullptr) hub->close(*session_);
  }
  void set_session(push::Session& session) { session_ = &session; }

  // http::Exchange::Attachment
  void on_writable() override {
    const auto hub = hub_.lock();
    if (hub && session_ != nullptr) hub->on_room(*session_, now_());
  }

  // push::Carrier
  void send(const push::Outgoing& frame) override {
    for (const Bytes& piece : frame.pieces) {
      if (!piece.empty()) exchange_.write(piece);
    }
  }
  std::size_t pending_bytes() const override { return exchange_.queued_bytes(); }
  void tell_below(std::size_t bytes) override { exchange_.tell_below(bytes); }
  void end() override { exchange_.finish(); }

 private:
  http::Exchange& exchange_;
  const std::weak_ptr<push::Hub> hub_;
  const std::function<Instant()> now_;
  push::Session* session_ = nullptr;
};

}  // namespace mirror::api
