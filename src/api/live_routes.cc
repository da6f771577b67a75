#include "api/live_routes.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>
#include <variant>

#include "api/cmcd.h"
#include "api/growing_part.h"
#include "hls/window.h"
#include "http/negotiation.h"

namespace mirror::api {
namespace {

using namespace std::chrono_literals;
using hls::Readiness;
using Occasion = HeldRequests::Occasion;

// How long a promised part or playlist may fail to come: three target durations of one second
// (RFC 8216bis, 6.2.5.2).
constexpr auto kHoldPart = 3s;
// A viewer who comes with the publisher waits for the first segment.
constexpr auto kHoldFirst = 10s;

// Long enough to take the brunt of a mistaken crowd, short enough not to hide what appears.
constexpr std::string_view kCacheError = "max-age=1";
// For what may exist the next moment.
constexpr std::string_view kCacheNothing = "no-store";

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

// Changes when there is a multivariant playlist to answer with, and when there will be none.
HeldRequests::Source first_segment_of(std::shared_ptr<const stream::Stream> stream) {
  return {std::move(stream), [](const void* object) -> std::uint64_t {
            const auto& waited_for = *static_cast<const stream::Stream*>(object);
            if (waited_for.ended()) return 2;
            const auto presentation = waited_for.presentation();
            return presentation && presentation->multivariant() ? 1 : 0;
          }};
}

const hls::Playlists::Form& form_of(const hls::Playlists& playlists,
                                    const hls::PlaylistQuestion& question) {
  using Skip = hls::PlaylistQuestion::Skip;
  if (question.legacy) return playlists.legacy;
  if (question.skip == Skip::kSegments) return playlists.delta;
  if (question.skip == Skip::kSegmentsAndDateRanges) return playlists.delta_date_ranges;
  return playlists.full;
}

Readiness readiness_of_media(const hls::WindowView& view, const hls::MediaName& name) {
  if (const auto* part = std::get_if<hls::PartName>(&name)) {
    return readiness_of_part(view, part->position.segment, part->position.part);
  }
  if (const auto* segment = std::get_if<hls::SegmentName>(&name)) {
    return readiness_of_segment(view, segment->segment);
  }
  return Readiness::kReady;
}

// Whether it may still come, so that nobody may remember that it is not there.
bool lies_ahead(const hls::WindowView& view, const hls::MediaName& name) {
  if (view.ended) return false;
  if (const auto* part = std::get_if<hls::PartName>(&name)) return part->position >= view.next;
  const auto* segment = std::get_if<hls::SegmentName>(&name);
  return segment != nullptr && segment->segment >= view.next.segment;
}

}  // namespace

struct LiveRoutes::Asker {
  Asker(const Cors& rules, const http::Request& request)
      : cors(&rules),
        conditions(http::Conditions::of(request)),
        own(rules.for_request(request)),
        gzip(http::accepts_gzip(request)),
        head_only(request.method == http::Method::kHead) {}

  const Cors* cors;
  http::Conditions conditions;
  http::Headers own;  // CORS by origin; empty where everybody is allowed
  bool gzip;
  bool head_only;

  void answer(http::Exchange& exchange, Answer with) const {
    http::respond(exchange, conditions, std::move(with), own);
  }
  void refuse(http::Exchange& exchange, int status, std::string_view cache,
              std::string_view why) const {
    http::Response response{.status = status,
                            .headers = cors->fixed(),
                            .body = {Bytes::take(fmt::format("{}\n", why))}};
    auto& headers = response.headers;
    headers.insert(headers.end(), own.begin(), own.end());
    headers.push_back({"content-type", "text/plain; charset=utf-8"});
    headers.push_back({"cache-control", std::string(cache)});
    if (status == 503) headers.push_back({"retry-after", "1"});
    exchange.respond(std::move(response));
  }
  void unavailable(http::Exchange& exchange) const {
    refuse(exchange, 503, kCacheNothing, "nothing was published in time");
  }
};

struct LiveRoutes::Target {
  std::shared_ptr<const hls::Presentation> presentation;
  const hls::Presentation::Rendition* rendition;
  stream::Audience* audience;

  bool is_first() const { return rendition == &presentation->renditions().front(); }
};

struct LiveRoutes::Pushed {
  Target target;
  hls::PartName name;
  http::Request promise;
};

LiveRoutes::LiveRoutes(const stream::Registry& registry, const Cors& cors, HeldRequests& held,
                       const net::EventLoop& loop)
    : registry_(registry), cors_(cors), held_(held), loop_(loop), answers_(cors) {}

void LiveRoutes::handle(std::string_view rest, const http::Request& request,
                        http::Exchange& exchange) {
  Asker asker(cors_, request);
  const auto [key, in_stream] = split_first(rest);
  const auto stream = registry_.find(key);
  if (!stream) return asker.refuse(exchange, 404, kCacheError, "no such stream");
  if (const auto report = client_report(request)) stream->audience().count(*report);
  if (in_stream == "index.m3u8") {
    return multivariant(stream, request, std::move(asker), exchange);
  }
  if (in_stream == "thumbnail.jpg") return thumbnail(*stream, asker, exchange);
  const auto [rendition, in_rendition] = split_first(in_stream);
  const auto [epoch, name] = split_first(in_rendition);
  const bool playlist = in_rendition == "media.m3u8";
  Target target{playlist ? stream->presentation() : stream->presentation_of(epoch), nullptr,
                &stream->audience()};
  if (!target.presentation) {
    return asker.refuse(
        exchange, 404, kCacheError,
        playlist ? "the stream has not started yet" : "not from this run of the stream");
  }
  target.rendition = target.presentation->find(rendition);
  if (target.rendition == nullptr) {
    return asker.refuse(exchange, 404, kCacheError, "no such rendition");
  }
  if (playlist) return media_playlist(target, request, std::move(asker), exchange);
  media(target, name, request, std::move(asker), exchange);
}

void LiveRoutes::multivariant(const std::shared_ptr<stream::Stream>& stream,
                              const http::Request& request, Asker asker, http::Exchange& exchange) {
  const auto question = hls::parse_playlist_query(request.query);
  const HeldRequests::Source source = first_segment_of(stream);
  const std::uint64_t seen = source.version_of(source.object.get());
  auto attempt = [this, stream, asker = std::move(asker), legacy = question && question->legacy](
                     http::Exchange& waiting, Occasion occasion) {
    const auto presentation = stream->presentation();
    if (const auto made = presentation ? presentation->multivariant() : nullptr) {
      asker.answer(waiting, answers_.playlist(legacy ? made->legacy : made->low_latency));
    } else if (stream->ended()) {
      asker.refuse(waiting, 404, kCacheError, "the stream ended before it began");
    } else if (occasion == Occasion::kTimeOut) {
      asker.unavailable(waiting);
    } else {
      return false;
    }
    return true;
  };
  if (attempt(exchange, held_.full() ? Occasion::kTimeOut : Occasion::kPublished)) return;
  held_.hold(exchange, source, seen, std::move(attempt), loop_.now() + kHoldFirst);
}

// Who asks too early is not held: what shows stills asks again by itself.
void LiveRoutes::thumbnail(const stream::Stream& stream, const Asker& asker,
                           http::Exchange& exchange) {
  const auto still = stream.still();
  if (!still) {
    return asker.refuse(exchange, 404, kCacheError,
                        stream.ended() ? "the stream has ended" : "there is no still picture yet");
  }
  asker.answer(exchange, answers_.still(still, stream.epoch()));
}

void LiveRoutes::media_playlist(const Target& target, const http::Request& request, Asker asker,
                                http::Exchange& exchange) {
  const auto question = hls::parse_playlist_query(request.query);
  if (!question) return asker.refuse(exchange, 400, kCacheError, question.error().message);

  const auto window = target.rendition->window;
  if (asker.gzip) window->want_gzip();
  const bool directed = question->msn.has_value();
  if (target.is_first() && directed) target.audience->count_blocking_reload();
  if (target.is_first() && !directed) target.audience->count_plain_reload();

  const std::uint64_t seen = window->version();
  auto attempt = [this, window, asker = std::move(asker), question = *question, directed,
                  pushed = pushed_with(*question, target, request, exchange)](
                     http::Exchange& waiting, Occasion occasion) {
    const auto view = window->view();
    const Readiness readiness = readiness_of(*view, question);
    if (readiness == Readiness::kTooFar) {
      asker.refuse(waiting, 400, kCacheNothing,
                   "_HLS_msn or _HLS_part is too far ahead of the playlist");
    } else if (readiness == Readiness::kNotYet) {
      if (occasion != Occasion::kTimeOut) return false;
      asker.unavailable(waiting);
    } else if (view->playlists.empty()) {
      asker.refuse(waiting, 404, kCacheError, "the rendition ended before it began");
    } else {
      if (pushed) push(*pushed, *view, waiting);
      // What ended may begin again: then the same directives have another answer.
      const bool lasting = directed && !view->ended;
      asker.answer(waiting, answers_.playlist(form_of(view->playlists, question), asker.gzip,
                                              lasting ? Freshness::kDirected : Freshness::kLive));
    }
    return true;
  };
  if (attempt(exchange, held_.full() ? Occasion::kTimeOut : Occasion::kPublished)) return;
  held_.hold(exchange, publications_of(window), seen, std::move(attempt), loop_.now() + kHoldPart);
}

// A client that takes pushes (RFC 9114, 4.6) and follows a playlist part by part is sent each part
// with the playlist that lists it.
std::optional<LiveRoutes::Pushed> LiveRoutes::pushed_with(const hls::PlaylistQuestion& question,
                                                          const Target& target,
                                                          const http::Request& request,
                                                          const http::Exchange& exchange) {
  if (!question.msn || !question.part || !exchange.takes_pushes()) return std::nullopt;
  const hls::PartName name{{*question.msn, *question.part}};
  const std::string_view path = request.path;
  http::Request promise{
      .method = http::Method::kGet,
      .version = request.version,
      .secure = request.secure,
      .path = fmt::format("{}{}/{}.{}.m4s", path.substr(0, path.rfind('/') + 1),
                          target.presentation->epoch(), *question.msn, *question.part),
      .query = {},
      .authority = request.authority,
      .headers = {},
      .body = {},
      .remote = {}};
  return Pushed{target, name, std::move(promise)};
}

void LiveRoutes::push(const Pushed& pushed, const hls::WindowView& view, http::Exchange& exchange) {
  const auto [segment, part] = pushed.name.position;
  if (readiness_of_part(view, segment, part) != Readiness::kReady) return;
  exchange.push(pushed.promise, media_answer(pushed.target, view, pushed.name));
}

void LiveRoutes::media(const Target& target, std::string_view name, const http::Request& request,
                       Asker asker, http::Exchange& exchange) {
  const auto wanted = hls::parse_media_name(name);
  if (!wanted) return asker.refuse(exchange, 404, kCacheError, "no such resource");

  const auto view = target.rendition->window->view();
  const Readiness readiness = readiness_of_media(*view, *wanted);
  if (readiness == Readiness::kReady) {
    return asker.answer(exchange, media_answer(target, *view, *wanted));
  }
  if (readiness != Readiness::kNotYet) {
    return asker.refuse(exchange, 404, lies_ahead(*view, *wanted) ? kCacheNothing : kCacheError,
                        "no longer, or not yet, available");
  }
  const auto* part = std::get_if<hls::PartName>(&*wanted);
  // What is asked of a whole part cannot be told of one that is still being made.
  const bool whole = asker.head_only || !asker.conditions.empty();
  if (part != nullptr && !whole && request.version != http::Version::kHttp10) {
    return grow_part(target, part->position, std::move(asker), exchange);
  }
  hold_media(target, *wanted, std::move(asker), exchange);
}

void LiveRoutes::grow_part(const Target& target, hls::PartPosition position, Asker asker,
                           http::Exchange& exchange) {
  if (held_.full()) return asker.unavailable(exchange);
  const auto window = target.rendition->window;
  const HeldRequests::Source source = GrowingPart::source(window);
  GrowingPart part(window, position);
  const std::uint64_t seen = source.version_of(source.object.get());
  http::Headers headers = answers_.growing(media_type(target.rendition->track));
  headers.insert(headers.end(), asker.own.begin(), asker.own.end());
  exchange.start(200, std::move(headers));
  if (part(exchange, Occasion::kPublished)) return;
  held_.hold(exchange, source, seen, std::move(part), loop_.now() + kHoldPart);
}

void LiveRoutes::hold_media(const Target& target, const hls::MediaName& name, Asker asker,
                            http::Exchange& exchange) {
  const auto window = target.rendition->window;
  const std::uint64_t seen = window->version();
  auto attempt = [this, target, name, asker = std::move(asker)](http::Exchange& waiting,
                                                                Occasion occasion) {
    const auto view = target.rendition->window->view();
    const Readiness readiness = readiness_of_media(*view, name);
    if (readiness == Readiness::kReady) {
      asker.answer(waiting, media_answer(target, *view, name));
    } else if (readiness != Readiness::kNotYet) {
      asker.refuse(waiting, 404, kCacheError,
                   "what was asked for did not come: the segment or the stream ended before");
    } else if (occasion == Occasion::kTimeOut) {
      asker.unavailable(waiting);
    } else {
      return false;
    }
    return true;
  };
  // Asked again: something may have been published since the caller looked.
  if (attempt(exchange, held_.full() ? Occasion::kTimeOut : Occasion::kPublished)) return;
  held_.hold(exchange, publications_of(window), seen, std::move(attempt), loop_.now() + kHoldPart);
}

// What is ready, made ready to send. The tags are unique in a rendition of an epoch.
Answer LiveRoutes::media_answer(const Target& target, const hls::WindowView& view,
                                const hls::MediaName& name) {
  const std::string_view type = media_type(target.rendition->track);
  const std::string& epoch = target.presentation->epoch();
  if (const auto* part = std::get_if<hls::PartName>(&name)) {
    const auto [segment, index] = part->position;
    return answers_.media(view.find(segment)->parts[index].bytes, type,
                          fmt::format("{}-{}.{}", epoch, segment, index));
  }
  if (const auto* segment = std::get_if<hls::SegmentName>(&name)) {
    return answers_.segment(view.segments.find_shared(segment->segment), type,
                            fmt::format("{}-{}", epoch, segment->segment));
  }
  return answers_.media(target.rendition->init, type, fmt::format("{}-init", epoch));
}

}  // namespace mirror::api
