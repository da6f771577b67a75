#include "http1_transport.h"

#include <utility>

namespace mirror::load {

namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Http1Transport::Http1Transport(Workplace& workplace)
    : workplace_(workplace), link_(workplace, *this, "http/1.1") {
  fields_ = fmt::format(" HTTP/1.1\r\nhost: {}\r\nuser-agent: mirror-load\r\naccept: */*\r\n\r\n",
                        workplace.destination.authority);
}

void Http1Transport::get(std::string_view target, ResponseSink& sink) {
  sink_ = &sink;
  has_head_ = false;
  request_.assign("GET ").append(target).append(fields_);
  if (link_.is_open()) {
    send();
  } else {
    open();
  }
}

void Http1Transport::open() {
  if (std::exchange(was_open_, true)) ++workplace_.stats->reconnects;
  fresh_ = true;
  response_ = {};
  link_.open();
}

void Http1Transport::send() { link_.write(bytes_of(request_)); }

void Http1Transport::abandon(ResponseSink& sink) {
  if (sink_ != &sink) return;
  sink_ = nullptr;
  link_.close();  // an answer cannot be called off in any other way
}

void Http1Transport::on_open() {
  if (sink_ != nullptr) send();
}

void Http1Transport::on_bytes(std::span<const std::uint8_t> bytes) {
  while (!link_.is_closed()) {
    if (sink_ == nullptr) return refuse_surplus(bytes);
    switch (response_.next(bytes)) {
      case Http1Response::Event::kNeedMore:
        return;
      case Http1Response::Event::kHead:
        has_head_ = true;
        sink_->on_head({response_.status(), response_.content_length()});
        break;
      case Http1Response::Event::kBody:
        sink_->on_body(response_.piece());
        break;
      case Http1Response::Event::kEnd:
        refuse_surplus(bytes);
        return finish();
      case Http1Response::Event::kFault:
        return fail_with(Fault::kProtocol, response_.fault());
    }
  }
}

// Bytes that answer nothing: nobody can tell where the next answer would begin.
void Http1Transport::refuse_surplus(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  workplace_.stats->note(Fault::kProtocol,
                         fmt::format("{} bytes behind the end of an answer", bytes.size()));
  link_.close();
}

void Http1Transport::finish() {
  fresh_ = false;
  if (!response_.keep_alive()) link_.close();
  std::exchange(sink_, nullptr)->on_end();
}

void Http1Transport::fail_with(Fault fault, std::string_view why) {
  const std::string kept(why);
  link_.close();
  if (sink_ != nullptr) std::exchange(sink_, nullptr)->on_failed(fault, kept);
}

void Http1Transport::on_closed(Fault fault, std::string_view why) {
  if (sink_ == nullptr) return;
  if (fault != Fault::kClosed) return fail_with(fault, why);
  if (response_.is_idle() && !fresh_) return open();  // it ended as the request was on its way
  if (response_.close() == Http1Response::Event::kEnd) return finish();
  fail_with(has_head_ ? Fault::kShortBody : fault, why);
}

}  // namespace mirror::load
