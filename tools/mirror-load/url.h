// The address of a stream: parsing of http(s) URLs and of the references in playlists (RFC 3986).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mirror::load {

struct Url {
  bool secure = false;
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;
  std::string target;  // path and query, begins with "/"

  std::string authority() const;  // as in Host: "localhost:8443", "[::1]:8443"
};

// Only http and https, without user information; a fragment is dropped. Errors say what is wrong.
Result<Url> parse_url(std::string_view text);

// The target (path and query) that `reference` means in a document that was got from `base` (RFC
// 3986, 5.2). An error when it leads to another scheme or host: the tool loads one server only.
Result<std::string> resolve_reference(const Url& server, std::string_view base,
                                      std::string_view reference);

}  // namespace mirror::load
