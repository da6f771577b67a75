#include "http2_transport.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <utility>

namespace mirror::load {

namespace {

// As large as browsers make them, so that answers do not wait for WINDOW_UPDATE.
constexpr std::int32_t kStreamWindow = 6 * 1024 * 1024;
constexpr std::int32_t kConnectionWindow = 15 * 1024 * 1024;

nghttp2_nv field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
          value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

struct Http2Transport::Callbacks {
  static Stream* stream_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t, void*) {
    Stream* stream = stream_of(session, frame->hd.stream_id);
    if (frame->hd.type != NGHTTP2_HEADERS || stream == nullptr || stream->has_head) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") stream->head.status = parse_number<int>(text).value_or(0);
    if (key == "content-length") stream->head.content_length = parse_number<std::uint64_t>(text);
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    Stream* stream = stream_of(session, frame->hd.stream_id);
    // Interim responses come before, trailers behind.
    if (stream == nullptr || stream->has_head || stream->head.status < 200) return 0;
    stream->has_head = true;
    if (stream->sink != nullptr) stream->sink->on_head(stream->head);
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                     const std::uint8_t* data, std::size_t size, void*) {
    const Stream* stream = stream_of(session, id);
    if (stream != nullptr && stream->sink != nullptr) stream->sink->on_body({data, size});
    return 0;
  }

  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t error, void* user) {
    auto& self = *static_cast<Http2Transport*>(user);
    Stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    ResponseSink* sink = std::exchange(stream->sink, nullptr);
    const bool whole = error == NGHTTP2_NO_ERROR && stream->has_head;
    stream->id = -1;
    self.free_.push_back(stream);
    if (sink == nullptr) return 0;
    if (whole) {
      sink->on_end();
    } else if (error == NGHTTP2_REFUSED_STREAM) {
      sink->on_failed(Fault::kClosed, "the server refused the stream");
    } else {
      sink->on_failed(Fault::kProtocol,
                      fmt::format("the stream ended with {}", nghttp2_http2_strerror(error)));
    }
    return 0;
  }
};

Http2Transport::Http2Transport(Workplace& workplace)
    : workplace_(workplace),
      link_(workplace, *this, "h2"),
      self_(std::make_shared<Http2Transport*>(this)) {}

Http2Transport::~Http2Transport() { *self_ = nullptr; }

bool Http2Transport::may_submit() const {
  return link_.is_open() && nghttp2_session_check_request_allowed(session_.get()) != 0;
}

void Http2Transport::get(std::string_view target, ResponseSink& sink) {
  if (may_submit()) {
    submit(target, sink);
    return flush_later();
  }
  // Viewers have two requests under way at most, and those of one connection are limited.
  assert(waiting_.size() < kWaitingMax);
  waiting_.push_back({std::string(target), &sink});
  if (link_.is_closed()) {
    open();
  } else {
    flush_later();  // which replaces a connection that takes no more
  }
}

void Http2Transport::open() {
  if (std::exchange(was_open_, true)) ++workplace_.stats->reconnects;
  link_.open();
}

void Http2Transport::abandon(ResponseSink& sink) {
  std::erase_if(waiting_, [&](const Waiting& each) { return each.sink == &sink; });
  for (const auto& stream : streams_) {
    if (stream->id < 0 || stream->sink != &sink) continue;
    stream->sink = nullptr;
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    flush_later();
  }
}

void Http2Transport::on_open() {
  nghttp2_session_callbacks* raw = nullptr;
  nghttp2_session_callbacks_new(&raw);
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>
      callbacks(raw, &nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_header_callback(raw, &Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(raw, &Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, &Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(raw, &Callbacks::on_close);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, raw, this);
  session_.reset(session);
  const std::array<nghttp2_settings_entry, 2> settings = {{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
  }};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  submit_waiting();
  flush();
}

void Http2Transport::submit_waiting() {
  while (!waiting_.empty() && may_submit()) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    submit(next.target, *next.sink);
  }
}

Http2Transport::Stream& Http2Transport::free_stream() {
  if (free_.empty()) {
    streams_.push_back(std::make_unique<Stream>());
    return *streams_.back();
  }
  Stream* stream = free_.back();
  free_.pop_back();
  return *stream;
}

void Http2Transport::submit(std::string_view target, ResponseSink& sink) {
  const Destination& destination = workplace_.destination;
  const std::array<nghttp2_nv, 6> fields = {
      field(":method", "GET"),
      field(":scheme", destination.url.secure ? "https" : "http"),
      field(":authority", destination.authority),
      field(":path", target),
      field("user-agent", "mirror-load"),
      field("accept", "*/*"),
  };
  Stream& stream = free_stream();
  stream = {0, &sink, {}, false};
  const std::int32_t id = nghttp2_submit_request(session_.get(), nullptr, fields.data(),
                                                 fields.size(), nullptr, &stream);
  assert(id >= 0);  // may_submit() was asked, and memory does not run out
  stream.id = id;
}

void Http2Transport::on_bytes(std::span<const std::uint8_t> bytes) {
  receiving_ = true;
  const ssize_t n = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  receiving_ = false;
  if (n < 0) {
    link_.close();
    return fail_all(Fault::kProtocol, nghttp2_strerror(static_cast<int>(n)));
  }
  flush();
}

// One write for everything that came up in this turn.
void Http2Transport::flush() {
  if (!link_.is_open()) return;
  output_.clear();
  for (;;) {
    const std::uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &data);
    if (n <= 0) break;
    output_.insert(output_.end(), data, data + n);
  }
  if (!output_.empty()) link_.write(output_);
  replace_if_done();
}

void Http2Transport::flush_later() {
  if (receiving_ || std::exchange(flush_pending_, true)) return;
  workplace_.loop.defer([self = self_] {
    if (*self == nullptr) return;
    (*self)->flush_pending_ = false;
    (*self)->flush();
  });
}

void Http2Transport::replace_if_done() {
  if (may_submit() || active() > 0) return;
  link_.close();
  if (!waiting_.empty()) open();
}

void Http2Transport::on_closed(Fault fault, std::string_view why) { fail_all(fault, why); }

void Http2Transport::hang_up() {
  link_.close();
  take_all();
}

// Nothing is under way any more. Those whom that leaves without an answer.
std::vector<ResponseSink*> Http2Transport::take_all() {
  std::vector<ResponseSink*> sinks;
  for (const auto& stream : streams_) {
    if (stream->id < 0) continue;
    stream->id = -1;
    free_.push_back(stream.get());
    if (stream->sink != nullptr) sinks.push_back(std::exchange(stream->sink, nullptr));
  }
  for (const Waiting& each : waiting_) sinks.push_back(each.sink);
  waiting_.clear();
  return sinks;
}

// Those who fail may ask again at once, which opens the next connection.
void Http2Transport::fail_all(Fault fault, std::string_view why) {
  for (ResponseSink* sink : take_all()) sink->on_failed(fault, why);
}

}  // namespace mirror::load
