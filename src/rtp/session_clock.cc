#include "rtp/session_clock.h"

#include <algorithm>
#include <utility>

namespace mirror::rtp {
namespace {

using media::MediaTime;

constexpr std::int64_t kMediaRate = MediaTime::period::den;
// A hostile source's timestamps may run away; nobody is on the air for a century.
constexpr MediaTime kFarthest = std::chrono::hours(24 * 365 * 100);

std::int64_t difference(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b);
}

MediaTime sender_time_of(NtpTime ntp) {
  const auto seconds = static_cast<std::int64_t>(ntp >> 32U);
  const auto fraction = static_cast<std::int64_t>(ntp & 0xffff'ffffU);
  return MediaTime(seconds * kMediaRate + (fraction * kMediaRate >> 32U));
}

}  // namespace

SessionClock::Track& SessionClock::add_track(std::uint32_t clock_rate) {
  tracks_.push_back(std::make_unique<Track>(*this, clock_rate));
  return *tracks_.back();
}

SessionClock::Track& SessionClock::add_track(const SdpMedia& medium) {
  if (medium.kind == "video" && !std::exchange(leader_has_pictures_, true)) {
    leader_ = tracks_.size();
  }
  return add_track(medium.clock_rate);
}

MediaTime SessionClock::arrival_time(Instant received) {
  if (!begin_) begin_ = received.steady;
  return std::chrono::floor<MediaTime>(received.steady - *begin_);
}

MediaTime SessionClock::Track::to_media(std::int64_t ticks) const {
  // In two steps, or a year of ticks would overflow.
  const std::int64_t rate = clock_rate_;
  return MediaTime(ticks / rate * kMediaRate + ticks % rate * kMediaRate / rate);
}

// Only while anchored.
MediaTime SessionClock::Track::time_at(std::uint32_t timestamp) const {
  return anchor_ + to_media(ticks_ + difference(timestamp, timestamp_));
}

bool SessionClock::Track::jumps(std::int64_t ticks, Instant received) const {
  const MediaTime advance = to_media(ticks);
  const auto passed = std::chrono::floor<MediaTime>(received.steady - received_.steady);
  return std::chrono::abs(advance) > kJump && std::chrono::abs(advance - passed) > kJump;
}

void SessionClock::Track::anchor(std::uint32_t timestamp, MediaTime at, Instant received) {
  anchored_ = true;
  fresh_ = true;
  ticks_ = 0;
  timestamp_ = timestamp;
  received_ = received;
  anchor_ = at;
  tied_ = false;
  to_correct_ = {};
  slew_room_ = 0;
}

// The clock began anew: its track goes on after as much time as has passed.
void SessionClock::Track::break_at(std::uint32_t timestamp, Instant received) {
  const auto passed = std::chrono::floor<MediaTime>(received.steady - received_.steady);
  const MediaTime last = anchor_ + to_media(ticks_);
  const bool lost = std::chrono::abs(last) > kFarthest;
  // A report may have come ahead of its first packet.
  if (report_ && !restarted_ &&
      std::chrono::abs(to_media(difference(timestamp, report_->timestamp))) > 2 * kJump) {
    report_.reset();
  }
  restarted_ = false;
  anchor(timestamp, lost ? session_.arrival_time(received) : last + passed, received);
  broken_ = true;
  if (!leads()) return;
  session_.offset_.reset();
  for (const auto& track : session_.tracks_) track->tied_ = false;
}

TrackClock::Date SessionClock::Track::date(std::uint32_t timestamp, Instant received) {
  const std::int64_t ticks = difference(timestamp, timestamp_);
  if (!anchored_) {
    anchor(timestamp, session_.arrival_time(received), received);
    tie();
  } else if (restarted_ || jumps(ticks, received) ||
             std::chrono::abs(anchor_ + to_media(ticks_)) > kFarthest) {
    break_at(timestamp, received);
    tie();
  } else {
    ticks_ += ticks;
    timestamp_ = timestamp;
    received_ = received;
    slew(ticks);
  }
  fresh_ = false;
  return {anchor_ + to_media(ticks_), std::exchange(broken_, false)};
}

void SessionClock::Track::slew(std::int64_t ticks) {
  if (to_correct_ == MediaTime::zero()) {
    slew_room_ = 0;
    return;
  }
  slew_room_ += to_media(ticks).count();
  const MediaTime room(std::max<std::int64_t>(slew_room_ / kSlewRatio, 0));
  slew_room_ -= room.count() * kSlewRatio;
  const MediaTime step = std::clamp(to_correct_, -room, room);
  anchor_ += step;
  to_correct_ -= step;
}

void SessionClock::Track::on_sender_report(const SenderReport& report) {
  if (report.ntp == 0) return;
  report_ = Tie{report.rtp_timestamp, sender_time_of(report.ntp)};
  if (!restarted_) tie();
}

void SessionClock::Track::restart() {
  report_.reset();
  restarted_ = anchored_;
}

void SessionClock::Track::tie() {
  if (!anchored_ || !report_) return;
  if (!leads()) return follow_leader();
  session_.offset_ = time_at(report_->timestamp) - report_->sender_time;
  for (const auto& track : session_.tracks_) {
    if (track.get() != this && track->anchored_ && track->report_ && !track->restarted_) {
      track->follow_leader();
    }
  }
}

void SessionClock::Track::follow_leader() {
  if (!session_.offset_) return;
  const MediaTime wanted = report_->sender_time + *session_.offset_;
  const MediaTime error = wanted - time_at(report_->timestamp);
  if (std::chrono::abs(error) > kCorrectionMax) {
    ++session_.reports_ignored_;
    return;
  }
  if (std::exchange(tied_, true)) {
    to_correct_ = error;
    return;
  }
  anchor_ += error;
  to_correct_ = {};
  broken_ = broken_ || (!fresh_ && error != MediaTime::zero());
}

}  // namespace mirror::rtp
