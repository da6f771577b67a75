// Crew: one thread's viewers, their connections, and the loop that moves them.
//
// Built on the main thread; from start_thread() on everything but the public functions below it
// happens on the crew's own. What it saw it hands over whole, once per collect().
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "http3_link.h"
#include "link.h"
#include "net/event_loop.h"
#include "options.h"
#include "participant.h"
#include "stats.h"
#include "transport.h"
#include "viewer.h"

namespace mirror::load {

using StatsQueue = BoundedQueue<std::unique_ptr<Stats>>;

class Crew {
 public:
  enum class Collect { kInterval, kLast };

  struct Size {
    std::size_t viewers = 0;
    std::size_t slow = 0;  // the last of them
  };
  static Result<std::unique_ptr<Crew>> create(const Options& options, const Size& size,
                                              const Destination& destination,
                                              const Assignment& assignment, StatsQueue& reports);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void start_thread();
  // Main thread. The first viewer begins at once, the others one by one over `ramp`.
  void begin_first();
  void begin_all(std::chrono::nanoseconds ramp);
  // What was seen since the last time goes to the queue. With kLast viewers that stall now count.
  void collect(Collect which);
  void stop();

 private:
  Crew(std::unique_ptr<net::EventLoop> loop, const Options& options, const Size& size,
       const Destination& destination, StatsQueue& reports);

  Status open_door(const Options& options);
  void build_viewers(const Options& options, const Assignment& assignment);
  void build_walls(const Options& options, const Assignment& assignment);
  std::unique_ptr<Transport> make_transport(HttpVersion http, Workplace& workplace);
  bool is_slow(std::size_t viewer) const { return viewer >= size_.viewers - size_.slow; }
  Workplace& workplace_of(std::size_t viewer) { return is_slow(viewer) ? slow_place_ : workplace_; }
  Stats& stats_of(std::size_t viewer) { return is_slow(viewer) ? *slow_stats_ : *stats_; }
  void tick();
  void begin_next();
  void start_due();
  void report(Collect which);

  const std::unique_ptr<net::EventLoop> loop_;
  const Size size_;
  StatsQueue& reports_;
  Workplace workplace_;
  Workplace slow_place_;  // of the slow ones
  std::unique_ptr<Stats> stats_;
  std::unique_ptr<Stats> slow_stats_;
  std::unique_ptr<QuicDoor> door_;  // before all that speaks through it
  std::vector<std::unique_ptr<Transport>> transports_;
  std::vector<std::unique_ptr<Participant>> viewers_;
  std::size_t begun_ = 0;
  SteadyTime ramp_from_{};
  std::chrono::nanoseconds ramp_{-1};  // negative: not yet
  SteadyTime interval_from_{};
  std::chrono::microseconds cpu_from_{};
  net::EventLoop::Timer timer_;
  std::thread thread_;
};

}  // namespace mirror::load
