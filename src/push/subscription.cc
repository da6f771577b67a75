#include "push/subscription.h"

#include <algorithm>
#include <utility>

#include "push/session.h"

namespace mirror::push {
namespace {

// How much of a switched rendition may come twice, so that none of it is missing: two renditions of
// one stream are encoded one after the other.
constexpr std::int64_t kOverlapMaxMs = 120;

// Presentations of one rendition whose losses wait to be told; beyond it the oldest is forgotten.
constexpr std::size_t kLossesMax = 4;

}  // namespace

Subscription::Subscription(Session& session, Feed& feed, Priority priority, bool chunks)
    : session_(session), feed_(feed), priority_(priority), chunks_(chunks) {
  feed_.attach(*this);
}

Subscription::~Subscription() {
  feed_.detach(*this);
  if (predecessor_ != nullptr) predecessor_->successor_ = nullptr;
  if (successor_ != nullptr) successor_->predecessor_ = nullptr;
  clear_queue();
}

void Subscription::start(SteadyTime now) {
  if (paused_ || flowing_) return;
  const auto frames = feed_.from_newest_independent(chunks_);
  flowing_ = !frames.empty();
  for (const MediaFramePointer& frame : frames) push(frame, now);
}

void Subscription::pause() {
  paused_ = true;
  flowing_ = false;
  losing_.reset();
  losses_.clear();
  last_track_.reset();
  clear_queue();
}

void Subscription::resume(SteadyTime now) {
  if (!std::exchange(paused_, false)) return;
  if (predecessor_ == nullptr) start(now);
}

// ---- From the feed

void Subscription::on_news() { session_.note_work(); }

void Subscription::on_track() {
  // Another presentation begins with an independent part, and what the old one had is queued.
  flowing_ = false;
  session_.note_work();
}

void Subscription::offer(const MediaFramePointer& frame, SteadyTime now) {
  if (paused_ || done_) return;
  const bool begins = frame->independent && frame->first;
  if (predecessor_ != nullptr) {
    if (begins && !take_over_) plan_take_over(frame->at, frame->decode_time, now);
    const bool given = !queue_.empty() && queue_.back().frame == frame;
    if (predecessor_ == nullptr && flowing_ && !given) push(frame, now);
    return;
  }
  const Subscription* next = successor_;
  if (next != nullptr && next->take_over_ &&
      !is_before(frame->decode_time, frame->track->timescale, next->take_over_->decode_time,
                 next->feed_.track()->timescale)) {
    const TakeOver there = *next->take_over_;
    return successor_->take_over(there.at, there.decode_time, now);
  }
  if (!flowing_) {
    if (!begins) {
      // A part of which some chunks came before was noted with the first that was lost.
      if (!losing_ || !frame->first) return;
      note_lost({frame->track->number, frame->at, frame->at, 1}, frame->track, *losing_);
      session_.count_dropped(*losing_, 1);
      return;
    }
    flowing_ = true;
    losing_.reset();
  }
  push(frame, now);
}

void Subscription::lose(hls::PartPosition from, hls::PartPosition to, DropReason reason) {
  if (paused_ || done_ || !flowing_) return;
  flowing_ = false;
  losing_ = reason;
  if (feed_.track()) note_lost({feed_.track()->number, from, to, 1}, feed_.track(), reason);
  session_.count_dropped(reason, 1);
}

void Subscription::push(const MediaFramePointer& frame, SteadyTime now) {
  if (!flowing_) return;  // dropped while it was given several
  last_track_ = frame->track;
  last_end_ = frame->end();
  queue_.push_back({frame, now});
  const std::size_t cost = frame->size() + kFrameCost;
  queued_bytes_ += cost;
  session_.on_queued(cost, now);
}

// ---- One rendition for another

void Subscription::take_over_from(Subscription& old, SteadyTime now) {
  predecessor_ = &old;
  old.successor_ = this;
  paused_ = old.paused_;
  if (!feed_.track()) return;  // the old one goes on until there is something to see
  check_predecessor(now);
  if (predecessor_ == nullptr) return;
  hls::PartPosition at;
  const std::int64_t scale = predecessor_->last_track_->timescale;
  if (const auto part =
          feed_.independent_from(predecessor_->last_end_ - kOverlapMaxMs * scale / 1'000,
                                 predecessor_->last_track_->timescale, at)) {
    plan_take_over(at, part->decode_time, now);
  }
}

void Subscription::check_predecessor(SteadyTime now) {
  if (predecessor_ == nullptr || !feed_.track() || must_wait()) return;
  predecessor_->done_ = true;
  predecessor_->clear_queue();
  forget_predecessor(now);
}

// Only parts of one timeline can continue each other, and only where there are any.
bool Subscription::must_wait() const {
  const Subscription& old = *predecessor_;
  return old.flowing_ && !old.paused_ && old.last_track_ &&
         old.feed_.state() == StreamState::kLive &&
         old.last_track_->presentation == feed_.track()->presentation;
}

void Subscription::forget_predecessor(SteadyTime now) {
  if (predecessor_ == nullptr) return;
  predecessor_->successor_ = nullptr;
  predecessor_ = nullptr;
  take_over_.reset();
  session_.note_work();
  start(now);
}

// `at` is an independent part of this feed.
void Subscription::plan_take_over(hls::PartPosition at, std::int64_t decode_time, SteadyTime now) {
  const Subscription& old = *predecessor_;
  if (!must_wait()) return take_over(at, decode_time, now);
  const std::uint32_t scale = old.last_track_->timescale;
  const std::int64_t overlap = kOverlapMaxMs * scale / 1'000;
  const std::uint32_t own_scale = feed_.track()->timescale;
  if (is_before(decode_time, own_scale, old.last_end_ - overlap, scale)) return;  // too old
  if (is_before(old.last_end_, scale, decode_time, own_scale)) {
    take_over_ = TakeOver{at, decode_time};  // the old one has some way to go
    return;
  }
  take_over(at, decode_time, now);
}

void Subscription::take_over(hls::PartPosition at, std::int64_t decode_time, SteadyTime now) {
  if (feed_.track()) predecessor_->leave_at(decode_time, feed_.track()->timescale);
  predecessor_->successor_ = nullptr;
  predecessor_ = nullptr;
  take_over_.reset();
  // When the feed is just giving the part at `at`, this is empty, and the part follows.
  flowing_ = true;
  for (const MediaFramePointer& frame : feed_.from_part(at, chunks_)) push(frame, now);
  session_.note_work();
}

// What is queued from this time on is not needed any more.
void Subscription::leave_at(std::int64_t decode_time, std::uint32_t timescale) {
  done_ = true;
  while (!queue_.empty()) {
    const MediaFrame& frame = *queue_.back().frame;
    if (is_before(frame.decode_time, frame.track->timescale, decode_time, timescale)) break;
    const std::size_t cost = frame.size() + kFrameCost;
    queued_bytes_ -= cost;
    session_.on_unqueued(cost);
    queue_.pop_back();
  }
}

// ---- To the carrier

bool Subscription::state_to_tell() const {
  if (done_ || told_state_ == feed_.state()) return false;
  return feed_.state() == StreamState::kLive || queue_.empty();
}

const Track* Subscription::track_to_tell() const {
  const Track* track = nullptr;
  if (!losses_.empty()) {
    track = losses_.front().track.get();
  } else if (!queue_.empty()) {
    track = queue_.front().frame->track.get();
  }
  return track != nullptr && track->number != announced_ ? track : nullptr;
}

bool Subscription::has_news() const {
  return !queue_.empty() || init_due_ || !losses_.empty() || state_to_tell();
}

SteadyTime Subscription::oldest() const {
  return queue_.empty() ? SteadyTime::max() : queue_.front().since;
}

Outgoing Subscription::next() {
  if (init_due_) {
    const auto track = std::exchange(init_due_, nullptr);
    return {{track->init_head, track->rendition->init}, nullptr};
  }
  if (state_to_tell()) {
    told_state_ = feed_.state();
    const auto& [stream, rendition] = feed_.target();
    return {{encode(StateChange{*told_state_, stream, rendition}), {}}, nullptr};
  }
  if (track_to_tell() != nullptr) {
    init_due_ = losses_.empty() ? queue_.front().frame->track : losses_.front().track;
    announced_ = init_due_->number;
    return {{init_due_->announcement, {}}, nullptr};
  }
  if (!losses_.empty()) {
    const Dropped dropped = losses_.front().dropped;
    losses_.erase(losses_.begin());
    return {{encode(dropped), {}}, nullptr};
  }
  const MediaFramePointer frame = std::move(queue_.front().frame);
  queue_.erase(queue_.begin());
  const std::size_t cost = frame->size() + kFrameCost;
  queued_bytes_ -= cost;
  session_.on_unqueued(cost);
  return {{frame->head, frame->body}, frame};
}

std::size_t Subscription::drop(DropReason reason, const std::optional<LostParts>& by_carrier) {
  std::size_t parts = 0;
  bool begun = by_carrier.has_value();
  if (by_carrier) {
    const bool queued = !queue_.empty() && queue_.front().frame->track->number == by_carrier->track;
    note_lost(*by_carrier, queued ? queue_.front().frame->track : nullptr, reason);
    parts = static_cast<std::size_t>(by_carrier->parts);
  }
  while (!queue_.empty()) {
    const MediaFramePointer frame = queue_.front().frame;
    if (begun && frame->independent && frame->first) return parts;
    begun = true;
    const bool another = losses_.empty() || losses_.back().dropped.to != frame->at ||
                         losses_.back().dropped.track != frame->track->number;
    note_lost({frame->track->number, frame->at, frame->at, another ? 1u : 0u}, frame->track,
              reason);
    parts += another ? 1 : 0;
    const std::size_t cost = frame->size() + kFrameCost;
    queued_bytes_ -= cost;
    session_.on_unqueued(cost);
    queue_.erase(queue_.begin());
  }
  flowing_ = false;
  losing_ = reason;
  return parts;
}

void Subscription::note_lost(const LostParts& lost, std::shared_ptr<const Track> track,
                             DropReason reason) {
  if (!losses_.empty() && losses_.back().dropped.track == lost.track) {
    Dropped& dropped = losses_.back().dropped;
    dropped.from = std::min(dropped.from, lost.from);
    dropped.to = std::max(dropped.to, lost.to);
    dropped.parts += lost.parts;
    return;
  }
  if (losses_.size() >= kLossesMax) losses_.erase(losses_.begin());
  losses_.push_back({std::move(track), {lost.track, lost.from, lost.to, lost.parts, reason}});
}

void Subscription::clear_queue() {
  session_.on_unqueued(queued_bytes_);
  queued_bytes_ = 0;
  queue_.clear();
}

}  // namespace mirror::push
