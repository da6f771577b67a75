#include "push/frame.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "push/varint.h"

namespace mirror::push {
namespace {

constexpr std::uint64_t kVideo = 1;
constexpr std::uint64_t kAudio = 2;

constexpr std::uint64_t kIndependent = 0x01;
constexpr std::uint64_t kDiscontinuity = 0x02;
constexpr std::uint64_t kGap = 0x04;
constexpr std::uint64_t kChunk = 0x08;
constexpr std::uint64_t kLast = 0x10;

// Collects a payload.
class Payload {
 public:
  Payload& number(std::uint64_t value) {
    append_varint(bytes_, value);
    return *this;
  }
  Payload& text(std::string_view value) {
    append_varint(bytes_, value.size());
    bytes_ += value;
    return *this;
  }
  Payload& time(WallTime time) {
    const std::int64_t us = time.time_since_epoch().count();
    return number(us > 0 ? static_cast<std::uint64_t>(us) : 0);
  }
  Payload& position(const hls::PartPosition& at) { return number(at.segment).number(at.part); }

  Bytes frame(FrameType type, std::size_t body_size = 0) const {
    std::string head;
    append_varint(head, static_cast<std::uint64_t>(type));
    append_varint(head, bytes_.size() + body_size);
    return Bytes::build(head.size() + bytes_.size(), [&](std::span<std::uint8_t> room) {
      const auto rest = std::copy(head.begin(), head.end(), room.begin());
      std::copy(bytes_.begin(), bytes_.end(), rest);
    });
  }

 private:
  std::string bytes_;
};

// Takes fields off a payload; once one was missing, all are.
class Fields {
 public:
  explicit Fields(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  std::uint64_t number(std::uint64_t max = kVarintMax) {
    const auto value = whole_ ? take_varint(rest_) : std::nullopt;
    whole_ = value && *value <= max;
    return whole_ ? *value : 0;
  }
  std::uint32_t number32() {
    return static_cast<std::uint32_t>(number(std::numeric_limits<std::uint32_t>::max()));
  }
  std::string text() {
    const std::uint64_t size = number(rest_.size());
    whole_ = whole_ && size <= rest_.size();
    if (!whole_) return {};
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return {bytes.begin(), bytes.end()};
  }
  WallTime time() { return WallTime(std::chrono::microseconds(number())); }
  hls::PartPosition position() {
    const std::uint64_t segment = number();
    return {segment, number32()};
  }
  template <class E>
  E choice(E first, E last) {
    const auto value = number(static_cast<std::uint64_t>(last));
    whole_ = whole_ && value >= static_cast<std::uint64_t>(first);
    return static_cast<E>(value);
  }
  bool whole() const { return whole_; }
  void expect(bool holds) { whole_ = whole_ && holds; }
  std::span<const std::uint8_t> rest() const { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
  bool whole_ = true;
};

Frame read_hello(Fields& fields) {
  Hello hello;
  hello.version = fields.number();
  hello.session = fields.text();
  hello.now = fields.time();
  return hello;
}

Frame read_track(Fields& fields) {
  TrackInfo track;
  track.number = fields.number();
  track.stream = fields.text();
  track.rendition = fields.text();
  track.epoch = fields.text();
  track.codec = fields.text();
  track.timescale = fields.number32();
  track.sample_duration = fields.number32();
  fields.expect(track.timescale > 0);
  if (fields.choice(kVideo, kAudio) == kVideo) {
    VideoFormat video;
    video.width = fields.number32();
    video.height = fields.number32();
    video.frame_rate.num = fields.number32();
    video.frame_rate.den = fields.number32();
    fields.expect(video.frame_rate.den > 0);
    track.format = video;
  } else {
    AudioFormat audio;
    audio.sample_rate = fields.number32();
    audio.channels = fields.number32();
    audio.language = fields.text();
    track.format = std::move(audio);
  }
  return track;
}

Frame read_part(Fields& fields) {
  Part part;
  PartHead& head = part.head;
  head.track = fields.number();
  head.at = fields.position();
  const std::uint64_t flags = fields.number();
  head.independent = (flags & kIndependent) != 0;
  head.discontinuity = (flags & kDiscontinuity) != 0;
  head.gap = (flags & kGap) != 0;
  head.chunk = (flags & kChunk) != 0;
  head.last = (flags & kLast) != 0;
  head.offset = fields.number();
  head.decode_time = static_cast<std::int64_t>(fields.number());
  head.duration = fields.number();
  head.times.captured = fields.time();
  head.times.ingested = fields.time();
  head.times.encoded = fields.time();
  head.times.published = fields.time();
  part.body = fields.rest();
  return part;
}

Frame read_dropped(Fields& fields) {
  Dropped dropped;
  dropped.track = fields.number();
  dropped.from = fields.position();
  dropped.to = fields.position();
  dropped.parts = fields.number();
  dropped.reason = fields.choice(DropReason::kBytes, DropReason::kOvertaken);
  fields.expect(dropped.from <= dropped.to);
  return dropped;
}

Frame read_state(Fields& fields) {
  StateChange change;
  change.state = fields.choice(StreamState::kAbsent, StreamState::kEnded);
  change.stream = fields.text();
  change.rendition = fields.text();
  return change;
}

Frame read_error(Fields& fields) {
  ErrorNotice error;
  error.code = fields.choice(ErrorCode::kNoSuchSubscription, ErrorCode::kRefusedReport);
  error.text = fields.text();
  return error;
}

Frame read(std::uint64_t type, Fields& fields) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::kHello:
      return read_hello(fields);
    case FrameType::kTrack:
      return read_track(fields);
    case FrameType::kInit: {
      Init init{{fields.number()}, {}};
      init.body = fields.rest();
      return init;
    }
    case FrameType::kPart:
      return read_part(fields);
    case FrameType::kDropped:
      return read_dropped(fields);
    case FrameType::kState:
      return read_state(fields);
    case FrameType::kError:
      return read_error(fields);
    case FrameType::kPing:
      return Ping{fields.time()};
  }
  return Unknown{type};
}

}  // namespace

Bytes encode(const Hello& hello) {
  return Payload()
      .number(hello.version)
      .text(hello.session)
      .time(hello.now)
      .frame(FrameType::kHello);
}

Bytes encode(const TrackInfo& track) {
  Payload payload;
  payload.number(track.number)
      .text(track.stream)
      .text(track.rendition)
      .text(track.epoch)
      .text(track.codec)
      .number(track.timescale)
      .number(track.sample_duration);
  if (const auto* video = std::get_if<VideoFormat>(&track.format)) {
    payload.number(kVideo)
        .number(video->width)
        .number(video->height)
        .number(video->frame_rate.num)
        .number(video->frame_rate.den);
  } else if (const auto* audio = std::get_if<AudioFormat>(&track.format)) {
    payload.number(kAudio).number(audio->sample_rate).number(audio->channels).text(audio->language);
  }
  return payload.frame(FrameType::kTrack);
}

Bytes encode(const Dropped& dropped) {
  return Payload()
      .number(dropped.track)
      .position(dropped.from)
      .position(dropped.to)
      .number(dropped.parts)
      .number(static_cast<std::uint64_t>(dropped.reason))
      .frame(FrameType::kDropped);
}

Bytes encode(const StateChange& change) {
  return Payload()
      .number(static_cast<std::uint64_t>(change.state))
      .text(change.stream)
      .text(change.rendition)
      .frame(FrameType::kState);
}

Bytes encode(const ErrorNotice& error) {
  return Payload()
      .number(static_cast<std::uint64_t>(error.code))
      .text(error.text)
      .frame(FrameType::kError);
}

Bytes encode(const Ping& ping) { return Payload().time(ping.now).frame(FrameType::kPing); }

Bytes encode_head(const InitHead& head, std::size_t body_size) {
  return Payload().number(head.track).frame(FrameType::kInit, body_size);
}

Bytes encode_head(const PartHead& head, std::size_t body_size) {
  const std::uint64_t flags = (head.independent ? kIndependent : 0) |
                              (head.discontinuity ? kDiscontinuity : 0) | (head.gap ? kGap : 0) |
                              (head.chunk ? kChunk : 0) | (head.last ? kLast : 0);
  return Payload()
      .number(head.track)
      .position(head.at)
      .number(flags)
      .number(head.offset)
      .number(static_cast<std::uint64_t>(std::max<std::int64_t>(head.decode_time, 0)))
      .number(head.duration)
      .time(head.times.captured)
      .time(head.times.ingested)
      .time(head.times.encoded)
      .time(head.times.published)
      .frame(FrameType::kPart, body_size);
}

Result<Frame> decode(std::uint64_t type, std::span<const std::uint8_t> payload) {
  Fields fields(payload);
  Frame frame = read(type, fields);
  if (!fields.whole()) return fail("a field of a frame of type {} is missing or wrong", type);
  return frame;
}

}  // namespace mirror::push
