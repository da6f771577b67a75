// Timeline: the source's timestamps → the presentation's time → the wall clock.
//
// One per stream, on its media thread, shared by its video and audio transcoders. Presentation time
// starts at zero, never goes backward and is common to all renditions. The video transcoder leads:
// it anchors the source's clock, and anchors it anew after a break (a new *run*); audio follows.
//
// Invariants:
// 1. A run begins at or after everything that any rendition was given before it.
// 2. captured_at() and program_date_at() are functions of presentation time alone: once a date was
//    told, the same time always gets the same date, whoever asks and whenever (within the last
//    kPieces seconds).
// 3. captured_at() is strictly increasing.
// 4. program_date_at() advances exactly as presentation time does, except where it steps.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <ratio>

#include "base/clock.h"
#include "media/time.h"

namespace mirror::transcode {

// 1/705,600,000 s: the largest common unit of 90 kHz, 48 kHz, 44.1 kHz and of the frames of every
// broadcast rate, 24000/1001 to 120 Hz, so that all of them are whole numbers. 64 bits hold 414
// years.
using PresentationTime = std::chrono::duration<std::int64_t, std::ratio<1, 705'600'000>>;

class Timeline {
 public:
  // Over this span of presentation time the least delayed access unit tells the wall clock.
  static constexpr std::size_t kWindowSeconds = 8;
  // How much the date's offset may change per second: while a run is young, and from then on.
  static constexpr std::chrono::microseconds kYoungSlew{50'000};
  static constexpr std::chrono::microseconds kSlew{1'000};
  static constexpr int kYoungSeconds = 5;
  // A program date that is further from the date of capture than this steps there: a clock that is
  // wrong by 10 ppm takes three hours to come so far.
  static constexpr std::chrono::microseconds kProgramDateTolerance{100'000};
  // So many runs are remembered: more than video can begin before audio looks again, because it
  // holds no more pictures back.
  static constexpr std::uint64_t kRuns = 64;

  struct Run {
    PresentationTime start{};
    PresentationTime video_end{};
  };

  // --- Source → presentation.

  // Whether source timestamps can be mapped now: false before the first run, and from suspend()
  // until the next restart().
  bool anchored() const { return anchored_; }
  // Counts the runs; 0 before the first.
  std::uint64_t run() const { return run_; }
  PresentationTime run_start() const { return runs_[run_ % kRuns].start; }
  // One of the last kRuns runs, by its number.
  const Run& run_of(std::uint64_t number) const { return runs_[number % kRuns]; }

  // The source's clock is no longer known (a publisher left); everybody waits for restart().
  void suspend() { anchored_ = false; }
  // Begins a run: the source's `pts`, received then, is presented at `at`, not before furthest().
  // What was observed behind `pts` before this call counts towards the date, too: a run is begun
  // when its first pictures are decoded, and the first ones to come are often late.
  void restart(media::MediaTime pts, PresentationTime at, Instant received);
  // When the source's `pts` is presented. Only while anchored; may be before run_start().
  PresentationTime presented_at(media::MediaTime pts) const;

  // --- How far the renditions have come.

  void video_reached(PresentationTime end);
  void audio_reached(PresentationTime end);
  // The end of the last video sample.
  PresentationTime video_end() const { return runs_[run_ % kRuns].video_end; }
  // The end of what any rendition was given; a new run may not begin earlier.
  PresentationTime furthest() const { return furthest_; }

  // --- Presentation → wall clock.

  // An access unit arrived. Its delay counts towards the estimate.
  void observe(media::MediaTime pts, Instant received);
  // The estimated instant of capture: presentation time plus an offset that follows the least
  // received.wall − presentation time of the last seconds, slewed so slowly that a source's clock
  // drift is followed and network jitter is not.
  WallTime captured_at(PresentationTime time);
  // What EXT-X-PROGRAM-DATE-TIME says of it: the date of capture to within kProgramDateTolerance
  // (once the run is no longer young), but without its slew. Players map media time to the wall
  // clock by it, and some (Shaka) move the media by each millisecond that the two advance
  // unequally.
  WallTime program_date_at(PresentationTime time);

 private:
  using Micros = std::chrono::microseconds;

  // One second (or less, before a restart) of the date functions: the offset is `offset` at `begin`
  // and changes by `slew` per second; that of the program date is the same all the while.
  struct Piece {
    PresentationTime begin;
    Micros offset;
    Micros slew;
    Micros program_offset;
    Micros offset_at(PresentationTime time) const;
  };
  struct Bucket {
    std::int64_t second = -1;
    Micros least{};
  };
  static constexpr std::size_t kPieces = 64;
  struct Arrival {
    media::MediaTime pts{};
    WallTime received{};
  };
  static constexpr std::size_t kArrivals = 64;

  void note_offset(PresentationTime time, Micros offset);
  Micros target_offset(Micros otherwise) const;
  Micros least_offset(media::MediaTime pts, PresentationTime at, WallTime received) const;
  void add_piece(PresentationTime begin, Micros offset, Micros program_offset);
  const Piece& piece_at(PresentationTime time);

  bool anchored_ = false;
  std::uint64_t run_ = 0;
  media::MediaTime anchor_{};
  std::array<Run, kRuns> runs_{};  // by number
  PresentationTime furthest_{};

  std::array<Bucket, kWindowSeconds> window_{};
  std::int64_t newest_second_ = 0;
  std::array<Arrival, kArrivals> arrivals_{};  // the last ones, of any run
  std::size_t next_arrival_ = 0;
  std::deque<Piece> pieces_;  // oldest first
  int pieces_in_run_ = 0;
};

}  // namespace mirror::transcode
