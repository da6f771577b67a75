#include "http/http3_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "http/prepared.h"
#include "http/request_rules.h"

namespace mirror::http {

using h3::FrameReader;
using h3::Wire;
namespace error = h3::error;
namespace frame = h3::frame;

namespace {

// A player's page that closes cancels all its requests at once, and may do so again after a reload.
constexpr double kResetBurst = 400;
constexpr double kResetsPerSecond = 50;
// Unknown frames and streams (grease), PRIORITY_UPDATE, push bookkeeping, empty DATA: a busy honest
// peer sends a few per second.
constexpr double kIdleFrameBurst = 1000;
constexpr double kIdleFramesPerSecond = 100;
constexpr std::uint64_t kUnknownFrameBytesMax = 64 * 1024;
constexpr std::uint64_t kControlFrameBytesMax = 1024;
constexpr std::size_t kEarlyPrioritiesMax = 128;
constexpr std::size_t kUniStreamsMax = 256;
// Shorter pieces of a growing answer are copied behind their frame's head: cheaper than a
// reference.
constexpr std::size_t kCopyMax = 512;

std::span<const std::uint8_t> octets(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// The field section of an answer whose fields are not known before.
std::string section_of(int status, const Headers& headers, std::string_view length) {
  const std::string code = fmt::format("{}", status);
  std::vector<QpackField> fields = {{":status", code}};
  if (!length.empty()) fields.push_back({"content-length", length});
  for (const Header& header : headers) {
    if (!is_token(header.name) || !is_field_value(header.value)) continue;
    if (is_connection_field(header.name)) continue;
    fields.push_back({header.name, header.value});
  }
  return qpack_encode(fields);
}

// A HEADERS frame of `section`, the date and `extra`, at the end of `out`.
void append_head(Wire& out, std::string_view section, std::string_view date,
                 std::span<const Header> extra) {
  Wire tail;
  append_qpack_date(tail, date);
  for (const Header& header : extra) {
    if (!is_token(header.name) || !is_field_value(header.value)) continue;
    if (is_connection_field(header.name)) continue;
    append_qpack_field(tail, header.name, header.value);
  }
  h3::append_frame_head(out, frame::kHeaders, section.size() + tail.size());
  const auto block = octets(section);
  out.insert(out.end(), block.begin(), block.end());
  out.insert(out.end(), tail.begin(), tail.end());
}

}  // namespace

class Http3Session::Stream final : public Exchange {
 public:
  Stream(Http3Session& session, StreamId id, SteadyTime now)
      : session_(session), id_(id), opened_(now), request_(session.take_request()) {}
  ~Stream() override {
    if (answer_ == Answer::kGrowing) --session_.growing_;
  }

  void respond(Response response) override {
    if (answer_ != Answer::kDue) return;
    if (opens_session(response.status)) return respond(response_to(kNotForSessions));
    std::size_t size = 0;
    for (const Bytes& piece : response.body) size += piece.size();
    const bool bodiless = is_bodiless(response.status);
    begin_answer(response.status);
    append_head(wire(),
                section_of(response.status, response.headers,
                           bodiless ? std::string() : fmt::format("{}", size)),
                session_.carrier_.date(), {});
    send_whole(head_only_ || bodiless ? 0 : size, response.body);
  }

  // What is this answer's own are the frame's head, the date and `extra`: the section and the body
  // are everybody's.
  void respond(std::shared_ptr<const Prepared> answer, std::span<const Header> extra) override {
    if (answer_ != Answer::kDue) return;
    if (opens_session(answer->status())) return respond(response_to(kNotForSessions));
    begin_answer(answer->status());
    append_head(wire(), answer->http3_section(), session_.carrier_.date(), extra);
    send_whole(head_only_ || is_bodiless(answer->status()) ? 0 : answer->body_size(),
               answer->body());
  }

  void start(int status, Headers headers) override {
    if (answer_ != Answer::kDue) return;
    if (opens_session(status)) return respond(response_to(kNotForSessions));
    bodiless_ = is_bodiless(status) || head_only_;
    begin_answer(status);
    append_head(wire(), section_of(status, headers, {}), session_.carrier_.date(), {});
    send_wire();
    answer_ = Answer::kGrowing;
    ++session_.growing_;
  }

  void write(Bytes bytes) override {
    if (answer_ != Answer::kGrowing || bodiless_ || bytes.empty()) return;
    Wire& head = wire();
    h3::append_frame_head(head, frame::kData, bytes.size());
    if (bytes.size() <= kCopyMax) {
      head.insert(head.end(), bytes.span().begin(), bytes.span().end());
      send_wire();
    } else {
      send_wire();
      given_ += bytes.size();
      transport().send(id_, std::move(bytes));
    }
    if (session_.growing_over_limit()) abort();
  }

  void finish() override {
    if (answer_ == Answer::kGrowing) end_answer();
  }

  void abort() override {
    if (answer_ == Answer::kDue || answer_ == Answer::kGrowing) break_off(error::kInternal);
  }

  std::size_t queued_bytes() const override {
    return answer_ == Answer::kGrowing ? transport().queued_bytes(id_) : 0;
  }

  void tell_below(std::size_t bytes) override {
    if (answer_ == Answer::kGrowing) transport().tell_below(id_, bytes);
  }

  bool takes_pushes() const override { return !webtransport_ && session_.takes_pushes(); }

  bool push(const Request& promise, const std::shared_ptr<const Prepared>& answer) override {
    const bool unfinished = answer_ == Answer::kDue || answer_ == Answer::kGrowing;
    return unfinished && !webtransport_ && session_.push(*this, promise, *answer);
  }

  WebTransportSession* webtransport() override { return webtransport_; }

  void attach(std::unique_ptr<Attachment> attachment) override {
    if (answer_ == Answer::kDue || answer_ == Answer::kGrowing) {
      attachment_ = std::move(attachment);
    } else {
      session_.finished_attachments_.push_back(std::move(attachment));
      session_.carrier_.schedule();
    }
  }

 private:
  friend class Http3Session;

  enum class Answer { kDue, kGrowing, kTunnel, kDone };
  enum class Reading {
    kHead,      // the request's HEADERS are due
    kBody,      // DATA, or trailers
    kTrailers,  // nothing more but unknown frames
    kTunnel,    // an extended CONNECT: DATA only
    kOver,      // whole, or of no interest
  };

  quic::Transport& transport() const { return session_.transport_; }
  Wire& wire() {
    session_.wire_.clear();
    return session_.wire_;
  }
  void send_wire() {
    given_ += session_.wire_.size();
    transport().send_copy(id_, session_.wire_);
  }

  // --- The answer

  // A 2xx to a CONNECT is a session (RFC 9114 4.4), which only accept() makes: a handler that
  // answers this path to whoever asks means something else.
  static constexpr Fault kNotForSessions{404, "no sessions here"};
  bool opens_session(int status) const { return webtransport_ != nullptr && status / 100 == 2; }

  void begin_answer(int status) {
    session_.carrier_.answered(Version::kHttp3, status);
    if (has_priority_) transport().set_priority(id_, priority_);
    answering_since_ = session_.transport_.now();
  }

  void send_whole(std::size_t size, std::span<const Bytes> body) {
    if (size > 0) h3::append_frame_head(session_.wire_, frame::kData, size);
    send_wire();
    if (size > 0) {
      for (const Bytes& piece : body) {
        if (piece.empty()) continue;
        given_ += piece.size();
        transport().send(id_, piece);
      }
    }
    end_answer();
  }

  void end_answer() {
    transport().finish(id_);
    close_answer();
    // RFC 9114 4.1: answered before the request was whole; the rest need not come.
    if (reading_ != Reading::kOver) transport().stop_sending(id_, error::kNone);
    reading_ = Reading::kOver;
  }

  void break_off(std::uint64_t code) {
    transport().reset(id_, code);
    if (reading_ != Reading::kOver) transport().stop_sending(id_, code);
    reading_ = Reading::kOver;
    close_answer();
  }

  // Nothing more is said here; the attachment goes at the end of the turn.
  void close_answer() {
    if (answer_ == Answer::kGrowing) --session_.growing_;
    answer_ = Answer::kDone;
    if (attachment_) session_.finished_attachments_.push_back(std::move(attachment_));
    const bool asked = std::exchange(webtransport_, nullptr) != nullptr;
    if (asked && session_.webtransport_) session_.webtransport_->refuse(id_);
    session_.carrier_.schedule();
  }

  // --- The request

  void receive(std::span<const std::uint8_t> bytes, bool fin);
  bool frame_begins();
  bool frame_head();
  bool payload(std::span<const std::uint8_t> piece);
  bool frame_ends();
  void take_section(std::span<const std::uint8_t> section);
  void take_head(std::span<const std::uint8_t> section);
  void take_trailers(std::span<const std::uint8_t> section);
  void take_body(std::span<const std::uint8_t> piece);
  void request_ends();
  void handle();
  void connect(const Request& request);
  void accept_webtransport(std::span<const Header> extra);

  // RFC 9114 4.1.2.
  void malformed() {
    session_.carrier_.broke_protocol();
    break_off(error::kMessage);
  }
  void refuse(const Fault& fault) {
    session_.carrier_.broke_protocol();
    respond(response_to(fault));
  }
  bool unexpected(std::string_view why) {
    session_.fail(error::kFrameUnexpected, why);
    return false;
  }

  Http3Session& session_;
  const StreamId id_;
  const SteadyTime opened_;
  Request request_;
  FrameReader frames_;
  Reading reading_ = Reading::kHead;
  bool first_frame_ = true;
  Wire section_;  // of a HEADERS frame that comes in pieces
  std::optional<std::uint64_t> content_length_;
  std::uint64_t body_bytes_ = 0;

  Answer answer_ = Answer::kDue;
  bool head_only_ = false;
  bool bodiless_ = false;
  bool has_priority_ = false;
  bool priority_updated_ = false;  // by PRIORITY_UPDATE, which outdoes the field
  bool draft02_ = false;
  quic::Priority priority_;
  // For the write time-out: what was handed to the transport, how much of it had gone when somebody
  // last looked, and when that last changed.
  std::uint64_t given_ = 0;
  std::uint64_t gone_ = 0;
  SteadyTime answering_since_{};
  std::optional<SteadyTime> over_since_;  // of a session whose stream the peer has not closed
  std::unique_ptr<Attachment> attachment_;
  WebTransportSession* webtransport_ = nullptr;  // asked for here, and not accepted yet
};

// ---- The connection -------------------------------------------------------------------------

Http3Session::Http3Session(Carrier& carrier, quic::Transport& transport)
    : carrier_(carrier),
      transport_(transport),
      resets_(kResetBurst, kResetsPerSecond),
      idle_frames_(kIdleFrameBurst, kIdleFramesPerSecond),
      idle_since_(transport.now()) {
  if (carrier.limits().webtransport_sessions_max > 0) {
    webtransport_ =
        std::make_unique<Http3WebTransport>(static_cast<Http3WebTransport::Host&>(*this), transport,
                                            carrier.limits(), Http3WebTransport::Side::kServer);
  }
}

// Attachments and observers may look at their streams while they go.
Http3Session::~Http3Session() { on_closed({}); }

void Http3Session::on_open() {
  open_ = true;
  control_ = transport_.open_unidirectional();
  if (!control_) return;  // RFC 9114 6.2: the peer should have let us; on_streams_available()
  const Limits& limits = carrier_.limits();
  h3::Settings settings;
  settings.max_field_section_size = limits.header_bytes_max;
  if (limits.webtransport_sessions_max > 0) {
    settings.connect_protocol = true;
    settings.datagrams = true;
    settings.webtransport_draft02 = true;
    settings.webtransport_sessions = limits.webtransport_sessions_max;
  }
  wire_.clear();
  h3::append_varint(wire_, h3::stream_type::kControl);
  h3::append_settings(wire_, settings);
  transport_.send_copy(*control_, wire_);
  transport_.set_priority(*control_, {0, false});
  if (draining_) send_goaway();
}

void Http3Session::on_streams_available() {
  if (closing_) return;
  if (open_ && !control_) on_open();
  if (webtransport_) webtransport_->on_streams_available();
}

// The transport is not to be touched any more: WebTransport, which would, goes first.
void Http3Session::on_closed(std::string_view) {
  closing_ = true;
  webtransport_.reset();
  for (auto& [id, stream] : streams_) end_exchange(*stream);
  for (auto& [id, stream] : streams_) finished_streams_.push_back(std::move(stream));
  streams_.clear();
  finished_attachments_.clear();
  finished_streams_.clear();
}

void Http3Session::fail(std::uint64_t code, std::string_view why) {
  if (std::exchange(closing_, true)) return;
  carrier_.broke_protocol();
  transport_.close(code, why);
  for (auto& [id, stream] : streams_) end_exchange(*stream);
  carrier_.schedule();
}

// The peer has gone from this stream: whoever answers it is told to forget it.
void Http3Session::end_exchange(Stream& stream) {
  stream.reading_ = Stream::Reading::kOver;
  if (stream.answer_ != Stream::Answer::kDone) stream.close_answer();
}

void Http3Session::pump() {
  // Destructors may finish others, which go in the next turn.
  const auto attachments = std::exchange(finished_attachments_, {});
  const auto streams = std::exchange(finished_streams_, {});
  if (webtransport_) webtransport_->pump();
  maybe_drained();
}

bool Http3Session::note_idle_frame() {
  if (idle_frames_.take(transport_.now())) return true;
  fail(error::kExcessiveLoad, "too many frames that bring no progress");
  return false;
}

bool Http3Session::note_reset() {
  if (resets_.take(transport_.now())) return true;
  fail(error::kExcessiveLoad, "too many cancelled requests");
  return false;
}

Http3Session::Stream* Http3Session::find(StreamId id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.get();
}

// RFC 9114 4.1.1, 5.2: not handled at all, may be sent again elsewhere.
void Http3Session::reject(StreamId id) {
  transport_.reset(id, error::kRequestRejected);
  transport_.stop_sending(id, error::kRequestRejected);
}

Http3Session::Stream* Http3Session::open_request(StreamId id) {
  const bool late = id >= goaway_;
  if (!goaway_is_final()) requests_end_ = std::max(requests_end_, id + 4);
  if (late || streams_.size() >= carrier_.limits().concurrent_streams_max) {
    if (note_reset()) reject(id);
    return nullptr;
  }
  auto& place = streams_[id];
  place = std::make_unique<Stream>(*this, id, transport_.now());
  if (const auto early = early_priorities_.extract(id); !early.empty()) {
    place->priority_ = early.mapped();
    place->has_priority_ = place->priority_updated_ = true;
  }
  return place.get();
}

void Http3Session::on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) {
  if (closing_) return;
  if (webtransport_ && webtransport_->owns(id)) {
    return webtransport_->on_stream_data(id, bytes, fin);
  }
  if (quic::is_unidirectional(id)) return receive_uni(id, bytes, fin);
  Stream* stream = find(id);
  if (stream == nullptr) stream = open_request(id);
  if (stream == nullptr) {
    transport_.consumed(id, bytes.size());
    return;
  }
  stream->receive(bytes, fin);
}

void Http3Session::on_stream_reset(StreamId id, std::uint64_t code) {
  if (closing_) return;
  if (webtransport_ && webtransport_->owns(id)) return webtransport_->on_stream_reset(id, code);
  if (quic::is_unidirectional(id)) {
    if (is_critical(id)) fail(error::kClosedCriticalStream, "a critical stream was reset");
    uni_streams_.erase(id);
    return;
  }
  Stream* stream = find(id);
  if (stream == nullptr) {
    if (note_reset()) requests_end_ = std::max(requests_end_, id + 4);
    return;
  }
  if (webtransport_) webtransport_->on_connect_end(id);
  if (stream->reading_ == Stream::Reading::kOver) return;
  // RFC 9114 4.1.1: an incomplete request is not answered.
  if (stream->answer_ != Stream::Answer::kDone) transport_.reset(id, error::kRequestCancelled);
  end_exchange(*stream);
  note_reset();
}

void Http3Session::on_stop_sending(StreamId id, std::uint64_t code) {
  if (closing_) return;
  if (webtransport_ && webtransport_->owns(id)) return webtransport_->on_stop_sending(id, code);
  if (control_ == id) {
    return fail(error::kClosedCriticalStream, "the control stream is not wanted");
  }
  Stream* stream = find(id);
  if (stream == nullptr) return;  // a push: the transport has reset it
  if (webtransport_) webtransport_->on_connect_end(id);
  if (stream->reading_ != Stream::Reading::kOver) {
    transport_.stop_sending(id, error::kRequestCancelled);
  }
  end_exchange(*stream);
  note_reset();
}

void Http3Session::on_writable(StreamId id) {
  if (closing_) return;
  if (webtransport_ && webtransport_->owns(id)) return webtransport_->on_writable(id);
  Stream* stream = find(id);
  if (stream == nullptr || stream->answer_ != Stream::Answer::kGrowing) return;
  if (stream->attachment_) stream->attachment_->on_writable();
}

void Http3Session::on_stream_closed(StreamId id) {
  if (webtransport_ && webtransport_->owns(id)) return webtransport_->on_stream_closed(id);
  if (quic::is_unidirectional(id)) {
    if (quic::is_client_initiated(id)) {
      uni_streams_.erase(id);
    } else {
      std::erase_if(pushes_, [id](const auto& entry) { return entry.second.stream == id; });
    }
    return;
  }
  const auto node = streams_.extract(id);
  if (node.empty()) return;
  if (webtransport_) webtransport_->on_connect_end(id);
  end_exchange(*node.mapped());
  finished_streams_.push_back(std::move(node.mapped()));
  if (streams_.empty()) idle_since_ = transport_.now();
  carrier_.schedule();
}

// RFC 9297 2.1.
void Http3Session::on_datagram(std::span<const std::uint8_t> bytes) {
  if (closing_) return;
  const auto quarter = h3::take_varint(bytes);
  if (!quarter || *quarter > h3::kVarintMax / 4) {
    return fail(error::kDatagram, "a datagram without a stream");
  }
  if (!webtransport_) return dropped_datagram();
  webtransport_->on_datagram(static_cast<StreamId>(*quarter * 4), bytes);
}

Http3Session::TimedOut Http3Session::check_timeouts() {
  TimedOut ended;
  if (closing_) return ended;
  const Limits& limits = carrier_.limits();
  const SteadyTime now = transport_.now();
  if (draining_ && !goaway_is_final() && now - draining_since_ >= kGoawayGrace) {
    goaway_ = requests_end_;
    if (control_) send_goaway();
    carrier_.schedule();
  }
  if (streams_.empty() && now - idle_since_ > limits.idle_timeout) {
    closing_ = true;
    ended.idle = true;
    transport_.close(error::kNone, "idle");  // RFC 9114 5.1
    return ended;
  }
  for (const auto& [id, stream] : streams_) {
    using Reading = Stream::Reading;
    const bool head_late =
        stream->reading_ == Reading::kHead && now - stream->opened_ > limits.header_timeout;
    const bool body_due =
        stream->reading_ == Reading::kBody || stream->reading_ == Reading::kTrailers;
    const bool body_late = body_due && now - stream->opened_ > limits.body_timeout;
    if ((head_late || body_late) && stream->answer_ == Stream::Answer::kDue) {
      ++(head_late ? ended.head : ended.body);
      stream->refuse({408, "the request took too long"});
      continue;
    }
    if (stream->over_since_ && now - *stream->over_since_ > limits.header_timeout) {
      stream->over_since_.reset();
      transport_.stop_sending(id, error::kNone);
    }
    // What a peer does not take is kept for it alone: a while, as long as nothing of it moves.
    const std::uint64_t queued = transport_.queued_bytes(id);
    const std::uint64_t gone = stream->given_ - std::min(queued, stream->given_);
    if (queued == 0 || gone != stream->gone_) {
      stream->gone_ = gone;
      stream->answering_since_ = now;
    } else if (now - stream->answering_since_ > limits.write_timeout) {
      ++ended.write;
      transport_.reset(id, error::kRequestCancelled);
      if (webtransport_) webtransport_->on_connect_end(id);
      end_exchange(*stream);
      stream->answering_since_ = now;
    }
  }
  ended.write += end_stalled_pushes(now);
  if (webtransport_ && now > SteadyTime{} + limits.header_timeout) {
    webtransport_->end_waiting(now - limits.header_timeout);
  }
  return ended;
}

void Http3Session::drain() {
  if (closing_ || std::exchange(draining_, true)) return;
  draining_since_ = transport_.now();
  if (control_) send_goaway();
}

void Http3Session::send_goaway() {
  wire_.clear();
  h3::append_integer_frame(wire_, frame::kGoaway, static_cast<std::uint64_t>(goaway_));
  transport_.send_copy(*control_, wire_);
}

void Http3Session::maybe_drained() {
  if (!goaway_is_final() || closing_ || !streams_.empty() || !pushes_.empty()) return;
  closing_ = true;
  transport_.close(error::kNone, "going away");
}

// ---- WebTransport's host --------------------------------------------------------------------

bool Http3Session::may_become_session(StreamId id) const {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return id < goaway_;
  const Stream& stream = *it->second;
  return stream.webtransport_ != nullptr || stream.reading_ == Stream::Reading::kHead;
}

void Http3Session::session_over(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->webtransport_ = nullptr;
  if (stream->answer_ != Stream::Answer::kTunnel) return;
  // The peer closes its side too (draft 5), or is made to after a while.
  if (stream->reading_ != Stream::Reading::kOver) stream->over_since_ = transport_.now();
  end_exchange(*stream);
}

void Http3Session::dropped_stream() { carrier_.dropped(Carrier::Dropped::kWebTransportStream); }
void Http3Session::dropped_datagram() { carrier_.dropped(Carrier::Dropped::kDatagram); }

// ---- Requests -------------------------------------------------------------------------------

void Http3Session::Stream::receive(std::span<const std::uint8_t> bytes, bool fin) {
  const std::size_t size = bytes.size();
  for (bool more = true; more && reading_ != Reading::kOver && !session_.closing_;) {
    switch (frames_.next(bytes)) {
      case FrameReader::Event::kNeedMore:
        more = false;
        break;
      case FrameReader::Event::kType:
        if (frames_.type() == frame::kWebTransportStream && first_frame_ &&
            session_.webtransport_) {
          // No request: the rest belongs to a session.
          transport().consumed(id_, size - bytes.size());
          Http3Session& session = session_;
          const StreamId id = id_;
          session.webtransport_->begin_stream(id);
          reading_ = Reading::kOver;
          answer_ = Answer::kDone;
          const auto node = session.streams_.extract(id);
          session.finished_streams_.push_back(std::move(node.mapped()));
          session.carrier_.schedule();
          if (!bytes.empty() || fin) session.webtransport_->on_stream_data(id, bytes, fin);
          return;
        }
        more = frame_begins();
        first_frame_ = false;
        break;
      case FrameReader::Event::kHead:
        more = frame_head();
        break;
      case FrameReader::Event::kPayload:
        more = payload(frames_.payload());
        break;
      case FrameReader::Event::kEnd:
        more = frame_ends();
        break;
    }
  }
  transport().consumed(id_, size);
  if (!fin || session_.closing_ || reading_ == Reading::kOver) return;
  if (!frames_.at_boundary()) {
    return session_.fail(error::kFrame, "a request ends within a frame");  // 7.1
  }
  request_ends();
}

// RFC 9114 4.1, 7.2: which frames a request is made of, and in which order.
bool Http3Session::Stream::frame_begins() {
  const std::uint64_t type = frames_.type();
  if (type == frame::kWebTransportStream) {
    session_.fail(error::kFrame, "a WebTransport stream within a stream");
    return false;
  }
  if (!frame::is_known(type)) return session_.note_idle_frame();
  if (type == frame::kData) {
    if (reading_ == Reading::kHead) return unexpected("DATA before HEADERS");
    if (reading_ == Reading::kTrailers) return unexpected("DATA behind the trailers");
    return true;
  }
  if (type != frame::kHeaders) return unexpected("a frame that is no part of a request");
  if (reading_ == Reading::kTrailers) return unexpected("HEADERS behind the trailers");
  if (reading_ == Reading::kTunnel) return unexpected("HEADERS behind a CONNECT");
  return true;
}

bool Http3Session::Stream::frame_head() {
  const std::uint64_t length = frames_.length();
  switch (frames_.type()) {
    case frame::kHeaders:
      section_.clear();
      // Compressed it is longer than the limit on what it says: what it says need not be known.
      if (length <= session_.carrier_.limits().header_bytes_max) return true;
      refuse({431, "the header fields are too long or too many"});
      return false;
    case frame::kData:
      return length > 0 || session_.note_idle_frame();
    default:
      if (length <= kUnknownFrameBytesMax) return true;
      session_.fail(error::kExcessiveLoad, "a long frame of an unknown type");
      return false;
  }
}

bool Http3Session::Stream::payload(std::span<const std::uint8_t> piece) {
  switch (frames_.type()) {
    case frame::kHeaders:
      if (section_.empty() && piece.size() == frames_.length()) {
        take_section(piece);
      } else {
        section_.insert(section_.end(), piece.begin(), piece.end());
        if (section_.size() < frames_.length()) return true;
        const Wire whole = std::exchange(section_, {});
        take_section(whole);
      }
      break;
    case frame::kData:
      if (reading_ == Reading::kTunnel) {
        if (session_.webtransport_) session_.webtransport_->on_connect_data(id_, piece);
      } else {
        take_body(piece);
      }
      break;
    default:
      break;
  }
  return true;
}

bool Http3Session::Stream::frame_ends() {
  if (frames_.type() != frame::kHeaders || frames_.length() > 0) return true;
  session_.fail(error::kQpackDecompressionFailed, "an empty field section");
  return false;
}

void Http3Session::Stream::take_section(std::span<const std::uint8_t> section) {
  if (reading_ == Reading::kHead) {
    take_head(section);
  } else {
    take_trailers(section);
  }
}

void Http3Session::Stream::take_head(std::span<const std::uint8_t> section) {
  h3::RequestSection head(session_.carrier_.limits(), session_.header_store_, request_);
  const bool decoded = session_.qpack_.decode(
      section,
      [&](std::string_view name, std::string_view value) { return head.add(name, value); });
  if (!decoded) {
    return session_.fail(error::kQpackDecompressionFailed, "a field section cannot be decoded");
  }
  head.end();
  head_only_ = request_.method == Method::kHead;
  if (head.malformed()) return malformed();
  if (head.fault()) return refuse(*head.fault());
  content_length_ = head.content_length();
  if (head.has_priority() && !priority_updated_) {
    priority_ = head.priority();
    has_priority_ = true;
  }
  // RFC 8470: what could be a replay is answered only where that does no harm.
  const Method method = request_.method;
  const bool safe = method == Method::kGet || method == Method::kHead || method == Method::kOptions;
  if (!safe && transport().early_data()) return refuse({425, "not in early data"});
  request_.version = Version::kHttp3;
  request_.secure = true;
  request_.remote = transport().remote();
  reading_ = Reading::kBody;
  if (head.webtransport()) connect(request_);
}

// Read for what they break, and dropped.
void Http3Session::Stream::take_trailers(std::span<const std::uint8_t> section) {
  h3::SectionRules rules(h3::Section::kTrailers);
  const Limits& limits = session_.carrier_.limits();
  std::size_t size = 0;
  bool fits = true;
  bool good = true;
  const bool decoded =
      session_.qpack_.decode(section, [&](std::string_view name, std::string_view value) {
        size += name.size() + value.size() + h3::kFieldOverhead;
        fits = size <= limits.header_bytes_max;
        auto pseudo = h3::SectionRules::Pseudo::kNone;
        good = good && rules.check(name, value, pseudo);
        return fits && good;
      });
  if (!decoded) {
    return session_.fail(error::kQpackDecompressionFailed, "a field section cannot be decoded");
  }
  reading_ = Reading::kTrailers;
  if (!good) return malformed();
  if (!fits) refuse({431, "the trailer fields are too long"});
}

void Http3Session::Stream::take_body(std::span<const std::uint8_t> piece) {
  body_bytes_ += piece.size();
  if (content_length_ && body_bytes_ > *content_length_) return malformed();
  if (piece.size() > session_.carrier_.limits().body_bytes_max - request_.body.size()) {
    request_.body = {};
    return refuse({413, "the request body is too large"});
  }
  request_.body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
}

void Http3Session::Stream::request_ends() {
  if (reading_ == Reading::kTunnel) {
    reading_ = Reading::kOver;
    if (session_.webtransport_) session_.webtransport_->on_connect_end(id_);
    return;
  }
  const bool had_head = reading_ != Reading::kHead;
  reading_ = Reading::kOver;
  if (!had_head) {
    session_.carrier_.broke_protocol();
    return break_off(error::kRequestIncomplete);  // 4.1
  }
  if (content_length_ && body_bytes_ != *content_length_) return malformed();  // 4.1.2
  handle();
}

void Http3Session::Stream::handle() {
  Request request = std::move(request_);
  session_.carrier_.handle(request, *this);
  // A handler that answers later has taken what it needs: what is held holds no request.
  session_.keep_request(std::move(request));
}

// RFC 9220, and the drafts. The handler decides; until then what belongs to the session waits.
void Http3Session::Stream::connect(const Request& request) {
  if (!session_.carrier_.admits_origin(request)) {
    return refuse({403, "a page of this origin may not open sessions here"});
  }
  draft02_ = request.header("sec-webtransport-http3-draft02").has_value();
  webtransport_ = session_.webtransport_->ask(
      id_, draft02_, [this](std::span<const Header> extra) { accept_webtransport(extra); });
  if (webtransport_ == nullptr) return refuse({429, "too many sessions on this connection"});
  reading_ = Reading::kTunnel;
  handle();
}

void Http3Session::Stream::accept_webtransport(std::span<const Header> extra) {
  begin_answer(200);
  Headers headers;
  if (draft02_) headers.push_back({"sec-webtransport-http3-draft", "draft02"});
  append_head(wire(), section_of(200, headers, {}), session_.carrier_.date(), extra);
  send_wire();
  answer_ = Answer::kTunnel;
  webtransport_ = nullptr;
  if (attachment_) session_.finished_attachments_.push_back(std::move(attachment_));
  session_.carrier_.schedule();
}

void Http3Session::keep_request(Request&& request) {
  header_store_.take_back(request.headers);
  request.method = Method::kGet;
  request.authority.clear();
  request.body = {};
  spare_request_ = std::move(request);
}

// Bodies that are whole are shared and counted nowhere; those that grow are held to the limit.
bool Http3Session::growing_over_limit() const {
  const std::size_t limit = carrier_.limits().queued_bytes_per_connection_max;
  if (transport_.queued_bytes() <= limit) return false;
  std::size_t sum = 0;
  for (const auto& [id, stream] : streams_) {
    if (stream->answer_ == Stream::Answer::kGrowing) sum += transport_.queued_bytes(id);
  }
  return sum > limit;
}

// ---- The peer's unidirectional streams ------------------------------------------------------

bool Http3Session::is_critical(StreamId id) const {
  return peer_control_ == id || peer_encoder_ == id || peer_decoder_ == id;
}

void Http3Session::receive_uni(StreamId id, std::span<const std::uint8_t> bytes, bool fin) {
  auto it = uni_streams_.find(id);
  if (it == uni_streams_.end()) {
    if (uni_streams_.size() >= kUniStreamsMax) {
      return fail(error::kExcessiveLoad, "too many unidirectional streams");
    }
    it = uni_streams_.emplace(id, UniStream()).first;
  }
  UniStream& stream = it->second;
  const std::size_t size = bytes.size();
  if (stream.kind == UniStream::Kind::kUntyped) {
    const auto type = stream.type.read(bytes);
    if (!type) {  // RFC 9114 6.2: it may end before it says what it is
      transport_.consumed(id, size);
      return;
    }
    if (*type == h3::stream_type::kWebTransport && webtransport_) {
      transport_.consumed(id, size - bytes.size());
      uni_streams_.erase(it);
      webtransport_->begin_stream(id);
      if (!bytes.empty() || fin) webtransport_->on_stream_data(id, bytes, fin);
      return;
    }
    switch (*type) {
      case h3::stream_type::kControl:
        stream.kind = UniStream::Kind::kControl;
        break;
      case h3::stream_type::kQpackEncoder:
        stream.kind = UniStream::Kind::kEncoder;
        break;
      case h3::stream_type::kQpackDecoder:
        stream.kind = UniStream::Kind::kDecoder;
        stream.qpack = h3::QpackStreamReader(h3::QpackStreamReader::Kind::kDecoder);
        break;
      case h3::stream_type::kPush:
        return fail(error::kStreamCreation, "a client does not push");  // 6.2.2
      default:
        stream.kind = UniStream::Kind::kIgnored;
    }
    if (!begin_uni(id, stream)) return;
  }
  switch (stream.kind) {
    case UniStream::Kind::kControl:
      receive_control(stream, bytes);
      break;
    case UniStream::Kind::kEncoder:
      if (!stream.qpack.read(bytes)) {
        fail(error::kQpackEncoderStream, "an entry for a table without room");
      }
      break;
    case UniStream::Kind::kDecoder:
      if (!stream.qpack.read(bytes)) {
        fail(error::kQpackDecoderStream, "an acknowledgement of what was never sent");
      }
      break;
    case UniStream::Kind::kUntyped:
    case UniStream::Kind::kIgnored:
      break;
  }
  transport_.consumed(id, size);
  if (fin && is_critical(id)) fail(error::kClosedCriticalStream, "a critical stream was closed");
}

// RFC 9114 6.2.1, RFC 9204 4.2: one of each; others are not read.
bool Http3Session::begin_uni(StreamId id, UniStream& stream) {
  std::optional<StreamId>* place = nullptr;
  switch (stream.kind) {
    case UniStream::Kind::kControl:
      place = &peer_control_;
      break;
    case UniStream::Kind::kEncoder:
      place = &peer_encoder_;
      break;
    case UniStream::Kind::kDecoder:
      place = &peer_decoder_;
      break;
    case UniStream::Kind::kUntyped:
    case UniStream::Kind::kIgnored:
      transport_.stop_sending(id, error::kStreamCreation);
      return note_idle_frame();
  }
  if (place->has_value()) {
    fail(error::kStreamCreation, "a second stream of which there is one");
    return false;
  }
  *place = id;
  return true;
}

void Http3Session::receive_control(UniStream& stream, std::span<const std::uint8_t> bytes) {
  while (!closing_) {
    FrameReader& reader = stream.frames;
    switch (reader.next(bytes)) {
      case FrameReader::Event::kNeedMore:
        return;
      case FrameReader::Event::kType:
        break;
      case FrameReader::Event::kHead:
        stream.payload.clear();
        if (!control_frame_begins(reader)) return;
        break;
      case FrameReader::Event::kPayload:
        if (frame::is_known(reader.type())) {
          stream.payload.insert(stream.payload.end(), reader.payload().begin(),
                                reader.payload().end());
        }
        break;
      case FrameReader::Event::kEnd:
        if (frame::is_known(reader.type())) control_frame(reader.type(), stream.payload);
        break;
    }
  }
}

// RFC 9114 6.2.1, 7.2: what may stand on a control stream, and in which order.
bool Http3Session::control_frame_begins(const FrameReader& reader) {
  const std::uint64_t type = reader.type();
  if (!settings_seen_ && type != frame::kSettings) {
    fail(error::kMissingSettings, "the control stream does not begin with SETTINGS");
    return false;
  }
  if (!frame::is_known(type)) {
    if (reader.length() > kUnknownFrameBytesMax) {
      fail(error::kExcessiveLoad, "a long frame of an unknown type");
      return false;
    }
    return note_idle_frame();
  }
  const bool misplaced = type == frame::kData || type == frame::kHeaders ||
                         type == frame::kPushPromise || frame::is_reserved(type) ||
                         (type == frame::kSettings && settings_seen_);
  if (misplaced) {
    fail(error::kFrameUnexpected, "a frame that is not for a control stream");
    return false;
  }
  if (reader.length() > kControlFrameBytesMax) {
    fail(error::kExcessiveLoad, "a control frame is too long");
    return false;
  }
  settings_seen_ = true;
  return true;
}

void Http3Session::control_frame(std::uint64_t type, std::span<const std::uint8_t> payload) {
  if (type == frame::kSettings) return take_settings(payload);
  if (!note_idle_frame()) return;
  if (type == frame::kPriorityUpdateRequest || type == frame::kPriorityUpdatePush) {
    return take_priority_update(type, payload);
  }
  const auto value = h3::only_varint(payload);
  if (!value) return fail(error::kFrame, "a frame that is not one integer");
  if (type == frame::kMaxPushId) {
    take_max_push_id(*value);
  } else if (type == frame::kCancelPush) {
    cancel_push(*value);
  } else {  // GOAWAY (5.2): a client names the first push that it will not take
    if (*value > push_goaway_) return fail(error::kId, "a GOAWAY that takes back another");
    push_goaway_ = *value;
  }
}

void Http3Session::take_settings(std::span<const std::uint8_t> payload) {
  const auto result = h3::parse_settings(payload);
  if (result.error != 0) return fail(result.error, "bad SETTINGS");
  // RFC 9297 2.1.1
  if (result.settings.datagrams && transport_.datagram_bytes_max() == 0) {
    return fail(error::kSettings, "datagrams are offered and not taken");
  }
  peer_settings_ = result.settings;
}

// RFC 9218 7.2.
void Http3Session::take_priority_update(std::uint64_t type, std::span<const std::uint8_t> payload) {
  const auto element = h3::take_varint(payload);
  if (!element) return fail(error::kFrame, "PRIORITY_UPDATE without an element");
  const auto priority =
      h3::parse_priority({reinterpret_cast<const char*>(payload.data()), payload.size()});
  if (type == frame::kPriorityUpdatePush) {
    if (*element >= next_push_id_) {
      return fail(error::kId, "the priority of a push that was not promised");
    }
    const auto it = pushes_.find(*element);
    if (it != pushes_.end() && priority) transport_.set_priority(it->second.stream, *priority);
    return;
  }
  const auto id = static_cast<StreamId>(*element);
  if (quic::is_unidirectional(id) || !quic::is_client_initiated(id)) {
    return fail(error::kId, "the priority of what is no request");
  }
  // One that says nothing (RFC 9218 4, 5) changes nothing.
  if (!priority) return carrier_.dropped(Carrier::Dropped::kPriorityUpdate);
  if (Stream* stream = find(id)) {
    stream->priority_ = *priority;
    stream->has_priority_ = stream->priority_updated_ = true;
    transport_.set_priority(id, *priority);
  } else if (id >= requests_end_ && early_priorities_.size() < kEarlyPrioritiesMax) {
    early_priorities_[id] = *priority;
  } else {
    carrier_.dropped(Carrier::Dropped::kPriorityUpdate);
  }
}

// ---- Push (RFC 9114 4.6) --------------------------------------------------------------------

void Http3Session::take_max_push_id(std::uint64_t id) {
  if (max_push_id_ && id < *max_push_id_) {  // 7.2.7
    return fail(error::kId, "MAX_PUSH_ID takes back what it gave");
  }
  max_push_id_ = id;
}

void Http3Session::cancel_push(std::uint64_t id) {
  if (id >= next_push_id_) {  // 7.2.3
    return fail(error::kId, "CANCEL_PUSH of what was not promised");
  }
  const auto it = pushes_.find(id);
  if (it != pushes_.end()) transport_.reset(it->second.stream, error::kRequestCancelled);
}

// A push that its client does not take is kept for it alone, too.
std::size_t Http3Session::end_stalled_pushes(SteadyTime now) {
  std::size_t ended = 0;
  for (auto& [id, push] : pushes_) {
    const std::size_t queued = transport_.queued_bytes(push.stream);
    if (queued == 0 || queued != push.queued) {
      push.queued = queued;
      push.since = now;
    } else if (now - push.since > carrier_.limits().write_timeout) {
      push.since = now;
      ++ended;
      transport_.reset(push.stream, error::kRequestCancelled);
    }
  }
  return ended;
}

bool Http3Session::takes_pushes() const {
  if (closing_ || draining_ || !max_push_id_) return false;
  return next_push_id_ <= *max_push_id_ && next_push_id_ < push_goaway_;
}

bool Http3Session::push(Stream& stream, const Request& promise, const Prepared& answer) {
  const bool safe = promise.method == Method::kGet || promise.method == Method::kHead;
  if (!takes_pushes() || !safe || promise.authority.empty() || !is_authority(promise.authority)) {
    return false;
  }
  if (pushes_.size() >= carrier_.limits().pushes_max) {
    carrier_.dropped(Carrier::Dropped::kPush);
    return false;
  }
  const auto pushed = transport_.open_unidirectional();
  if (!pushed) {
    carrier_.dropped(Carrier::Dropped::kPush);
    return false;
  }
  const std::uint64_t id = next_push_id_++;
  pushes_[id].stream = *pushed;
  if (stream.has_priority_) transport_.set_priority(*pushed, stream.priority_);

  // The promise first, on the request's stream (4.6: before what it promises).
  const std::string target = h3::encode_target(promise);
  std::vector<QpackField> fields = {{":method", name_of(promise.method)},
                                    {":scheme", "https"},
                                    {":authority", promise.authority},
                                    {":path", target}};
  for (const Header& header : promise.headers) {
    if (!is_token(header.name) || !is_field_value(header.value)) continue;
    if (is_connection_field(header.name)) continue;
    fields.push_back({header.name, header.value});
  }
  const std::string section = qpack_encode(fields);
  Wire& head = stream.wire();
  h3::append_frame_head(head, frame::kPushPromise, h3::varint_size(id) + section.size());
  h3::append_varint(head, id);
  const auto block = octets(section);
  head.insert(head.end(), block.begin(), block.end());
  stream.send_wire();

  wire_.clear();
  h3::append_varint(wire_, h3::stream_type::kPush);
  h3::append_varint(wire_, id);
  append_head(wire_, answer.http3_section(), carrier_.date(), {});
  const bool body =
      promise.method != Method::kHead && !is_bodiless(answer.status()) && answer.body_size() > 0;
  if (body) h3::append_frame_head(wire_, frame::kData, answer.body_size());
  transport_.send_copy(*pushed, wire_);
  for (const Bytes& piece : answer.body()) {
    if (body && !piece.empty()) transport_.send(*pushed, piece);
  }
  transport_.finish(*pushed);
  return true;
}

}  // namespace mirror::http
