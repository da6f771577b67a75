// Snapshot<T>: one writer publishes an immutable value, any thread reads the newest one.
//
// Readers keep what they read alive by holding the pointer; the writer never waits for them.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace mirror {

template <class T>
class Snapshot {
 public:
  Snapshot() = default;
  explicit Snapshot(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  std::shared_ptr<const T> read() const { return value_.load(std::memory_order_acquire); }
  void publish(std::shared_ptr<const T> next) {
    value_.store(std::move(next), std::memory_order_release);
  }

 private:
  std::atomic<std::shared_ptr<const T>> value_;
};

}  // namespace mirror
