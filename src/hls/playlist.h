// The text of media playlists and multivariant playlists (RFC 8216bis). Pure functions.
//
// Called on a stream's media thread, once per publication; viewers share the result. All numbers of
// a playlist are computed in integers: a duration is a count of samples on the rendition's grid.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hls/window.h"
#include "media/sample.h"

namespace mirror::hls {

// EXT-X-VERSION. A full playlist needs 6 (EXT-X-MAP), a delta update 9, one that skips date ranges
// 10 (RFC 8216bis, 8): the highest, so that every variant of a playlist carries the same line.
inline constexpr int kPlaylistVersion = 10;

// Every segment on a grid lasts less than 1.5 s, which is 1 when rounded (4.4.3.1).
inline constexpr std::uint32_t kTargetDurationSeconds = 1;

// What a playlist prints durations in: 5 decimals.
inline constexpr std::uint64_t kTicksPerSecond = 100'000;

enum class Rounding { kNearest, kUp };
std::uint64_t duration_ticks(const media::SampleGrid& grid, std::uint64_t samples,
                             Rounding rounding);
// What `samples` last that begin at `from` (timescale units, not negative), as the difference of
// two times each cut to ticks. So durations add up to the media's own time without an error that
// grows: players place segments by adding them, and compare that with the dates. At most
// duration_ticks(…, kUp): no full part is above that.
std::uint64_t span_ticks(const media::SampleGrid& grid, std::int64_t from, std::uint64_t samples);

// Ticks as decimal seconds: 10010 is "0.10010".
std::string format_seconds(std::uint64_t ticks);
// "2026-01-02T03:04:05.678Z"; cut to milliseconds.
std::string format_date(WallTime date);

// RFC 8216bis, 4.4.3.8: how far from the playlist's end a delta update keeps everything; six target
// durations are the least allowed.
inline constexpr std::uint64_t kSkipBoundarySeconds = 6 * kTargetDurationSeconds;

// The tags that stay the same, byte for byte, for the life of a stream (players that see
// PART-TARGET or a hold-back change give up): EXTM3U to START.
std::string render_head(const media::SampleGrid& grid);
// The same for players without low latency.
std::string render_legacy_head();

// A segment's lines, rendered when its parts change and then only copied: a playlist of hours costs
// little more than one of seconds.
struct SegmentText {
  std::string before;  // EXT-X-DISCONTINUITY, EXT-X-PROGRAM-DATE-TIME, EXT-X-GAP
  std::string parts;   // one EXT-X-PART each
  std::string after;   // EXTINF and the URI; empty while the segment is open
};
SegmentText render_segment(const WindowSettings& settings, const Segment& segment);

struct RenditionReport {
  std::string_view uri;
  PartPosition last;
};

// What follows the segments: hint and reports, or ENDLIST.
std::string render_tail(const WindowSettings& settings, const WindowView& view,
                        const std::vector<RenditionReport>& reports);

// RFC 8216bis, 6.2.2: parts stay listed within three target durations of the playlist's end. A
// segment that reaches into that time lists all its parts. The first such one.
MediaSequence first_with_parts(const WindowSettings& settings, const WindowView& view);
// The first segment that a delta update lists: those that end before the skip boundary are skipped.
MediaSequence first_not_skipped(const WindowSettings& settings, const WindowView& view);

// One rendition as the multivariant playlist describes it.
struct RenditionSummary {
  std::string_view name;
  const media::TrackDescription* track = nullptr;
  std::string codec;  // RFC 6381
  std::uint64_t peak_bps = 0;
  std::uint64_t average_bps = 0;
};

// Each video rendition is a variant, with the audio renditions as their group; without video, each
// audio rendition is a variant.
enum class MultivariantForm { kLowLatency, kLegacy };
std::string render_multivariant_playlist(const std::vector<RenditionSummary>& renditions,
                                         MultivariantForm form = MultivariantForm::kLowLatency);

}  // namespace mirror::hls
