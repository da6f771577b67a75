// RbspReader: reads bits of a NAL unit's payload, stepping over emulation prevention bytes.
//
// A value on the stack; holds a view of the NAL unit and no memory of its own. Reading past the end
// gives zeros and sets `overrun()`, so that parsers check once, at their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mirror::codec {

class RbspReader {
 public:
  // `payload` begins behind the NAL unit header.
  explicit RbspReader(std::span<const std::uint8_t> payload) : bytes_(payload) {}

  std::uint32_t bit() {
    if (bits_left_ == 0 && !next_byte()) return 0;
    --bits_left_;
    return (current_ >> bits_left_) & 1U;
  }

  // u(n), n <= 32.
  std::uint32_t bits(int count) {
    std::uint32_t value = 0;
    for (; count > 0; --count) value = (value << 1) | bit();
    return value;
  }

  // ue(v), H.264 9.1 and H.265 9.2. A code of more than 32 bits is an overrun.
  std::uint32_t unsigned_golomb() {
    int zeros = 0;
    while (!overrun_ && bit() == 0) {
      if (++zeros > 31) overrun_ = true;
    }
    if (overrun_) return 0;
    return ((1U << zeros) - 1U) + bits(zeros);
  }

  // se(v)
  std::int32_t signed_golomb() {
    const std::uint32_t code = unsigned_golomb();
    const auto magnitude = static_cast<std::int32_t>(code / 2 + code % 2);
    return code % 2 == 0 ? -magnitude : magnitude;
  }

  void skip_bytes(std::size_t count) {
    for (; count > 0 && !overrun_; --count) bits(8);
  }

  bool overrun() const { return overrun_; }
  // Whole bytes not yet begun, emulation prevention included.
  std::size_t bytes_left() const { return bytes_.size() - position_; }

 private:
  bool next_byte() {
    // 00 00 03 carries 00 00 (H.264 7.3.1, H.265 7.3.1.1).
    if (zeros_ >= 2 && position_ < bytes_.size() && bytes_[position_] == 3) {
      ++position_;
      zeros_ = 0;
    }
    if (position_ >= bytes_.size()) {
      overrun_ = true;
      return false;
    }
    current_ = bytes_[position_++];
    zeros_ = current_ == 0 ? zeros_ + 1 : 0;
    bits_left_ = 8;
    return true;
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;
  std::uint32_t current_ = 0;
  int bits_left_ = 0;
  int zeros_ = 0;
  bool overrun_ = false;
};

}  // namespace mirror::codec
