// SendQueue: what one stream has to send and what it sent and keeps until it is acknowledged.
//
// Bytes are held by reference and never copied; a piece is let go when its last byte is
// acknowledged. Offsets run in the order of the stream: acknowledged ≤ sent ≤ given. Not limited
// itself: the application looks at queued() and stops (Application::kQueuedBytesHigh).
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace mirror::quic {

class SendQueue {
 public:
  void push(Bytes bytes, SteadyTime now);
  void finish() { finished_ = true; }

  std::size_t queued() const { return queued_; }            // given and not yet sent
  std::size_t unacknowledged() const { return unacked_; }   // sent and kept
  bool fin_due() const { return finished_ && !fin_sent_; }  // FIN still to be sent
  bool finished() const { return finished_; }
  bool anything() const { return queued_ > 0 || fin_due(); }
  // When the oldest byte that is queued was given.
  std::optional<SteadyTime> queued_since() const;

  struct Gathered {
    std::size_t pieces = 0;
    std::size_t bytes = 0;
    bool all = false;  // nothing is queued behind them
  };
  // The next bytes to send, at least `bytes_min` where there are so many and pieces suffice.
  Gathered gather(std::span<ngtcp2_vec> vectors, std::size_t bytes_min) const;
  void sent(std::size_t bytes, bool fin);
  void acknowledged(std::size_t bytes);
  // What is queued will never be sent. What was sent is kept: the library may still read it.
  void forget_queued();

 private:
  struct Piece {
    Bytes bytes;
    SteadyTime given;
  };
  void drop_acknowledged_front();

  std::vector<Piece> pieces_;
  std::size_t front_ = 0;         // first piece that is not all acknowledged
  std::size_t front_offset_ = 0;  // bytes of it that are
  std::size_t next_ = 0;          // piece of the next byte to send
  std::size_t next_offset_ = 0;
  std::size_t queued_ = 0;
  std::size_t unacked_ = 0;
  bool finished_ = false;
  bool fin_sent_ = false;
};

}  // namespace mirror::quic
