// For the fuzzer and the replay of its corpus: bytes as a stream of frames, whole and in pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "push/frame_reader.h"

namespace mirror::push {

// The frames read, by kind; an error is 99.
inline std::vector<std::size_t> read_in_pieces(std::span<const std::uint8_t> bytes,
                                               std::size_t piece) {
  std::vector<std::size_t> kinds;
  FrameReader reader;
  while (!bytes.empty()) {
    const auto next = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(next.size());
    reader.append(next);
    auto frame = reader.next();
    for (; frame && *frame; frame = reader.next()) kinds.push_back((*frame)->index());
    if (!frame) {
      kinds.push_back(99);
      break;
    }
  }
  return kinds;
}

// Aborts when it matters where the stream was cut.
inline void exercise_frames(std::span<const std::uint8_t> bytes) {
  const auto whole = read_in_pieces(bytes, bytes.size());
  for (const std::size_t piece : {1, 7}) {
    if (bytes.size() <= 65'536 && read_in_pieces(bytes, piece) != whole) std::abort();
  }
}

}  // namespace mirror::push
