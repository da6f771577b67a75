#include "ingest/srt_url.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ingest/percent.h"

namespace mirror::ingest {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kStreamIdBytesMax = 512;  // SRTO_STREAMID

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool is_address_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.' ||
         c == ':';
}

Status take_host(std::string_view& rest, std::string& host) {
  std::string_view found;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return fail("the address has no closing bracket");
    found = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!std::ranges::all_of(found, is_address_character)) {
      return fail("what stands in brackets is no IPv6 address");
    }
  } else {
    found = rest.substr(0, rest.find_first_of(":/?#"));
    rest.remove_prefix(found.size());
    if (!std::ranges::all_of(found, is_host_character)) {
      return fail("the host holds characters that no host name has");
    }
  }
  if (found.empty()) return fail("there is no host");
  if (found.size() > kHostBytesMax) return fail("the host name is too long");
  host = found;
  return {};
}

Status take_port(std::string_view& rest, std::uint16_t& port) {
  if (!rest.starts_with(':')) return fail("there is no port; srt://HOST:PORT is needed");
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
  if (error != std::errc() || port == 0) return fail("the port is not a number from 1 to 65535");
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return {};
}

Status take_parameter(std::string_view name, std::string_view value, SrtUrl& url) {
  const std::optional<std::string> decoded = percent_decoded(value);
  if (!decoded) return fail("a parameter is badly percent-encoded");
  if (name == "mode") {
    return *decoded == "caller" ? Status() : fail("only mode=caller can be dialled");
  }
  if (name == "transtype") {
    return *decoded == "live" ? Status() : fail("only transtype=live is taken");
  }
  if (name == "passphrase" || name == "latency") {
    return fail("the source has a setting of its own for this: {}", name);
  }
  if (name != "streamid") return fail("only the parameters streamid and mode are known");
  if (decoded->size() > kStreamIdBytesMax) return fail("the stream id is longer than 512 bytes");
  url.stream_id = *decoded;
  return {};
}

}  // namespace

Result<SrtUrl> parse_srt_url(std::string_view text) {
  constexpr std::string_view kScheme = "srt://";
  if (text.size() > kUrlBytesMax) return fail("the URL is too long");
  if (!text.starts_with(kScheme)) return fail("it does not begin with srt://");
  std::string_view rest = text.substr(kScheme.size());
  SrtUrl url;
  if (Status status = take_host(rest, url.host); !status) return std::unexpected(status.error());
  if (Status status = take_port(rest, url.port); !status) return std::unexpected(status.error());
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) return url;
  if (!rest.starts_with('?')) return fail("after the port only ?streamid=… may follow");
  rest.remove_prefix(1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return fail("a parameter is not name=value");
    const Status status = take_parameter(pair.substr(0, equals), pair.substr(equals + 1), url);
    if (!status) return std::unexpected(status.error());
  }
  return url;
}

}  // namespace mirror::ingest
