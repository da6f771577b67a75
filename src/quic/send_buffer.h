// SendBuffer: packets on their way out, gathered into batches that one system call can take.
//
// A batch is packets of one path and one ECN marking behind each other, all of one size but the
// last, which may be shorter: what UDP segmentation offload sends at once. A packet that does not
// fit that (a probe of the path's MTU, another path) begins a batch of its own. Nothing in here is
// ever dropped: what the socket does not take stays until it does, and meanwhile nothing is added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quic/address.h"

namespace mirror::quic {

class SendBuffer {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr std::size_t kBatchesMax = 64;
  static constexpr std::size_t kPacketBytesMax = 1472;   // of IPv4 over Ethernet
  static constexpr std::size_t kBatchPacketsMax = 45;    // 45 × 1452 is just below...
  static constexpr std::size_t kBatchBytesMax = 65'400;  // ...what one UDP datagram may measure

  struct Batch {
    std::size_t offset = 0;
    std::size_t bytes = 0;
    std::size_t segment_bytes = 0;  // of every packet but perhaps the last
    std::size_t packets = 0;
    Path path;
    std::uint8_t ecn = 0;
  };

  SendBuffer() : bytes_(kBytes) {}

  bool full() const {
    return used_ + kPacketBytesMax > bytes_.size() || batches_.size() >= kBatchesMax;
  }
  bool empty() const { return first_ == batches_.size(); }
  // Where the next packet goes; kPacketBytesMax long unless full().
  std::span<std::uint8_t> room() { return std::span(bytes_).subspan(used_, kPacketBytesMax); }
  // The next packet has been written into room().
  void add(std::size_t bytes, const Path& path, std::uint8_t ecn) {
    if (empty() || !joins(batches_.back(), bytes, path, ecn)) {
      batches_.push_back({used_, 0, bytes, 0, path, ecn});
    }
    batches_.back().bytes += bytes;
    ++batches_.back().packets;
    used_ += bytes;
  }

  std::span<const Batch> batches() const { return std::span(batches_).subspan(first_); }
  std::span<const std::uint8_t> bytes_of(const Batch& batch) const {
    return std::span(bytes_).subspan(batch.offset, batch.bytes);
  }
  // The first `count` batches are gone.
  void drop(std::size_t count) {
    first_ += count;
    if (!empty()) return;
    batches_.clear();
    first_ = 0;
    used_ = 0;
  }

 private:
  static bool joins(const Batch& batch, std::size_t bytes, const Path& path, std::uint8_t ecn) {
    return bytes <= batch.segment_bytes && batch.bytes == batch.packets * batch.segment_bytes &&
           batch.packets < kBatchPacketsMax && batch.bytes + bytes <= kBatchBytesMax &&
           batch.ecn == ecn && batch.path == path;
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t used_ = 0;
  std::vector<Batch> batches_;
  std::size_t first_ = 0;
};

}  // namespace mirror::quic
