// What the command line asks for.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace mirror::load {

enum class HttpVersion { kHttp11, kHttp2 };

struct Options {
  static constexpr std::size_t kViewersMax = 20'000;
  static constexpr std::size_t kThreadsMax = 64;
  static constexpr std::size_t kViewersPerConnectionMax = 1000;

  std::string url;
  std::size_t viewers = 100;
  std::chrono::seconds measured{30};
  std::optional<std::chrono::duration<double>> ramp;  // absent: 250 viewers a second
  HttpVersion http = HttpVersion::kHttp11;
  std::size_t threads = 1;
  std::size_t connections_per_viewer = 1;
  std::size_t viewers_per_connection = 1;  // HTTP/2
  std::string rendition;                   // empty: the first variant
  bool delta_updates = false;
  bool any_certificate = false;
  bool owns_host = false;
  bool quiet = false;  // no line per second
  std::string ndjson;  // file; empty: none, "-": standard output
};

}  // namespace mirror::load
