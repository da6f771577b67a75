// BoundedQueue<T>: the hand-over between exactly one kind of producer thread and one consumer.
//
// Any thread may push; one thread takes. Limited in items and in weight (for instance bytes);
// a push over a limit is refused and leaves the item with the caller, who counts the drop. FIFO.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace mirror {

template <class T>
class BoundedQueue {
 public:
  struct Limits {
    std::size_t items;
    std::size_t weight;
  };

  explicit BoundedQueue(Limits limits) : limits_(limits) {}
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // Moves `item` in and returns true; false, with `item` untouched, when the queue is full or
  // closed. An item heavier than the whole limit is refused even by an empty queue.
  bool try_push(T&& item, std::size_t weight = 1) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= limits_.items || weight_ + weight > limits_.weight) {
        return false;
      }
      weight_ += weight;
      items_.push_back({std::move(item), weight});
    }
    filled_.notify_one();
    return true;
  }

  // The oldest item; waits for one until `deadline`. Empty on time-out, or once the queue is
  // closed and drained.
  std::optional<T> take_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    filled_.wait_until(lock, deadline, [this] { return closed_ || !items_.empty(); });
    return pop(lock);
  }

  std::optional<T> try_take() {
    std::unique_lock lock(mutex_);
    return pop(lock);
  }

  // No more pushes; what is queued can still be taken.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_all();
  }

  bool drained() const {
    const std::lock_guard lock(mutex_);
    return closed_ && items_.empty();
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  struct Entry {
    T item;
    std::size_t weight;
  };

  std::optional<T> pop(std::unique_lock<std::mutex>&) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front().item));
    weight_ -= items_.front().weight;
    items_.pop_front();
    return item;
  }

  const Limits limits_;

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Entry> items_;  // guarded by mutex_, as all below
  std::size_t weight_ = 0;
  bool closed_ = false;
};

}  // namespace mirror
