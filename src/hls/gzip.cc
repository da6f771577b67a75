#include "hls/gzip.h"

#include <zlib.h>

#include <array>
#include <cassert>
#include <new>

namespace mirror::hls {

namespace {

// Playlists repeat themselves within a few hundred bytes: a window of 8 KiB finds all of it.
constexpr int kWindowBits = 13;
constexpr int kMemoryLevel = 6;
constexpr int kCompressionLevel = 5;

// RFC 1952, 2.3: no name, no time, an unknown system.
constexpr std::array<std::uint8_t, 10> kHeader = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
// RFC 1951, 3.2.6: an empty last block.
constexpr std::array<std::uint8_t, 2> kLastBlock = {0x03, 0x00};

void put_little_endian(std::vector<std::uint8_t>& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

}  // namespace

struct Deflater::State {
  z_stream stream{};
  ~State() { deflateEnd(&stream); }
};

Deflater::Deflater() = default;
Deflater::~Deflater() = default;

DeflatedPiece Deflater::deflate(std::string_view text) {
  if (!state_) {
    state_ = std::make_unique<State>();
    if (deflateInit2(&state_->stream, kCompressionLevel, Z_DEFLATED, -kWindowBits, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();  // its only reason with these settings
    }
  } else {
    deflateReset(&state_->stream);
  }
  z_stream& stream = state_->stream;
  // The bound is for a whole stream; a full flush adds an empty block of at most 6 bytes.
  std::vector<std::uint8_t> out(deflateBound(&stream, text.size()) + 8);
  auto* const input = reinterpret_cast<const Bytef*>(text.data());
  stream.next_in = const_cast<Bytef*>(input);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  [[maybe_unused]] const int rc = ::deflate(&stream, Z_FULL_FLUSH);
  assert(rc == Z_OK && stream.avail_in == 0 && stream.avail_out > 0);
  out.resize(out.size() - stream.avail_out);
  return {.bytes = Bytes::take(std::move(out)),
          .crc = static_cast<std::uint32_t>(crc32(0, input, static_cast<uInt>(text.size()))),
          .size = static_cast<std::uint32_t>(text.size())};
}

std::vector<Bytes> gzip_member(const std::vector<DeflatedPiece>& pieces) {
  std::vector<Bytes> member = {Bytes::of_static(kHeader)};
  uLong crc = crc32(0, nullptr, 0);
  std::uint32_t size = 0;
  for (const DeflatedPiece& piece : pieces) {
    if (piece.size == 0) continue;
    member.push_back(piece.bytes);
    crc = crc32_combine(crc, piece.crc, piece.size);
    size += piece.size;
  }
  std::vector<std::uint8_t> trailer(kLastBlock.begin(), kLastBlock.end());
  put_little_endian(trailer, static_cast<std::uint32_t>(crc));
  put_little_endian(trailer, size);
  member.push_back(Bytes::take(std::move(trailer)));
  return member;
}

}  // namespace mirror::hls
