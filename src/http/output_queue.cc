#include "http/output_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mirror::http {

namespace {

constexpr std::size_t kCopyMax = 512;         // shorter Bytes are copied
constexpr std::size_t kOwnBytesMax = 16'384;  // then a new buffer is begun
// What an idle connection may keep: room for a head, and for the pieces of a body.
constexpr std::size_t kSpareBytesMax = 1024;
constexpr std::size_t kPiecesKeptMax = 64;

}  // namespace

std::span<const std::uint8_t> OutputQueue::Piece::span() const {
  if (!shared.empty()) return shared.span();
  return {reinterpret_cast<const std::uint8_t*>(own.data()), own.size()};
}

void OutputQueue::copy(std::string_view text) {
  if (text.empty()) return;
  size_ += text.size();
  if (first_ == pieces_.size() || !pieces_.back().shared.empty() ||
      pieces_.back().own.size() + text.size() > kOwnBytesMax) {
    begin_own();
  }
  pieces_.back().own.append(text);
}

void OutputQueue::begin_own() {
  pieces_.emplace_back();
  pieces_.back().own = std::exchange(spare_, {});
}

void OutputQueue::copy(std::span<const std::uint8_t> bytes) {
  copy(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void OutputQueue::share(Bytes bytes) {
  if (bytes.size() <= kCopyMax) return copy(bytes.span());
  size_ += bytes.size();
  pieces_.push_back({std::move(bytes), {}});
}

std::size_t OutputQueue::gather(std::span<iovec> entries) const {
  std::size_t used = 0;
  std::size_t offset = first_offset_;
  for (std::size_t i = first_; i < pieces_.size() && used < entries.size(); ++i) {
    const auto bytes = pieces_[i].span().subspan(std::exchange(offset, 0));
    entries[used++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  }
  return used;
}

std::span<const std::uint8_t> OutputQueue::front() const {
  if (empty()) return {};
  return pieces_[first_].span().subspan(first_offset_);
}

std::size_t OutputQueue::peek(std::span<std::uint8_t> target) const {
  std::size_t done = 0;
  std::size_t offset = first_offset_;
  for (std::size_t i = first_; i < pieces_.size() && done < target.size(); ++i) {
    const auto bytes = pieces_[i].span().subspan(std::exchange(offset, 0));
    const std::size_t n = std::min(bytes.size(), target.size() - done);
    std::memcpy(target.data() + done, bytes.data(), n);
    done += n;
  }
  return done;
}

void OutputQueue::release(Piece& piece) {
  if (piece.own.capacity() > spare_.capacity() && piece.own.capacity() <= kSpareBytesMax) {
    spare_ = std::move(piece.own);
    spare_.clear();
  }
  piece = Piece{};
}

void OutputQueue::drop(std::size_t bytes) {
  size_ -= bytes;
  while (bytes > 0) {
    const std::size_t left = pieces_[first_].span().size() - first_offset_;
    if (bytes < left) {
      first_offset_ += bytes;
      return;
    }
    bytes -= left;
    first_offset_ = 0;
    release(pieces_[first_++]);
  }
  if (size_ == 0) {
    clear();
  } else if (first_ >= 64 && first_ * 2 >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void OutputQueue::clear() {
  pieces_.clear();
  if (pieces_.capacity() > kPiecesKeptMax) pieces_.shrink_to_fit();
  first_ = 0;
  first_offset_ = 0;
  size_ = 0;
}

}  // namespace mirror::http
