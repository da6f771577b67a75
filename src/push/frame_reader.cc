#include "push/frame_reader.h"

#include <utility>

#include "push/varint.h"

namespace mirror::push {

void FrameReader::append(std::span<const std::uint8_t> bytes) {
  if (error_) return;
  if (first_ > 0) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<Frame>> FrameReader::next() {
  if (error_) return std::unexpected(*error_);
  std::span<const std::uint8_t> rest = std::span(bytes_).subspan(first_);
  const auto type = take_varint(rest);
  const auto size = type ? take_varint(rest) : std::nullopt;
  if (!size) return std::optional<Frame>();
  if (*size > kFrameBytesMax) {
    error_ = Error{fmt::format("a frame of {} bytes", *size)};
    return std::unexpected(*error_);
  }
  if (rest.size() < *size) return std::optional<Frame>();
  const auto payload = rest.first(*size);
  first_ = bytes_.size() - (rest.size() - payload.size());
  auto frame = decode(*type, payload);
  if (!frame) {
    error_ = std::move(frame.error());
    return std::unexpected(*error_);
  }
  return std::optional<Frame>(std::move(*frame));
}

}  // namespace mirror::push
