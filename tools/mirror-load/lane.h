// Lane: one request of a viewer at a time, its answer collected and its time taken.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "transport.h"

namespace mirror::load {

// Three target durations of a server that holds a reload are at most some seconds; a multivariant
// playlist may be held for longer.
inline constexpr auto kAnswerTimeout = std::chrono::seconds(15);

class Lane final : private ResponseSink {
 public:
  static constexpr std::size_t kBodyBytesMax = 16 * 1024 * 1024;

  // Whoever sends on the lane. May send the next request from within.
  class User {
   public:
    virtual ~User() = default;
    virtual void on_answer(Lane& lane) = 0;  // status 200, and as long as it said
    // What was wrong is noted already; `status` is 0 unless there was one.
    virtual void on_no_answer(Lane& lane, int status) = 0;
  };

  Lane(User& user, Transport& transport) : user_(user), transport_(transport) {}

  // `stats` outlives the request or is replaced by use_stats().
  void send(std::string_view target, Stats& stats);
  void use_stats(Stats& stats) { stats_ = &stats; }
  // The request under way is forgotten.
  void abandon();
  void hang_up() { transport_.hang_up(); }  // nothing is under way
  // Ends a request that is under way for too long.
  void check_time(SteadyTime now);

  bool is_busy() const { return busy_; }
  bool shares_transport_with(const Lane& other) const {
    return &transport_ == &other.transport_ && !transport_.is_concurrent();
  }
  const std::string& target() const { return target_; }
  std::span<const std::uint8_t> body() const { return body_; }
  std::string_view text() const;
  std::chrono::microseconds to_head() const { return between(sent_at_, head_at_); }
  std::chrono::microseconds to_end() const { return between(sent_at_, ended_at_); }
  SteadyTime ended_at() const { return ended_at_; }

 private:
  void on_head(const ResponseHead& head) override;
  void on_body(std::span<const std::uint8_t> piece) override;
  void on_end() override;
  void on_failed(Fault fault, std::string_view why) override;

  void fail_with(Fault fault, std::string_view why);
  static std::chrono::microseconds between(SteadyTime from, SteadyTime to) {
    return std::chrono::duration_cast<std::chrono::microseconds>(to - from);
  }

  User& user_;
  Transport& transport_;
  Stats* stats_ = nullptr;
  bool busy_ = false;
  std::string target_;
  ResponseHead head_;
  std::vector<std::uint8_t> body_;  // keeps its capacity
  SteadyTime sent_at_{};
  SteadyTime head_at_{};
  SteadyTime ended_at_{};
};

}  // namespace mirror::load
