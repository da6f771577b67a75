// Walks ISO BMFF boxes (ISO/IEC 14496-12, 4.2), never past their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mirror::lint {

using ByteView = std::span<const std::uint8_t>;

// Reads big-endian numbers; past the end it gives zeros and says so.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  std::uint64_t number(std::size_t count) {
    if (count > left()) {
      overrun_ = true;
      at_ = bytes_.size();
      return 0;
    }
    std::uint64_t value = 0;
    for (; count > 0; --count) value = value << 8 | bytes_[at_++];
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  ByteView bytes(std::size_t count) {
    if (count > left()) {
      overrun_ = true;
      count = left();
    }
    const ByteView view = bytes_.subspan(at_, count);
    at_ += count;
    return view;
  }
  void skip(std::size_t count) { bytes(count); }

  std::size_t left() const { return bytes_.size() - at_; }
  bool overrun() const { return overrun_; }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  bool overrun_ = false;
};

struct Box {
  std::string type;
  std::size_t offset = 0;  // of its header, in what the walk was given
  ByteView body;
};

// The boxes that `bytes` consists of; an error when one does not fit.
inline Result<std::vector<Box>> read_boxes(ByteView bytes) {
  constexpr std::size_t kBoxesMax = 100'000;
  std::vector<Box> boxes;
  for (std::size_t at = 0; at < bytes.size();) {
    ByteReader reader(bytes.subspan(at));
    std::uint64_t size = reader.u32();
    const ByteView type = reader.bytes(4);
    std::size_t header = 8;
    if (size == 1) {
      size = reader.u64();
      header = 16;
    } else if (size == 0) {
      size = bytes.size() - at;
    }
    if (reader.overrun() || size < header || size > bytes.size() - at) {
      return fail("the box at byte {} does not fit into {} bytes", at, bytes.size());
    }
    if (boxes.size() == kBoxesMax) return fail("more than {} boxes", kBoxesMax);
    boxes.push_back({std::string(type.begin(), type.end()), at,
                     bytes.subspan(at + header, static_cast<std::size_t>(size) - header)});
    at += static_cast<std::size_t>(size);
  }
  return boxes;
}

// The body of the first box along `path`; nothing when there is none or a box does not fit.
inline std::optional<ByteView> find_box(ByteView bytes, std::span<const std::string_view> path) {
  const auto boxes = read_boxes(bytes);
  if (!boxes) return std::nullopt;
  for (const Box& box : *boxes) {
    if (box.type != path.front()) continue;
    return path.size() == 1 ? std::optional(box.body) : find_box(box.body, path.subspan(1));
  }
  return std::nullopt;
}

}  // namespace mirror::lint
