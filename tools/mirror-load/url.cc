#include "url.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace mirror::load {

namespace {

constexpr std::size_t kUrlBytesMax = 8 * 1024;

// RFC 3986, 2: nothing outside printable ASCII; what stands on a request line must not end it.
bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail("\"{}\" is no port", text);
  }
  return port;
}

Status parse_authority(std::string_view text, Url& url) {
  if (text.find('@') != std::string_view::npos) return fail("user names are not known here");
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return fail("\"{}\": the bracket is not closed", text);
    url.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') return fail("\"{}\": no port after \"]\"", text);
  } else {
    const auto colon = text.find(':');
    url.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (url.host.empty()) return fail("there is no host");
  if (port.size() <= 1) return {};  // "host:" is the default port (3.2.3)
  auto number = parse_port(port.substr(1));
  if (!number) return std::unexpected(std::move(number.error()));
  url.port = *number;
  return {};
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// RFC 3986, 5.2.4
std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool directory = false;  // the last piece was "." or ".."
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view piece = path.substr(at, end - at);
    at = end + 1;
    directory = piece == "." || piece == "..";
    if (piece == ".." && !kept.empty()) kept.pop_back();
    if (!directory) kept.push_back(piece);
  }
  std::string result;
  for (const std::string_view piece : kept) result.append("/").append(piece);
  if (directory || kept.empty()) result += '/';
  return result;
}

std::string normalised(std::string_view target) {
  const std::string_view path = path_of(target);
  return without_dots(path).append(target.substr(path.size()));
}

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? "[" + host + "]" : host;
  return port == (secure ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return fail("the URL is longer than {} bytes", kUrlBytesMax);
  if (!is_printable(text)) return fail("a URL holds neither blanks nor control characters");
  Url url;
  if (text.starts_with("https://")) {
    url.secure = true;
  } else if (!text.starts_with("http://")) {
    return fail("\"{}\": only http:// and https:// are known", text);
  }
  std::string_view rest = text.substr(url.secure ? 8 : 7);
  url.port = url.secure ? 443 : 80;
  rest = rest.substr(0, rest.find('#'));
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  if (auto status = parse_authority(rest.substr(0, slash), url); !status) {
    return std::unexpected(std::move(status.error()).within(text));
  }
  url.target = rest.substr(slash);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

Result<std::string> resolve_reference(const Url& server, std::string_view base,
                                      std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  if (!is_printable(reference)) return fail("a URI holds blanks or control characters");
  const std::size_t colon = reference.find(':');
  const bool absolute = colon < reference.find_first_of("/?");
  if (absolute || reference.starts_with("//")) {
    auto other =
        parse_url(absolute ? std::string(reference)
                           : (server.secure ? "https:" : "http:") + std::string(reference));
    if (!other) return std::unexpected(std::move(other.error()));
    if (other->secure != server.secure || other->authority() != server.authority()) {
      return fail("{} is on another server", reference);
    }
    return normalised(other->target);
  }
  if (reference.starts_with('/')) return normalised(reference);
  const std::string_view path = path_of(base);
  if (reference.empty()) return std::string(base);
  if (reference.starts_with('?')) return std::string(path).append(reference);
  const std::string_view folder = path.substr(0, path.rfind('/') + 1);
  return normalised(std::string(folder).append(reference));
}

}  // namespace mirror::load
