#include "api/status_routes.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <variant>

namespace mirror::api {
namespace {

// Keys in the order they are written here, which is the order people read them in.
using Json = nlohmann::ordered_json;

Json to_json(const media::Track& track) {
  return {
      {"id", track.id},
      {"codec", track.description.empty() ? std::string(name_of(track.codec)) : track.description},
      {"supported", track.codec != media::Codec::kUnsupported},
      {"language", track.language}};
}

Json source_json(const stream::StreamStatus& status) {
  Json tracks = Json::array();
  for (const auto& track : status.tracks) tracks.push_back(to_json(track));
  const auto& transport = status.transport;
  return {{"protocol", status.protocol},
          {"remote", status.remote},
          {"tracks", std::move(tracks)},
          {"bitrate_bps", std::llround(status.source_bitrate_bps)},
          {"rtt_ms", transport.rtt_ms},
          {"latency_ms", transport.latency_ms},
          {"buffered_ms", transport.buffered_ms},
          {"bytes", transport.bytes},
          {"packets", transport.packets},
          {"packets_lost", transport.packets_lost},
          {"packets_retransmitted", transport.packets_retransmitted},
          {"packets_dropped", transport.packets_dropped},
          {"packets_belated", transport.packets_belated},
          {"packets_undecrypted", transport.packets_undecrypted},
          {"packets_reordered", transport.packets_reordered},
          {"packets_duplicate", transport.packets_duplicate},
          {"packets_recovered", transport.packets_recovered},
          {"packets_strange", transport.packets_strange}};
}

// What TR 101 290 calls the indicators of the first priority, and the CRC of the second.
Json transport_stream_json(const media::DemuxStats& demux) {
  return {{"packets", demux.packets},
          {"sync_losses", demux.sync_losses},
          {"sync_byte_errors", demux.sync_byte_errors},
          {"pat_errors", demux.pat_errors},
          {"continuity_errors", demux.continuity_errors},
          {"pmt_errors", demux.pmt_errors},
          {"pid_errors", demux.pid_errors},
          {"section_crc_errors", demux.section_crc_errors},
          {"pcr_jitter_ms", demux.pcr_jitter_ms},
          {"dropped_bytes", demux.dropped_bytes}};
}

Json counters_json(const stream::StreamStatus& status) {
  return {{"access_units", status.demux.access_units},
          {"damaged_access_units", status.demux.damaged_access_units},
          {"continuity_errors", status.demux.continuity_errors},
          {"sync_losses", status.demux.sync_losses},
          {"queue_dropped_units", status.queue_dropped_units},
          {"decode_errors", status.video.decode_errors + status.audio.decode_errors},
          {"pictures_decoded", status.video.pictures_decoded},
          {"pictures_held", status.video.pictures_held},
          {"slots_duplicated", status.video.slots_duplicated},
          {"pictures_dropped", status.video.pictures_dropped},
          {"discontinuities", status.video.discontinuities}};
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json pairing_json(const stream::StreamStatus& status) {
  const auto& pairing = status.pairing;
  if (pairing.name.empty()) return nullptr;
  return {{"pairing", pairing.name},
          {"device", text_or_null(pairing.device)},
          {"since", iso8601(status.pairing_since)},
          {"why", text_or_null(pairing.why)},
          {"moves", pairing.moves}};
}

Json rendition_json(const hls::Presentation::Rendition& rendition) {
  Json json = {{"name", rendition.name}};
  if (const auto* video = std::get_if<media::VideoDescription>(&rendition.track)) {
    json["width"] = video->width;
    json["height"] = video->height;
    json["frame_rate"] = video->frame_rate.hz();
  } else if (const auto* audio = std::get_if<media::AudioDescription>(&rendition.track)) {
    json["sample_rate"] = audio->sample_rate;
    json["channels"] = audio->channels;
    json["language"] = audio->language;
  }
  return json;
}

Json optional_ms(const std::optional<double>& delay) {
  return delay ? Json(std::round(*delay * 10) / 10) : Json(nullptr);
}

Json to_json(const media::FeedState& feed) {
  return {{"stream", feed.stream},         {"kind", feed.kind},
          {"endpoint", feed.endpoint},     {"state", media::name_of(feed.state)},
          {"why", text_or_null(feed.why)}, {"since", iso8601(feed.since)},
          {"attempts", feed.attempts}};
}

Json to_json(const stream::OverloadStatus& overload) {
  return {{"level", stream::name_of(overload.level)},
          {"since", overload.since == WallTime{} ? Json() : Json(iso8601(overload.since))},
          {"why", text_or_null(overload.why)},
          {"skipped_units", overload.skipped_units},
          {"catch_ups", overload.catch_ups}};
}

Json to_json(const stream::Stream& stream) {
  const auto status = stream.status();
  Json json = {{"key", stream.key().text()},
               {"state", name_of(status->state)},
               {"since", iso8601(status->since)},
               {"why", text_or_null(status->why)},
               {"error", status->state == stream::State::kFailed ? Json(status->why) : Json()},
               {"source", source_json(*status)},
               {"transport_stream", transport_stream_json(status->demux)}};
  Json renditions = Json::array();
  if (const auto presentation = stream.presentation()) {
    for (const auto& rendition : presentation->renditions()) {
      renditions.push_back(rendition_json(rendition));
    }
    json["epoch"] = presentation->epoch();
    json["playlist"] = fmt::format("/live/{}/index.m3u8", stream.key().text());
  } else {
    json["epoch"] = nullptr;
    json["playlist"] = nullptr;
  }
  json["renditions"] = std::move(renditions);
  json["transcode"] = pairing_json(*status);
  json["publish_delay_ms"] = optional_ms(status->publish_delay_ms);
  json["latency_ms"] = optional_ms(status->capture_delay_ms);
  json["viewers"] = std::llround(status->viewers);
  json["overload"] = to_json(status->overload);
  json["counters"] = counters_json(*status);
  return json;
}

// A remote's name or a language code is the source's to choose: what is no UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string iso8601(WallTime time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(ms);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(ms - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::string streams_json(const stream::Registry& registry, WallTime now) {
  Json streams = Json::array();
  const auto registered = registry.streams();
  for (const auto& [key, stream] : *registered) streams.push_back(to_json(*stream));
  return dump({{"now", iso8601(now)}, {"streams", std::move(streams)}});
}

std::string stream_json(const stream::Registry& registry, std::string_view key, WallTime now) {
  const auto stream = registry.find(key);
  if (!stream) return {};
  Json json = {{"now", iso8601(now)}};
  json.update(to_json(*stream));
  return dump(json);
}

std::string refusals_json(const std::vector<media::TurnedAway>& turned_away, WallTime now) {
  Json refusals = Json::array();
  for (const media::TurnedAway& each : turned_away) {
    refusals.push_back({{"at", iso8601(each.at)},
                        {"reason", each.reason},
                        {"why", each.why},
                        {"remote", each.remote},
                        {"asked_for", each.asked_for}});
  }
  return dump({{"now", iso8601(now)}, {"refusals", std::move(refusals)}});
}

std::string overload_json(const stream::OverloadStatus& overload) {
  return dump(to_json(overload));
}

std::string sources_json(const std::vector<media::FeedState>& feeds, WallTime now) {
  Json sources = Json::array();
  for (const media::FeedState& feed : feeds) sources.push_back(to_json(feed));
  return dump({{"now", iso8601(now)}, {"sources", std::move(sources)}});
}

}  // namespace mirror::api
