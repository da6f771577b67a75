// What the command line asks for.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mirror::load {

enum class HttpVersion { kHttp11, kHttp2, kHttp3 };

struct Options {
  static constexpr std::size_t kViewersMax = 20'000;
  static constexpr std::size_t kThreadsMax = 64;
  static constexpr std::size_t kViewersPerConnectionMax = 1000;
  static constexpr std::size_t kSubscriptionsMax = 64;  // the protocol's, of a session

  std::string url;
  std::size_t viewers = 100;
  std::chrono::seconds measured{30};
  std::optional<std::chrono::duration<double>> ramp;  // absent: 250 viewers a second
  HttpVersion http = HttpVersion::kHttp11;
  std::size_t threads = 1;
  std::size_t connections_per_viewer = 1;
  std::size_t viewers_per_connection = 1;  // HTTP/2 and HTTP/3
  std::string rendition;                   // empty: the first variant
  bool delta_updates = false;
  bool push = false;  // walls of push sessions instead of LL-HLS viewers
  bool webtransport = false;
  std::vector<std::string> subscriptions;  // of push: STREAM/RENDITION
  std::size_t tiles = 0;                   // of them on a wall; 0: all
  bool chunks = false;
  std::optional<std::chrono::seconds> leave_after;  // who watches leaves, and joins anew
  std::size_t slow = 0;                             // of the viewers: read slowly
  std::size_t slow_bytes_per_second = 16 * 1024;
  double loss = 0;  // share of the datagrams, each way; QUIC only
  bool any_certificate = false;
  bool owns_host = false;
  bool quiet = false;  // no line per second
  std::string ndjson;  // file; empty: none, "-": standard output

  bool speaks_quic() const { return webtransport || http == HttpVersion::kHttp3; }
  std::string_view carrier() const {
    if (webtransport) return "webtransport";
    if (http == HttpVersion::kHttp3) return "3";
    return http == HttpVersion::kHttp2 ? "2" : "1.1";
  }
};

}  // namespace mirror::load
