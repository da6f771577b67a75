// Gzip in pieces: text that many documents share is compressed once and joined byte by byte.
//
// Used on a stream's media thread. A piece ends with a full flush (RFC 1951, 3.2.4: on a byte, and
// nothing behind it refers to what is before), so pieces make one member in any order (RFC 1952).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace mirror::hls {

struct DeflatedPiece {
  Bytes bytes;
  std::uint32_t crc = 0;   // RFC 1952, 8, of the text
  std::uint32_t size = 0;  // of the text, in bytes
};

class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // `text` must be shorter than 4 GiB.
  DeflatedPiece deflate(std::string_view text);

 private:
  struct State;  // zlib's; made with the first piece, about 70 KB
  std::unique_ptr<State> state_;
};

// The whole member, in order: header, the pieces, trailer.
std::vector<Bytes> gzip_member(const std::vector<DeflatedPiece>& pieces);

}  // namespace mirror::hls
