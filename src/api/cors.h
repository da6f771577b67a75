// Cross-origin rules (Fetch standard, "CORS protocol"): who may read the answers from another page.
#pragma once

#include <string>
#include <vector>

#include "http/http.h"

namespace mirror::api {

class Cors {
 public:
  explicit Cors(std::vector<std::string> allow_origins);

  // What goes with every answer, whoever asks.
  const http::Headers& fixed() const { return fixed_; }
  // What goes with the answer to `request` besides: nothing where everybody is allowed, or where
  // its origin is not.
  http::Headers for_request(const http::Request& request) const;
  // Whether the page that `request` comes from may read its answer.
  bool allows(const http::Request& request) const;
  // Appends both.
  void allow(const http::Request& request, http::Headers& headers) const;
  // The answer to an OPTIONS request, preflight or not.
  http::Response preflight(const http::Request& request, std::string_view allowed_methods) const;

 private:
  const bool any_;
  const std::vector<std::string> allow_origins_;
  http::Headers fixed_;
};

}  // namespace mirror::api
