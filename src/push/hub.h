// Hub: the push sessions of one network loop and the feeds that they share.
//
// Lives on its loop, sans-IO: its owner calls turn() on each wake of the loop and tick() about
// twice a second. One wake serves all viewers: each feed that has something new makes frames of it
// once, sessions take references, and those that got something are pumped, another one first each
// time. Limits: sessions, feeds of what does not exist (HubSettings), sessions pumped in one turn.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "push/carrier.h"
#include "push/catalogue.h"
#include "push/control.h"
#include "push/feed.h"
#include "push/session.h"

namespace mirror::push {

struct HubSettings {
  SessionSettings session;
  std::size_t sessions_max = 10'000;
  std::size_t absent_feeds_max = 1'024;
  std::size_t sessions_per_turn = 512;
};

// How long frames waited for their viewers: counts by upper bound.
struct WaitTotals {
  static constexpr std::array<double, 9> kBoundsSeconds = {0.001, 0.002, 0.005, 0.01, 0.05,
                                                           0.1,   0.5,   1,     2};
  std::array<std::uint64_t, kBoundsSeconds.size() + 1> counts{};
  double seconds = 0;

  void add(SteadyTime::duration waited);
};

// Totals since the start.
struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t frames = 0;
  std::uint64_t media_frames = 0;
  std::uint64_t bytes = 0;
  std::array<std::uint64_t, 4> dropped{};  // parts by DropReason
  std::uint64_t control = 0;               // messages taken
  std::uint64_t control_refused = 0;       // that had no effect
  std::uint64_t control_limited = 0;       // that came too often
  std::uint64_t reports = 0;
  std::uint64_t reports_refused = 0;
  WaitTotals waited;
};

class Hub {
 public:
  Hub(const HubSettings& settings, Catalogue& catalogue);
  ~Hub();  // sessions are forgotten; their carriers may outlive them
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  bool full() const { return sessions_.size() >= settings_.sessions_max; }
  // Begins a session over `carrier`, which must stay until close(). `id` is one that nobody can
  // guess. Not when full().
  Session& open(std::string id, Carrier& carrier, const std::vector<Subscribe>& subscriptions,
                Instant now);
  // The viewer left, or the carrier ended.
  void close(Session& session);
  void on_room(Session& session, Instant now);

  enum class Answer : std::uint8_t { kDone, kNoSuchSession, kTooOften };
  Answer control(std::string_view id, const std::vector<ControlMessage>& messages, Instant now);

  // True when there is more to do than is done in one turn: call again soon.
  bool turn(Instant now);
  void tick(Instant now);
  // No session goes on once nothing of it is live.
  void drain() { draining_ = true; }

  // Of all viewers, by stream: how many watch its first rendition. Valid until the next tick.
  const std::map<std::string, std::uint32_t, std::less<>>& viewers() const { return viewers_; }
  std::size_t sessions() const { return sessions_.size(); }
  std::size_t subscriptions() const { return subscriptions_; }
  std::size_t feeds() const { return feeds_.size(); }
  // Of any session, when last looked at.
  std::chrono::microseconds queue_age_max() const { return queue_age_max_; }

  // For sessions.
  Feed& feed(const Target& target);
  void let_go(Feed& feed);
  bool can_see(const Target& target) const;
  bool absent_full() const;
  void note_work(Session& session);
  Totals& totals() { return totals_; }
  Catalogue& catalogue() { return catalogue_; }

 private:
  void take_stock(Instant now);
  void drop_unused_feeds();

  const HubSettings settings_;
  Catalogue& catalogue_;
  TrackNumber last_track_ = 0;
  std::map<Target, std::unique_ptr<Feed>> feeds_;
  std::vector<Feed*> unused_;  // to be looked at when nobody walks over feeds_
  std::unordered_map<std::string, std::unique_ptr<Session>> sessions_;
  std::vector<Session*> work_;
  bool busy_ = false;  // sessions that go meanwhile are kept until the end of the turn
  std::vector<std::unique_ptr<Session>> gone_;
  bool draining_ = false;

  Totals totals_;
  std::map<std::string, std::uint32_t, std::less<>> viewers_;
  std::size_t subscriptions_ = 0;
  std::chrono::microseconds queue_age_max_{0};
};

}  // namespace mirror::push
