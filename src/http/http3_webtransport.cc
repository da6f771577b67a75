#include "http/http3_webtransport.h"

#include <algorithm>
#include <utility>

namespace mirror::http {

using h3::CapsuleReader;
using h3::Wire;

class Http3WebTransport::Session final : public WebTransportSession {
 public:
  enum class State { kAsked, kOpen, kOver };

  Session(Http3WebTransport& owner, StreamId id, bool draft02,
          std::function<void(std::span<const Header>)> on_accept)
      : owner_(owner), id_(id), draft02_(draft02), on_accept_(std::move(on_accept)) {}

  void accept(std::unique_ptr<Observer> observer, std::span<const Header> extra) override {
    if (state_ != State::kAsked) return;
    state_ = State::kOpen;
    observer_ = std::move(observer);
    if (on_accept_) on_accept_(extra);
    // Not from within accept(): the observer hears of what waited at the end of the turn.
    owner_.newly_open_ = true;
    owner_.host_.schedule();
  }

  std::optional<StreamId> open_unidirectional() override {
    if (state_ != State::kOpen) return std::nullopt;
    const auto stream = owner_.open(id_, h3::stream_type::kWebTransport);
    waits_ = waits_ || !stream;
    return stream;
  }
  std::optional<StreamId> open_bidirectional() override {
    if (state_ != State::kOpen) return std::nullopt;
    const auto stream = owner_.open(id_, h3::frame::kWebTransportStream);
    waits_ = waits_ || !stream;
    return stream;
  }
  bool send(StreamId stream, Bytes bytes) override {
    if (!owns(stream)) return false;
    // The writer keeps to Exchange::kQueuedBytesHigh; one that does not loses the stream.
    if (owner_.over_limit(bytes.size())) {
      owner_.host_.dropped_stream();
      owner_.transport_.reset(stream, h3::error::kInternal);
      return false;
    }
    if (!bytes.empty()) owner_.transport_.send(stream, std::move(bytes));
    return true;
  }
  void finish(StreamId stream) override {
    if (owns(stream)) owner_.transport_.finish(stream);
  }
  void reset(StreamId stream, std::uint32_t code) override {
    if (owns(stream)) owner_.transport_.reset(stream, error_of(code));
  }
  void stop_sending(StreamId stream, std::uint32_t code) override {
    if (owns(stream)) owner_.transport_.stop_sending(stream, error_of(code));
  }
  void set_priority(StreamId stream, quic::Priority priority) override {
    if (owns(stream)) owner_.transport_.set_priority(stream, priority);
  }
  std::size_t queued_bytes(StreamId stream) const override {
    return owns(stream) ? owner_.transport_.queued_bytes(stream) : 0;
  }
  void tell_below(StreamId stream, std::size_t bytes) override {
    if (owns(stream)) owner_.transport_.tell_below(stream, bytes);
  }
  bool send_datagram(std::span<const std::uint8_t> bytes) override {
    if (state_ != State::kOpen || bytes.size() > datagram_bytes_max()) return false;
    Wire wire;
    h3::append_varint(wire, static_cast<std::uint64_t>(id_) / 4);
    wire.insert(wire.end(), bytes.begin(), bytes.end());
    return owner_.transport_.send_datagram(wire);
  }
  std::size_t datagram_bytes_max() const override {
    const std::size_t head = h3::varint_size(static_cast<std::uint64_t>(id_) / 4);
    const std::size_t whole = owner_.transport_.datagram_bytes_max();
    return whole > head ? whole - head : 0;
  }
  void close(std::uint32_t code, std::string_view reason) override {
    if (state_ != State::kOpen) return;
    Wire capsule;
    h3::append_close_capsule(capsule, code, reason);
    Wire wire;
    h3::append_frame_head(wire, h3::frame::kData, capsule.size());
    wire.insert(wire.end(), capsule.begin(), capsule.end());
    owner_.transport_.send_copy(id_, wire);
    owner_.transport_.finish(id_);
    owner_.end_session(id_, 0, {}, false);
  }

  bool open() const { return state_ == State::kOpen; }

 private:
  friend class Http3WebTransport;

  bool owns(StreamId stream) const {
    if (state_ != State::kOpen) return false;
    const auto it = owner_.streams_.find(stream);
    return it != owner_.streams_.end() && it->second.state == Stream::State::kOpen &&
           it->second.session == id_;
  }
  std::uint64_t error_of(std::uint32_t code) const {
    return h3::webtransport_error(draft02_ ? std::min<std::uint32_t>(code, 0xff) : code);
  }

  Http3WebTransport& owner_;
  const StreamId id_;
  const bool draft02_;
  State state_ = State::kAsked;
  bool waits_ = false;  // for on_streams_available()
  std::function<void(std::span<const Header>)> on_accept_;
  std::unique_ptr<Observer> observer_;
  CapsuleReader capsules_;
};

Http3WebTransport::Http3WebTransport(Host& host, quic::Transport& transport, const Limits& limits,
                                     Side side)
    : host_(host), transport_(transport), limits_(limits), side_(side) {}

// Observers may look at their session while they go.
Http3WebTransport::~Http3WebTransport() {
  const auto sessions = std::exchange(sessions_, {});
  for (const auto& [id, session] : sessions) {
    const bool was_open = session->open();
    session->state_ = Session::State::kOver;
    if (was_open) session->observer_->on_closed(0, {});
  }
}

WebTransportSession* Http3WebTransport::ask(
    StreamId connect, bool draft02, std::function<void(std::span<const Header>)> on_accept) {
  if (sessions_.size() >= limits_.webtransport_sessions_max) return nullptr;
  auto& place = sessions_[connect];
  place = std::make_unique<Session>(*this, connect, draft02, std::move(on_accept));
  return place.get();
}

void Http3WebTransport::refuse(StreamId connect) {
  const auto it = sessions_.find(connect);
  if (it == sessions_.end() || it->second->state_ != Session::State::kAsked) return;
  end_session(connect, 0, {}, false);
}

WebTransportSession* Http3WebTransport::session(StreamId connect) {
  const auto it = sessions_.find(connect);
  return it == sessions_.end() ? nullptr : it->second.get();
}

Http3WebTransport::Session* Http3WebTransport::find_open(StreamId connect) {
  const auto it = sessions_.find(connect);
  return it == sessions_.end() || !it->second->open() ? nullptr : it->second.get();
}

void Http3WebTransport::pump() {
  if (std::exchange(newly_open_, false)) {
    std::vector<StreamId> waiting;
    for (const auto& [id, stream] : streams_) {
      if (stream.state == Stream::State::kHeld && find_open(stream.session) != nullptr) {
        waiting.push_back(id);
      }
    }
    std::sort(waiting.begin(), waiting.end());
    for (const StreamId id : waiting) {
      const auto it = streams_.find(id);
      if (it != streams_.end() && it->second.state == Stream::State::kHeld) let_go(id, it->second);
    }
  }
  std::erase_if(streams_, [](const auto& entry) {
    return entry.second.closed && entry.second.state != Stream::State::kHeld;
  });
  const auto gone = std::exchange(finished_, {});
}

void Http3WebTransport::on_connect_data(StreamId connect, std::span<const std::uint8_t> bytes) {
  while (Session* session = find_open(connect)) {
    switch (session->capsules_.next(bytes)) {
      case CapsuleReader::Event::kNeedMore:
        return;
      case CapsuleReader::Event::kDatagram:
        session->observer_->on_datagram(session->capsules_.payload());
        break;
      case CapsuleReader::Event::kClose: {
        const std::string reason(session->capsules_.reason());
        // Draft 5: answered by a FIN. What follows the capsule would be an error of a stream that
        // is over for us.
        transport_.finish(connect);
        if (!bytes.empty()) transport_.stop_sending(connect, h3::error::kMessage);
        end_session(connect, session->capsules_.code(), reason, true);
        return;
      }
      case CapsuleReader::Event::kMalformed:
        transport_.reset(connect, h3::error::kMessage);
        transport_.stop_sending(connect, h3::error::kMessage);
        end_session(connect, 0, "a malformed capsule", true);
        return;
      case CapsuleReader::Event::kFlood:
        transport_.reset(connect, h3::error::kExcessiveLoad);
        transport_.stop_sending(connect, h3::error::kExcessiveLoad);
        end_session(connect, 0, "too many unknown capsules", true);
        return;
    }
  }
}

void Http3WebTransport::on_connect_end(StreamId connect) {
  if (!sessions_.contains(connect)) return;
  transport_.finish(connect);
  end_session(connect, 0, {}, true);
}

// Draft 5: with a session all its streams go.
void Http3WebTransport::end_session(StreamId connect, std::uint32_t code, std::string_view reason,
                                    bool tell) {
  const auto node = sessions_.extract(connect);
  if (node.empty()) return;
  Session& session = *node.mapped();
  const bool was_open = session.state_ == Session::State::kOpen;
  session.state_ = Session::State::kOver;
  finished_.push_back(std::move(node.mapped()));
  host_.schedule();
  for (auto& [id, stream] : streams_) {
    if (stream.session != connect) continue;
    if (stream.state == Stream::State::kOpen) {
      reject(id, stream, h3::error::kWebTransportSessionGone);
    } else if (stream.state == Stream::State::kHeld) {
      reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
    }
  }
  host_.session_over(connect);
  if (tell && was_open) session.observer_->on_closed(code, reason);
}

void Http3WebTransport::begin_stream(StreamId stream) { streams_[stream].since = transport_.now(); }

void Http3WebTransport::on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  Stream& stream = it->second;
  if (stream.state == Stream::State::kSessionId) {
    const std::size_t before = bytes.size();
    const auto session = stream.id_reader.read(bytes);
    transport_.consumed(id, before - bytes.size());
    if (!session) {
      if (fin) reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
      return;
    }
    resolve(id, stream, static_cast<StreamId>(*session));
  }
  switch (stream.state) {
    case Stream::State::kHeld:
      return hold(id, stream, bytes, fin);
    case Stream::State::kOpen:
      return deliver(id, stream, bytes, fin);
    case Stream::State::kSessionId:
    case Stream::State::kDead:
      transport_.consumed(id, bytes.size());
      return;
  }
}

void Http3WebTransport::resolve(StreamId id, Stream& stream, StreamId connect) {
  stream.session = connect;
  // Draft 2: a session's id is that of a bidirectional stream that the client opened.
  if (quic::is_unidirectional(connect) || !quic::is_client_initiated(connect)) {
    stream.state = Stream::State::kDead;
    host_.connection_error(h3::error::kId, "a WebTransport stream of no possible session");
  } else if (find_open(connect) != nullptr) {
    stream.state = Stream::State::kOpen;
  } else if (!host_.may_become_session(connect) ||
             held_streams_ >= limits_.webtransport_held_streams_max) {
    reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
  } else {
    stream.state = Stream::State::kHeld;
    ++held_streams_;
  }
}

// Not consumed: the peer's credit shrinks by what we keep.
void Http3WebTransport::hold(StreamId id, Stream& stream, std::span<const std::uint8_t> bytes,
                             bool fin) {
  if (find_open(stream.session) != nullptr) {  // accepted within this turn
    let_go(id, stream);
    return deliver(id, stream, bytes, fin);
  }
  if (bytes.size() > limits_.webtransport_held_bytes_max - held_bytes_) {
    transport_.consumed(id, bytes.size());
    return reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
  }
  held_bytes_ += bytes.size();
  stream.held.insert(stream.held.end(), bytes.begin(), bytes.end());
  stream.held_fin = fin;
}

// Hands what was held to the session that is there now.
void Http3WebTransport::let_go(StreamId id, Stream& stream) {
  const Wire held = std::exchange(stream.held, {});
  held_bytes_ -= held.size();
  --held_streams_;
  stream.state = Stream::State::kOpen;
  if (!held.empty() || stream.held_fin) deliver(id, stream, held, stream.held_fin);
  if (!stream.closed) return;
  if (Session* session = find_open(stream.session)) session->observer_->on_stream_closed(id);
}

void Http3WebTransport::deliver(StreamId id, Stream& stream, std::span<const std::uint8_t> bytes,
                                bool fin) {
  // What is called may end the session, but no stream leaves the map within it.
  if (Session* session = find_open(stream.session)) {
    session->observer_->on_stream_data(id, bytes, fin);
  }
  transport_.consumed(id, bytes.size());
}

void Http3WebTransport::reject(StreamId id, Stream& stream, std::uint64_t code) {
  if (stream.state == Stream::State::kHeld) {
    held_bytes_ -= stream.held.size();
    --held_streams_;
    transport_.consumed(id, stream.held.size());
    stream.held = {};
  }
  if (code == h3::error::kWebTransportBufferedStreamRejected) host_.dropped_stream();
  stream.state = Stream::State::kDead;
  const bool ours = quic::is_client_initiated(id) == (side_ == Side::kClient);
  const bool sends = !quic::is_unidirectional(id) || ours;
  const bool receives = !quic::is_unidirectional(id) || !ours;
  if (sends) transport_.reset(id, code);
  if (receives) transport_.stop_sending(id, code);
}

void Http3WebTransport::on_stream_reset(StreamId id, std::uint64_t error) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  Stream& stream = it->second;
  if (stream.state == Stream::State::kHeld || stream.state == Stream::State::kSessionId) {
    return reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
  }
  if (Session* session =
          stream.state == Stream::State::kOpen ? find_open(stream.session) : nullptr) {
    session->observer_->on_stream_reset(id, h3::webtransport_code(error).value_or(0));
  }
}

void Http3WebTransport::on_stop_sending(StreamId id, std::uint64_t error) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.state != Stream::State::kOpen) return;
  if (Session* session = find_open(it->second.session)) {
    session->observer_->on_stop_sending(id, h3::webtransport_code(error).value_or(0));
  }
}

void Http3WebTransport::on_writable(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.state != Stream::State::kOpen) return;
  if (Session* session = find_open(it->second.session)) session->observer_->on_writable(id);
}

void Http3WebTransport::on_stream_closed(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  if (it->second.state == Stream::State::kHeld) {
    it->second.closed = true;  // all of it has come, and may still find its session
    return;
  }
  const auto node = streams_.extract(it);
  if (node.mapped().state != Stream::State::kOpen) return;
  if (Session* session = find_open(node.mapped().session)) {
    session->observer_->on_stream_closed(id);
  }
}

void Http3WebTransport::on_streams_available() {
  std::vector<StreamId> waiting;
  for (const auto& [id, session] : sessions_) {
    if (std::exchange(session->waits_, false)) waiting.push_back(id);
  }
  for (const StreamId id : waiting) {
    if (Session* session = find_open(id)) session->observer_->on_streams_available();
  }
}

void Http3WebTransport::on_datagram(StreamId connect, std::span<const std::uint8_t> bytes) {
  if (Session* session = find_open(connect)) {
    session->observer_->on_datagram(bytes);
  } else {
    host_.dropped_datagram();
  }
}

std::optional<Http3WebTransport::StreamId> Http3WebTransport::open(StreamId connect,
                                                                   std::uint64_t type) {
  const bool uni = type == h3::stream_type::kWebTransport;
  const auto id = uni ? transport_.open_unidirectional() : transport_.open_bidirectional();
  if (!id) return std::nullopt;
  Stream& stream = streams_[*id];
  stream.state = Stream::State::kOpen;
  stream.session = connect;
  Wire head;
  h3::append_varint(head, type);
  h3::append_varint(head, static_cast<std::uint64_t>(connect));
  transport_.send_copy(*id, head);
  return id;
}

// Bodies that are whole are shared and counted nowhere; what sessions queue is held to the limit.
bool Http3WebTransport::over_limit(std::size_t more) const {
  const std::size_t limit = limits_.queued_bytes_per_connection_max;
  if (transport_.queued_bytes() + more <= limit) return false;
  std::size_t sum = more;
  for (const auto& [id, stream] : streams_) sum += transport_.queued_bytes(id);
  return sum > limit;
}

void Http3WebTransport::end_waiting(SteadyTime late) {
  for (auto& [id, stream] : streams_) {
    const bool waits =
        stream.state == Stream::State::kHeld || stream.state == Stream::State::kSessionId;
    if (waits && stream.since < late) {
      reject(id, stream, h3::error::kWebTransportBufferedStreamRejected);
      if (stream.closed) host_.schedule();  // pump() takes it away: the transport has forgotten it
    }
  }
}

}  // namespace mirror::http
