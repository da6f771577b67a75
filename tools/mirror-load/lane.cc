#include "lane.h"

#include <fmt/format.h>

#include <cassert>

namespace mirror::load {

void Lane::send(std::string_view target, Stats& stats) {
  assert(!busy_);
  busy_ = true;
  stats_ = &stats;
  target_ = target;
  head_ = {};
  body_.clear();
  sent_at_ = std::chrono::steady_clock::now();
  transport_.get(target_, *this);
}

void Lane::abandon() {
  if (!busy_) return;
  busy_ = false;
  transport_.abandon(*this);
}

void Lane::check_time(SteadyTime now) {
  if (!busy_ || now - sent_at_ < kAnswerTimeout) return;
  transport_.abandon(*this);
  fail_with(Fault::kTimeout, fmt::format("no whole answer within {} s", kAnswerTimeout.count()));
}

std::string_view Lane::text() const {
  return {reinterpret_cast<const char*>(body_.data()), body_.size()};
}

void Lane::on_head(const ResponseHead& head) {
  head_ = head;
  head_at_ = std::chrono::steady_clock::now();
}

void Lane::on_body(std::span<const std::uint8_t> piece) {
  if (!busy_) return;
  if (body_.size() + piece.size() > kBodyBytesMax) {
    transport_.abandon(*this);
    return fail_with(Fault::kProtocol, "the body is longer than 16 MiB");
  }
  body_.insert(body_.end(), piece.begin(), piece.end());
}

void Lane::on_end() {
  if (!busy_) return;
  ended_at_ = std::chrono::steady_clock::now();
  ++stats_->requests;
  stats_->bytes += body_.size();
  if (head_.status != 200) {
    busy_ = false;
    stats_->note_status(head_.status, target_);
    return user_.on_no_answer(*this, head_.status);
  }
  if (head_.content_length && *head_.content_length != body_.size()) {
    return fail_with(Fault::kShortBody,
                     fmt::format("{} bytes of {}", body_.size(), *head_.content_length));
  }
  busy_ = false;
  user_.on_answer(*this);
}

void Lane::on_failed(Fault fault, std::string_view why) {
  if (busy_) fail_with(fault, why);
}

void Lane::fail_with(Fault fault, std::string_view why) {
  busy_ = false;
  stats_->note(fault, fmt::format("{}: {}", target_, why));
  user_.on_no_answer(*this, 0);
}

}  // namespace mirror::load
