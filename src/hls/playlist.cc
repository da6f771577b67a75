#include "hls/playlist.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <variant>

namespace mirror::hls {

namespace {

using Out = std::back_insert_iterator<std::string>;

// How much longer than it is the first part of a segment is said to be: 10 us. Shaka Player 5 puts
// negative timestamp offsets 1 ms too high and corrects them whenever that is 1 ms or more, which
// it is or is not by the rounding of doubles; each correction costs the pictures up to the next
// IDR. The parts behind the first lie 10 us late by this, so that it is less, always (ADR 5).
constexpr std::uint64_t kFirstPartExcess = 1;

void write_part(Out out, const WindowSettings& settings, PartPosition at, const Part& part) {
  const auto ticks = span_ticks(settings.grid, part.decode_time, part.samples) +
                     (at.part == 0 ? kFirstPartExcess : 0);
  fmt::format_to(out, "#EXT-X-PART:DURATION={},URI=\"{}/{}.{}.m4s\"{}{}\n", format_seconds(ticks),
                 settings.epoch, at.segment, at.part, part.independent ? ",INDEPENDENT=YES" : "",
                 part.gap ? ",GAP=YES" : "");
}

// LANGUAGE comes from what a stranger sent: only three lower-case letters pass (ISO 639-2).
std::string_view language_of(const media::TrackDescription& track) {
  const auto* audio = std::get_if<media::AudioDescription>(&track);
  if (audio == nullptr || audio->language.size() != 3 || audio->language == "und") return {};
  const bool letters =
      std::ranges::all_of(audio->language, [](char c) { return c >= 'a' && c <= 'z'; });
  return letters ? std::string_view(audio->language) : std::string_view{};
}

bool is_video(const RenditionSummary& rendition) {
  return std::holds_alternative<media::VideoDescription>(*rendition.track);
}

std::string_view query_of(MultivariantForm form) {
  return form == MultivariantForm::kLegacy ? "?_HLS_legacy=YES" : "";
}

// Renditions keep their names from one presentation to the next, so these are stable (4.4.6.1.1).
void write_audio_rendition(Out out, const RenditionSummary& rendition, bool first,
                           MultivariantForm form) {
  const auto& audio = std::get<media::AudioDescription>(*rendition.track);
  const std::string_view language = language_of(*rendition.track);
  fmt::format_to(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{}\"", rendition.name);
  if (!language.empty()) fmt::format_to(out, ",LANGUAGE=\"{}\"", language);
  fmt::format_to(out,
                 ",DEFAULT={},AUTOSELECT=YES,CHANNELS=\"{}\",STABLE-RENDITION-ID=\"{}\","
                 "URI=\"{}/media.m3u8{}\"\n",
                 first ? "YES" : "NO", audio.channels, rendition.name, rendition.name,
                 query_of(form));
}

// The greatest of the group counts: a player adds one audio rendition to a variant (4.4.6.2).
RenditionSummary audio_group_of(const std::vector<RenditionSummary>& renditions) {
  RenditionSummary group;
  for (const RenditionSummary& rendition : renditions) {
    if (is_video(rendition)) continue;
    if (group.codec.find(rendition.codec) == std::string::npos) {
      group.codec += group.codec.empty() ? rendition.codec : "," + rendition.codec;
    }
    group.peak_bps = std::max(group.peak_bps, rendition.peak_bps);
    group.average_bps = std::max(group.average_bps, rendition.average_bps);
  }
  return group;
}

void write_variant(Out out, const RenditionSummary& rendition, const RenditionSummary& audio,
                   MultivariantForm form) {
  fmt::format_to(out, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}{}{}\"",
                 rendition.peak_bps + audio.peak_bps, rendition.average_bps + audio.average_bps,
                 rendition.codec, audio.codec.empty() ? "" : ",", audio.codec);
  if (const auto* video = std::get_if<media::VideoDescription>(rendition.track)) {
    fmt::format_to(out, ",RESOLUTION={}x{},FRAME-RATE={:.3f}", video->width, video->height,
                   video->frame_rate.hz());
  }
  if (!audio.codec.empty()) fmt::format_to(out, ",AUDIO=\"audio\"");
  fmt::format_to(out, ",STABLE-VARIANT-ID=\"{}\"\n{}/media.m3u8{}\n", rendition.name,
                 rendition.name, query_of(form));
}

}  // namespace

std::uint64_t duration_ticks(const media::SampleGrid& grid, std::uint64_t samples,
                             Rounding rounding) {
  const std::uint64_t units = samples * grid.sample_duration * kTicksPerSecond;
  const std::uint64_t carry = rounding == Rounding::kUp ? grid.timescale - 1 : grid.timescale / 2;
  return (units + carry) / grid.timescale;
}

std::uint64_t span_ticks(const media::SampleGrid& grid, std::int64_t from, std::uint64_t samples) {
  const auto scale = static_cast<std::int64_t>(grid.timescale);
  constexpr auto kTicks = static_cast<std::int64_t>(kTicksPerSecond);
  const auto ticks_at = [&](std::int64_t time) {
    const auto whole = time / scale;  // apart, so that no time overflows
    return whole * kTicks + (time - whole * scale) * kTicks / scale;
  };
  const auto length = static_cast<std::int64_t>(samples * grid.sample_duration);
  return static_cast<std::uint64_t>(ticks_at(from + length) - ticks_at(from));
}

std::string format_seconds(std::uint64_t ticks) {
  return fmt::format("{}.{:05}", ticks / kTicksPerSecond, ticks % kTicksPerSecond);
}

std::string format_date(WallTime date) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(date);
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(date - seconds).count();
  const std::time_t time = static_cast<std::time_t>(seconds.time_since_epoch().count());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(time), ms);
}

std::string render_head(const media::SampleGrid& grid) {
  const std::uint64_t part_target =
      duration_ticks(grid, grid.samples_per_part, Rounding::kUp) + kFirstPartExcess;
  const std::string part_hold_back = format_seconds(3 * part_target);
  return fmt::format(
      "#EXTM3U\n"
      "#EXT-X-VERSION:{}\n"
      "#EXT-X-INDEPENDENT-SEGMENTS\n"
      "#EXT-X-TARGETDURATION:{}\n"
      "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},HOLD-BACK={}.0,"
      "CAN-SKIP-UNTIL={}.0,CAN-SKIP-DATERANGES=YES\n"
      "#EXT-X-PART-INF:PART-TARGET={}\n"
      "#EXT-X-START:TIME-OFFSET=-{},PRECISE=YES\n",
      kPlaylistVersion, kTargetDurationSeconds, part_hold_back, 3 * kTargetDurationSeconds,
      kSkipBoundarySeconds, format_seconds(part_target), part_hold_back);
}

std::string render_legacy_head() {
  // 4.4.4.7: EXT-X-GAP needs version 8.
  return fmt::format(
      "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:{}\n",
      kTargetDurationSeconds);
}

SegmentText render_segment(const WindowSettings& settings, const Segment& segment) {
  SegmentText text;
  if (segment.discontinuity) text.before = "#EXT-X-DISCONTINUITY\n";
  fmt::format_to(Out(text.before), "#EXT-X-PROGRAM-DATE-TIME:{}\n", format_date(segment.date));
  PartPosition at{segment.number, 0};
  for (const Part& part : segment.parts) {
    write_part(Out(text.parts), settings, at, part);
    ++at.part;
  }
  if (!segment.complete) return text;
  if (segment.gap()) text.after = "#EXT-X-GAP\n";
  const auto ticks = span_ticks(settings.grid, segment.decode_time, segment.samples());
  fmt::format_to(Out(text.after), "#EXTINF:{},\n{}/{}.m4s\n", format_seconds(ticks), settings.epoch,
                 segment.number);
  return text;
}

std::string render_tail(const WindowSettings& settings, const WindowView& view,
                        const std::vector<RenditionReport>& reports) {
  if (view.ended) return "#EXT-X-ENDLIST\n";
  std::string text;
  const Out out(text);
  fmt::format_to(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}/{}.{}.m4s\"\n", settings.epoch,
                 view.next.segment, view.next.part);
  for (const RenditionReport& report : reports) {
    fmt::format_to(out, "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={},LAST-PART={}\n", report.uri,
                   report.last.segment, report.last.part);
  }
  return text;
}

MediaSequence first_with_parts(const WindowSettings& settings, const WindowView& view) {
  const std::uint64_t enough = 3 * kTargetDurationSeconds * kTicksPerSecond;
  std::uint64_t samples = 0;
  for (std::size_t i = view.segments.size(); i > 0; --i) {
    const Segment& segment = *view.segments[i - 1];
    samples += segment.samples();
    if (duration_ticks(settings.grid, samples, Rounding::kNearest) >= enough) return segment.number;
  }
  return 0;
}

MediaSequence first_not_skipped(const WindowSettings& settings, const WindowView& view) {
  const std::uint64_t enough = kSkipBoundarySeconds * kTicksPerSecond;
  std::uint64_t samples = 0;
  for (std::size_t i = view.segments.size(); i > 0; --i) {
    const Segment& segment = *view.segments[i - 1];
    if (segment.number < view.first_listed) break;
    samples += segment.samples();
    if (duration_ticks(settings.grid, samples, Rounding::kNearest) >= enough) return segment.number;
  }
  return view.first_listed;
}

std::string render_multivariant_playlist(const std::vector<RenditionSummary>& renditions,
                                         MultivariantForm form) {
  std::string text;
  const Out out(text);
  fmt::format_to(out, "#EXTM3U\n#EXT-X-VERSION:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
                 kPlaylistVersion);
  if (std::ranges::none_of(renditions, is_video)) {
    for (const RenditionSummary& rendition : renditions) write_variant(out, rendition, {}, form);
    return text;
  }
  bool first = true;
  for (const RenditionSummary& rendition : renditions) {
    if (is_video(rendition)) continue;
    write_audio_rendition(out, rendition, first, form);
    first = false;
  }
  const RenditionSummary audio = audio_group_of(renditions);
  for (const RenditionSummary& rendition : renditions) {
    if (is_video(rendition)) write_variant(out, rendition, audio, form);
  }
  return text;
}

}  // namespace mirror::hls
