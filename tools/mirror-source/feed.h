// The two kinds of feed: drawn as it goes, or a file that is played for ever. Both return when the
// duration is over or the pace stops, and with an error when the output fails. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "encoders.h"
#include "output.h"
#include "pace.h"
#include "ts_muxer.h"

namespace mirror::source {

struct FeedSettings {
  std::string name;
  VideoSettings video{};
  bool audio = true;
  TsMuxerSettings mux{};
  std::int64_t start_pts = 90'000;  // of the first frame, in 90 kHz ticks
  // How far the timestamps jump whenever a looped file begins again, in 90 kHz ticks from 0 to
  // 2^33: those of a source whose clock is set. Near 2^33 is a jump back.
  std::int64_t loop_jump = 0;
  // How often the picture changes between its size and half of that, in new parameter sets. Of
  // drawn feeds only; empty: never.
  std::optional<microseconds> resize_every{};
  std::optional<microseconds> duration{};  // empty: until stopped
};

// When frame `index` of the grid that begins at the epoch is due.
std::chrono::sys_time<microseconds> due_time(FrameRate rate, std::int64_t index);
// The first frame of that grid due at or after `time`.
std::int64_t first_frame_at(FrameRate rate, std::chrono::sys_time<microseconds> time);

// Frames lie on a grid that begins at the epoch, so at whole rates one is due at each full second.
// Where encoding cannot keep up, frames are left out (never delayed) and counted on stderr.
Status run_synthetic(const FeedSettings& settings, Output& output, Pace& pace);

// Copies the coded audio and video of `path` in a loop, with timestamps that run on (or jump, see
// loop_jump).
Status run_loop_file(const std::string& path, const FeedSettings& settings, Output& output,
                     Pace& pace);

}  // namespace mirror::source
