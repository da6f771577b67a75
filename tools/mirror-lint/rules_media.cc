// Rules about the media itself against what the playlist says of it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "judging.h"

namespace mirror::lint {
namespace {

// The samples that decide: those of the leading track; null when it has none here.
const TrackSamples* leading_samples(const InitSection& init, const Fragments& media) {
  const Track* track = init.leading();
  const auto it = track == nullptr ? media.tracks.end() : media.tracks.find(track->id);
  return it == media.tracks.end() ? nullptr : &it->second;
}

Seconds seconds_of(std::uint64_t units, std::uint32_t timescale) {
  return Seconds(static_cast<double>(units) / timescale);
}

// Decimals of three digits may be half a millisecond off, and one unit of the timescale.
Seconds tolerance_of(const Track& track) { return Seconds(0.001 + 1.0 / track.timescale); }

void judge_random_access(const Playlist& playlist, const Part& part, const Track& track,
                         const TrackSamples& samples, const Scribe& scribe) {
  const auto quotes = quote(playlist, {part.line});
  if (part.independent && !samples.any_is_sync) {
    scribe("independent-false"_rule, fmt::format("{}: no sync sample", part.resource.uri), quotes);
  }
  if (!part.independent && samples.any_is_sync) {
    scribe("independent-missing"_rule, fmt::format("{}: has a sync sample", part.resource.uri),
           quotes);
  }
  if (samples.sync_is_random_access == false) {
    scribe("sync-not-random-access"_rule,
           fmt::format("{}: a sync sample of {} without {}", part.resource.uri, track.sample_entry,
                       track.hevc ? "an IRAP picture" : "an IDR picture"),
           quotes);
  }
}

}  // namespace

void judge_part_media(const Playlist& playlist, const Part& part, const InitSection& init,
                      const Fragments& media, const Scribe& scribe) {
  const TrackSamples* samples = leading_samples(init, media);
  if (samples == nullptr) return;
  const Track& track = *init.leading();
  const Seconds duration = seconds_of(samples->duration, track.timescale);
  const auto quotes = quote(playlist, {part.line});
  if (std::abs((duration - part.duration).count()) > tolerance_of(track).count()) {
    scribe("part-duration-media"_rule,
           fmt::format("{}: DURATION {:.5f} s, media {:.5f} s", part.resource.uri,
                       part.duration.count(), duration.count()),
           quotes);
  }
  if (playlist.part_target && duration > *playlist.part_target + tolerance_of(track)) {
    scribe("part-media-exceeds-target"_rule,
           fmt::format("{}: media of {:.5f} s against {:.5f} s", part.resource.uri,
                       duration.count(), playlist.part_target->count()),
           quote(playlist, {playlist.part_inf_line, part.line}));
  }
  judge_random_access(playlist, part, track, *samples, scribe);
}

void judge_segment_media(const Playlist& playlist, const Segment& segment, const InitSection& init,
                         const Fragments& media, const Scribe& scribe) {
  const TrackSamples* samples = leading_samples(init, media);
  if (samples == nullptr) return;
  const Track& track = *init.leading();
  const Seconds duration = seconds_of(samples->duration, track.timescale);
  const auto quotes = quote(playlist, {segment.line});
  // Before version 3 EXTINF is an integer (4.4.4.1).
  const Seconds tolerance =
      playlist.version < 3 ? Seconds(0.5) : tolerance_of(track) + Seconds(0.001);
  if (std::abs((duration - segment.duration).count()) > tolerance.count()) {
    scribe("extinf-media"_rule,
           fmt::format("segment {}: EXTINF {:.5f} s, media {:.5f} s", segment.msn,
                       segment.duration.count(), duration.count()),
           quotes);
  }
  if (playlist.independent_segments && !samples->first_is_sync) {
    scribe("independent-segments-false"_rule,
           fmt::format("segment {} does not begin with a sync sample", segment.msn), quotes);
  }
  if (samples->gap_inside) {
    scribe("tfdt-discontinuous"_rule, fmt::format("inside segment {}", segment.msn), quotes);
  }
}

void judge_continuity(const InitSection& init, const Fragments& before, const Fragments& after,
                      std::string_view where, const Scribe& scribe) {
  for (const auto& [id, later] : after.tracks) {
    const auto it = before.tracks.find(id);
    const Track* track = init.find(id);
    if (it == before.tracks.end() || track == nullptr) continue;
    const std::uint64_t expected = it->second.decode_time + it->second.duration;
    const auto off = static_cast<std::int64_t>(later.decode_time - expected);
    // Where a server converts timescales, a millisecond may be lost to rounding.
    if (std::abs(off) <= 1 + track->timescale / 1000) continue;
    scribe("tfdt-discontinuous"_rule,
           fmt::format("{}, track {}: {} units of 1/{} s {}", where, id, std::abs(off),
                       track->timescale, off > 0 ? "missing" : "twice"));
  }
}

void judge_init_section(const InitSection& init, const Scribe& scribe) {
  for (const Track& track : init.tracks) {
    const bool both = !track.codec.empty() && !track.configured_codec.empty();
    if (both && track.codec != track.configured_codec) {
      scribe("codec-config-mismatch"_rule,
             fmt::format("track {}: {} in avcC, {} in its SPS", track.id, track.configured_codec,
                         track.codec));
    }
    if (track.codec.empty()) {
      scribe("media-unknown"_rule,
             fmt::format("track {}: sample entry \"{}\"", track.id, track.sample_entry));
    }
  }
}

}  // namespace mirror::lint
