#include "http/http2_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "http/prepared.h"

namespace mirror::http {

namespace {

// A player's page that closes cancels all its streams at once, and may do so again after a reload.
constexpr double kResetBurst = 400;
constexpr double kResetsPerSecond = 50;
// SETTINGS, PING, PRIORITY, empty DATA: a busy honest peer sends a few per second.
constexpr double kIdleFrameBurst = 1000;
constexpr double kIdleFramesPerSecond = 100;
constexpr std::size_t kOutboundAcksMax = 100;
constexpr std::size_t kContinuationsMax = 8;
constexpr std::size_t kSettingsMax = 32;
// How much is made ahead of the socket: the rest stays in the streams, where priorities and
// resets still reach it.
constexpr std::size_t kPumpTarget = 128 * 1024;
// The field's text outlives nghttp2's use of it.
constexpr std::uint8_t kLasting = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
constexpr std::size_t kGonePiecesMax = 64;
// RFC 9113 6.5.2: what a field costs beyond its name and value.
constexpr std::size_t kFieldOverhead = 32;

nghttp2_nv field(std::string_view name, std::string_view value,
                 std::uint8_t flags = NGHTTP2_NV_FLAG_NONE) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
          value.size(), flags};
}

// On the stack as long as there are no more than usual.
using FieldList = fmt::basic_memory_buffer<nghttp2_nv, 24>;

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

class Http2Codec::Stream final : public Exchange {
 public:
  Stream(Http2Codec& codec, std::int32_t id, SteadyTime now)
      : codec_(codec), id_(id), opened_(now), request_(codec.take_request()) {}
  ~Stream() override { forget(body_cost_); }

  void respond(Response response) override {
    if (answer_ != Answer::kDue) return;
    std::size_t size = 0;
    for (const Bytes& piece : response.body) size += piece.size();
    const std::string length = fmt::format("{}", size);
    const bool bodiless = is_bodiless(response.status);
    if (!head_only_ && !bodiless) {
      for (Bytes& piece : response.body) enqueue(std::move(piece));
    }
    answer_ = Answer::kDone;
    submit_head(response.status, response.headers, bodiless ? std::string_view() : length);
    end_answer();
  }

  void respond(std::shared_ptr<const Prepared> answer, std::span<const Header> extra) override {
    if (answer_ != Answer::kDue) return;
    if (!head_only_ && !is_bodiless(answer->status())) {
      for (const Bytes& piece : answer->body()) enqueue(piece);
    }
    answer_ = Answer::kDone;
    prepared_ = std::move(answer);
    FieldList fields;
    for (const auto& [name, value] : prepared_->http2_fields()) {
      fields.push_back(field(name, value, kLasting));
    }
    submit(prepared_->status(), fields, extra);
    end_answer();
  }

  void start(int status, Headers headers) override {
    if (answer_ != Answer::kDue) return;
    growing_ = true;
    bodiless_ = is_bodiless(status) || head_only_;
    answer_ = bodiless_ ? Answer::kDone : Answer::kGrowing;
    submit_head(status, headers, {});
    // finish() still comes; until then the attachment lives.
    if (bodiless_) answer_ = Answer::kGrowing;
    codec_.stream_changed();
  }

  void write(Bytes bytes) override {
    if (answer_ != Answer::kGrowing || bodiless_ || bytes.empty()) return;
    codec_.growing_cost_ += bytes.size() + sizeof(Bytes);
    enqueue(std::move(bytes));
    if (codec_.growing_cost_ > codec_.carrier_.limits().queued_bytes_per_connection_max) {
      return abort();
    }
    if (body_size_ >= kQueuedBytesHigh) tell_below(kQueuedBytesHigh / 2);
    nghttp2_session_resume_data(codec_.session_.get(), id_);
    codec_.stream_changed();
  }

  void tell_below(std::size_t bytes) override {
    if (answer_ != Answer::kGrowing) return;
    tell_below_ = std::max(tell_below_, bytes);
    tell_if_below();
    codec_.stream_changed();
  }

  void finish() override {
    if (answer_ != Answer::kGrowing) return;
    answer_ = Answer::kDone;
    if (!bodiless_) nghttp2_session_resume_data(codec_.session_.get(), id_);
    end_answer();
  }

  void abort() override {
    if (answer_ != Answer::kDone) break_off(NGHTTP2_INTERNAL_ERROR);
  }

  std::size_t queued_bytes() const override { return body_size_; }

  void attach(std::unique_ptr<Attachment> attachment) override {
    if (answer_ == Answer::kDone) {
      codec_.finished_attachments_.push_back(std::move(attachment));
      codec_.carrier_.schedule();
    } else {
      attachment_ = std::move(attachment);
    }
  }

 private:
  friend class Http2Codec;
  friend struct Http2Codec::Callbacks;
  enum class Answer { kDue, kGrowing, kDone };

  void enqueue(Bytes piece) {
    if (piece.empty()) return;
    if (body_size_ == 0) waiting_since_ = codec_.carrier_.now();
    body_size_ += piece.size();
    body_cost_ += piece.size() + sizeof(Bytes);
    body_.push_back(std::move(piece));
  }

  void forget(std::size_t cost) {
    if (growing_) codec_.growing_cost_ -= cost;
    body_cost_ -= cost;
  }

  void submit_head(int status, const Headers& headers, std::string_view length);
  void submit(int status, FieldList& fields, std::span<const Header> headers);

  // The body stays until the stream closes: nghttp2 may have a frame of it half sent.
  void break_off(std::uint32_t error) {
    answer_ = Answer::kDone;
    waiting_since_ = SteadyTime::max();
    nghttp2_submit_rst_stream(codec_.session_.get(), NGHTTP2_FLAG_NONE, id_, error);
    end_answer();
  }

  void end_answer() {
    if (attachment_) codec_.finished_attachments_.push_back(std::move(attachment_));
    tell_below_ = 0;
    codec_.stream_changed();
  }

  void tell_if_below() {
    if (body_size_ >= tell_below_) return;
    tell_below_ = 0;
    codec_.writable_.push_back(id_);
  }

  // Hands `size` bytes of the body to the connection's queue.
  void send(std::size_t size) {
    body_size_ -= size;
    waiting_since_ = std::max(waiting_since_, codec_.carrier_.now());
    while (size > 0) {
      Bytes& front = body_[body_first_];
      const std::size_t n = std::min(size, front.size() - body_offset_);
      codec_.output_.share(front.slice(body_offset_, n));
      size -= n;
      body_offset_ += n;
      if (body_offset_ < front.size()) continue;
      forget(front.size() + sizeof(Bytes));
      front = Bytes();
      ++body_first_;
      body_offset_ = 0;
    }
    // A body that grows for ever must not keep a place for each piece that it had.
    if (2 * body_first_ >= body_.size() && body_first_ >= kGonePiecesMax) {
      body_.erase(body_.begin(), body_.begin() + static_cast<std::ptrdiff_t>(body_first_));
      body_first_ = 0;
    }
    tell_if_below();
  }

  Http2Codec& codec_;
  const std::int32_t id_;
  const SteadyTime opened_;
  Request request_;
  std::string method_;
  std::string target_;
  std::size_t header_bytes_ = 0;
  MaybeFault fault_;       // found while the request came in
  bool complete_ = false;  // the request is whole, or nobody wants the rest
  bool remote_closed_ = false;

  Answer answer_ = Answer::kDue;
  bool growing_ = false;  // start() was called: its bytes count against the connection's limit
  bool head_only_ = false;
  bool bodiless_ = false;
  std::size_t tell_below_ = 0;  // of body_size_; 0: nobody waits for room
  std::vector<Bytes> body_;
  std::size_t body_first_ = 0;   // index of the piece that is next; those before it are gone
  std::size_t body_offset_ = 0;  // bytes of it already sent
  std::size_t body_size_ = 0;
  std::size_t body_cost_ = 0;
  SteadyTime waiting_since_{};  // of the piece that is next; the end of time once broken off
  std::unique_ptr<Attachment> attachment_;
  std::shared_ptr<const Prepared> prepared_;  // nghttp2 points into it until the head is sent
};

struct Http2Codec::Callbacks {
  static Http2Codec& codec(void* user) { return *static_cast<Http2Codec*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    auto& self = codec(user);
    const std::int32_t id = frame->hd.stream_id;
    auto stream = std::make_unique<Stream>(self, id, self.carrier_.now());
    self.reading_ = stream.get();
    self.streams_[id] = std::move(stream);
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
    auto& self = codec(user);
    // Trailer fields (not HCAT_REQUEST) are checked by nghttp2 and dropped.
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    if (self.reading_ != nullptr) {
      add_field(self, *self.reading_, text_of(name, name_size), text_of(value, value_size));
    }
    return 0;
  }

  static void add_field(Http2Codec& self, Stream& stream, std::string_view name,
                        std::string_view value) {
    const Limits& limits = self.carrier_.limits();
    stream.header_bytes_ += name.size() + value.size() + kFieldOverhead;
    if (stream.fault_) return;
    if (name == ":path" && value.size() > limits.target_bytes_max) {
      stream.fault_ = Fault{414, "the target is too long"};
    } else if (stream.header_bytes_ > limits.header_bytes_max ||
               stream.request_.headers.size() >= limits.header_count_max) {
      stream.fault_ = Fault{431, "the header fields are too long or too many"};
      self.header_store_.take_back(stream.request_.headers);
    } else if (name == ":method") {
      stream.method_ = value;
    } else if (name == ":path") {
      stream.target_ = value;
    } else if (name == ":authority") {
      stream.request_.authority = value;
    } else if (!name.starts_with(':')) {
      if (name == "host" && stream.request_.authority.empty()) stream.request_.authority = value;
      self.header_store_.add(stream.request_.headers, name, value);
    }
  }

  static int data_chunk(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                        std::size_t size, void* user) {
    auto& self = codec(user);
    Stream* stream = self.find(id);
    if (stream == nullptr || stream->complete_) return 0;
    if (size > self.carrier_.limits().body_bytes_max - stream->request_.body.size()) {
      stream->request_.body.clear();
      self.refuse(*stream, {413, "the request body is too large"});
      return 0;
    }
    stream->request_.body.append(text_of(data, size));
    return 0;
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& self = codec(user);
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && !end) {
          self.note_idle_frame();
        }
        if (Stream* stream = self.find(frame->hd.stream_id); stream != nullptr && end) {
          stream->remote_closed_ = true;
          if (!stream->complete_) self.request_complete(*stream);
        } else if (stream != nullptr && stream->fault_ && !stream->complete_) {
          self.refuse(*stream, *stream->fault_);
        }
        break;
      case NGHTTP2_RST_STREAM:
        self.note_reset();
        break;
      case NGHTTP2_SETTINGS:
        self.greeted_ = true;
        self.note_idle_frame();
        break;
      case NGHTTP2_PING:
      case NGHTTP2_PRIORITY:
        self.note_idle_frame();
        break;
      default:
        break;  // WINDOW_UPDATE is what a working peer sends most
    }
    return 0;
  }

  // A frame that made nghttp2 reset a stream costs what a reset costs ("MadeYouReset").
  static int invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    auto& self = codec(user);
    self.carrier_.broke_protocol();
    self.note_reset();
    return 0;
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool data_or_head = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (!data_or_head || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    // RFC 9113 8.1: answered before the request was whole; the rest need not come.
    Stream* stream = codec(user).find(frame->hd.stream_id);
    if (stream != nullptr && !stream->remote_closed_) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    auto& self = codec(user);
    // An attachment never outlives its exchange, not even one that was broken off in this turn.
    self.finished_attachments_.clear();
    // Out of the map first: the attachment's destructor may look around.
    const auto node = self.streams_.extract(id);
    if (!node.empty() && node.mapped().get() == self.reading_) self.reading_ = nullptr;
    if (self.streams_.empty()) self.idle_since_ = self.carrier_.now();
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    const auto* stream = static_cast<const Stream*>(source->ptr);
    const std::size_t n = std::min(size, stream->body_size_);
    const bool last = stream->answer_ == Stream::Answer::kDone && n == stream->body_size_;
    if (n == 0 && !last) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) {
    auto& self = codec(user);
    auto* stream = static_cast<Stream*>(source->ptr);
    // nghttp2 would go on until the peer's window is full; it asks again.
    if (self.output_.size() >= kPumpTarget) return NGHTTP2_ERR_WOULDBLOCK;
    self.output_.copy(std::span(head, 9));  // padding is never asked for
    stream->send(size);
    return 0;
  }
};

void Http2Codec::Stream::submit_head(int status, const Headers& headers, std::string_view length) {
  const std::string code = fmt::format("{}", status);
  FieldList fields;
  fields.push_back(field(":status", code));
  if (!length.empty()) fields.push_back(field("content-length", length));
  submit(status, fields, headers);
}

// `fields`, then the date and `headers`.
void Http2Codec::Stream::submit(int status, FieldList& fields, std::span<const Header> headers) {
  codec_.carrier_.answered(Version::kHttp2, status);
  fields.push_back(field("date", codec_.carrier_.date()));
  if (const auto alt_svc = codec_.carrier_.take_alt_svc(); !alt_svc.empty()) {
    fields.push_back(field("alt-svc", alt_svc));
  }
  for (const Header& header : headers) {
    if (!is_token(header.name) || !is_field_value(header.value)) continue;
    if (is_connection_field(header.name)) continue;
    fields.push_back(field(header.name, header.value));
  }
  nghttp2_data_provider provider{};
  provider.source.ptr = this;  // nghttp2 lets go of it when it closes the stream
  provider.read_callback = &Callbacks::read_body;
  const bool body = answer_ == Answer::kGrowing || body_size_ > 0;
  // Fails for want of memory only; then the stream cannot be answered, nor another one.
  if (nghttp2_submit_response(codec_.session_.get(), id_, fields.data(), fields.size(),
                              body ? &provider : nullptr) != 0) {
    codec_.dead_ = true;
  }
}

Http2Codec::Http2Codec(Carrier& carrier)
    : carrier_(carrier),
      session_(nullptr, &nghttp2_session_del),
      resets_(kResetBurst, kResetsPerSecond),
      idle_frames_(kIdleFrameBurst, kIdleFramesPerSecond),
      created_(carrier.now()),
      idle_since_(carrier.now()) {}

Http2Codec::~Http2Codec() = default;

Result<std::unique_ptr<Http2Codec>> Http2Codec::create(Carrier& carrier) {
  std::unique_ptr<Http2Codec> codec(new Http2Codec(carrier));

  nghttp2_session_callbacks* raw_callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&raw_callbacks) != 0) return fail("nghttp2: out of memory");
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>
      callbacks(raw_callbacks, &nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_begin_headers_callback(raw_callbacks, &Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(raw_callbacks, &Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw_callbacks, &Callbacks::data_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(raw_callbacks, &Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(raw_callbacks,
                                                               &Callbacks::invalid_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(raw_callbacks, &Callbacks::frame_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(raw_callbacks, &Callbacks::stream_closed);
  nghttp2_session_callbacks_set_send_data_callback(raw_callbacks, &Callbacks::send_data);

  nghttp2_option* raw_option = nullptr;
  if (nghttp2_option_new(&raw_option) != 0) return fail("nghttp2: out of memory");
  const std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)> option(raw_option,
                                                                              &nghttp2_option_del);
  nghttp2_option_set_no_closed_streams(raw_option, 1);
  nghttp2_option_set_max_outbound_ack(raw_option, kOutboundAcksMax);
  nghttp2_option_set_max_settings(raw_option, kSettingsMax);
  nghttp2_option_set_max_continuations(raw_option, kContinuationsMax);

  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new2(&session, raw_callbacks, codec.get(), raw_option) != 0) {
    return fail("nghttp2: out of memory");
  }
  codec->session_.reset(session);
  const Limits& limits = carrier.limits();
  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                             limits.concurrent_streams_max},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
                             static_cast<std::uint32_t>(limits.header_bytes_max)},
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  carrier.schedule();
  return codec;
}

Http2Codec::Stream* Http2Codec::find(std::int32_t id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

void Http2Codec::receive(std::span<const std::uint8_t> bytes) {
  if (dead_) return;
  const ssize_t n = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  if (n < 0) {
    // Flooded, or no client preface: nothing that follows can be understood.
    carrier_.broke_protocol();
    nghttp2_session_terminate_session(session_.get(), n == NGHTTP2_ERR_FLOODED
                                                          ? NGHTTP2_ENHANCE_YOUR_CALM
                                                          : NGHTTP2_PROTOCOL_ERROR);
    pump();
    dead_ = true;
  }
  carrier_.schedule();
}

bool Http2Codec::wants_input() const {
  return !dead_ && nghttp2_session_want_read(session_.get()) != 0 &&
         output_.cost() < carrier_.limits().queued_bytes_per_connection_max;
}

void Http2Codec::pump() {
  finished_attachments_.clear();
  if (dead_) return;
  while (output_.size() < kPumpTarget) {
    const std::uint8_t* data = nullptr;
    const std::size_t before = output_.size();
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &data);
    if (n < 0) {
      dead_ = true;
      return;
    }
    if (n == 0 && output_.size() == before) break;
    output_.copy(std::span(data, static_cast<std::size_t>(n)));
  }
  wake_writers();
}

void Http2Codec::wake_writers() {
  std::vector<std::int32_t> ids;
  ids.swap(writable_);
  for (const std::int32_t id : ids) {
    Stream* stream = find(id);
    if (stream != nullptr && stream->attachment_) stream->attachment_->on_writable();
  }
}

bool Http2Codec::finished() const {
  return dead_ || (nghttp2_session_want_read(session_.get()) == 0 &&
                   nghttp2_session_want_write(session_.get()) == 0);
}

Codec::Phase Http2Codec::phase() const {
  if (!greeted_) return Phase::kHead;
  if (streams_.empty()) return Phase::kIdle;
  const bool receiving = std::any_of(streams_.begin(), streams_.end(),
                                     [](const auto& entry) { return !entry.second->complete_; });
  return receiving ? Phase::kBody : Phase::kPending;
}

SteadyTime Http2Codec::phase_since() const {
  if (!greeted_) return created_;
  if (streams_.empty()) return idle_since_;
  SteadyTime since = SteadyTime::max();
  for (const auto& [id, stream] : streams_) {
    if (!stream->complete_) since = std::min(since, stream->opened_);
  }
  return since;
}

// Only the streams that are late are ended; an idle connection is told to go (RFC 9113 9.1).
void Http2Codec::time_out() {
  if (phase() != Phase::kBody) {
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
    carrier_.schedule();
    return;
  }
  const SteadyTime late = carrier_.now() - carrier_.limits().body_timeout;
  for (const auto& [id, stream] : streams_) {
    if (stream->complete_ || stream->opened_ > late) continue;
    refuse(*stream, {408, "the request took too long"});
  }
}

// A window that is never opened holds what waits for it, and what others have long let go of.
std::size_t Http2Codec::end_stalled() {
  const SteadyTime late = carrier_.now() - carrier_.limits().write_timeout;
  std::size_t ended = 0;
  for (const auto& [id, stream] : streams_) {
    if (stream->body_size_ == 0 || stream->waiting_since_ > late) continue;
    stream->break_off(NGHTTP2_CANCEL);
    ++ended;
  }
  return ended;
}

void Http2Codec::drain() {
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  carrier_.schedule();
}

void Http2Codec::request_complete(Stream& stream) {
  if (calming_) return;
  Request& request = stream.request_;
  const auto method = parse_method(stream.method_);
  if (!stream.fault_ && !method) stream.fault_ = Fault{501, "this method is not implemented"};
  if (method) request.method = *method;
  stream.head_only_ = request.method == Method::kHead;
  if (!stream.fault_ && !is_authority(request.authority)) {
    stream.fault_ = Fault{400, "bad authority"};
  }
  if (!stream.fault_ && !stream.target_.starts_with('/')) {
    stream.fault_ = Fault{400, "the target must begin with /"};
  }
  if (!stream.fault_) {
    stream.fault_ = parse_target(stream.target_, carrier_.limits(), request);
  }
  if (stream.fault_) return refuse(stream, *stream.fault_);
  stream.complete_ = true;
  request.version = Version::kHttp2;
  request.secure = carrier_.secure();
  request.remote = carrier_.remote();
  carrier_.handle(request, stream);
  // A handler that answers later has taken what it needs: what is held holds no request.
  keep_request(std::move(request));
}

Request Http2Codec::take_request() { return std::exchange(spare_request_, {}); }

void Http2Codec::keep_request(Request&& request) {
  header_store_.take_back(request.headers);
  request.method = Method::kGet;
  request.authority.clear();
  request.body = {};
  spare_request_ = std::move(request);
}

void Http2Codec::refuse(Stream& stream, const Fault& fault) {
  carrier_.broke_protocol();
  stream.complete_ = true;
  stream.respond(response_to(fault));
}

void Http2Codec::note_reset() {
  if (!resets_.take(carrier_.now())) calm_down();
}

void Http2Codec::note_idle_frame() {
  if (!idle_frames_.take(carrier_.now())) calm_down();
}

void Http2Codec::calm_down() {
  if (std::exchange(calming_, true)) return;
  carrier_.broke_protocol();
  nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
  carrier_.schedule();
}

void Http2Codec::stream_changed() { carrier_.schedule(); }

}  // namespace mirror::http
