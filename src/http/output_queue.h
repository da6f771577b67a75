// OutputQueue: bytes on their way to one peer, in order. Shared Bytes are queued by reference;
// heads and frame headers are small and copied into buffers of its own.
//
// Owned by one connection, on its loop. Its user keeps to Limits::queued_bytes_per_connection_max.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace mirror::http {

class OutputQueue {
 public:
  void copy(std::string_view text);
  void copy(std::span<const std::uint8_t> bytes);
  void share(Bytes bytes);  // few bytes are copied: cheaper than one more piece

  // Bytes queued, and what the queue costs: an entry is charged for itself too, so that a million
  // entries of one byte are not a million bytes.
  std::size_t size() const { return size_; }
  std::size_t cost() const { return size_ + (pieces_.size() - first_) * sizeof(Piece); }
  bool empty() const { return size_ == 0; }

  // Describes the front of the queue; returns the number of entries used.
  std::size_t gather(std::span<iovec> entries) const;
  // The first piece.
  std::span<const std::uint8_t> front() const;
  // Copies up to `target.size()` bytes from the front; returns how many.
  std::size_t peek(std::span<std::uint8_t> target) const;
  void drop(std::size_t bytes);  // from the front
  void clear();

 private:
  struct Piece {
    Bytes shared;
    std::string own;  // used when `shared` is empty

    std::span<const std::uint8_t> span() const;
  };

  void begin_own();
  void release(Piece& piece);

  std::vector<Piece> pieces_;
  std::string spare_;             // the buffer of a piece that is gone, for the next one
  std::size_t first_ = 0;         // index of the front piece
  std::size_t first_offset_ = 0;  // bytes of it already gone
  std::size_t size_ = 0;
};

}  // namespace mirror::http
