// Overload: how a stream gives up pictures, in order, when its media thread cannot keep up, and how
// it takes them back.
//
//   1. Drop to the next random access point: the units up to it are not decoded.
//   2. If that does not last (late again within kRelapse): only reference pictures are decoded.
//   3. If that is not enough: only key frames.
//
// Pure, in the time that it is given; belongs to the media thread. It is told how long each unit of
// the video waited, and says what becomes of it. No unit is decoded that waited longer than
// `late`, so that latency cannot grow beyond that.
//
// It goes back one level after a time without waiting. Each time that this proves to be too much
// within kProbation, the level is taken again at once, and it waits twice as long before the next
// try: a load that lies between two levels cannot make a stream flap.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "stream/status.h"
#include "transcode/transcoder.h"

namespace mirror::stream {

class Overload {
 public:
  using Level = transcode::Effort;
  using Millis = std::chrono::milliseconds;

  // Late again within this time: once more catching up would not help.
  static constexpr std::chrono::seconds kRelapse{20};
  // A level is tried for so long before the next one is taken.
  static constexpr std::chrono::seconds kSettle{1};
  // So long without waiting, and one level is taken back; at first, and at most.
  static constexpr std::chrono::seconds kCalm{10};
  static constexpr std::chrono::seconds kCalmMax{160};
  // A level that was left for so long was rightly left.
  static constexpr std::chrono::seconds kProbation{60};

  // `bound`: what the queue may hold at most, in time.
  explicit Overload(Millis bound)
      : late_(bound / 2), far_behind_(bound * 3 / 4), caught_up_(bound / 4), calm_(bound / 10) {}

  enum class Action {
    kDecode,
    kSkip,  // not decoded: the last picture is repeated in its place
    kDrop,  // nothing at all is done for it: even repeating takes time
  };
  // The next unit of the video was taken from the queue, in which it waited so long.
  Action take(Instant now, std::chrono::nanoseconds waited, bool random_access);

  Level level() const { return status_.level; }
  const OverloadStatus& status() const { return status_; }

 private:
  // Who is far behind so often before the next random access point cannot even repeat pictures.
  static constexpr int kDropsMax = 2;

  void fall_behind(Instant now, std::chrono::nanoseconds waited);
  void recover(Instant now, std::chrono::nanoseconds waited);
  void change(Level level, Instant now, std::string why);

  const Millis late_;
  const Millis far_behind_;
  const Millis caught_up_;
  const Millis calm_;

  OverloadStatus status_;
  bool skipping_ = false;  // up to the next random access point
  bool dropping_ = false;  // far behind, and not caught up since
  int drops_ = 0;          // while skipping

  std::optional<SteadyTime> late_at_;
  std::optional<SteadyTime> changed_at_;
  bool on_probation_ = false;             // the last change gave pictures back
  std::optional<SteadyTime> calm_since_;  // nothing has waited since
  std::chrono::seconds calm_needed_ = kCalm;
};

}  // namespace mirror::stream
