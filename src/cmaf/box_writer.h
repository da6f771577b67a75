// BoxWriter: ISO BMFF boxes (ISO/IEC 14496-12, 4.2) into memory that the caller sized.
//
// Numbers are big-endian. A box's size is filled in when its scope ends, so boxes nest as blocks do
// in the code that writes them. Writing past the end is a broken invariant, not an error.
#pragma once

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace mirror::cmaf {

class BoxWriter {
 public:
  explicit BoxWriter(std::span<std::uint8_t> room) : room_(room) {}

  // An open box; its size is patched when the scope ends.
  class Box {
   public:
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;
    ~Box() { writer_.patch_u32(start_, static_cast<std::uint32_t>(writer_.size() - start_)); }

   private:
    friend class BoxWriter;
    Box(BoxWriter& writer, std::size_t start) : writer_(writer), start_(start) {}
    BoxWriter& writer_;
    const std::size_t start_;
  };

  [[nodiscard]] Box box(std::string_view type) {
    assert(type.size() == 4);
    const std::size_t start = size_;
    u32(0);
    text(type);
    return Box(*this, start);
  }
  // FullBox: a box that begins with a version and 24 bits of flags.
  [[nodiscard]] Box full_box(std::string_view type, std::uint8_t version, std::uint32_t flags) {
    const std::size_t start = size_;
    u32(0);
    text(type);
    u32(static_cast<std::uint32_t>(version) << 24 | flags);
    return Box(*this, start);
  }

  // Without promotion surprises: the argument is cut to the field's width.
  void u8(std::uint64_t value) { put(value, 1); }
  void u16(std::uint64_t value) { put(value, 2); }
  void u24(std::uint64_t value) { put(value, 3); }
  void u32(std::uint64_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void zeros(std::size_t count) { std::ranges::fill(take(count), std::uint8_t{0}); }
  void text(std::string_view text) { std::ranges::copy(text, take(text.size()).begin()); }
  void bytes(std::span<const std::uint8_t> bytes) {
    std::ranges::copy(bytes, take(bytes.size()).begin());
  }

  void patch_u32(std::size_t offset, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) {
      room_[offset + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
  }
  std::size_t size() const { return size_; }

 private:
  std::span<std::uint8_t> take(std::size_t count) {
    assert(room_.size() - size_ >= count);
    const auto field = room_.subspan(size_, count);
    size_ += count;
    return field;
  }
  void put(std::uint64_t value, std::size_t width) {
    const auto field = take(width);
    for (std::size_t i = 0; i < width; ++i) {
      field[i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
    }
  }

  const std::span<std::uint8_t> room_;
  std::size_t size_ = 0;
};

}  // namespace mirror::cmaf
