#include "http/http1_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "http/prepared.h"
#include "http/request_rules.h"

namespace mirror::http {

Http1Codec::Http1Codec(Carrier& carrier)
    : carrier_(carrier), parser_(carrier.limits()), phase_since_(carrier.now()) {}

Http1Codec::~Http1Codec() = default;

void Http1Codec::receive(std::span<const std::uint8_t> bytes) {
  if (closing_) return;  // what follows a last request is nobody's
  parser_.append(bytes);
  proceed();
}

bool Http1Codec::wants_input() const {
  if (closing_) return false;
  return answer_ == Answer::kNone ? !output_full()
                                  : parser_.unread() < carrier_.limits().header_bytes_max;
}

// A viewer that leaves in the middle of a held request is seen by its FIN and by nothing else until
// we write, so a FIN that finds an answer still due ends the exchange. A client that only closes
// its sending half (`printf … | nc -N`) asks for things that are answered at once, that is, before
// this.
bool Http1Codec::input_ended() {
  closing_ = true;
  update_phase();
  return answer_ == Answer::kNone;
}

void Http1Codec::pump() {
  finished_attachment_.reset();
  if (output_.size() < tell_below_) {
    tell_below_ = 0;
    if (attachment_) attachment_->on_writable();
  }
  proceed();
}

void Http1Codec::proceed() {
  if (in_proceed_) return;
  in_proceed_ = true;
  while (answer_ == Answer::kNone && !closing_ && !output_full()) {
    const Http1Parser::Event event = parser_.next();
    if (event == Http1Parser::Event::kNeedMore) break;
    if (event == Http1Parser::Event::kContinue) {
      output_.copy("HTTP/1.1 100 Continue\r\n\r\n");
      carrier_.schedule();
      break;
    }
    if (event == Http1Parser::Event::kFault) {
      refuse(parser_.fault());
      break;
    }
    begin_request();
  }
  in_proceed_ = false;
  update_phase();
}

void Http1Codec::begin_request() {
  Request& request = parser_.request();
  request.secure = carrier_.secure();
  request.remote = carrier_.remote();
  version_ = request.version;
  head_only_ = request.method == Method::kHead;
  keep_alive_ = parser_.keep_alive() && !draining_;
  answer_ = Answer::kDue;
  set_phase(Phase::kPending);
  carrier_.handle(request, *this);
  finished_attachment_.reset();
}

void Http1Codec::refuse(const Fault& fault) {
  carrier_.broke_protocol();
  version_ = Version::kHttp11;
  head_only_ = false;
  keep_alive_ = false;
  answer_ = Answer::kDue;
  respond(response_to(fault));
}

void Http1Codec::respond(Response response) {
  if (answer_ != Answer::kDue) return;
  std::size_t size = 0;
  for (const Bytes& piece : response.body) size += piece.size();
  const bool bodiless = is_bodiless(response.status);
  send_head(response.status, response.headers,
            bodiless ? std::string() : fmt::format("content-length: {}\r\n", size));
  if (!head_only_ && !bodiless) {
    for (Bytes& piece : response.body) output_.share(std::move(piece));
  }
  end_answer();
}

void Http1Codec::respond(std::shared_ptr<const Prepared> answer, std::span<const Header> extra) {
  if (answer_ != Answer::kDue) return;
  carrier_.answered(version_, answer->status());
  output_.copy(answer->http1_head());
  output_.copy("date: ");
  output_.copy(carrier_.date());
  output_.copy("\r\n");
  end_head(extra);
  if (!head_only_ && !is_bodiless(answer->status())) {
    for (const Bytes& piece : answer->body()) output_.share(piece);
  }
  end_answer();
}

void Http1Codec::start(int status, Headers headers) {
  if (answer_ != Answer::kDue) return;
  chunked_ = version_ == Version::kHttp11 && !is_bodiless(status);
  if (version_ == Version::kHttp10) keep_alive_ = false;  // the end of the body is the end of all
  head_only_ = head_only_ || is_bodiless(status);
  send_head(status, headers, chunked_ ? "transfer-encoding: chunked\r\n" : "");
  answer_ = Answer::kGrowing;
  carrier_.schedule();
}

void Http1Codec::write(Bytes bytes) {
  if (answer_ != Answer::kGrowing || head_only_ || bytes.empty()) return;
  if (output_.cost() + bytes.size() > carrier_.limits().queued_bytes_per_connection_max) {
    return abort();
  }
  if (chunked_) output_.copy(fmt::format("{:x}\r\n", bytes.size()));
  output_.share(std::move(bytes));
  if (chunked_) output_.copy("\r\n");
  if (output_.size() >= kQueuedBytesHigh) tell_below(kQueuedBytesHigh / 2);
  carrier_.schedule();
}

void Http1Codec::tell_below(std::size_t bytes) {
  if (answer_ != Answer::kGrowing) return;
  tell_below_ = std::max(tell_below_, bytes);
  carrier_.schedule();
}

void Http1Codec::finish() {
  if (answer_ != Answer::kGrowing) return;
  if (chunked_ && !head_only_) output_.copy("0\r\n\r\n");
  end_answer();
}

// The missing last chunk tells the peer that the body is broken (RFC 9112 8); a body that ends with
// the connection is broken by a reset.
void Http1Codec::abort() {
  if (answer_ == Answer::kNone) return;
  if (answer_ == Answer::kGrowing) output_.clear();
  aborted_ = true;
  keep_alive_ = false;
  end_answer();
}

void Http1Codec::attach(std::unique_ptr<Attachment> attachment) {
  if (answer_ == Answer::kNone) {
    finished_attachment_ = std::move(attachment);
  } else {
    attachment_ = std::move(attachment);
  }
}

void Http1Codec::send_head(int status, const Headers& headers, std::string_view framing) {
  carrier_.answered(version_, status);
  output_.copy(fmt::format("HTTP/1.1 {} {}\r\ndate: {}\r\n{}", status, reason_phrase(status),
                           carrier_.date(), framing));
  end_head(headers);
}

void Http1Codec::end_head(std::span<const Header> headers) {
  if (const auto alt_svc = carrier_.take_alt_svc(); !alt_svc.empty()) {
    output_.copy("alt-svc: ");
    output_.copy(alt_svc);
    output_.copy("\r\n");
  }
  for (const Header& header : headers) {
    // What a header was made of may be a stranger's: it must not split the response.
    if (!is_token(header.name) || !is_field_value(header.value)) continue;
    output_.copy(header.name);
    output_.copy(": ");
    output_.copy(header.value);
    output_.copy("\r\n");
  }
  if (!keep_alive_) {
    output_.copy("connection: close\r\n");
  } else if (version_ == Version::kHttp10) {
    output_.copy("connection: keep-alive\r\n");
  }
  output_.copy("\r\n");
}

void Http1Codec::end_answer() {
  answer_ = Answer::kNone;
  tell_below_ = 0;
  finished_attachment_ = std::move(attachment_);
  if (!keep_alive_) closing_ = true;
  update_phase();
  carrier_.schedule();
}

void Http1Codec::time_out() {
  if (answer_ != Answer::kNone || closing_) return;
  if (phase_ == Phase::kIdle || (phase_ == Phase::kHead && parser_.unread() == 0)) {
    closing_ = true;
    carrier_.schedule();
    return;
  }
  refuse({408, phase_ == Phase::kBody ? "the request body took too long"
                                      : "the request head took too long"});
}

void Http1Codec::drain() {
  draining_ = true;
  keep_alive_ = keep_alive_ && answer_ == Answer::kGrowing;
  if (answer_ == Answer::kNone && phase_ == Phase::kIdle) closing_ = true;
  if (answer_ == Answer::kNone && phase_ == Phase::kHead && parser_.unread() == 0) closing_ = true;
  carrier_.schedule();
}

void Http1Codec::update_phase() {
  if (answer_ != Answer::kNone || closing_ || output_full()) {
    set_phase(Phase::kPending);
  } else if (parser_.in_body()) {
    set_phase(Phase::kBody);
  } else if (parser_.unread() > 0) {
    set_phase(Phase::kHead);
  } else if (phase_ != Phase::kHead) {  // the first head is due from the start
    set_phase(Phase::kIdle);
  }
}

void Http1Codec::set_phase(Phase phase) {
  if (phase == phase_) return;
  phase_ = phase;
  phase_since_ = carrier_.now();
}

bool Http1Codec::output_full() const {
  return output_.cost() >= carrier_.limits().queued_bytes_per_connection_max;
}

}  // namespace mirror::http
