// Scheduler: whose turn it is among the streams of one connection that have something to send.
//
// RFC 9218, 10: lower urgency first. Of one urgency, streams that are not incremental go one after
// the other, oldest first; incremental ones take turns, and where there are both the others have
// one turn together, so that neither kind starves. Holds pointers only; a stream leaves it before
// it dies.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "quic/transport.h"

namespace mirror::quic {

// What the scheduler knows of a stream; kept inside it.
struct Scheduled {
  std::uint64_t age = 0;  // older streams have smaller numbers
  Priority priority;
  bool waiting = false;  // it is in the scheduler
};

class Scheduler {
 public:
  void add(Scheduled& stream) {
    if (stream.waiting) return;
    stream.waiting = true;
    Level& level = level_of(stream);
    if (stream.priority.incremental) {
      level.turns.push_back(&stream);
      return;
    }
    const auto older = [](const Scheduled* a, const Scheduled* b) { return a->age < b->age; };
    level.ordered.insert(std::ranges::upper_bound(level.ordered, &stream, older), &stream);
  }

  void remove(Scheduled& stream) {
    if (!stream.waiting) return;
    stream.waiting = false;
    Level& level = level_of(stream);
    if (stream.priority.incremental) {
      std::erase(level.turns, &stream);
    } else {
      std::erase(level.ordered, &stream);
    }
  }

  // Whose turn it is; nobody's: null.
  Scheduled* next() const {
    for (const Level& level : levels_) {
      if (level.turns.empty() && level.ordered.empty()) continue;
      const bool ordered = level.turns.empty() || (level.turn_of_ordered && !level.ordered.empty());
      return ordered ? level.ordered.front() : level.turns.front();
    }
    return nullptr;
  }

  // `stream` had its turn: something of it went into a packet.
  void took_turn(Scheduled& stream) {
    if (!stream.waiting) return;
    Level& level = level_of(stream);
    level.turn_of_ordered = stream.priority.incremental;
    if (!stream.priority.incremental || level.turns.front() != &stream) return;
    std::ranges::rotate(level.turns, level.turns.begin() + 1);
  }

  void set_priority(Scheduled& stream, Priority priority) {
    const bool waiting = stream.waiting;
    remove(stream);
    priority.urgency = std::min<std::uint8_t>(priority.urgency, kLevels - 1);
    stream.priority = priority;
    if (waiting) add(stream);
  }

 private:
  static constexpr std::size_t kLevels = 8;  // RFC 9218, 4.1

  struct Level {
    std::vector<Scheduled*> ordered;  // by age
    std::vector<Scheduled*> turns;
    bool turn_of_ordered = true;
  };

  Level& level_of(const Scheduled& stream) { return levels_[stream.priority.urgency]; }

  std::array<Level, kLevels> levels_;
};

}  // namespace mirror::quic
