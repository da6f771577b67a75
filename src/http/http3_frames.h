// The wire of HTTP/3: variable-length integers, frames, stream types and error codes (RFC 9000 16,
// RFC 9114 6.2, 7 and 8.1, RFC 9218 7, RFC 9297, WebTransport over HTTP/3 drafts 02 and 07).
//
// Sans-IO and resumable at every byte; nothing here allocates for what a peer announces. One
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace mirror::http::h3 {

using Wire = std::vector<std::uint8_t>;  // bytes being written

// --- Numbers

// RFC 9114 8.1, RFC 9204 6, RFC 9297 5.2, draft-ietf-webtrans-http3 (02 and 07) 8.
namespace error {
inline constexpr std::uint64_t kDatagram = 0x33;
inline constexpr std::uint64_t kNone = 0x100;
inline constexpr std::uint64_t kGeneralProtocol = 0x101;
inline constexpr std::uint64_t kInternal = 0x102;
inline constexpr std::uint64_t kStreamCreation = 0x103;
inline constexpr std::uint64_t kClosedCriticalStream = 0x104;
inline constexpr std::uint64_t kFrameUnexpected = 0x105;
inline constexpr std::uint64_t kFrame = 0x106;
inline constexpr std::uint64_t kExcessiveLoad = 0x107;
inline constexpr std::uint64_t kId = 0x108;
inline constexpr std::uint64_t kSettings = 0x109;
inline constexpr std::uint64_t kMissingSettings = 0x10a;
inline constexpr std::uint64_t kRequestRejected = 0x10b;
inline constexpr std::uint64_t kRequestCancelled = 0x10c;
inline constexpr std::uint64_t kRequestIncomplete = 0x10d;
inline constexpr std::uint64_t kMessage = 0x10e;
inline constexpr std::uint64_t kConnect = 0x10f;
inline constexpr std::uint64_t kQpackDecompressionFailed = 0x200;
inline constexpr std::uint64_t kQpackEncoderStream = 0x201;
inline constexpr std::uint64_t kQpackDecoderStream = 0x202;
inline constexpr std::uint64_t kWebTransportBufferedStreamRejected = 0x3994bd84;
inline constexpr std::uint64_t kWebTransportSessionGone = 0x170d7b68;
}  // namespace error

namespace frame {
inline constexpr std::uint64_t kData = 0x00;
inline constexpr std::uint64_t kHeaders = 0x01;
inline constexpr std::uint64_t kCancelPush = 0x03;
inline constexpr std::uint64_t kSettings = 0x04;
inline constexpr std::uint64_t kPushPromise = 0x05;
inline constexpr std::uint64_t kGoaway = 0x07;
inline constexpr std::uint64_t kMaxPushId = 0x0d;
inline constexpr std::uint64_t kPriorityUpdateRequest = 0xf0700;
inline constexpr std::uint64_t kPriorityUpdatePush = 0xf0701;
// No frame: what a bidirectional WebTransport stream begins with; no length follows.
inline constexpr std::uint64_t kWebTransportStream = 0x41;

// RFC 9114 7.2.8: types of HTTP/2 that have no meaning here, and must not come.
constexpr bool is_reserved(std::uint64_t type) {
  return type == 0x02 || type == 0x06 || type == 0x08 || type == 0x09;
}
// What HTTP/3 says something about, wherever it may stand; everything else is skipped (9).
constexpr bool is_known(std::uint64_t type) {
  return type == kData || type == kHeaders || type == kCancelPush || type == kSettings ||
         type == kPushPromise || type == kGoaway || type == kMaxPushId ||
         type == kPriorityUpdateRequest || type == kPriorityUpdatePush || is_reserved(type);
}
}  // namespace frame

namespace stream_type {
inline constexpr std::uint64_t kControl = 0x00;
inline constexpr std::uint64_t kPush = 0x01;
inline constexpr std::uint64_t kQpackEncoder = 0x02;
inline constexpr std::uint64_t kQpackDecoder = 0x03;
inline constexpr std::uint64_t kWebTransport = 0x54;
}  // namespace stream_type

// --- Variable-length integers (RFC 9000 16)

inline constexpr std::uint64_t kVarintMax = (std::uint64_t{1} << 62) - 1;

std::size_t varint_size(std::uint64_t value);  // 1, 2, 4 or 8
void append_varint(Wire& out, std::uint64_t value);
// Takes one off the front of `bytes`; empty when they end before it does.
std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t>& bytes);
// The payload of a frame that is one integer and nothing else (GOAWAY, MAX_PUSH_ID, CANCEL_PUSH).
std::optional<std::uint64_t> only_varint(std::span<const std::uint8_t> payload);

// Reads one integer that may arrive in pieces.
class VarintReader {
 public:
  // Takes from the front of `bytes` what belongs to the integer; the integer once it is whole,
  // after which the next call begins another one.
  std::optional<std::uint64_t> read(std::span<const std::uint8_t>& bytes);
  bool started() const { return needed_ > 0; }

 private:
  std::uint64_t value_ = 0;
  std::uint8_t needed_ = 0;  // bytes still to come; 0: none has come
};

// --- Frames (RFC 9114 7.1)

void append_frame_head(Wire& out, std::uint64_t type, std::uint64_t length);
// A whole frame whose payload is one integer.
void append_integer_frame(Wire& out, std::uint64_t type, std::uint64_t value);

// The frames of one stream, or the capsules of one (RFC 9297 3.2 has the same form).
class FrameReader {
 public:
  enum class Event {
    kNeedMore,  // `bytes` is used up
    kType,      // type() is known; the caller may leave off here (kWebTransportStream)
    kHead,      // length() is known too
    kPayload,   // payload() is the next piece, never empty
    kEnd,       // of the frame
  };

  // Takes from the front of `bytes`. After kPayload, payload() points into what `bytes` was.
  Event next(std::span<const std::uint8_t>& bytes);

  std::uint64_t type() const { return type_; }
  std::uint64_t length() const { return length_; }
  std::span<const std::uint8_t> payload() const { return payload_; }
  // No frame is half read: the stream may end here (RFC 9114 7.1).
  bool at_boundary() const { return state_ == State::kType && !varint_.started(); }

 private:
  enum class State { kType, kLength, kPayload };

  State state_ = State::kType;
  VarintReader varint_;
  std::uint64_t type_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t left_ = 0;
  std::span<const std::uint8_t> payload_;
};

// --- What QPACK streams may carry while the dynamic table has no capacity (RFC 9204 4.3, 4.4)

class QpackStreamReader {
 public:
  enum class Kind { kEncoder, kDecoder };
  explicit QpackStreamReader(Kind kind) : kind_(kind) {}

  // False: an instruction that a peer may not send when it was granted a capacity of 0. On an
  // encoder stream all but "set the capacity to 0", on a decoder stream all but stream
  // cancellations, which mean nothing.
  bool read(std::span<const std::uint8_t> bytes);

 private:
  Kind kind_;
  std::uint8_t shift_ = 0;
  bool in_integer_ = false;
};

std::string_view name_of_error(std::uint64_t code);  // "H3_FRAME_ERROR"; "error" when unknown

}  // namespace mirror::http::h3
