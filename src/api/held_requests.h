// HeldRequests: the requests of one network loop that wait for something to be published.
//
// Lives on its loop, owned by that loop's handler. Waiting costs a list node: no thread, no timer.
// On each wake only the requests are looked at whose source has changed since. A request is
// forgotten the moment its client goes. Limit: held_max requests; the caller refuses beyond it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/clock.h"
#include "http/http.h"

namespace mirror::api {

class HeldRequests {
 public:
  // What is waited for: something with a version that is another one after each change.
  struct Source {
    std::shared_ptr<const void> object;
    std::uint64_t (*version_of)(const void* object);
  };

  enum class Occasion : std::uint8_t { kPublished, kTimeOut };
  // Tries to answer; true when it has. On a time-out it must. Called once at a time, on the loop.
  using Attempt = std::move_only_function<bool(http::Exchange&, Occasion)>;

  explicit HeldRequests(std::size_t held_max) : held_max_(held_max) {}
  ~HeldRequests();
  HeldRequests(const HeldRequests&) = delete;
  HeldRequests& operator=(const HeldRequests&) = delete;

  bool full() const { return held_ >= held_max_; }
  std::size_t size() const { return held_; }

  // Attaches itself to `exchange`. Not when full(). `seen_version` is the source's before the
  // caller looked: a publication between that look and this call is not missed, because its wake
  // comes.
  void hold(http::Exchange& exchange, Source source, std::uint64_t seen_version, Attempt attempt,
            SteadyTime deadline);

  // Something was published: attempts every request whose source has changed. To be called now and
  // then without a wake, too, for sources that change without one.
  void on_wake();
  // About twice a second: answers those whose deadline has passed.
  void on_tick(SteadyTime now);

 private:
  // A node of a circular list that can leave it without knowing which list that is: an answer may
  // close a connection and with it any other request, also while a list is being walked.
  struct Link {
    Link* previous = this;
    Link* next = this;

    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    bool alone() const { return next == this; }
    void unlink();
    void insert_before(Link& other);
    void take_all(Link& other);  // moves everything that hangs on `other` here; this is alone
  };
  class Held;
  struct Group {
    Source source;
    std::uint64_t seen = 0;
    bool look_again = false;  // some of them have seen another version than the others
    std::size_t waiting = 0;
    std::size_t turns = 0;  // rotates who is served first, so that nobody is always last
    Link held;
  };

  void attempt_all(Group& group);
  void drop_empty_groups();

  const std::size_t held_max_;
  std::size_t held_ = 0;
  std::unordered_map<const void*, std::unique_ptr<Group>> groups_;  // by address of the object
};

}  // namespace mirror::api
