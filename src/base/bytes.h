// Bytes: immutable bytes, shared by reference.
//
// A part is written once by a media thread and then read by every network loop; a copy of a Bytes
// is a pointer copy, and a slice keeps the whole allocation alive. Thread-safe because nothing can
// be written through it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mirror {

class Bytes {
 public:
  Bytes() = default;

  // Takes over `bytes`; no copy.
  static Bytes take(std::vector<std::uint8_t> bytes) {
    auto owner = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    const std::span<const std::uint8_t> view(*owner);
    return Bytes(std::move(owner), view);
  }
  static Bytes take(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    const auto* data = reinterpret_cast<const std::uint8_t*>(owner->data());
    const std::span<const std::uint8_t> view(data, owner->size());
    return Bytes(std::move(owner), view);
  }
  static Bytes copy_of(std::span<const std::uint8_t> bytes) {
    return take(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }
  // `size` bytes in one allocation (count and bytes together), filled by `fill(span)` before
  // anybody can read them. What `fill` leaves out is undefined.
  template <class Fill>
  static Bytes build(std::size_t size, Fill&& fill) {
    auto owner = std::make_shared_for_overwrite<std::uint8_t[]>(size);
    const std::span<std::uint8_t> room(owner.get(), size);
    std::forward<Fill>(fill)(room);
    return Bytes(std::move(owner), room);
  }
  // For bytes that live as long as the process (embedded assets). Nothing is owned.
  static Bytes of_static(std::span<const std::uint8_t> bytes) { return Bytes(nullptr, bytes); }

  // Bytes [offset, offset + size) of this, sharing the allocation; clipped to what there is.
  Bytes slice(std::size_t offset, std::size_t size = std::dynamic_extent) const {
    offset = std::min(offset, view_.size());
    return Bytes(owner_, view_.subspan(offset, std::min(size, view_.size() - offset)));
  }

  std::span<const std::uint8_t> span() const { return view_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(view_.data()), view_.size()};
  }
  const std::uint8_t* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.text() == b.text(); }

 private:
  Bytes(std::shared_ptr<const void> owner, std::span<const std::uint8_t> view)
      : owner_(std::move(owner)), view_(view) {}

  std::shared_ptr<const void> owner_;
  std::span<const std::uint8_t> view_;
};

}  // namespace mirror
