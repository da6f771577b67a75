// Subscription: one viewer's interest in one feed, and the queue of what it still has to be sent.
//
// Lives on its loop, owned by its session, known to its feed. Holds references only. What is told
// about it beside media (state, track, losses) is kept as state, not as a queue: a dead viewer
// costs no more of it than a live one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "hls/segment.h"
#include "push/carrier.h"
#include "push/feed.h"
#include "push/frame.h"

namespace mirror::push {

class Session;

class Subscription {
 public:
  Subscription(Session& session, Feed& feed, Priority priority, bool chunks);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  Feed& feed() const { return feed_; }
  bool wants_chunks() const { return chunks_; }
  bool paused() const { return paused_; }
  Priority priority() const { return priority_; }
  void set_priority(Priority priority) { priority_ = priority; }

  // Begins at the newest independent part.
  void start(SteadyTime now);
  void pause();
  void resume(SteadyTime now);

  // Follows `old` until an independent part of this feed can take over without a hole; `old` is
  // done then. Neither outlives the session.
  void take_over_from(Subscription& old, SteadyTime now);
  // Looks again whether there is a reason to wait for the predecessor's parts.
  void check_predecessor(SteadyTime now);
  // The other one goes: a successor starts on its own if it has not, a predecessor goes on.
  void forget_predecessor(SteadyTime now);
  void forget_successor() { successor_ = nullptr; }
  Subscription* predecessor() const { return predecessor_; }
  Subscription* successor() const { return successor_; }
  bool done() const { return done_; }

  // From the feed.
  void offer(const MediaFramePointer& frame, SteadyTime now);
  void lose(hls::PartPosition from, hls::PartPosition to, DropReason reason);
  void on_track();
  void on_news();

  // Whether there is anything to send, since when (media only), and the next of it.
  bool has_news() const;
  SteadyTime oldest() const;  // the end of time when nothing is queued
  Outgoing next();

  // Drops from the front up to the next independent part, or everything. Behind parts that the
  // carrier lost already the next independent one may be the first; else that one goes in any case.
  // Returns how many parts are lost.
  std::size_t drop(DropReason reason, const std::optional<LostParts>& by_carrier);
  std::size_t queued() const { return queue_.size(); }
  std::size_t queued_bytes() const { return queued_bytes_; }
  // The track of what is queued or was sent last.
  TrackNumber announced() const { return announced_; }

 private:
  struct Queued {
    MediaFramePointer frame;
    SteadyTime since;
  };
  struct Loss {
    std::shared_ptr<const Track> track;  // null: it is announced
    Dropped dropped;
  };

  void push(const MediaFramePointer& frame, SteadyTime now);
  void note_lost(const LostParts& lost, std::shared_ptr<const Track> track, DropReason reason);
  void clear_queue();
  bool must_wait() const;
  void plan_take_over(hls::PartPosition at, std::int64_t decode_time, SteadyTime now);
  void take_over(hls::PartPosition at, std::int64_t decode_time, SteadyTime now);
  void leave_at(std::int64_t decode_time, std::uint32_t timescale);
  bool state_to_tell() const;
  const Track* track_to_tell() const;

  Session& session_;
  Feed& feed_;
  Priority priority_;
  const bool chunks_;
  bool paused_ = false;
  bool flowing_ = false;  // each frame of the feed is taken; else the next independent part is due
  bool done_ = false;

  std::vector<Queued> queue_;  // oldest first
  std::size_t queued_bytes_ = 0;
  std::vector<Loss> losses_;          // not yet told, oldest first, one a track; few
  std::optional<DropReason> losing_;  // why parts pass until the next independent one
  std::optional<StreamState> told_state_;
  TrackNumber announced_ = 0;
  std::shared_ptr<const Track> init_due_;

  // Where the last frame that was taken ended.
  std::shared_ptr<const Track> last_track_;
  std::int64_t last_end_ = 0;

  Subscription* predecessor_ = nullptr;
  Subscription* successor_ = nullptr;
  // Where this one begins; the predecessor goes on up to here.
  struct TakeOver {
    hls::PartPosition at;
    std::int64_t decode_time = 0;  // in units of this feed's track
  };
  std::optional<TakeOver> take_over_;
};

}  // namespace mirror::push
