#include "stream/overload.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mirror::stream {

using std::chrono::duration_cast;

Overload::Action Overload::take(Instant now, std::chrono::nanoseconds waited, bool random_access) {
  if (!skipping_ && waited > late_) fall_behind(now, waited);
  if (!dropping_ && waited > far_behind_) {
    dropping_ = true;
    ++drops_;
  } else if (waited < calm_ && drops_ < kDropsMax) {
    dropping_ = false;
  }
  // The random access point that is near, not one that is late itself: a newer one may be queued.
  if (random_access && waited <= caught_up_) {
    skipping_ = dropping_ = false;
    drops_ = 0;
  }
  recover(now, waited);
  if (!skipping_) return Action::kDecode;
  ++status_.skipped_units;
  return dropping_ ? Action::kDrop : Action::kSkip;
}

void Overload::fall_behind(Instant now, std::chrono::nanoseconds waited) {
  skipping_ = true;
  ++status_.catch_ups;
  const auto within = [&](const std::optional<SteadyTime>& since, std::chrono::seconds limit) {
    return since && now.steady - *since < limit;
  };
  const bool again = within(late_at_, kRelapse);
  const bool relapse = on_probation_ && within(changed_at_, kProbation);
  const bool settling = !on_probation_ && within(changed_at_, kSettle);
  late_at_ = now.steady;
  if (status_.level == Level::kKeyFramesOnly || !(relapse || (again && !settling))) return;
  if (relapse) calm_needed_ = std::min(2 * calm_needed_, kCalmMax);
  change(status_.level == Level::kAll ? Level::kReferenceOnly : Level::kKeyFramesOnly, now,
         fmt::format("transcoding fell {} ms behind{}", duration_cast<Millis>(waited).count(),
                     relapse ? " when more was tried" : " again"));
  on_probation_ = false;
}

void Overload::recover(Instant now, std::chrono::nanoseconds waited) {
  if (waited > calm_ || skipping_ || !calm_since_) {
    calm_since_ = now.steady;
    return;
  }
  if (status_.level == Level::kAll) {
    if (!on_probation_ || now.steady - *changed_at_ < kProbation) return;
    on_probation_ = false;
    calm_needed_ = kCalm;
    return;
  }
  if (now.steady - *calm_since_ < calm_needed_) return;
  const bool last = status_.level == Level::kReferenceOnly;
  change(last ? Level::kAll : Level::kReferenceOnly, now,
         last ? std::string()
              : fmt::format("no delay for {} s: reference pictures are tried again",
                            calm_needed_.count()));
  on_probation_ = true;
}

void Overload::change(Level level, Instant now, std::string why) {
  status_.level = level;
  status_.since = now.wall;
  status_.why = std::move(why);
  changed_at_ = now.steady;
  calm_since_ = now.steady;
}

}  // namespace mirror::stream
