// For tests: a PublisherGate that remembers what it is told, and lets a test wait for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "media/publish.h"

namespace mirror::ingest::test {

// For a busy machine; nothing waits so long when all is well.
inline constexpr std::chrono::seconds kDeadline{30};

// What the line behind the gate would have seen.
struct Seen {
  int opened = 0;
  int closed = 0;
  std::vector<media::Track> tracks;
  int units = 0;
  std::uint64_t packets = 0;  // of the last report, as all below
  std::uint64_t transport_packets = 0;
  int latency_ms = 0;
  std::chrono::microseconds age{};  // of the last unit: now less its capture time
  bool displaced = false;
  std::string user;
  std::string token;
  bool configured = false;
};

// Lets everybody in but who is told off in advance; tells what it sees under a lock.
class FakeGate final : public media::PublisherGate {
 public:
  using Refusal = media::PublishRefusal;

  std::optional<Refusal> admit(const media::PublishRequest& request) const override {
    const std::lock_guard lock(mutex_);
    if (refusal_) return refusal_;
    if (live_.contains(request.key)) return Refusal{Refusal::Reason::kConflict, "already live"};
    return std::nullopt;
  }

  std::expected<std::unique_ptr<media::Publication>, Refusal> open(
      const media::PublishRequest& request) override {
    const std::lock_guard lock(mutex_);
    if (!live_.insert(request.key).second) {
      return std::unexpected(Refusal{Refusal::Reason::kConflict, "already live"});
    }
    Seen& seen = seen_[request.key.text()];
    ++seen.opened;
    seen.displaced = false;
    seen.user = request.user;
    seen.token = request.token;
    seen.configured = request.configured;
    changed_.notify_all();
    return std::make_unique<Turn>(*this, request.key);
  }

  void refuse_all(Refusal::Reason reason) {
    const std::lock_guard lock(mutex_);
    refusal_ = Refusal{reason, "as the test says"};
  }
  void refuse_nobody() {
    const std::lock_guard lock(mutex_);
    refusal_.reset();
  }

  // The stream's publisher of now is unheard from here on.
  void displace(const std::string& key) {
    const std::lock_guard lock(mutex_);
    seen_[key].displaced = true;
  }

  Seen seen(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = seen_.find(key);
    return found == seen_.end() ? Seen{} : found->second;
  }

  // True as soon as `condition` holds for what was seen of `key`; false at the deadline.
  bool wait_for(const std::string& key, const std::function<bool(const Seen&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] { return condition(seen_[key]); });
  }

 private:
  class Turn final : public media::Publication {
   public:
    Turn(FakeGate& gate, media::StreamKey key) : gate_(gate), key_(std::move(key)) {}
    ~Turn() override {
      const std::lock_guard lock(gate_.mutex_);
      gate_.live_.erase(key_);
      ++gate_.seen_[key_.text()].closed;
      gate_.changed_.notify_all();
    }
    void on_tracks(const std::vector<media::Track>& tracks) override {
      change([&](Seen& seen) { seen.tracks = tracks; });
    }
    void on_access_unit(media::AccessUnit unit) override {
      change([&](Seen& seen) {
        ++seen.units;
        seen.age = SystemClock().now().wall - unit.received.wall;
      });
    }
    void on_stats(const media::TransportStats& transport, const media::DemuxStats& demux) override {
      change([&](Seen& seen) {
        seen.packets = demux.packets;
        seen.transport_packets = transport.packets;
        seen.latency_ms = transport.latency_ms;
      });
    }
    bool displaced() const override { return gate_.seen(key_.text()).displaced; }

   private:
    template <class F>
    void change(F&& f) {
      const std::lock_guard lock(gate_.mutex_);
      f(gate_.seen_[key_.text()]);
      gate_.changed_.notify_all();
    }
    FakeGate& gate_;
    const media::StreamKey key_;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Refusal> refusal_;  // guarded by mutex_, as all below
  std::set<media::StreamKey> live_;
  std::map<std::string, Seen> seen_;
};

}  // namespace mirror::ingest::test
