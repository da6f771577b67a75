#include "http/http3_frames.h"

#include <algorithm>

namespace mirror::http::h3 {

std::size_t varint_size(std::uint64_t value) {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x4000'0000) return 4;
  return 8;
}

void append_varint(Wire& out, std::uint64_t value) {
  const std::size_t size = varint_size(value);
  const std::uint8_t mark = size == 1 ? 0x00 : size == 2 ? 0x40 : size == 4 ? 0x80 : 0xc0;
  for (std::size_t i = size; i > 0; --i) {
    const auto byte = static_cast<std::uint8_t>(value >> (8 * (i - 1)));
    out.push_back(i == size ? static_cast<std::uint8_t>(byte | mark) : byte);
  }
}

std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t>& bytes) {
  VarintReader reader;
  return reader.read(bytes);
}

std::optional<std::uint64_t> only_varint(std::span<const std::uint8_t> payload) {
  const auto value = take_varint(payload);
  if (!payload.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> VarintReader::read(std::span<const std::uint8_t>& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::uint8_t byte = bytes[at++];
    if (needed_ == 0) {
      needed_ = static_cast<std::uint8_t>(1u << (byte >> 6));
      value_ = byte & 0x3f;
    } else {
      value_ = value_ << 8 | byte;
    }
    if (--needed_ > 0) continue;
    bytes = bytes.subspan(at);
    return value_;
  }
  bytes = {};
  return std::nullopt;
}

void append_frame_head(Wire& out, std::uint64_t type, std::uint64_t length) {
  append_varint(out, type);
  append_varint(out, length);
}

void append_integer_frame(Wire& out, std::uint64_t type, std::uint64_t value) {
  append_frame_head(out, type, varint_size(value));
  append_varint(out, value);
}

FrameReader::Event FrameReader::next(std::span<const std::uint8_t>& bytes) {
  switch (state_) {
    case State::kType: {
      const auto type = varint_.read(bytes);
      if (!type) return Event::kNeedMore;
      type_ = *type;
      state_ = State::kLength;
      return Event::kType;
    }
    case State::kLength: {
      const auto length = varint_.read(bytes);
      if (!length) return Event::kNeedMore;
      length_ = left_ = *length;
      state_ = State::kPayload;
      return Event::kHead;
    }
    case State::kPayload:
      break;
  }
  if (left_ == 0) {
    state_ = State::kType;
    return Event::kEnd;
  }
  if (bytes.empty()) return Event::kNeedMore;
  payload_ = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
  left_ -= payload_.size();
  bytes = bytes.subspan(payload_.size());
  return Event::kPayload;
}

// Both kinds of allowed instruction are one integer whose first byte says what it is: 001xxxxx with
// 5 bits of value (encoder), 01xxxxxx with 6 (decoder).
bool QpackStreamReader::read(std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    if (in_integer_) {  // RFC 7541 5.1: the rest of a stream id, which is of no interest
      if (shift_ > 56) return false;
      shift_ = static_cast<std::uint8_t>(shift_ + 7);
      in_integer_ = (byte & 0x80) != 0;
    } else if (kind_ == Kind::kEncoder) {
      if (byte != 0x20) return false;
    } else {
      if ((byte & 0xc0) != 0x40) return false;
      in_integer_ = (byte & 0x3f) == 0x3f;
      shift_ = 0;
    }
  }
  return true;
}

std::string_view name_of_error(std::uint64_t code) {
  static constexpr std::array kNames = {
      std::string_view("H3_NO_ERROR"),
      std::string_view("H3_GENERAL_PROTOCOL_ERROR"),
      std::string_view("H3_INTERNAL_ERROR"),
      std::string_view("H3_STREAM_CREATION_ERROR"),
      std::string_view("H3_CLOSED_CRITICAL_STREAM"),
      std::string_view("H3_FRAME_UNEXPECTED"),
      std::string_view("H3_FRAME_ERROR"),
      std::string_view("H3_EXCESSIVE_LOAD"),
      std::string_view("H3_ID_ERROR"),
      std::string_view("H3_SETTINGS_ERROR"),
      std::string_view("H3_MISSING_SETTINGS"),
      std::string_view("H3_REQUEST_REJECTED"),
      std::string_view("H3_REQUEST_CANCELLED"),
      std::string_view("H3_REQUEST_INCOMPLETE"),
      std::string_view("H3_MESSAGE_ERROR"),
      std::string_view("H3_CONNECT_ERROR"),
  };
  if (code >= error::kNone && code - error::kNone < kNames.size()) {
    return kNames[code - error::kNone];
  }
  switch (code) {
    case error::kDatagram:
      return "H3_DATAGRAM_ERROR";
    case error::kQpackDecompressionFailed:
      return "QPACK_DECOMPRESSION_FAILED";
    case error::kQpackEncoderStream:
      return "QPACK_ENCODER_STREAM_ERROR";
    case error::kQpackDecoderStream:
      return "QPACK_DECODER_STREAM_ERROR";
    default:
      return "error";
  }
}

}  // namespace mirror::http::h3
