// Snapshot<T>: one writer publishes an immutable value, any thread reads the newest one.
//
// Readers keep what they read alive by holding the pointer; the writer waits for no longer than it
// takes to copy one. A mutex, because std::atomic<std::shared_ptr> in libstdc++ 12 is a spin lock
// whose load() unlocks with relaxed order: a data race with store(), which ThreadSanitizer reports.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace mirror {

template <class T>
class Snapshot {
 public:
  Snapshot() = default;
  explicit Snapshot(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  std::shared_ptr<const T> read() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void publish(std::shared_ptr<const T> next) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(next);
    }
    // `next` is the old value now; if nobody reads it any more it dies here, outside the lock.
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;  // guarded by mutex_
};

}  // namespace mirror
