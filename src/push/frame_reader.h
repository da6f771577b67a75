// FrameReader: a byte stream of push frames, cut however the transport likes, into frames.
//
// Used by programs that receive: the load tool and the tests. One thread, no clock. Holds at most
// one frame: kFrameBytesMax, beyond which (and after any error) it reads no further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "push/frame.h"

namespace mirror::push {

class FrameReader {
 public:
  static constexpr std::size_t kFrameBytesMax = std::size_t{16} << 20;

  void append(std::span<const std::uint8_t> bytes);

  // The next whole frame; none when more bytes are needed; an error when the stream makes no sense,
  // and the same ever after. What it refers to is valid until the next call of either function.
  Result<std::optional<Frame>> next();

  // Bytes of a frame that is not whole yet.
  std::size_t unread() const { return bytes_.size() - first_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t first_ = 0;  // of those that were not read
  std::optional<Error> error_;
};

}  // namespace mirror::push
