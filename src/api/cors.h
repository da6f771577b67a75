// Cross-origin rules (Fetch standard, "CORS protocol"): who may read the answers from another page.
#pragma once

#include <string>
#include <vector>

#include "http/http.h"

namespace mirror::api {

class Cors {
 public:
  explicit Cors(std::vector<std::string> allow_origins);

  // Appends what the answer to `request` needs; nothing where its origin is not allowed.
  void allow(const http::Request& request, http::Headers& headers) const;
  // The answer to an OPTIONS request, preflight or not.
  http::Response preflight(const http::Request& request, std::string_view allowed_methods) const;

 private:
  const bool any_;
  const std::vector<std::string> allow_origins_;
};

}  // namespace mirror::api
