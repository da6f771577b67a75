#include "api/live_routes.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <variant>

#include "hls/uri.h"
#include "hls/window.h"

namespace mirror::api {
namespace {

using namespace std::chrono_literals;
using hls::Readiness;

constexpr std::string_view kPlaylistType = "application/vnd.apple.mpegurl";

// How long a promised part or playlist may fail to come: three target durations of one second
// (RFC 8216bis, 6.2.5.2).
constexpr auto kHoldPart = 3s;
// A viewer who comes with the publisher waits for the first segment.
constexpr auto kHoldFirst = 10s;

// Never changes under its URL, because that carries the epoch.
constexpr std::string_view kCacheMedia = "public, max-age=3600, immutable";
// What a playlist says to one set of directives stays true for as long as a player may ask for it:
// six target durations.
constexpr std::string_view kCacheDirected = "public, max-age=6";
constexpr std::string_view kCacheLive = "no-cache";
// Long enough to take the brunt of a mistaken crowd, short enough not to hide what appears.
constexpr std::string_view kCacheError = "max-age=1";

http::Headers with(http::Headers headers, std::string_view content_type, std::string_view cache) {
  headers.push_back({"content-type", std::string(content_type)});
  headers.push_back({"cache-control", std::string(cache)});
  return headers;
}

void refuse(http::Exchange& exchange, int status, http::Headers headers, std::string_view why) {
  exchange.respond({.status = status,
                    .headers = with(std::move(headers), "text/plain; charset=utf-8", kCacheError),
                    .body = {Bytes::take(fmt::format("{}\n", why))}});
}

void unavailable(http::Exchange& exchange) {
  exchange.respond({.status = 503,
                    .headers = {{"content-type", "text/plain; charset=utf-8"},
                                {"cache-control", "no-store"},
                                {"retry-after", "1"},
                                {"access-control-allow-origin", "*"}},
                    .body = {Bytes::take(std::string("nothing was published in time\n"))}});
}

std::pair<std::string_view, std::string_view> split_first(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string_view media_type(const media::TrackDescription& description) {
  return std::holds_alternative<media::VideoDescription>(description) ? "video/mp4" : "audio/mp4";
}

HeldRequests::Source publications_of(std::shared_ptr<const hls::Window> window) {
  return {std::move(window),
          [](const void* object) { return static_cast<const hls::Window*>(object)->version(); }};
}

// Changes once: when there is a multivariant playlist to answer with.
HeldRequests::Source first_segment_of(std::shared_ptr<const stream::Stream> stream) {
  return {std::move(stream), [](const void* object) -> std::uint64_t {
            const auto presentation = static_cast<const stream::Stream*>(object)->presentation();
            return presentation && presentation->multivariant() ? 1 : 0;
          }};
}

// The bytes behind a media name, or why there are none.
std::pair<Readiness, std::vector<Bytes>> find_media(const hls::Presentation::Rendition& rendition,
                                                    const hls::WindowView& view,
                                                    const hls::MediaName& name) {
  if (std::holds_alternative<hls::InitName>(name)) return {Readiness::kReady, {rendition.init}};
  if (const auto* part = std::get_if<hls::PartName>(&name)) {
    const auto [segment, index] = part->position;
    const Readiness readiness = readiness_of_part(view, segment, index);
    if (readiness != Readiness::kReady) return {readiness, {}};
    return {readiness, {view.find(segment)->parts[index].bytes}};
  }
  const auto number = std::get<hls::SegmentName>(name).segment;
  const Readiness readiness = readiness_of_segment(view, number);
  if (readiness != Readiness::kReady) return {readiness, {}};
  std::vector<Bytes> body;
  for (const hls::Part& part : view.find(number)->parts) body.push_back(part.bytes);
  return {readiness, std::move(body)};
}

}  // namespace

struct LiveRoutes::Target {
  std::shared_ptr<const hls::Presentation> presentation;
  const hls::Presentation::Rendition* rendition;
  http::Headers headers;  // CORS
};

LiveRoutes::LiveRoutes(const stream::Registry& registry, const Cors& cors, HeldRequests& held,
                       const net::EventLoop& loop)
    : registry_(registry), cors_(cors), held_(held), loop_(loop) {}

void LiveRoutes::handle(std::string_view rest, const http::Request& request,
                        http::Exchange& exchange) {
  Target target;
  cors_.allow(request, target.headers);
  const auto [key, in_stream] = split_first(rest);
  const auto stream = registry_.find(key);
  if (!stream) return refuse(exchange, 404, target.headers, "no such stream");
  if (in_stream == "index.m3u8") return multivariant(stream, request, exchange);

  target.presentation = stream->presentation();
  if (!target.presentation) {
    return refuse(exchange, 404, target.headers, "the stream has not started yet");
  }
  const auto [rendition, in_rendition] = split_first(in_stream);
  target.rendition = target.presentation->find(rendition);
  if (target.rendition == nullptr)
    return refuse(exchange, 404, target.headers, "no such rendition");
  if (in_rendition == "media.m3u8") return media_playlist(target, request, exchange);

  const auto [epoch, name] = split_first(in_rendition);
  if (epoch != target.presentation->epoch()) {
    return refuse(exchange, 404, target.headers, "not from this run of the stream");
  }
  media(target, name, exchange);
}

void LiveRoutes::multivariant(const std::shared_ptr<stream::Stream>& stream,
                              const http::Request& request, http::Exchange& exchange) {
  http::Headers headers;
  cors_.allow(request, headers);
  auto attempt = [stream,
                  headers = with(headers, kPlaylistType, kCacheLive)](http::Exchange& waiting) {
    const auto presentation = stream->presentation();
    if (!presentation) return false;
    const auto playlist = presentation->multivariant();
    if (!playlist) return false;
    waiting.respond({.headers = headers, .body = {*playlist}});
    return true;
  };
  const HeldRequests::Source source = first_segment_of(stream);
  const std::uint64_t seen = source.version_of(source.object.get());
  if (attempt(exchange)) return;
  if (held_.full()) return unavailable(exchange);
  held_.hold(exchange, source, seen, std::move(attempt), loop_.now() + kHoldFirst, unavailable);
}

void LiveRoutes::media_playlist(const Target& target, const http::Request& request,
                                http::Exchange& exchange) {
  const auto question = hls::parse_playlist_query(request.query);
  if (!question) return refuse(exchange, 400, target.headers, question.error().message);

  const auto window = target.rendition->window;
  const std::uint64_t seen = window->version();
  auto attempt = [window, question = *question, cors = target.headers](http::Exchange& waiting) {
    const auto view = window->view();
    const Readiness readiness = readiness_of(*view, question);
    if (readiness == Readiness::kNotYet) return false;
    if (readiness == Readiness::kTooFar) {
      refuse(waiting, 400, cors, "_HLS_msn or _HLS_part is too far ahead of the playlist");
    } else if (view->playlist.empty()) {
      refuse(waiting, 404, cors, "the rendition ended before it began");
    } else {
      // Without directives the same URL says something else with each part.
      const std::string_view cache = question.msn ? kCacheDirected : kCacheLive;
      waiting.respond({.headers = with(cors, kPlaylistType, cache), .body = {view->playlist}});
    }
    return true;
  };
  if (attempt(exchange)) return;
  if (held_.full()) return unavailable(exchange);
  held_.hold(exchange, publications_of(window), seen, std::move(attempt), loop_.now() + kHoldPart,
             unavailable);
}

void LiveRoutes::media(const Target& target, std::string_view name, http::Exchange& exchange) {
  const auto wanted = hls::parse_media_name(name);
  if (!wanted) return refuse(exchange, 404, target.headers, "no such resource");

  const auto window = target.rendition->window;
  const std::uint64_t seen = window->version();
  const auto headers = with(target.headers, media_type(target.rendition->track), kCacheMedia);
  auto [readiness, body] = find_media(*target.rendition, *window->view(), *wanted);
  if (readiness == Readiness::kReady) {
    return exchange.respond({.headers = headers, .body = std::move(body)});
  }
  if (readiness != Readiness::kNotYet) {
    return refuse(exchange, 404, target.headers, "no longer, or not yet, available");
  }
  if (held_.full()) return unavailable(exchange);
  auto attempt = [presentation = target.presentation, rendition = target.rendition, window,
                  name = *wanted, headers, cors = target.headers](http::Exchange& waiting) {
    auto [now, bytes] = find_media(*rendition, *window->view(), name);
    if (now == Readiness::kNotYet) return false;
    if (now == Readiness::kReady) {
      waiting.respond({.headers = headers, .body = std::move(bytes)});
    } else {
      refuse(waiting, 404, cors,
             "what was asked for did not come: the segment or the stream ended before");
    }
    return true;
  };
  held_.hold(exchange, publications_of(window), seen, std::move(attempt), loop_.now() + kHoldPart,
             unavailable);
}

}  // namespace mirror::api
