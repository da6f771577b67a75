#include "api/api.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "api/assets.h"
#include "api/cors.h"
#include "api/feed_directory.h"
#include "api/held_requests.h"
#include "api/live_routes.h"
#include "api/push_routes.h"
#include "api/status_routes.h"
#include "http/negotiation.h"

namespace mirror::api {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kAllowed = "GET, HEAD, OPTIONS";
constexpr auto kTick = 500ms;

class ApiHandler final : public http::Handler {
 public:
  ApiHandler(net::EventLoop& loop, const ApiSettings& settings, const ApiEnvironment& environment)
      : environment_(environment),
        cors_(settings.cors_allow_origins),
        held_(settings.held_per_loop_max),
        live_(environment.registry, cors_, held_, loop),
        push_(settings.push, environment, cors_, loop),
        loop_(loop),
        tick_(loop, [this] { on_tick(); }) {
    loop.on_wake([this] {
      held_.on_wake();
      push_.on_wake();
    });
    tick_.arm(loop.now() + kTick);
  }

  void handle(const http::Request& request, http::Exchange& exchange) override {
    constexpr std::string_view kPush = "/push/";
    if (request.path.starts_with(kPush)) {
      return push_.control(request.path.substr(kPush.size()), request, exchange);
    }
    if (request.path == "/push" && exchange.webtransport() != nullptr) {
      return push_.open(request, exchange);
    }
    if (request.method == http::Method::kOptions) {
      return exchange.respond(cors_.preflight(request, kAllowed));
    }
    if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
      auto response = http::Response::text(405, "this resource is read with GET or HEAD\n");
      response.headers.push_back({"allow", std::string(kAllowed)});
      cors_.allow(request, response.headers);
      return exchange.respond(std::move(response));
    }
    route(request, exchange);
  }

  // A page that may read the answers may hold a session, too.
  bool admits_origin(const http::Request& request) const override {
    return cors_.allows(request) || http::Handler::admits_origin(request);
  }

 private:
  void route(const http::Request& request, http::Exchange& exchange) {
    constexpr std::string_view kLive = "/live/";
    constexpr std::string_view kStreams = "/api/v1/streams";
    const std::string_view path = request.path;
    if (path.starts_with(kLive)) return live_.handle(path.substr(kLive.size()), request, exchange);
    if (path == "/push") return push_.open(request, exchange);
    if (path == kStreams) {
      return json(request, exchange, streams_json(environment_.registry, now()));
    }
    if (path.starts_with(kStreams) && path[kStreams.size()] == '/') {
      return json(request, exchange,
                  stream_json(environment_.registry, path.substr(kStreams.size() + 1), now()));
    }
    if (path == "/api/v1/sources") {
      return json(request, exchange, sources_json(environment_.feeds.feeds(), now()));
    }
    if (path == "/api/v1/refusals") {
      return json(request, exchange, refusals_json(environment_.feeds.turned_away(), now()));
    }
    if (path == "/healthz") return exchange.respond(http::Response::text(200, "ok\n"));
    if (path == "/readyz") return ready(exchange);
    if (path == "/metrics") return metrics(exchange);
    asset(path, request, exchange);
  }

  WallTime now() const { return environment_.clock.now().wall; }

  void json(const http::Request& request, http::Exchange& exchange, std::string body) const {
    if (body.empty()) {
      auto response = http::Response::text(404, "no such stream\n");
      cors_.allow(request, response.headers);
      return exchange.respond(std::move(response));
    }
    http::Headers headers = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
    cors_.allow(request, headers);
    exchange.respond({.headers = std::move(headers), .body = {Bytes::take(std::move(body))}});
  }

  void ready(http::Exchange& exchange) const {
    const bool draining = environment_.draining.load(std::memory_order_acquire);
    exchange.respond(draining ? http::Response::text(503, "draining\n")
                              : http::Response::text(200, "ready\n"));
  }

  void metrics(http::Exchange& exchange) const {
    exchange.respond({.headers = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"},
                                  {"cache-control", "no-store"}},
                      .body = {Bytes::take(environment_.metrics.render())}});
  }

  void asset(std::string_view path, const http::Request& request, http::Exchange& exchange) const {
    const Asset* asset = find_asset(path);
    if (asset == nullptr) {
      return exchange.respond(http::Response::text(404, "there is nothing at this address\n"));
    }
    const bool gzip = !asset->gzip.empty() && http::accepts_gzip(request);
    const std::string_view etag = gzip ? asset->etag_gzip : asset->etag;
    const std::string cache(asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    http::Headers headers = {
        {"etag", std::string(etag)}, {"cache-control", cache}, {"vary", "accept-encoding"}};
    if (request.header("if-none-match") == etag) {
      return exchange.respond({.status = 304, .headers = std::move(headers)});
    }
    headers.push_back({"content-type", std::string(asset->content_type)});
    headers.push_back({"x-content-type-options", "nosniff"});
    if (gzip) headers.push_back({"content-encoding", "gzip"});
    exchange.respond({.headers = std::move(headers),
                      .body = {Bytes::of_static(gzip ? asset->gzip : asset->body)}});
  }

  void on_tick() {
    held_.on_wake();  // for what ends without a publication
    held_.on_tick(loop_.now());
    live_.on_tick();
    push_.on_tick();
    tick_.arm(loop_.now() + kTick);
  }

  const ApiEnvironment environment_;
  const Cors cors_;
  HeldRequests held_;
  LiveRoutes live_;
  PushRoutes push_;
  net::EventLoop& loop_;
  net::EventLoop::Timer tick_;
};

}  // namespace

std::unique_ptr<http::Handler> make_handler(net::EventLoop& loop, const ApiSettings& settings,
                                            const ApiEnvironment& environment) {
  return std::make_unique<ApiHandler>(loop, settings, environment);
}

}  // namespace mirror::api
