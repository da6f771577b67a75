#include "push/session.h"

#include <algorithm>
#include <utility>

#include "push/hub.h"

namespace mirror::push {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kErrorsMax = 16;
// A report of glass-to-glass beyond this is no measurement.
constexpr auto kGlassToGlassMax = 60s;
// How far a report's clock may be off.
constexpr auto kClockSlack = 1s;

}  // namespace

Session::Session(Hub& hub, std::string id, Carrier& carrier, const SessionSettings& settings)
    : hub_(hub),
      id_(std::move(id)),
      carrier_(carrier),
      settings_(settings),
      control_limit_(settings.control_burst, settings.control_per_second) {}

Session::~Session() {
  while (!subscriptions_.empty()) {
    Feed& feed = subscriptions_.back()->feed();
    subscriptions_.pop_back();
    hub_.let_go(feed);
  }
}

// ---- Control

bool Session::control(const std::vector<ControlMessage>& messages, Instant now) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!control_limit_.take(now.steady)) return false;
  }
  for (const ControlMessage& message : messages) {
    std::visit([&](const auto& one) { apply(one, now); }, message);
  }
  note_work();
  return true;
}

Subscription* Session::find(const Target& target) {
  for (const auto& subscription : subscriptions_) {
    if (!subscription->done() && subscription->feed().target() == target) {
      return subscription.get();
    }
  }
  return nullptr;
}

Subscription* Session::find_or_complain(const Target& target) {
  Subscription* found = find(target);
  if (found == nullptr) {
    complain(ErrorCode::kNoSuchSubscription,
             fmt::format("{}/{} is not subscribed to", target.stream, target.rendition));
  }
  return found;
}

bool Session::admits(const Target& target) {
  if (find(target) != nullptr) {
    complain(ErrorCode::kAlreadySubscribed,
             fmt::format("{}/{} is subscribed to", target.stream, target.rendition));
    return false;
  }
  if (subscriptions_.size() >= settings_.subscriptions_max) {
    complain(ErrorCode::kTooMany,
             fmt::format("{} subscriptions are as many as may be", settings_.subscriptions_max));
    return false;
  }
  if (hub_.can_see(target)) return true;
  const auto absent = std::ranges::count_if(subscriptions_, [](const auto& subscription) {
    return subscription->feed().track() == nullptr;
  });
  if (static_cast<std::size_t>(absent) < settings_.absent_max && !hub_.absent_full()) return true;
  complain(ErrorCode::kTooMany, fmt::format("too much is waited for that does not exist: {}/{}",
                                            target.stream, target.rendition));
  return false;
}

Subscription& Session::add(const Target& target, Priority priority, bool chunks) {
  return *subscriptions_.emplace_back(
      std::make_unique<Subscription>(*this, hub_.feed(target), priority, chunks));
}

void Session::subscribe(const Subscribe& message, Instant now) {
  if (!admits(message.target)) return;
  add(message.target, message.priority, message.chunks).start(now.steady);
  note_work();
}

void Session::apply(const Unsubscribe& message, Instant now) {
  if (Subscription* found = find_or_complain(message.target)) remove(*found, now.steady);
}

void Session::apply(const SetPriority& message, Instant) {
  Subscription* found = find_or_complain(message.target);
  if (found == nullptr) return;
  found->set_priority(message.priority);
  if (Subscription* after = found->successor()) after->set_priority(message.priority);
}

void Session::apply(const Pause& message, Instant) {
  Subscription* found = find_or_complain(message.target);
  if (found == nullptr) return;
  found->pause();
  if (Subscription* after = found->successor()) after->pause();
}

void Session::apply(const Resume& message, Instant now) {
  Subscription* found = find_or_complain(message.target);
  if (found == nullptr) return;
  Subscription* after = found->successor();
  found->resume(now.steady);
  if (after != nullptr) after->resume(now.steady);
}

void Session::apply(const Switch& message, Instant now) {
  Subscription* old = find_or_complain(message.target);
  if (old == nullptr) return;
  const Priority priority = old->priority();
  const bool chunks = old->wants_chunks();
  // What has not taken over yet gives way: to the one before it, or to another in its place.
  if (Subscription* before = old->predecessor()) {
    before->forget_successor();
    const bool back = before->feed().target() == message.to;
    if (!back && !admits(message.to)) return old->take_over_from(*before, now.steady);
    remove(*old, now.steady);
    if (back) return;
    old = before;
  } else if (!admits(message.to)) {
    return;
  }
  if (Subscription* after = old->successor()) remove(*after, now.steady);
  add(message.to, priority, chunks).take_over_from(*old, now.steady);
}

void Session::apply(const Rendered& message, Instant now) {
  const auto refuse = [&](std::string_view why) {
    ++hub_.totals().reports_refused;
    complain(ErrorCode::kRefusedReport, std::string(why));
  };
  const auto found = std::ranges::find_if(subscriptions_, [&](const auto& subscription) {
    return subscription->announced() == message.track && subscription->feed().track() &&
           subscription->feed().track()->number == message.track;
  });
  if (found == subscriptions_.end()) return refuse("rendered: no such track");
  const Feed& feed = (*found)->feed();
  const Track& track = *feed.track();
  const auto view = track.rendition->window->view();
  const hls::Segment* segment = view->find(message.at.segment);
  if (segment == nullptr || message.at.part >= segment->parts.size()) {
    return refuse("rendered: no such part");
  }
  const hls::Part& part = segment->parts[message.at.part];
  const auto length = std::chrono::microseconds(
      std::int64_t{part.samples} * media::grid_of(track.rendition->track).sample_duration *
      1'000'000 / track.timescale);
  // The instant is the player's word; what it shows is ours.
  if (message.captured < part.times.captured || message.captured > part.times.captured + length) {
    return refuse("rendered: that part was captured at another time");
  }
  const auto delay = message.rendered - message.captured;
  if (delay < 0us || delay > kGlassToGlassMax || message.rendered > now.wall + kClockSlack) {
    return refuse("rendered: the times make no sense");
  }
  ++hub_.totals().reports;
  hub_.catalogue().count_glass_to_glass(feed.target().stream, delay);
}

void Session::complain(ErrorCode code, std::string text) {
  ++hub_.totals().control_refused;
  if (errors_.size() >= kErrorsMax) errors_.pop_front();
  errors_.push_back({code, std::move(text)});
  note_work();
}

void Session::remove(Subscription& subscription, SteadyTime now) {
  if (Subscription* after = subscription.successor()) after->forget_predecessor(now);
  if (Subscription* before = subscription.predecessor()) before->forget_successor();
  Feed& feed = subscription.feed();
  const auto found =
      std::ranges::find(subscriptions_, &subscription, &std::unique_ptr<Subscription>::get);
  subscriptions_.erase(found);
  hub_.let_go(feed);
}

void Session::remove_done() {
  for (std::size_t i = subscriptions_.size(); i-- > 0;) {
    Subscription& subscription = *subscriptions_[i];
    if (!subscription.done() || subscription.has_news()) continue;
    Feed& feed = subscription.feed();
    subscriptions_.erase(subscriptions_.begin() + static_cast<std::ptrdiff_t>(i));
    hub_.let_go(feed);
  }
}

// ---- Sending

void Session::note_work() { hub_.note_work(*this); }

void Session::on_queued(std::size_t bytes, SteadyTime now) {
  queued_bytes_ += bytes;
  if (queued_bytes_ > settings_.queued_bytes_max) trim(now);
  note_work();
}

void Session::count_dropped(DropReason reason, std::size_t parts) {
  hub_.totals().dropped[static_cast<std::size_t>(reason)] += parts;
}

void Session::pump(Instant now) {
  if (ended_) return;
  bool more = true;
  take_losses();
  while (more && carrier_.pending_bytes() < settings_.carrier_bytes) {
    more = send_next(now);
    take_losses();
  }
  trim(now.steady);
  remove_done();
  if (more) carrier_.tell_below(settings_.carrier_bytes / 2);
}

// The next frame by importance, then by age; false when there is none.
bool Session::send_next(Instant now) {
  if (!std::exchange(greeted_, true)) {
    send({{encode(Hello{kProtocolVersion, id_, now.wall}), {}}, nullptr}, now);
    return true;
  }
  if (!errors_.empty()) {
    send({{encode(errors_.front()), {}}, nullptr}, now);
    errors_.pop_front();
    return true;
  }
  Subscription* best = nullptr;
  for (const auto& subscription : subscriptions_) {
    if (!subscription->has_news()) continue;
    const bool better =
        best == nullptr || subscription->priority() > best->priority() ||
        (subscription->priority() == best->priority() && subscription->oldest() < best->oldest());
    if (better) best = subscription.get();
  }
  if (best == nullptr) return false;
  const SteadyTime since = best->oldest();
  const Outgoing frame = best->next();
  if (frame.media) {
    ++hub_.totals().media_frames;
    hub_.totals().waited.add(now.steady - since);
  }
  send(frame, now);
  return true;
}

void Session::send(const Outgoing& frame, Instant now) {
  sent_at_ = now.steady;
  ++hub_.totals().frames;
  hub_.totals().bytes += frame.size();
  carrier_.send(frame);
}

// Of a track that nobody subscribes to any more there is nothing to tell.
void Session::take_losses() {
  while (const auto loss = carrier_.take_loss()) {
    for (const auto& subscription : subscriptions_) {
      if (subscription->announced() != loss->track) continue;
      count_dropped(DropReason::kBytes, subscription->drop(DropReason::kBytes, loss));
      break;
    }
  }
}

void Session::trim(SteadyTime now) {
  while (true) {
    DropReason reason = DropReason::kBytes;
    if (queued_bytes_ <= settings_.queued_bytes_max) {
      if (queue_age(now) <= settings_.queued_age_max) return;
      reason = DropReason::kAge;
    }
    Subscription* victim = least_important();
    if (victim == nullptr) return;
    const std::size_t parts = victim->drop(reason, carrier_.abandon(victim->announced()));
    count_dropped(reason, parts);
    note_work();
  }
}

Subscription* Session::least_important() const {
  Subscription* least = nullptr;
  for (const auto& subscription : subscriptions_) {
    if (subscription->queued() == 0) continue;
    if (least == nullptr || subscription->priority() < least->priority() ||
        (subscription->priority() == least->priority() &&
         subscription->queued_bytes() > least->queued_bytes())) {
      least = subscription.get();
    }
  }
  return least;
}

std::chrono::microseconds Session::queue_age(SteadyTime now) const {
  SteadyTime oldest = now;
  for (const auto& subscription : subscriptions_) {
    oldest = std::min(oldest, subscription->oldest());
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(now - oldest);
}

void Session::tick(Instant now) {
  if (ended_) return;
  for (const auto& subscription : subscriptions_) subscription->check_predecessor(now.steady);
  pump(now);
  if (now.steady - sent_at_ < settings_.ping_every) return;
  if (carrier_.pending_bytes() > 0) return;  // something is on its way
  send({{encode(Ping{now.wall}), {}}, nullptr}, now);
}

void Session::end() {
  if (std::exchange(ended_, true)) return;
  carrier_.end();
}

bool Session::anything_live() const {
  return std::ranges::any_of(subscriptions_, [](const auto& subscription) {
    return subscription->has_news() || subscription->feed().state() == StreamState::kLive ||
           subscription->feed().state() == StreamState::kReconnecting;
  });
}

}  // namespace mirror::push
