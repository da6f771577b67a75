// Growth: the part that is being made, chunk by chunk, for those who hold the request that the
// PRELOAD-HINT promised an answer to.
//
// Written by the stream's media thread, read by network loops. Nobody is woken for it unless
// somebody waits: most viewers only come for what is complete.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/snapshot.h"
#include "hls/segment.h"

namespace mirror::hls {

// One chunk of a part that is being made, of one sample.
struct ComingPiece {
  Bytes bytes;
  std::int64_t decode_time = 0;  // in timescale units
  PartTimes times;
};

// The pieces that exist of the part at `at`; at most one per sample.
struct ComingPart {
  PartPosition at;
  bool independent = false;    // begins with a sync sample
  bool discontinuity = false;  // EXT-X-DISCONTINUITY stands before it
  std::vector<ComingPiece> pieces;
};

class Growth {
 public:
  // Any thread. Null when nothing has begun to grow.
  std::shared_ptr<const ComingPart> coming() const { return coming_.read(); }
  // Grows by one with each change, after it can be read.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool awaited() const { return waiting_.load(std::memory_order_relaxed) > 0; }

  // Somebody waits for it as long as this lives.
  class Waiter {
   public:
    explicit Waiter(std::shared_ptr<const Growth> growth) : growth_(std::move(growth)) {
      growth_->waiting_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Waiter() {
      if (growth_) growth_->waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    Waiter(Waiter&& other) noexcept = default;
    Waiter& operator=(Waiter&&) = delete;

   private:
    std::shared_ptr<const Growth> growth_;
  };

  // The media thread.
  struct Head {
    PartPosition at;
    bool independent = false;
    bool discontinuity = false;
  };
  void add(const Head& head, ComingPiece piece) {
    const auto before = coming_.read();
    auto next = std::make_shared<ComingPart>();
    if (before && before->at == head.at) {
      *next = *before;
    } else {
      next->at = head.at;
      next->independent = head.independent;
      next->discontinuity = head.discontinuity;
    }
    next->pieces.push_back(std::move(piece));
    publish(std::move(next));
  }
  // The part was published, or will never come.
  void clear() { publish(nullptr); }

 private:
  void publish(std::shared_ptr<const ComingPart> next) {
    coming_.publish(std::move(next));
    version_.fetch_add(1, std::memory_order_release);
  }

  Snapshot<ComingPart> coming_;
  std::atomic<std::uint64_t> version_{0};
  mutable std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace mirror::hls
