// EventLoop: one thread's epoll, timers and the door through which other threads reach it.
//
// Owned by `app`; run() is called once, on the thread that becomes the loop. Everything registered
// here is called on that thread. Level-triggered; at most kMaxEvents descriptors a turn.
//
// A turn: wait, descriptors, expired timers, the wake tasks, posted tasks, deferred tasks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"

namespace mirror::net {

class EventLoop final : public Wakeable {
 public:
  using Task = std::move_only_function<void()>;

  static constexpr int kMaxEvents = 256;
  static constexpr std::size_t kMaxPosted = 4096;

  // Told about readiness of one descriptor. `events` are EPOLL* bits.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void on_events(std::uint32_t events) = 0;
  };

  class Timer;

  static Result<std::unique_ptr<EventLoop>> create(std::string thread_name);
  ~EventLoop() override;

  // Loop thread (or before run()).
  Status watch(int fd, std::uint32_t events, Watcher& watcher);
  Status rewatch(int fd, std::uint32_t events, Watcher& watcher);
  void unwatch(int fd);    // no event for it is delivered afterwards, not even from this turn
  SteadyTime now() const;  // of this turn; one clock read per turn
  // Called once per turn in which wake() was called since the last one; for good, so only for what
  // lives as long as the loop turns.
  void on_wake(Task task);
  // Runs at the end of this turn; for destroying what is still on the stack.
  void defer(Task task);

  // Any thread. post() is refused (false) when kMaxPosted tasks wait or the loop has stopped.
  bool post(Task task);
  void wake() noexcept override;

  void run();   // until stop()
  void stop();  // any thread

 private:
  struct Impl;
  friend class Timer;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Calls back at most once per arm(); disarmed by destruction, which the callback itself may cause.
// Belongs to the loop's thread and must die before the loop. Millisecond resolution, never early.
class EventLoop::Timer final {
 public:
  Timer(EventLoop& loop, Task task);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(SteadyTime when);  // replaces an earlier arm()
  void arm_in(std::chrono::steady_clock::duration delay) { arm(loop_.now() + delay); }
  void disarm();
  bool armed() const { return heap_index_ != kNotArmed; }

 private:
  friend struct EventLoop::Impl;
  static constexpr std::size_t kNotArmed = static_cast<std::size_t>(-1);

  EventLoop& loop_;
  Task task_;
  SteadyTime when_{};
  std::size_t heap_index_ = kNotArmed;
};

}  // namespace mirror::net
