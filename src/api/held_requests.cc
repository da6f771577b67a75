#include "api/held_requests.h"

#include <utility>

namespace mirror::api {

void HeldRequests::Link::unlink() {
  previous->next = next;
  next->previous = previous;
  previous = next = this;
}

void HeldRequests::Link::insert_before(Link& other) {
  previous = other.previous;
  next = &other;
  previous->next = this;
  other.previous = this;
}

void HeldRequests::Link::take_all(Link& other) {
  if (other.alone()) return;
  insert_before(other);
  other.unlink();
}

// One waiting request: owned by its exchange, listed by its group. Destroyed when the exchange ends
// for whatever reason, and takes itself off the list then.
class HeldRequests::Held final : public http::Exchange::Attachment, public Link {
 public:
  Held(HeldRequests& owner, Group& group, http::Exchange& exchange, Attempt attempt,
       SteadyTime deadline)
      : owner_(&owner),
        group_(&group),
        exchange_(exchange),
        attempt_(std::move(attempt)),
        deadline_(deadline) {
    insert_before(group.held);
    ++group.waiting;
    ++owner.held_;
  }

  ~Held() override {
    unlink();
    if (owner_ == nullptr) return;
    --group_->waiting;
    --owner_->held_;
  }

  // `this` may be gone when these return.
  void attempt() {
    if (!attempt_) return;                               // answered, and the exchange about to end
    Attempt attempt = std::exchange(attempt_, nullptr);  // answering destroys us, and not this
    if (!attempt(exchange_, Occasion::kPublished)) attempt_ = std::move(attempt);
  }
  void time_out() {
    if (!attempt_) return;
    Attempt attempt = std::exchange(attempt_, nullptr);
    attempt(exchange_, Occasion::kTimeOut);
  }

  SteadyTime deadline() const { return deadline_; }
  void forget_owner() { owner_ = nullptr; }

 private:
  HeldRequests* owner_;  // null when that went first
  Group* group_;
  http::Exchange& exchange_;
  Attempt attempt_;
  const SteadyTime deadline_;
};

HeldRequests::~HeldRequests() {
  // The exchanges may outlive us (the server closes them later); they must not call back.
  for (auto& [address, group] : groups_) {
    while (!group->held.alone()) {
      auto& held = static_cast<Held&>(*group->held.next);
      held.forget_owner();
      held.unlink();
    }
  }
}

void HeldRequests::hold(http::Exchange& exchange, Source source, std::uint64_t seen_version,
                        Attempt attempt, SteadyTime deadline) {
  auto& group = groups_[source.object.get()];
  if (!group) {
    group = std::make_unique<Group>();
    group->source = std::move(source);
    group->seen = seen_version;
  }
  group->look_again = group->look_again || group->seen != seen_version;
  exchange.attach(std::make_unique<Held>(*this, *group, exchange, std::move(attempt), deadline));
}

void HeldRequests::on_wake() {
  for (auto& [address, group] : groups_) {
    const std::uint64_t version = group->source.version_of(group->source.object.get());
    if (version == group->seen && !group->look_again) continue;
    group->seen = version;
    group->look_again = false;
    attempt_all(*group);
  }
  drop_empty_groups();
}

void HeldRequests::attempt_all(Group& group) {
  if (group.held.alone()) return;
  Link pending;
  pending.take_all(group.held);
  for (std::size_t skip = group.turns++ % group.waiting; skip > 0; --skip) {
    Link& first = *pending.next;
    first.unlink();
    first.insert_before(pending);
  }
  while (!pending.alone()) {
    auto& held = static_cast<Held&>(*pending.next);
    held.unlink();
    held.insert_before(group.held);
    held.attempt();
  }
}

void HeldRequests::on_tick(SteadyTime now) {
  for (auto& [address, group] : groups_) {
    Link pending;
    pending.take_all(group->held);
    while (!pending.alone()) {
      auto& held = static_cast<Held&>(*pending.next);
      held.unlink();
      held.insert_before(group->held);
      if (held.deadline() <= now) held.time_out();
    }
  }
  drop_empty_groups();
}

void HeldRequests::drop_empty_groups() {
  std::erase_if(groups_, [](const auto& entry) { return entry.second->waiting == 0; });
}

}  // namespace mirror::api
