#include "transcode/timeline.h"

#include <algorithm>
#include <cassert>

namespace mirror::transcode {
namespace {

using std::chrono::duration_cast;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::seconds;

// No source is on the air for a century; a timestamp that says so must not overflow the arithmetic.
constexpr media::MediaTime kFarthest = std::chrono::hours(24 * 365 * 100);

WallTime wall(PresentationTime time, microseconds offset) {
  return WallTime(duration_cast<microseconds>(time) + offset);
}

}  // namespace

void Timeline::restart(media::MediaTime pts, PresentationTime at, Instant received) {
  assert(at >= furthest_);
  auto offset = least_offset(pts, at, received.wall);
  auto program_offset = offset;
  if (!pieces_.empty()) {
    // Dates go on from the last one told, even if the wall clock was set back meanwhile.
    const auto offset_since = [&](WallTime last) {
      return last.time_since_epoch() - duration_cast<Micros>(at);
    };
    offset = std::max(offset, offset_since(captured_at(furthest_)));
    program_offset = std::max(offset, offset_since(program_date_at(furthest_)));
    while (!pieces_.empty() && pieces_.back().begin >= at) pieces_.pop_back();
  }
  anchored_ = true;
  ++run_;
  anchor_ = pts;
  runs_[run_ % kRuns] = {at, at};
  furthest_ = at;
  window_.fill({});
  newest_second_ = 0;
  pieces_in_run_ = 0;
  note_offset(at, offset);
  add_piece(at, offset, program_offset);
}

PresentationTime Timeline::presented_at(media::MediaTime pts) const {
  return run_start() + std::clamp(pts - anchor_, -kFarthest, kFarthest);
}

void Timeline::video_reached(PresentationTime end) {
  auto& run = runs_[run_ % kRuns];
  run.video_end = std::max(run.video_end, end);
  furthest_ = std::max(furthest_, end);
}

void Timeline::audio_reached(PresentationTime end) { furthest_ = std::max(furthest_, end); }

void Timeline::observe(media::MediaTime pts, Instant received) {
  arrivals_[next_arrival_++ % kArrivals] = {pts, received.wall};
  if (!anchored_) return;
  const auto time = presented_at(pts);
  // What lies far from where we are is a stray timestamp; it would poison the minimum.
  if (time < run_start() || time > furthest_ + seconds(2)) return;
  note_offset(time, received.wall.time_since_epoch() - duration_cast<Micros>(time));
}

void Timeline::note_offset(PresentationTime time, Micros offset) {
  const auto second = floor<seconds>(time).count();
  newest_second_ = std::max(newest_second_, second);
  auto& bucket = window_[static_cast<std::size_t>(second) % kWindowSeconds];
  if (bucket.second < second) {
    bucket = {second, offset};
  } else if (bucket.second == second) {
    bucket.least = std::min(bucket.least, offset);
  }
}

// The offset by what came last, beginning with `pts`.
Timeline::Micros Timeline::least_offset(media::MediaTime pts, PresentationTime at,
                                        WallTime received) const {
  auto least = received.time_since_epoch() - duration_cast<Micros>(at);
  for (const auto& arrival : arrivals_) {
    const auto ahead = arrival.pts - pts;
    if (arrival.received < received || ahead <= media::MediaTime::zero() || ahead > seconds(2)) {
      continue;
    }
    const auto time = duration_cast<Micros>(at) + duration_cast<Micros>(ahead);
    least = std::min(least, arrival.received.time_since_epoch() - time);
  }
  return least;
}

Timeline::Micros Timeline::target_offset(Micros otherwise) const {
  auto least = Micros::max();
  for (const auto& bucket : window_) {
    const bool recent = bucket.second >= 0 &&
                        bucket.second > newest_second_ - static_cast<std::int64_t>(kWindowSeconds);
    if (recent) least = std::min(least, bucket.least);
  }
  return least == Micros::max() ? otherwise : least;
}

void Timeline::add_piece(PresentationTime begin, Micros offset, Micros program_offset) {
  const bool young = pieces_in_run_ < kYoungSeconds;
  const auto limit = young ? kYoungSlew : kSlew;
  const auto slew = std::clamp(target_offset(offset) - offset, -limit, limit);
  const bool far = std::chrono::abs(offset - program_offset) > kProgramDateTolerance;
  if (far && !young) program_offset = offset;
  pieces_.push_back({begin, offset, slew, program_offset});
  if (pieces_.size() > kPieces) pieces_.pop_front();
  ++pieces_in_run_;
}

Timeline::Micros Timeline::Piece::offset_at(PresentationTime time) const {
  const auto elapsed = duration_cast<Micros>(std::min<PresentationTime>(time - begin, seconds(1)));
  return offset + Micros(slew.count() * elapsed.count() / Micros(seconds(1)).count());
}

// Each second's slew is fixed when the first sample in it is dated (invariant 2).
const Timeline::Piece& Timeline::piece_at(PresentationTime time) {
  while (time >= pieces_.back().begin + seconds(1)) {
    const auto& last = pieces_.back();
    const auto next = last.begin + seconds(1);
    const auto offset = last.offset + last.slew;
    const bool far = time - next > seconds(kPieces);
    add_piece(far ? time : next, offset, last.program_offset);
  }
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), time,
                                      [](auto t, const Piece& piece) { return t < piece.begin; });
  return after == pieces_.begin() ? *after : *std::prev(after);
}

WallTime Timeline::captured_at(PresentationTime time) {
  if (pieces_.empty()) return {};
  const auto& piece = piece_at(time);
  return wall(time, piece.offset_at(std::max(time, piece.begin)));
}

WallTime Timeline::program_date_at(PresentationTime time) {
  if (pieces_.empty()) return {};
  return wall(time, piece_at(time).program_offset);
}

}  // namespace mirror::transcode
