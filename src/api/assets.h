// The viewer page's files, as web/build.mjs made them, inside the binary.
//
// Constant data, placed there by cmake/EmbedAssets.cmake: any thread may read it at any time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mirror::api {

struct Asset {
  std::string_view path;          // "/app.5f0c….js"; the page itself is "/index.html"
  std::string_view content_type;  // "text/html; charset=utf-8", …
  std::span<const std::uint8_t> body;
  std::span<const std::uint8_t> gzip;  // the same, for who accepts content-encoding: gzip
  // Strong, with its quotes (RFC 9110, 8.8.3): of `body`. What is sent gzipped is another
  // representation and needs another: etag_gzip.
  std::string_view etag;
  std::string_view etag_gzip;
  // The name carries a hash of the content: a cache may keep it for ever.
  bool immutable = false;
};

// In the order of their paths, a handful.
std::span<const Asset> assets();

// The asset at this path, "/" being the page; null if there is none.
const Asset* find_asset(std::string_view path);

}  // namespace mirror::api
