#include "push/hub.h"

#include <algorithm>
#include <utility>

namespace mirror::push {

void WaitTotals::add(SteadyTime::duration waited) {
  const double value = std::chrono::duration<double>(waited).count();
  const auto bound = std::ranges::lower_bound(kBoundsSeconds, value);
  ++counts[static_cast<std::size_t>(bound - kBoundsSeconds.begin())];
  seconds += value;
}

Hub::Hub(const HubSettings& settings, Catalogue& catalogue)
    : settings_(settings), catalogue_(catalogue) {}

// Sessions let go of feeds.
Hub::~Hub() {
  busy_ = true;
  gone_.clear();
  sessions_.clear();
}

Session& Hub::open(std::string id, Carrier& carrier, const std::vector<Subscribe>& subscriptions,
                   Instant now) {
  auto made = std::make_unique<Session>(*this, id, carrier, settings_.session);
  Session& session = *made;
  auto& place = sessions_[std::move(id)];
  if (place) gone_.push_back(std::move(place));  // no two ids are the same
  place = std::move(made);
  ++totals_.sessions;
  for (const Subscribe& one : subscriptions) session.subscribe(one, now);
  note_work(session);
  return session;
}

void Hub::close(Session& session) {
  session.ended_ = true;
  std::erase(work_, &session);
  const auto found = sessions_.find(session.id());
  if (found == sessions_.end() || found->second.get() != &session) return;
  gone_.push_back(std::move(found->second));
  sessions_.erase(found);
  if (busy_) return;
  gone_.clear();
  drop_unused_feeds();
}

void Hub::on_room(Session& session, Instant now) {
  const bool outer = !std::exchange(busy_, true);
  session.pump(now);
  if (outer) busy_ = false;
}

Hub::Answer Hub::control(std::string_view id, const std::vector<ControlMessage>& messages,
                         Instant now) {
  const auto found = sessions_.find(std::string(id));
  if (found == sessions_.end() || found->second->ended()) return Answer::kNoSuchSession;
  if (!found->second->control(messages, now)) {
    totals_.control_limited += messages.size();
    return Answer::kTooOften;
  }
  totals_.control += messages.size();
  return Answer::kDone;
}

bool Hub::turn(Instant now) {
  busy_ = true;
  for (const auto& [target, feed] : feeds_) feed->refresh(now.steady);
  const std::size_t count = std::min(work_.size(), settings_.sessions_per_turn);
  const std::vector<Session*> work(work_.begin(),
                                   work_.begin() + static_cast<std::ptrdiff_t>(count));
  work_.erase(work_.begin(), work_.begin() + static_cast<std::ptrdiff_t>(count));
  for (Session* session : work) {
    session->in_work_ = false;
    session->pump(now);
  }
  busy_ = false;
  gone_.clear();
  drop_unused_feeds();
  return !work_.empty();
}

void Hub::tick(Instant now) {
  busy_ = true;
  for (const auto& [target, feed] : feeds_) feed->look(now.steady);
  // Carriers may close sessions meanwhile, which are kept until the end of this.
  std::vector<Session*> sessions;
  sessions.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) sessions.push_back(session.get());
  for (Session* session : sessions) {
    session->tick(now);
    if (draining_ && !session->anything_live()) session->end();
  }
  busy_ = false;
  gone_.clear();
  drop_unused_feeds();
  take_stock(now);
}

void Hub::take_stock(Instant now) {
  for (auto& [stream, count] : viewers_) count = 0;
  std::erase_if(viewers_, [&](const auto& entry) { return !catalogue_.find(entry.first); });
  subscriptions_ = 0;
  queue_age_max_ = {};
  for (const auto& [id, session] : sessions_) {
    subscriptions_ += session->subscriptions();
    queue_age_max_ = std::max(queue_age_max_, session->queue_age(now.steady));
    session->for_each_watched([&](const Session::Watched& watched) {
      if (!watched.first_rendition) return;
      const auto found = viewers_.find(watched.stream);
      if (found != viewers_.end()) {
        ++found->second;
      } else {
        viewers_.emplace(watched.stream, 1);
      }
    });
  }
}

Feed& Hub::feed(const Target& target) {
  auto& feed = feeds_[target];
  if (!feed) {
    feed = std::make_unique<Feed>(target, catalogue_, last_track_);
    feed->look({});
  }
  return *feed;
}

void Hub::let_go(Feed& feed) {
  if (feed.subscribers() > 0) return;
  unused_.push_back(&feed);
  if (!busy_) drop_unused_feeds();
}

void Hub::drop_unused_feeds() {
  for (const Feed* feed : std::exchange(unused_, {})) {
    const auto found =
        std::ranges::find_if(feeds_, [&](const auto& entry) { return entry.second.get() == feed; });
    if (found != feeds_.end() && feed->subscribers() == 0) feeds_.erase(found);
  }
}

bool Hub::can_see(const Target& target) const {
  if (const auto found = feeds_.find(target); found != feeds_.end()) {
    if (found->second->track()) return true;
  }
  const auto entry = catalogue_.find(target.stream);
  return entry && entry->presentation && entry->presentation->find(target.rendition) != nullptr;
}

bool Hub::absent_full() const {
  const auto absent = std::ranges::count_if(
      feeds_, [](const auto& entry) { return entry.second->track() == nullptr; });
  return static_cast<std::size_t>(absent) >= settings_.absent_feeds_max;
}

void Hub::note_work(Session& session) {
  if (session.ended_ || std::exchange(session.in_work_, true)) return;
  work_.push_back(&session);
}

}  // namespace mirror::push
