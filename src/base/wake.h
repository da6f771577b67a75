// Wake: how a media thread tells every network loop that something was published.
//
// The publisher calls wake_all() after it has swapped a snapshot; each loop wakes once, however
// many publications came since it last looked, and looks for itself at what changed. No payload
// crosses.
#pragma once

#include <utility>
#include <vector>

namespace mirror {

// Implemented by a loop. Callable from any thread, cheap, never blocks, calls coalesce.
class Wakeable {
 public:
  virtual ~Wakeable() = default;
  virtual void wake() noexcept = 0;
};

// The fixed set of loops; made once at start by `app`, then immutable.
class WakeList {
 public:
  explicit WakeList(std::vector<Wakeable*> loops) : loops_(std::move(loops)) {}
  void wake_all() const noexcept {
    for (Wakeable* loop : loops_) loop->wake();
  }

 private:
  const std::vector<Wakeable*> loops_;
};

}  // namespace mirror
