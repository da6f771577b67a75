#include "api/push_webtransport.h"

#include <algorithm>
#include <utility>

#include "push/feed.h"

namespace mirror::api {

namespace {

// Told with the reset of a part's stream: newer parts come instead.
constexpr std::uint32_t kOvertaken = 1;
// A second control stream, one that the viewer does not read, or a line without an end.
constexpr std::uint32_t kMisuse = 2;

// The stream of all frames but PART went.
constexpr std::uint32_t kLost = 3;

// TRACK and INIT go before the parts that need them, and both by their age.
constexpr quic::Priority kFramesPriority{.urgency = 2, .incremental = false};

}  // namespace

WebTransportCarrier::~WebTransportCarrier() {
  const auto hub = hub_.lock();
  if (hub && session_ != nullptr) hub->close(*session_);
}

// ---- The viewer's control stream ------------------------------------------------------------

void WebTransportCarrier::on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes,
                                         bool fin) {
  const bool usable = !quic::is_unidirectional(stream);
  if (usable && !control_stream_) control_stream_ = stream;
  if (!usable || stream != control_stream_) {
    transport_.stop_sending(stream, kMisuse);
    if (usable) transport_.reset(stream, kMisuse);
    return;
  }
  if (control_refused_) return;
  control_text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t end = fin ? control_text_.size() : control_text_.rfind('\n') + 1;
  if (end > 0 && end <= kControlBytesMax && session_ != nullptr) {
    transport_.send(stream, Bytes::take(control_(*session_, control_text_.substr(0, end))));
  }
  control_text_.erase(0, end);
  const bool unread = transport_.queued_bytes(stream) > kControlBytesMax;
  if (end > kControlBytesMax || control_text_.size() > kControlBytesMax || unread) {
    return refuse_control(stream);
  }
  if (fin) transport_.finish(stream);
}

void WebTransportCarrier::refuse_control(StreamId stream) {
  control_refused_ = true;
  control_text_ = {};
  transport_.stop_sending(stream, kMisuse);
  transport_.reset(stream, kMisuse);
}

void WebTransportCarrier::on_stream_reset(StreamId stream, std::uint32_t /*code*/) {
  if (stream == control_stream_) transport_.finish(stream);
}

// ---- Frames ---------------------------------------------------------------------------------

void WebTransportCarrier::send(const push::Outgoing& frame) {
  if (waiting_.empty() && try_send(frame)) return;
  waiting_bytes_ += frame.size();
  waiting_.push_back(frame);
}

std::optional<WebTransportCarrier::StreamId> WebTransportCarrier::open_stream() {
  const auto stream = transport_.open_unidirectional();
  if (stream) ++open_streams_;
  return stream;
}

bool WebTransportCarrier::try_send(const push::Outgoing& frame) {
  if (frame.media) return send_part(frame);
  if (!frames_) {
    frames_ = open_stream();
    if (!frames_) return false;
    transport_.set_priority(*frames_, kFramesPriority);
  }
  write(*frames_, frame);
  return true;
}

bool WebTransportCarrier::send_part(const push::Outgoing& frame) {
  const push::MediaFrame& media = *frame.media;
  const push::TrackNumber track = media.track->number;
  // What follows a lost part cannot be decoded, and is told with it.
  if (const auto lost = std::ranges::find(lost_, track, &push::LostParts::track);
      lost != lost_.end()) {
    lost->add(media.at);
    return true;
  }
  const auto same = [&](const PartStream& part) {
    return part.track == track && part.at == media.at;
  };
  auto part = std::ranges::find_if(parts_, same);
  if (part == parts_.end()) {
    const auto stream = open_stream();
    if (!stream) return false;
    // A part that was cut short ends here (its viewer paused, say).
    for (PartStream& older : parts_) {
      if (older.track != track || older.finished) continue;
      transport_.finish(older.id);
      older.finished = true;
    }
    forget_sent();
    parts_.push_back({.id = *stream, .track = track, .at = media.at});
    part = std::prev(parts_.end());
  }
  if (part->refused) {
    part->finished = media.last;
    return true;
  }
  if (!write(part->id, frame)) {
    parts_.erase(part);
    lost_.push_back({track, media.at, media.at, 1});
    return true;
  }
  if (media.last) {
    transport_.finish(part->id);
    part->finished = true;
  }
  return true;
}

bool WebTransportCarrier::write(StreamId stream, const push::Outgoing& frame) {
  for (const Bytes& piece : frame.pieces) {
    if (!piece.empty() && !transport_.send(stream, piece)) return false;
  }
  return true;
}

// What is with the transport as a whole is its own affair.
void WebTransportCarrier::forget_sent() {
  std::erase_if(parts_, [this](const PartStream& part) {
    return part.finished && transport_.queued_bytes(part.id) == 0;
  });
}

std::size_t WebTransportCarrier::pending_bytes() const {
  std::size_t bytes = waiting_bytes_ + (frames_ ? transport_.queued_bytes(*frames_) : 0);
  for (const PartStream& part : parts_) bytes += transport_.queued_bytes(part.id);
  return bytes;
}

void WebTransportCarrier::tell_below(std::size_t bytes) {
  tell_below_ = bytes;
  if (frames_) {
    const std::size_t queued = transport_.queued_bytes(*frames_);
    // What was abandoned meanwhile moves no more: the room is there, and is told in this turn.
    if (pending_bytes() < bytes) return transport_.tell_below(*frames_, queued + 1);
    if (queued > 0) transport_.tell_below(*frames_, queued);
  }
  // Of each stream on its own: whichever moves is looked at again.
  for (const PartStream& part : parts_) {
    const std::size_t queued = transport_.queued_bytes(part.id);
    if (queued > 0) transport_.tell_below(part.id, std::max<std::size_t>(1, queued / 2));
  }
}

void WebTransportCarrier::tell_if_below() {
  if (tell_below_ == 0 && lost_.empty()) return;
  forget_sent();
  const auto hub = hub_.lock();
  if (!hub || session_ == nullptr) return;
  if (lost_.empty() && pending_bytes() >= tell_below_) return tell_below(tell_below_);
  tell_below_ = 0;
  hub->on_room(*session_, now_());
}

void WebTransportCarrier::on_writable(StreamId /*stream*/) { tell_if_below(); }

void WebTransportCarrier::on_stream_closed(StreamId stream) {
  if (!quic::is_client_initiated(stream) && open_streams_ > 0) --open_streams_;
  if (stream == frames_ && !ending_) {
    // Nobody can follow without it (the connection held too much, and dropped it).
    return transport_.close(kLost, "the stream of frames is lost");
  }
  std::erase_if(parts_, [stream](const PartStream& part) {
    return part.id == stream && (part.finished || !part.refused);
  });
  if (ending_) return finish_all();
  tell_if_below();
}

// The viewer does not want the rest of this part; the push session goes on.
void WebTransportCarrier::on_stop_sending(StreamId stream, std::uint32_t code) {
  if (stream == frames_) return transport_.close(code, "the stream of frames is not wanted");
  for (PartStream& part : parts_) {
    if (part.id == stream) part.refused = true;
  }
}

void WebTransportCarrier::on_streams_available() {
  while (!waiting_.empty() && try_send(waiting_.front())) {
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
  }
  if (ending_) return finish_all();
  tell_if_below();
}

std::optional<push::LostParts> WebTransportCarrier::abandon(push::TrackNumber track) {
  push::LostParts gone;
  gone.track = track;
  forget_sent();
  std::erase_if(parts_, [&](const PartStream& part) {
    if (part.track != track) return false;
    gone.add(part.at);
    transport_.reset(part.id, kOvertaken);
    return true;
  });
  std::erase_if(waiting_, [&](const push::Outgoing& frame) {
    if (!frame.media || frame.media->track->number != track) return false;
    gone.add(frame.media->at);
    waiting_bytes_ -= frame.size();
    return true;
  });
  return gone.parts > 0 ? std::optional(gone) : std::nullopt;
}

std::optional<push::LostParts> WebTransportCarrier::take_loss() {
  if (lost_.empty()) return std::nullopt;
  const push::LostParts loss = lost_.back();
  lost_.pop_back();
  return loss;
}

void WebTransportCarrier::end() {
  ending_ = true;
  finish_all();
}

// A viewer that never takes the rest is the connection's to end.
void WebTransportCarrier::finish_all() {
  if (!waiting_.empty()) return;  // on_streams_available()
  if (frames_) transport_.finish(*frames_);
  for (PartStream& part : parts_) {
    if (!std::exchange(part.finished, true)) transport_.finish(part.id);
  }
  if (open_streams_ == 0) transport_.close(0, "nothing more to send");
}

}  // namespace mirror::api
