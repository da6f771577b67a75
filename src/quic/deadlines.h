// Deadlines: which connection's time comes next. A binary heap in which each connection knows its
// place. A deadline that moves back is left where it is until it comes up: most packets move one
// back, and touching the heap for each of them would cost more than an early look now and then.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "quic/connection.h"

namespace mirror::quic {

class Deadlines {
 public:
  // When next() may have something to do; max(): never.
  SteadyTime first() const { return heap_.empty() ? SteadyTime::max() : heap_[0]->deadline; }

  void set(Connection& connection, SteadyTime when) {
    if (connection.deadline_index != kNowhere) {
      if (when >= connection.deadline) return;
      connection.deadline = when;
      sift_up(connection.deadline_index);
      return;
    }
    if (when == SteadyTime::max()) return;
    connection.deadline = when;
    connection.deadline_index = heap_.size();
    heap_.push_back(&connection);
    sift_up(heap_.size() - 1);
  }

  // Takes out one connection whose deadline is not after `now`; none: null. It may have moved back
  // meanwhile: its expiry() knows.
  Connection* take(SteadyTime now) {
    if (first() > now) return nullptr;
    Connection* due = heap_[0];
    remove(*due);
    return due;
  }

  void remove(Connection& connection) {
    const std::size_t index = std::exchange(connection.deadline_index, kNowhere);
    if (index == kNowhere) return;
    Connection* last = heap_.back();
    heap_.pop_back();
    if (last == &connection) return;
    place(index, last);
    sift_up(index);
    sift_down(last->deadline_index);
  }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  void place(std::size_t index, Connection* connection) {
    heap_[index] = connection;
    connection->deadline_index = index;
  }

  void sift_up(std::size_t index) {
    Connection* moving = heap_[index];
    while (index > 0 && moving->deadline < heap_[(index - 1) / 2]->deadline) {
      place(index, heap_[(index - 1) / 2]);
      index = (index - 1) / 2;
    }
    place(index, moving);
  }

  void sift_down(std::size_t index) {
    Connection* moving = heap_[index];
    while (2 * index + 1 < heap_.size()) {
      std::size_t child = 2 * index + 1;
      if (child + 1 < heap_.size() && heap_[child + 1]->deadline < heap_[child]->deadline) ++child;
      if (heap_[child]->deadline >= moving->deadline) break;
      place(index, heap_[child]);
      index = child;
    }
    place(index, moving);
  }

  std::vector<Connection*> heap_;
};

}  // namespace mirror::quic
