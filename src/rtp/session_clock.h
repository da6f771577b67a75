// SessionClock: one time line for the tracks of one RTP session.
//
// Each track's timestamps run at a rate of its own from a random start. SessionClock unwraps them
// and puts them on one 90 kHz line, whose zero is the arrival of the session's first packet.
//
// 1. Until sender reports have come, a track begins where its first packet arrived.
// 2. One track leads, the first with pictures, else the first of all: no report ever moves it. Its
//    reports say which wall clock time of the sender is which time on the line.
// 3. The first report of another track puts it where the sender's wall clock says: one step, before
//    its first access unit if the report comes early enough. From then on it is slewed there, by
//    half a millisecond per second, which the sound's drift compensation follows inaudibly.
// 4. A timestamp that jumps is a clock that began anew: the track goes on where it had arrived,
//    behind a discontinuity, and its reports count from the beginning.
//
// Owned by one session, on its thread; sans-IO. No growth: a few numbers per track.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "media/time.h"
#include "rtp/depacketizer.h"
#include "rtp/rtcp.h"
#include "rtp/sdp.h"

namespace mirror::rtp {

class SessionClock {
 public:
  // A timestamp this much farther from the one before than the time that passed explains: a jump.
  static constexpr media::MediaTime kJump = std::chrono::seconds(5);
  // Reports that would move a track farther than this are not believed.
  static constexpr media::MediaTime kCorrectionMax = std::chrono::seconds(5);
  // A correction after the first takes so many times its own length.
  static constexpr std::int64_t kSlewRatio = 2000;

  class Track final : public TrackClock {
   public:
    Track(SessionClock& session, std::uint32_t clock_rate)
        : session_(session), clock_rate_(clock_rate) {}

    Date date(std::uint32_t timestamp, Instant received) override;
    // A sender report of this track's SSRC. Without an NTP time it says nothing.
    void on_sender_report(const SenderReport& report);
    // Another sender (another SSRC) follows: what was known of the old one's clock is void.
    void restart();

   private:
    friend class SessionClock;
    struct Tie {
      std::uint32_t timestamp;
      media::MediaTime sender_time;  // of the sender's wall clock
    };

    bool leads() const { return session_.tracks_[session_.leader_].get() == this; }
    media::MediaTime to_media(std::int64_t ticks) const;
    media::MediaTime time_at(std::uint32_t timestamp) const;
    bool jumps(std::int64_t ticks, Instant received) const;
    void anchor(std::uint32_t timestamp, media::MediaTime at, Instant received);
    void break_at(std::uint32_t timestamp, Instant received);
    void slew(std::int64_t ticks);
    void tie();
    void follow_leader();

    SessionClock& session_;
    const std::uint32_t clock_rate_;

    bool anchored_ = false;
    bool fresh_ = false;      // nothing has been dated since the anchor
    std::int64_t ticks_ = 0;  // of the last timestamp, unwrapped, since the anchor
    std::uint32_t timestamp_ = 0;
    Instant received_{};
    media::MediaTime anchor_{};  // the line's time at tick zero, corrections included
    bool broken_ = false;        // not told yet

    std::optional<Tie> report_;
    bool tied_ = false;
    bool restarted_ = false;
    media::MediaTime to_correct_{};  // by slewing
    std::int64_t slew_room_ = 0;     // ticks that have passed and moved nothing yet
  };

  SessionClock() = default;
  SessionClock(const SessionClock&) = delete;
  SessionClock& operator=(const SessionClock&) = delete;

  // For one medium of a session description, before the first packet of any; its clock rate is not
  // 0. The track lives as long as this.
  Track& add_track(const SdpMedia& medium);
  // The same for one without pictures, by its clock rate in Hz.
  Track& add_track(std::uint32_t clock_rate);

  // Reports that were not believed.
  std::uint64_t reports_ignored() const { return reports_ignored_; }

 private:
  media::MediaTime arrival_time(Instant received);

  std::vector<std::unique_ptr<Track>> tracks_;
  std::size_t leader_ = 0;
  bool leader_has_pictures_ = false;
  std::optional<SteadyTime> begin_;
  // The line's time less the sender's wall clock, by the leader's last report.
  std::optional<media::MediaTime> offset_;
  std::uint64_t reports_ignored_ = 0;
};

}  // namespace mirror::rtp
