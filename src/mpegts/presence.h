// Presence: what must come again and again in a feed, and how often it has not (ETSI TR 101 290,
// 5.2.1: the silences of the indicators 1.3, 1.5 and 1.6).
//
// Owned by a Demuxer, on its thread; allocates nothing. It goes by the feed's own time: while
// nothing at all comes, that goes on by kGapMax and then stands still. An outage, and the burst
// behind it, are the transport's fault; these are the multiplexer's.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "media/publish.h"
#include "mpegts/psi.h"

namespace mirror::mpegts {

class Presence {
 public:
  static constexpr std::chrono::milliseconds kTableSilenceMax{500};
  static constexpr std::chrono::milliseconds kPidSilenceMax{5'000};
  static constexpr std::chrono::milliseconds kGapMax{200};

  // Counts in `counters`, which outlive this: one error each time that a silence has lasted as long
  // as it may, so that a lasting one goes on counting.
  explicit Presence(media::DemuxStats& counters) : counters_(counters) {}

  // Something came in. Before what came is looked at.
  void advance(SteadyTime now) {
    if (!begun_) begin(now);
    const auto gap = now - last_;
    last_ = now;
    if (gap <= SteadyTime::duration::zero()) return;
    feed_time_ += gap < kGapMax ? gap : kGapMax;
    if (feed_time_ >= next_look_) look();
  }

  // A section of the programme association table; of the programme's map.
  void saw_pat() { see(pat_, counters_.pat_errors); }
  void saw_pmt() { see(pmt_, counters_.pmt_errors); }
  // A packet of the programme's stream number `stream`, below kElementaryStreamsMax.
  void saw_stream(std::size_t stream) { seen_[stream] = true; }

  // The PAT names a PMT: from now on it is awaited.
  void await_pmt();
  // So do the PMT's audio and video streams, numbered from 0.
  void await_streams(std::size_t count);

 private:
  using Duration = SteadyTime::duration;
  // How late, at worst, the silence of a stream is seen.
  static constexpr std::chrono::milliseconds kLookEvery{50};

  // Something awaited, and when it was last seen or last missed, in the feed's time.
  struct Awaited {
    bool awaited = false;
    Duration since{};
  };

  void begin(SteadyTime now);
  void look();
  void see(Awaited& awaited, std::uint64_t& errors) const;
  void miss(Awaited& awaited, Duration silence_max, std::uint64_t& errors) const;

  media::DemuxStats& counters_;
  bool begun_ = false;
  SteadyTime last_{};
  Duration feed_time_{};
  Duration next_look_{};
  Awaited pat_;
  Awaited pmt_;
  std::array<Awaited, kElementaryStreamsMax> streams_{};
  std::array<bool, kElementaryStreamsMax> seen_{};  // since the last look
};

}  // namespace mirror::mpegts
