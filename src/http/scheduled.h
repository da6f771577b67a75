// Scheduled: a connection of any HTTP version, as its Shard sees it at the end of a turn.
#pragma once

namespace mirror::http {

class Scheduled {
 public:
  virtual ~Scheduled() = default;
  virtual void pump_and_flush() = 0;  // after a turn in which the shard's schedule() was called
  virtual bool closed() const = 0;
};

}  // namespace mirror::http
