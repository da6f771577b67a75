// The frames that a push session sends to its viewer (docs/push-protocol.md): as values, as bytes
// and back. Pure functions; the reader of a byte stream of them is push/frame_reader.h.
//
// A frame is a type, the length of its payload (both varints of RFC 9000, 16), the payload. Readers
// skip types that they do not know, and what a payload holds beyond the fields that they know.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "hls/segment.h"
#include "media/frame_grid.h"

namespace mirror::push {

inline constexpr std::uint64_t kProtocolVersion = 1;
inline constexpr std::string_view kContentType = "application/vnd.mirror.push";

enum class FrameType : std::uint64_t {
  kHello = 1,
  kTrack = 2,
  kInit = 3,
  kPart = 4,
  kDropped = 5,
  kState = 6,
  kError = 7,
  kPing = 8,
};

// Names one rendition of one presentation for as long as the session lasts.
using TrackNumber = std::uint64_t;

// The first frame of a session.
struct Hello {
  std::uint64_t version = kProtocolVersion;
  std::string session;  // names it to the control resource
  WallTime now{};       // the server's clock when this was made
};

struct VideoFormat {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  media::FrameRate frame_rate;
};
struct AudioFormat {
  std::uint32_t sample_rate = 0;
  std::uint32_t channels = 0;
  std::string language;  // as the source said; may be empty
};

// What a track number stands for. Comes before the first PART with it, and may come again.
struct TrackInfo {
  TrackNumber number = 0;
  std::string stream;
  std::string rendition;
  std::string epoch;
  std::string codec;  // RFC 6381
  std::uint32_t timescale = 0;
  std::uint32_t sample_duration = 0;  // in timescale units
  std::variant<VideoFormat, AudioFormat> format;
};

// The CMAF header of a track, right behind its TRACK.
struct InitHead {
  TrackNumber track = 0;
};

// In front of the bytes of a part, or of one chunk of it.
struct PartHead {
  TrackNumber track = 0;
  hls::PartPosition at;
  bool independent = false;      // the part begins with a sync sample
  bool discontinuity = false;    // the timeline is broken in front of the part
  bool gap = false;              // its time passes, its media never came; no bytes
  bool chunk = false;            // not the whole part: its bytes from `offset` on
  bool last = true;              // nothing of the part follows
  std::uint64_t offset = 0;      // of the first byte within the part
  std::int64_t decode_time = 0;  // of the first sample, in timescale units
  std::uint64_t duration = 0;    // in timescale units
  // Of these bytes, as hls::PartTimes; zero: not known.
  hls::PartTimes times;
};

enum class DropReason : std::uint8_t {
  kBytes = 1,      // more waited for this viewer than may
  kAge = 2,        // it waited longer than it may
  kOvertaken = 3,  // the server itself did not keep up
};

// Parts that this viewer will not get, from the first to the last of them. Some chunks of the first
// may have come.
struct Dropped {
  TrackNumber track = 0;
  hls::PartPosition from;
  hls::PartPosition to;
  std::uint64_t parts = 0;
  DropReason reason = DropReason::kBytes;
};

enum class StreamState : std::uint8_t {
  kAbsent = 0,        // nothing to see yet
  kLive = 1,          // parts come
  kReconnecting = 2,  // the publisher is away or silent
  kEnded = 3,         // nothing more will come, unless it begins anew
};

// How a subscription's stream does.
struct StateChange {
  StreamState state = StreamState::kAbsent;
  std::string stream;
  std::string rendition;
};

enum class ErrorCode : std::uint8_t {
  kNoSuchSubscription = 1,
  kAlreadySubscribed = 2,
  kTooMany = 3,
  kRefusedReport = 4,
};

// Why a control message had no effect.
struct ErrorNotice {
  ErrorCode code = ErrorCode::kTooMany;
  std::string text;
};

// Sent when nothing else was for some seconds.
struct Ping {
  WallTime now{};
};

Bytes encode(const Hello& hello);
Bytes encode(const TrackInfo& track);
Bytes encode(const Dropped& dropped);
Bytes encode(const StateChange& change);
Bytes encode(const ErrorNotice& error);
Bytes encode(const Ping& ping);
// All of the frame but the `body_size` bytes that end it.
Bytes encode_head(const InitHead& head, std::size_t body_size);
Bytes encode_head(const PartHead& head, std::size_t body_size);

struct Init {
  InitHead head;
  std::span<const std::uint8_t> body;
};
struct Part {
  PartHead head;
  std::span<const std::uint8_t> body;
};
// A frame of a type that this version does not know.
struct Unknown {
  std::uint64_t type = 0;
};
// Bodies are views of the payload that was read.
using Frame =
    std::variant<Hello, TrackInfo, Init, Part, Dropped, StateChange, ErrorNotice, Ping, Unknown>;

// One payload. An error: a field is missing or means nothing.
Result<Frame> decode(std::uint64_t type, std::span<const std::uint8_t> payload);

}  // namespace mirror::push
