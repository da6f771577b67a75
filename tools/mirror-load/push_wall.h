// PushWall: one viewer of several tiles by one push session, checked by a PushJudge.
//
// Begins anew a second after a session failed, and, where --leave-after says so, leaves and joins
// again after that time. Belongs to a crew and its thread. Limits: kStreamsMax streams at once, of
// each at most a frame (push::FrameReader::kFrameBytesMax).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "participant.h"
#include "push/frame_reader.h"
#include "push_carrier.h"
#include "push_judge.h"

namespace mirror::load {

class PushWall final : public Participant, private PushSink {
 public:
  static constexpr std::size_t kStreamsMax = 1024;
  using MakeCarrier = std::function<std::unique_ptr<PushCarrier>(PushSink&)>;

  PushWall(PartLedger& ledger, std::string target, std::optional<std::chrono::seconds> leave_after,
           const MakeCarrier& make_carrier);

  void start(Stats& stats) override;
  void tick(SteadyTime now, Stats& stats) override;
  void use_stats(Stats& stats) override { stats_ = &stats; }
  void finish(SteadyTime now) override;
  State state() const override { return state_; }

 private:
  void on_push_bytes(std::uint64_t stream, std::span<const std::uint8_t> bytes, bool fin) override;
  void on_push_reset(std::uint64_t stream) override { readers_.erase(stream); }
  void on_push_ended() override;
  void on_push_failed(Fault fault, int status, std::string_view why) override;

  void join(SteadyTime now);
  void restart_later();
  void broken(std::string_view why);

  const std::string target_;
  const std::optional<std::chrono::seconds> leave_after_;
  PushJudge judge_;
  std::unique_ptr<PushCarrier> carrier_;
  std::unordered_map<std::uint64_t, push::FrameReader> readers_;
  Stats* stats_ = nullptr;
  State state_ = State::kWaiting;
  SteadyTime joined_at_{};
  SteadyTime resume_at_{};
};

// The target of wall `index`: `tiles` of `subscriptions`, from another one on for each wall.
std::string target_of_wall(std::string_view path, std::span<const std::string> subscriptions,
                           std::size_t tiles, std::size_t index, bool chunks);

}  // namespace mirror::load
