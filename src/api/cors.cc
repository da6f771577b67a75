#include "api/cors.h"

#include <algorithm>

namespace mirror::api {

Cors::Cors(std::vector<std::string> allow_origins)
    : any_(std::ranges::find(allow_origins, "*") != allow_origins.end()),
      allow_origins_(std::move(allow_origins)) {}

void Cors::allow(const http::Request& request, http::Headers& headers) const {
  if (any_) {
    headers.push_back({"access-control-allow-origin", "*"});
    headers.push_back({"timing-allow-origin", "*"});
  } else {
    // The answer differs by origin, also when there is none: caches have to know.
    headers.push_back({"vary", "origin"});
    const auto origin = request.header("origin");
    if (!origin || std::ranges::find(allow_origins_, *origin) == allow_origins_.end()) return;
    headers.push_back({"access-control-allow-origin", std::string(*origin)});
    headers.push_back({"timing-allow-origin", std::string(*origin)});
  }
  headers.push_back({"access-control-expose-headers", "date, content-length"});
}

http::Response Cors::preflight(const http::Request& request,
                               std::string_view allowed_methods) const {
  http::Response response{.status = 204, .headers = {{"allow", std::string(allowed_methods)}}};
  allow(request, response.headers);
  if (request.header("access-control-request-method")) {
    response.headers.push_back({"access-control-allow-methods", std::string(allowed_methods)});
    response.headers.push_back({"access-control-allow-headers", "range, cache-control"});
    response.headers.push_back({"access-control-max-age", "86400"});
  }
  return response;
}

}  // namespace mirror::api
