#include "http/http3_client.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/http3_fields.h"
#include "http/request_rules.h"

namespace mirror::http {

using h3::FrameReader;
namespace error = h3::error;
namespace frame = h3::frame;

namespace {

constexpr std::uint64_t kControlFrameBytesMax = 1024;
constexpr std::size_t kPromisesMax = 100'000;  // kept to hold the server to them

}  // namespace

Http3Client::Http3Client(quic::Transport& transport, const Limits& limits, Events& events)
    : transport_(transport),
      limits_(limits),
      events_(events),
      webtransport_(*this, transport, limits_, Http3WebTransport::Side::kClient) {}

Http3Client::~Http3Client() = default;

void Http3Client::on_open() {
  control_ = transport_.open_unidirectional();
  if (!control_) return;
  h3::Settings settings;
  settings.max_field_section_size = limits_.header_bytes_max;
  if (limits_.webtransport_sessions_max > 0) {
    settings.datagrams = true;
    settings.webtransport_draft02 = true;
    settings.webtransport_sessions = limits_.webtransport_sessions_max;
  }
  wire_.clear();
  h3::append_varint(wire_, h3::stream_type::kControl);
  h3::append_settings(wire_, settings);
  transport_.send_copy(*control_, wire_);
  if (max_push_id_) send_max_push_id();
}

void Http3Client::on_streams_available() {
  if (!control_ && !closing_) on_open();
  webtransport_.on_streams_available();
}

void Http3Client::on_closed(std::string_view reason) {
  closing_ = true;
  events_.on_closed(reason);
}

void Http3Client::fail(std::uint64_t code, std::string_view why) {
  if (std::exchange(closing_, true)) return;
  transport_.close(code, why);
}

void Http3Client::pump() {
  webtransport_.pump();
  const auto gone = std::exchange(finished_, {});
}

// ---- Requests -------------------------------------------------------------------------------

std::optional<Http3Client::StreamId> Http3Client::open_request(std::span<const QpackField> fields,
                                                               const Headers& headers) {
  if (closing_ || goaway_) return std::nullopt;
  const auto id = transport_.open_bidirectional();
  if (!id) return std::nullopt;
  std::vector<QpackField> all(fields.begin(), fields.end());
  for (const Header& header : headers) all.push_back({header.name, header.value});
  const std::string section = qpack_encode(all);
  wire_.clear();
  h3::append_frame_head(wire_, frame::kHeaders, section.size());
  wire_.insert(wire_.end(), section.begin(), section.end());
  transport_.send_copy(*id, wire_);
  streams_[*id] = std::make_unique<Answer>();
  return id;
}

std::optional<Http3Client::StreamId> Http3Client::request(std::string_view method,
                                                          std::string_view authority,
                                                          std::string_view target,
                                                          const Headers& headers, Bytes body) {
  const QpackField fields[] = {
      {":method", method}, {":scheme", "https"}, {":authority", authority}, {":path", target}};
  const auto id = open_request(fields, headers);
  if (!id) return std::nullopt;
  streams_[*id]->head_request = method == "HEAD";
  if (!body.empty()) {
    wire_.clear();
    h3::append_frame_head(wire_, frame::kData, body.size());
    transport_.send_copy(*id, wire_);
    transport_.send(*id, std::move(body));
  }
  transport_.finish(*id);
  return id;
}

void Http3Client::cancel(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second->state = Answer::State::kOver;
  transport_.reset(id, error::kRequestCancelled);
  transport_.stop_sending(id, error::kRequestCancelled);
}

std::optional<Http3Client::StreamId> Http3Client::connect(
    std::string_view authority, std::string_view target,
    std::unique_ptr<WebTransportSession::Observer> observer, const Headers& headers) {
  // RFC 9220 3: not before the server's SETTINGS allow it.
  if (!settings_seen_ || !peer_settings_.webtransport()) return std::nullopt;
  const QpackField fields[] = {{":method", "CONNECT"}, {":protocol", "webtransport"},
                               {":scheme", "https"},   {":authority", authority},
                               {":path", target},      {"sec-webtransport-http3-draft02", "1"}};
  const auto id = open_request(fields, headers);
  if (!id) return std::nullopt;
  Answer& answer = *streams_[*id];
  answer.connect = true;
  answer.observer = std::move(observer);
  return id;
}

WebTransportSession* Http3Client::session(StreamId connect) {
  return webtransport_.session(connect);
}

void Http3Client::allow_pushes(std::uint64_t max_id) {
  if (max_push_id_ && max_id < *max_push_id_) return;
  max_push_id_ = max_id;
  if (control_) send_max_push_id();
}

void Http3Client::send_max_push_id() {
  wire_.clear();
  h3::append_integer_frame(wire_, frame::kMaxPushId, *max_push_id_);
  transport_.send_copy(*control_, wire_);
}

void Http3Client::cancel_push(std::uint64_t id) {
  if (!control_) return;
  wire_.clear();
  h3::append_integer_frame(wire_, frame::kCancelPush, id);
  transport_.send_copy(*control_, wire_);
}

// ---- Streams --------------------------------------------------------------------------------

void Http3Client::on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) {
  if (closing_) return;
  if (webtransport_.owns(id)) return webtransport_.on_stream_data(id, bytes, fin);
  const auto it = streams_.find(id);
  if (it != streams_.end()) return receive(id, *it->second, bytes, fin);
  if (quic::is_unidirectional(id)) return receive_uni(id, bytes, fin);
  if (quic::is_client_initiated(id)) {  // cancelled, and forgotten
    transport_.consumed(id, bytes.size());
    return;
  }
  // RFC 9114 6.1: a server opens none, but for WebTransport (0x41).
  UniStream& stream = uni_streams_[id];
  const std::size_t size = bytes.size();
  const auto type = stream.integer.read(bytes);
  transport_.consumed(id, size - bytes.size());
  if (!type) return;
  uni_streams_.erase(id);
  if (*type != frame::kWebTransportStream || limits_.webtransport_sessions_max == 0) {
    return fail(error::kStreamCreation, "a request stream by the server");
  }
  webtransport_.begin_stream(id);
  if (!bytes.empty() || fin) webtransport_.on_stream_data(id, bytes, fin);
}

void Http3Client::on_stream_reset(StreamId id, std::uint64_t code) {
  if (closing_) return;
  if (webtransport_.owns(id)) return webtransport_.on_stream_reset(id, code);
  const auto it = streams_.find(id);
  if (it != streams_.end()) {
    webtransport_.on_connect_end(id);
    if (it->second->state == Answer::State::kOver) return;
    it->second->state = Answer::State::kOver;
    return events_.on_failed(id, code);
  }
  if (peer_control_ == id || peer_encoder_ == id || peer_decoder_ == id) {
    return fail(error::kClosedCriticalStream, "a critical stream was reset");
  }
  uni_streams_.erase(id);
}

void Http3Client::on_stop_sending(StreamId id, std::uint64_t code) {
  if (closing_) return;
  if (webtransport_.owns(id)) return webtransport_.on_stop_sending(id, code);
  if (control_ == id) fail(error::kClosedCriticalStream, "the control stream is not wanted");
  // On a request: the server has its answer without the rest (RFC 9114 4.1).
}

void Http3Client::on_writable(StreamId id) {
  if (webtransport_.owns(id)) webtransport_.on_writable(id);
}

void Http3Client::on_stream_closed(StreamId id) {
  if (webtransport_.owns(id)) return webtransport_.on_stream_closed(id);
  uni_streams_.erase(id);
  auto node = streams_.extract(id);
  if (node.empty()) return;
  webtransport_.on_connect_end(id);
  finished_.push_back(std::move(node.mapped()));
}

void Http3Client::on_datagram(std::span<const std::uint8_t> bytes) {
  if (closing_) return;
  const auto quarter = h3::take_varint(bytes);
  if (!quarter || *quarter > h3::kVarintMax / 4) {
    return fail(error::kDatagram, "a datagram without a stream");
  }
  webtransport_.on_datagram(static_cast<StreamId>(*quarter * 4), bytes);
}

bool Http3Client::may_become_session(StreamId id) const {
  const auto it = streams_.find(id);
  return it != streams_.end() && it->second->connect && it->second->state == Answer::State::kHead;
}

void Http3Client::session_over(StreamId id) {
  const auto it = streams_.find(id);
  if (it != streams_.end()) it->second->state = Answer::State::kOver;
}

void Http3Client::stream_fails(StreamId id, Answer& answer, std::uint64_t code) {
  answer.state = Answer::State::kOver;
  const bool sends = !quic::is_unidirectional(id);
  if (sends) transport_.reset(id, code);
  transport_.stop_sending(id, code);
  events_.on_failed(id, code);
}

// ---- Answers --------------------------------------------------------------------------------

void Http3Client::receive(StreamId id, Answer& answer, std::span<const std::uint8_t> bytes,
                          bool fin) {
  const std::size_t size = bytes.size();
  for (bool more = true; more && !closing_ && answer.state != Answer::State::kOver;) {
    switch (answer.frames.next(bytes)) {
      case FrameReader::Event::kNeedMore:
        more = false;
        break;
      case FrameReader::Event::kType:
        more = frame_begins(answer);
        break;
      case FrameReader::Event::kHead:
        answer.section.clear();
        more = frame_head(answer);
        break;
      case FrameReader::Event::kPayload:
        take_payload(id, answer, answer.frames.payload());
        break;
      case FrameReader::Event::kEnd:
        break;
    }
  }
  transport_.consumed(id, size);
  if (!fin || closing_ || answer.state == Answer::State::kOver) return;
  if (!answer.frames.at_boundary()) return fail(error::kFrame, "an answer ends within a frame");
  answer_ends(id, answer);
}

bool Http3Client::frame_begins(const Answer& answer) {
  const std::uint64_t type = answer.frames.type();
  using State = Answer::State;
  const auto unexpected = [this](std::string_view why) {
    fail(error::kFrameUnexpected, why);
    return false;
  };
  if (type == frame::kWebTransportStream) {
    fail(error::kFrame, "a WebTransport stream within a stream");
    return false;
  }
  if (!frame::is_known(type)) return true;
  switch (type) {
    case frame::kData:
      if (answer.state == State::kHead) return unexpected("DATA before HEADERS");
      if (answer.state == State::kTrailers) return unexpected("DATA behind the trailers");
      return true;
    case frame::kHeaders:
      if (answer.state == State::kTrailers) return unexpected("HEADERS behind the trailers");
      if (answer.state == State::kTunnel) return unexpected("HEADERS behind a CONNECT");
      return true;
    case frame::kPushPromise:
      if (answer.push || answer.connect) return unexpected("PUSH_PROMISE on no request");
      return true;
    default:
      return unexpected("a frame that is no part of an answer");
  }
}

bool Http3Client::frame_head(const Answer& answer) {
  const std::uint64_t type = answer.frames.type();
  const bool kept = type == frame::kHeaders || type == frame::kPushPromise;
  if (kept && answer.frames.length() == 0) {
    fail(type == frame::kHeaders ? error::kQpackDecompressionFailed : error::kFrame,
         "an empty field section");
    return false;
  }
  if (!kept || answer.frames.length() <= limits_.header_bytes_max + 8) return true;
  fail(error::kExcessiveLoad, "a field section is too long");
  return false;
}

void Http3Client::take_payload(StreamId id, Answer& answer, std::span<const std::uint8_t> piece) {
  const std::uint64_t type = answer.frames.type();
  if (type == frame::kData) {
    if (answer.state == Answer::State::kTunnel) return webtransport_.on_connect_data(id, piece);
    answer.received += piece.size();
    const bool over = answer.head_request || (answer.length && answer.received > *answer.length);
    if (over) return stream_fails(id, answer, error::kMessage);
    return events_.on_body(id, piece);
  }
  if (type != frame::kHeaders && type != frame::kPushPromise) return;
  answer.section.insert(answer.section.end(), piece.begin(), piece.end());
  if (answer.section.size() < answer.frames.length()) return;
  const h3::Wire whole = std::exchange(answer.section, {});
  if (type == frame::kPushPromise) return take_promise(id, whole);
  take_section(id, answer, whole);
}

// RFC 9114 4.3.2: a status, or trailers.
void Http3Client::take_section(StreamId id, Answer& answer, std::span<const std::uint8_t> section) {
  const bool head = answer.state == Answer::State::kHead;
  h3::SectionRules rules(head ? h3::Section::kResponse : h3::Section::kTrailers);
  Headers headers;
  int status = 0;
  std::size_t size = 0;
  bool good = true;
  const bool decoded = qpack_.decode(section, [&](std::string_view name, std::string_view value) {
    auto pseudo = h3::SectionRules::Pseudo::kNone;
    size += name.size() + value.size() + h3::kFieldOverhead;
    good = size <= limits_.header_bytes_max && rules.check(name, value, pseudo);
    if (!good) return false;
    if (pseudo == h3::SectionRules::Pseudo::kStatus) {
      const auto [end, parsed] = std::from_chars(value.data(), value.data() + value.size(), status);
      good = value.size() == 3 && parsed == std::errc() && end == value.data() + 3 && status >= 100;
    } else {
      headers.push_back({std::string(name), std::string(value)});
    }
    return good;
  });
  if (!decoded) return fail(error::kQpackDecompressionFailed, "a field section cannot be decoded");
  if (!good || (head && status == 0)) return stream_fails(id, answer, error::kMessage);
  if (!head) {
    answer.state = Answer::State::kTrailers;
    return;
  }
  if (status < 200) return;  // an interim answer; the head is still to come
  answer.state = Answer::State::kBody;
  answer.length = rules.content_length();
  // RFC 9110 8.6: the length of a body that is not sent.
  if (is_bodiless(status)) answer.length = 0;
  if (answer.connect && status < 300) {
    auto* session = webtransport_.ask(id, true, nullptr);
    if (session == nullptr) return stream_fails(id, answer, error::kRequestCancelled);
    answer.state = Answer::State::kTunnel;
    session->accept(std::move(answer.observer));
  }
  events_.on_head(id, status, headers);
}

void Http3Client::answer_ends(StreamId id, Answer& answer) {
  const auto state = std::exchange(answer.state, Answer::State::kOver);
  if (state == Answer::State::kTunnel) return webtransport_.on_connect_end(id);
  const bool whole = state != Answer::State::kHead &&
                     (answer.head_request || !answer.length || answer.received == *answer.length);
  if (!whole) {
    answer.state = Answer::State::kOver;
    return events_.on_failed(id, error::kMessage);
  }
  events_.on_end(id);
}

// ---- Pushes ---------------------------------------------------------------------------------

void Http3Client::take_promise(StreamId id, std::span<const std::uint8_t> payload) {
  const auto push = h3::take_varint(payload);
  if (!push) return fail(error::kFrame, "a promise without an id");
  if (!max_push_id_ || *push > *max_push_id_) {  // 7.2.5
    return fail(error::kId, "a promise above MAX_PUSH_ID");
  }
  std::string section(payload.begin(), payload.end());
  if (const auto it = promises_.find(*push); it != promises_.end()) {
    if (it->second != section) {
      return fail(error::kGeneralProtocol, "one id is promised for two requests");
    }
  } else if (promises_.size() < kPromisesMax) {
    promises_[*push] = std::move(section);
  }
  h3::SectionRules rules(h3::Section::kRequest);
  Request request;
  request.version = Version::kHttp3;
  bool good = true;
  const bool decoded = qpack_.decode(payload, [&](std::string_view name, std::string_view value) {
    using Pseudo = h3::SectionRules::Pseudo;
    auto pseudo = Pseudo::kNone;
    good = rules.check(name, value, pseudo);
    if (pseudo == Pseudo::kMethod) {
      const auto method = parse_method(value);
      // 4.6: safe, cacheable, without content.
      good = good && (method == Method::kGet || method == Method::kHead);
      if (good) request.method = *method;
    } else if (pseudo == Pseudo::kAuthority) {
      request.authority = value;
    } else if (pseudo == Pseudo::kPath) {
      request.path = value;
    } else if (pseudo == Pseudo::kNone) {
      request.headers.push_back({std::string(name), std::string(value)});
    }
    return good;
  });
  if (!decoded) return fail(error::kQpackDecompressionFailed, "a promise cannot be decoded");
  if (!good || request.authority.empty() || request.path.empty()) {
    cancel_push(*push);
    return;
  }
  events_.on_promise(id, *push, request);
}

void Http3Client::begin_push(StreamId id, std::uint64_t push) {
  if (!max_push_id_ || push > *max_push_id_) {
    return fail(error::kId, "a push above MAX_PUSH_ID");
  }
  if (!pushed_.insert(push).second) return fail(error::kId, "one id is pushed twice");
  auto& answer = streams_[id];
  answer = std::make_unique<Answer>();
  answer->push = true;
  events_.on_push(push, id);
}

// ---- Unidirectional streams -----------------------------------------------------------------

void Http3Client::receive_uni(StreamId id, std::span<const std::uint8_t> bytes, bool fin) {
  UniStream& stream = uni_streams_[id];
  const std::size_t size = bytes.size();
  using Kind = UniStream::Kind;
  if (stream.kind == Kind::kUntyped) {
    const auto type = stream.integer.read(bytes);
    if (!type) {
      transport_.consumed(id, size);
      return;
    }
    if (*type == h3::stream_type::kWebTransport && limits_.webtransport_sessions_max > 0) {
      transport_.consumed(id, size - bytes.size());
      uni_streams_.erase(id);
      webtransport_.begin_stream(id);
      if (!bytes.empty() || fin) webtransport_.on_stream_data(id, bytes, fin);
      return;
    }
    if (!begin_uni(id, stream, *type)) return;
  }
  if (stream.kind == Kind::kPushId) {
    const auto push = stream.integer.read(bytes);
    transport_.consumed(id, size - bytes.size());
    if (!push) {
      if (fin) fail(error::kFrame, "a push stream without an id");
      return;
    }
    uni_streams_.erase(id);
    begin_push(id, *push);
    const auto it = streams_.find(id);
    if (it != streams_.end() && (!bytes.empty() || fin)) receive(id, *it->second, bytes, fin);
    return;
  }
  if (stream.kind == Kind::kControl) receive_control(stream, bytes);
  if (stream.kind == Kind::kEncoder && !stream.qpack.read(bytes)) {
    fail(error::kQpackEncoderStream, "an entry for a table without room");
  }
  if (stream.kind == Kind::kDecoder && !stream.qpack.read(bytes)) {
    fail(error::kQpackDecoderStream, "an acknowledgement of what was never sent");
  }
  transport_.consumed(id, size);
  const bool critical = peer_control_ == id || peer_encoder_ == id || peer_decoder_ == id;
  if (fin && critical) fail(error::kClosedCriticalStream, "a critical stream was closed");
}

bool Http3Client::begin_uni(StreamId id, UniStream& stream, std::uint64_t type) {
  std::optional<StreamId>* place = nullptr;
  switch (type) {
    case h3::stream_type::kControl:
      stream.kind = UniStream::Kind::kControl;
      place = &peer_control_;
      break;
    case h3::stream_type::kQpackEncoder:
      stream.kind = UniStream::Kind::kEncoder;
      place = &peer_encoder_;
      break;
    case h3::stream_type::kQpackDecoder:
      stream.kind = UniStream::Kind::kDecoder;
      stream.qpack = h3::QpackStreamReader(h3::QpackStreamReader::Kind::kDecoder);
      place = &peer_decoder_;
      break;
    case h3::stream_type::kPush:
      stream.kind = UniStream::Kind::kPushId;
      return true;
    default:
      stream.kind = UniStream::Kind::kIgnored;
      transport_.stop_sending(id, error::kStreamCreation);
      return true;
  }
  if (place->has_value()) {
    fail(error::kStreamCreation, "a second stream of which there is one");
    return false;
  }
  *place = id;
  return true;
}

void Http3Client::receive_control(UniStream& stream, std::span<const std::uint8_t> bytes) {
  while (!closing_) {
    FrameReader& reader = stream.frames;
    const std::uint64_t type = reader.type();
    switch (reader.next(bytes)) {
      case FrameReader::Event::kNeedMore:
        return;
      case FrameReader::Event::kType:
        if (!settings_seen_ && reader.type() != frame::kSettings) {
          return fail(error::kMissingSettings, "the control stream does not begin with SETTINGS");
        }
        break;
      case FrameReader::Event::kHead: {
        stream.payload.clear();
        if (!frame::is_known(type)) break;
        const bool fits = type == frame::kCancelPush || type == frame::kGoaway ||
                          (type == frame::kSettings && !settings_seen_);
        if (!fits) return fail(error::kFrameUnexpected, "a frame that is not for a control stream");
        if (reader.length() > kControlFrameBytesMax) {
          return fail(error::kExcessiveLoad, "a control frame is too long");
        }
        settings_seen_ = true;
        break;
      }
      case FrameReader::Event::kPayload:
        if (frame::is_known(type)) {
          stream.payload.insert(stream.payload.end(), reader.payload().begin(),
                                reader.payload().end());
        }
        break;
      case FrameReader::Event::kEnd:
        if (frame::is_known(type)) control_frame(type, stream.payload);
        break;
    }
  }
}

void Http3Client::control_frame(std::uint64_t type, std::span<const std::uint8_t> payload) {
  if (type == frame::kSettings) {
    const auto result = h3::parse_settings(payload);
    if (result.error != 0) return fail(result.error, "bad SETTINGS");
    peer_settings_ = result.settings;
    return;
  }
  const auto value = h3::only_varint(payload);
  if (!value) return fail(error::kFrame, "a frame that is not one integer");
  if (type == frame::kCancelPush) {
    if (!max_push_id_ || *value > *max_push_id_) {
      return fail(error::kId, "CANCEL_PUSH above MAX_PUSH_ID");
    }
    return events_.on_push_cancelled(*value);
  }
  // GOAWAY (5.2): a server names the first request that it will not take.
  const auto id = static_cast<StreamId>(*value);
  if (quic::is_unidirectional(id) || !quic::is_client_initiated(id) || (goaway_ && id > *goaway_)) {
    return fail(error::kId, "a GOAWAY of no request, or that takes back another");
  }
  goaway_ = id;
  events_.on_goaway(id);
}

}  // namespace mirror::http
