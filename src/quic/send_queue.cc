#include "quic/send_queue.h"

#include <algorithm>
#include <utility>

namespace mirror::quic {

namespace {
// Pieces that are let go stay as empty places in front until there are so many of them.
constexpr std::size_t kEmptyPlacesMax = 16;
}  // namespace

void SendQueue::push(Bytes bytes, SteadyTime now) {
  if (bytes.empty() || finished_) return;
  queued_ += bytes.size();
  pieces_.push_back({std::move(bytes), now});
}

std::optional<SteadyTime> SendQueue::queued_since() const {
  if (queued_ == 0) return std::nullopt;
  return pieces_[next_].given;
}

SendQueue::Gathered SendQueue::gather(std::span<ngtcp2_vec> vectors, std::size_t bytes_min) const {
  Gathered gathered;
  std::size_t offset = next_offset_;
  std::size_t left = queued_;
  for (std::size_t i = next_; left > 0; ++i) {
    if (gathered.pieces == vectors.size() || gathered.bytes >= bytes_min) return gathered;
    const auto view = pieces_[i].bytes.span().subspan(std::exchange(offset, 0));
    // The library takes a pointer to what it will only read.
    vectors[gathered.pieces++] = {const_cast<std::uint8_t*>(view.data()), view.size()};
    gathered.bytes += view.size();
    left -= view.size();
  }
  gathered.all = true;
  return gathered;
}

void SendQueue::sent(std::size_t bytes, bool fin) {
  queued_ -= bytes;
  unacked_ += bytes;
  if (fin) fin_sent_ = true;
  next_offset_ += bytes;
  while (next_ < pieces_.size() && next_offset_ >= pieces_[next_].bytes.size()) {
    next_offset_ -= pieces_[next_++].bytes.size();
  }
}

void SendQueue::acknowledged(std::size_t bytes) {
  unacked_ -= bytes;
  front_offset_ += bytes;
  while (front_ < next_ && front_offset_ >= pieces_[front_].bytes.size()) {
    front_offset_ -= pieces_[front_].bytes.size();
    pieces_[front_++].bytes = {};
  }
  drop_acknowledged_front();
}

void SendQueue::drop_acknowledged_front() {
  if (front_ < kEmptyPlacesMax && front_ < pieces_.size()) return;
  pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(front_));
  next_ -= front_;
  front_ = 0;
}

void SendQueue::forget_queued() {
  const std::size_t keep = next_ + (next_offset_ > 0 ? 1 : 0);
  pieces_.resize(std::min(keep, pieces_.size()));
  queued_ = 0;
  finished_ = true;
  fin_sent_ = true;
}

}  // namespace mirror::quic
