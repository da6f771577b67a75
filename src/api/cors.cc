#include "api/cors.h"

#include <algorithm>

namespace mirror::api {

namespace {
constexpr std::string_view kExposed = "date, etag, content-length, content-range";
// The cmcd- fields are CTA-5004's; the rest is what players and caches ask with.
constexpr std::string_view kAllowedHeaders =
    "content-type, range, if-range, if-none-match, cache-control, cmcd-request, cmcd-object, "
    "cmcd-status, "
    "cmcd-session";
}  // namespace

Cors::Cors(std::vector<std::string> allow_origins)
    : any_(std::ranges::find(allow_origins, "*") != allow_origins.end()),
      allow_origins_(std::move(allow_origins)) {
  if (any_) {
    fixed_ = {{"access-control-allow-origin", "*"},
              {"timing-allow-origin", "*"},
              {"access-control-expose-headers", std::string(kExposed)}};
  } else {
    // The answer differs by origin, also when there is none: caches have to know.
    fixed_ = {{"vary", "origin"}};
  }
}

bool Cors::allows(const http::Request& request) const {
  if (any_) return true;
  const auto origin = request.header("origin");
  return origin && std::ranges::find(allow_origins_, *origin) != allow_origins_.end();
}

http::Headers Cors::for_request(const http::Request& request) const {
  if (any_ || !allows(request)) return {};
  const auto origin = request.header("origin");
  return {{"access-control-allow-origin", std::string(*origin)},
          {"timing-allow-origin", std::string(*origin)},
          {"access-control-expose-headers", std::string(kExposed)}};
}

void Cors::allow(const http::Request& request, http::Headers& headers) const {
  headers.insert(headers.end(), fixed_.begin(), fixed_.end());
  const http::Headers own = for_request(request);
  headers.insert(headers.end(), own.begin(), own.end());
}

http::Response Cors::preflight(const http::Request& request,
                               std::string_view allowed_methods) const {
  http::Response response{.status = 204, .headers = {{"allow", std::string(allowed_methods)}}};
  allow(request, response.headers);
  if (request.header("access-control-request-method")) {
    response.headers.push_back({"access-control-allow-methods", std::string(allowed_methods)});
    response.headers.push_back({"access-control-allow-headers", std::string(kAllowedHeaders)});
    response.headers.push_back({"access-control-max-age", "86400"});
  }
  return response;
}

}  // namespace mirror::api
