// Session: one viewer's push session: its subscriptions, what they have queued for it, and in what
// order it is sent.
//
// Lives on its loop, owned by the hub, which calls it; sans-IO, time is a parameter. The session
// keeps what waits and gives its carrier only a little at a time. What waits is limited in bytes
// and age (SessionSettings); beyond that the least important subscription loses whole parts, goes
// on at its next independent part, and the viewer is told. So one slow viewer costs a bounded
// amount of references and delays nobody.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rate_limit.h"
#include "push/carrier.h"
#include "push/control.h"
#include "push/frame.h"
#include "push/subscription.h"

namespace mirror::push {

class Hub;

// What a queued frame is charged for beside its bytes.
inline constexpr std::size_t kFrameCost = 256;

struct SessionSettings {
  // What may wait for one viewer, beside what its carrier has.
  std::size_t queued_bytes_max = std::size_t{2} << 20;
  std::chrono::milliseconds queued_age_max{2'000};
  // The carrier is given frames while it holds fewer bytes than this.
  std::size_t carrier_bytes = std::size_t{48} << 10;
  std::size_t subscriptions_max = 64;
  // Of these, such as can see nothing yet.
  std::size_t absent_max = 16;
  std::chrono::milliseconds ping_every{5'000};
  // Control messages: so many at once, so many per second in the long run.
  double control_burst = kControlLinesMax;
  double control_per_second = 20;
};

class Session {
 public:
  Session(Hub& hub, std::string id, Carrier& carrier, const SessionSettings& settings);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::string& id() const { return id_; }

  // False: more than may be asked in this time; nothing was done.
  bool control(const std::vector<ControlMessage>& messages, Instant now);
  void subscribe(const Subscribe& message, Instant now);
  // Sends what there is room for and drops what may not wait.
  void pump(Instant now);
  // Time passes, about twice a second.
  void tick(Instant now);
  // Sends nothing more.
  void end();
  bool ended() const { return ended_; }
  // Whether any subscription may still get something.
  bool anything_live() const;

  struct Watched {
    std::string_view stream;
    bool first_rendition = false;
  };
  // For each subscription that is not paused: what is watched.
  template <class Each>
  void for_each_watched(Each&& each) const {
    for (const auto& subscription : subscriptions_) {
      if (subscription->paused() || subscription->done()) continue;
      const Feed& feed = subscription->feed();
      each(Watched{feed.target().stream, feed.is_first_rendition()});
    }
  }
  std::size_t subscriptions() const { return subscriptions_.size(); }
  std::size_t queued_bytes() const { return queued_bytes_; }
  std::chrono::microseconds queue_age(SteadyTime now) const;

  // For its subscriptions.
  void note_work();
  void on_queued(std::size_t bytes, SteadyTime now);
  void on_unqueued(std::size_t bytes) { queued_bytes_ -= bytes; }
  void count_dropped(DropReason reason, std::size_t parts);

 private:
  friend class Hub;

  void apply(const Subscribe& message, Instant now) { subscribe(message, now); }
  void apply(const Unsubscribe& message, Instant now);
  void apply(const SetPriority& message, Instant now);
  void apply(const Pause& message, Instant now);
  void apply(const Resume& message, Instant now);
  void apply(const Switch& message, Instant now);
  void apply(const Rendered& message, Instant now);

  Subscription* find(const Target& target);
  Subscription* find_or_complain(const Target& target);
  bool admits(const Target& target);
  Subscription& add(const Target& target, Priority priority, bool chunks);
  void remove(Subscription& subscription, SteadyTime now);
  void remove_done();
  void complain(ErrorCode code, std::string text);
  void send(const Outgoing& frame, Instant now);
  bool send_next(Instant now);
  void take_losses();
  void trim(SteadyTime now);
  Subscription* least_important() const;

  Hub& hub_;
  const std::string id_;
  Carrier& carrier_;
  const SessionSettings& settings_;
  RateLimit control_limit_;

  bool greeted_ = false;
  bool ended_ = false;
  bool in_work_ = false;  // the hub's list holds it
  std::deque<ErrorNotice> errors_;
  SteadyTime sent_at_{};
  std::size_t queued_bytes_ = 0;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

}  // namespace mirror::push
