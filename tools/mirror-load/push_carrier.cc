#include "push_carrier.h"

#include <fmt/format.h>

#include <utility>

namespace mirror::load {

namespace {

constexpr int kOk = 200;

bool is_success(int status) { return status >= kOk && status < 300; }

}  // namespace

// ---- A streamed response --------------------------------------------------------------------

void StreamedPush::open(std::string_view target) {
  close();
  open_ = true;
  status_ = 0;
  transport_.get(target, *this);
}

void StreamedPush::close() {
  if (std::exchange(open_, false)) transport_.abandon(*this);
}

void StreamedPush::on_body(std::span<const std::uint8_t> piece) {
  if (open_ && status_ == kOk) sink_.on_push_bytes(0, piece, false);
}

void StreamedPush::on_end() {
  if (!std::exchange(open_, false)) return;
  if (status_ == kOk) return sink_.on_push_ended();
  sink_.on_push_failed(Fault::kStatus, status_, "the server refused the session");
}

void StreamedPush::on_failed(Fault fault, std::string_view why) {
  if (std::exchange(open_, false)) sink_.on_push_failed(fault, 0, why);
}

// ---- WebTransport ---------------------------------------------------------------------------

// The session's; outlives its carrier when that lets go of it.
class WebTransportPush::Observer final : public http::WebTransportSession::Observer {
 public:
  explicit Observer(WebTransportPush& owner) : owner_(&owner) {}
  ~Observer() override {
    if (owner_ != nullptr) owner_->observer_ = nullptr;
  }
  void leave() { owner_ = nullptr; }

 private:
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
    if (owner_ == nullptr) return;
    owner_->sink_.on_push_bytes(static_cast<std::uint64_t>(stream), bytes, fin);
  }
  void on_stream_reset(StreamId stream, std::uint32_t /*code*/) override {
    if (owner_ != nullptr) owner_->sink_.on_push_reset(static_cast<std::uint64_t>(stream));
  }
  void on_closed(std::uint32_t /*code*/, std::string_view reason) override {
    if (owner_ != nullptr) owner_->session_over(reason);
  }

  WebTransportPush* owner_;
};

void WebTransportPush::open(std::string_view target) {
  close();
  if (std::exchange(was_open_, true)) ++workplace_.stats->reconnects;
  target_ = target;
  link_.open();
}

void WebTransportPush::close() {
  if (Observer* observer = std::exchange(observer_, nullptr)) observer->leave();
  request_.reset();
  link_.close();
}

void WebTransportPush::on_settings() {
  auto observer = std::make_unique<Observer>(*this);
  observer_ = observer.get();
  request_ = link_.connect(target_, std::move(observer));
  if (!request_) {
    fail(Fault::kProtocol, 0,
         link_.offers_webtransport() ? "no stream can be opened for the session"
                                     : "the server does not offer WebTransport");
  }
}

void WebTransportPush::on_head(StreamId stream, int status, const http::Headers& /*headers*/) {
  if (stream == request_ && status >= kOk && !is_success(status)) {
    fail(Fault::kStatus, status, "the server refused the session");
  }
}

void WebTransportPush::on_end(StreamId stream) {
  if (stream == request_) fail(Fault::kClosed, 0, "the session ended without a reason");
}

void WebTransportPush::on_failed(StreamId stream, std::uint64_t error) {
  if (stream == request_)
    fail(Fault::kProtocol, 0, fmt::format("the session ended with {:#x}", error));
}

void WebTransportPush::on_closed(Fault fault, std::string_view why) { fail(fault, 0, why); }

// In order with a reason; without one the connection is gone.
void WebTransportPush::session_over(std::string_view reason) {
  if (reason.empty()) return fail(Fault::kClosed, 0, "the session is gone");
  close();
  sink_.on_push_ended();
}

void WebTransportPush::fail(Fault fault, int status, std::string_view why) {
  const std::string kept(why);
  close();
  sink_.on_push_failed(fault, status, kept);
}

}  // namespace mirror::load
