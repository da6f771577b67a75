#include "http3_transport.h"

#include <fmt/format.h>

#include <cassert>
#include <charconv>
#include <utility>
#include <vector>

namespace mirror::load {

namespace {

constexpr int kFinalStatus = 200;  // below: interim (RFC 9110, 15.2)

std::optional<std::uint64_t> content_length_of(const http::Headers& headers) {
  for (const http::Header& header : headers) {
    if (header.name != "content-length") continue;
    std::uint64_t value = 0;
    const char* const end = header.value.data() + header.value.size();
    const auto [stop, error] = std::from_chars(header.value.data(), end, value);
    if (error == std::errc() && stop == end) return value;
  }
  return std::nullopt;
}

}  // namespace

void Http3Transport::get(std::string_view target, ResponseSink& sink) {
  if (!leaving_ && waiting_.empty()) {
    if (const auto stream = link_.get(target)) {
      sinks_.emplace(*stream, &sink);
      return;
    }
  }
  // Viewers have two requests under way at most, and those of one connection are limited.
  assert(waiting_.size() < kWaitingMax);
  waiting_.push_back({std::string(target), &sink});
  if (link_.is_closed()) return open();
  replace_if_done();
}

void Http3Transport::open() {
  if (std::exchange(was_open_, true)) ++workplace_.stats->reconnects;
  leaving_ = false;
  link_.open();
}

void Http3Transport::send_waiting() {
  while (!leaving_ && !waiting_.empty()) {
    const auto stream = link_.get(waiting_.front().target);
    if (!stream) return;
    sinks_.emplace(*stream, waiting_.front().sink);
    waiting_.pop_front();
  }
}

void Http3Transport::abandon(ResponseSink& sink) {
  std::erase_if(waiting_, [&](const Waiting& each) { return each.sink == &sink; });
  std::erase_if(sinks_, [&](const auto& each) {
    if (each.second != &sink) return false;
    link_.cancel(each.first);
    return true;
  });
}

ResponseSink* Http3Transport::take(StreamId stream) {
  const auto found = sinks_.find(stream);
  if (found == sinks_.end()) return nullptr;
  ResponseSink* sink = found->second;
  sinks_.erase(found);
  return sink;
}

void Http3Transport::on_head(StreamId stream, int status, const http::Headers& headers) {
  const auto found = sinks_.find(stream);
  if (found == sinks_.end() || status < kFinalStatus) return;
  found->second->on_head({status, content_length_of(headers)});
}

void Http3Transport::on_body(StreamId stream, std::span<const std::uint8_t> bytes) {
  if (const auto found = sinks_.find(stream); found != sinks_.end()) found->second->on_body(bytes);
}

void Http3Transport::on_end(StreamId stream) {
  if (ResponseSink* sink = take(stream)) sink->on_end();
  replace_if_done();
}

void Http3Transport::on_failed(StreamId stream, std::uint64_t error) {
  if (ResponseSink* sink = take(stream)) {
    sink->on_failed(Fault::kProtocol, fmt::format("the stream ended with {:#x}", error));
  }
  replace_if_done();
}

void Http3Transport::replace_if_done() {
  if (!leaving_ || !sinks_.empty()) return;
  link_.close();
  if (!waiting_.empty()) open();
}

void Http3Transport::hang_up() {
  link_.close();
  sinks_.clear();
  waiting_.clear();
}

// Those who fail may ask again at once, which opens the next connection.
void Http3Transport::on_closed(Fault fault, std::string_view why) {
  std::vector<ResponseSink*> sinks;
  sinks.reserve(sinks_.size() + waiting_.size());
  for (const auto& [stream, sink] : sinks_) sinks.push_back(sink);
  for (const Waiting& each : waiting_) sinks.push_back(each.sink);
  sinks_.clear();
  waiting_.clear();
  for (ResponseSink* sink : sinks) sink->on_failed(fault, why);
}

}  // namespace mirror::load
