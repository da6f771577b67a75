#include "http/request_rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace mirror::http {

namespace {

constexpr bool is_alnum(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

constexpr std::array<bool, 256> table_of(std::string_view extra) {
  std::array<bool, 256> table{};
  for (unsigned c = 0; c < 256; ++c) table[c] = is_alnum(static_cast<unsigned char>(c));
  for (const char c : extra) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr auto kToken = table_of("!#$%&'*+-.^_`|~");
constexpr auto kAuthority = table_of("-._~!$&'()*+,;=:[]%");

bool all_in(std::string_view text, const std::array<bool, 256>& table) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

constexpr bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

MaybeFault decode_path(std::string_view raw, std::string& path) {
  path.clear();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) return Fault{400, "bad percent-encoding in the path"};
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (is_control(static_cast<unsigned char>(c))) {
      return Fault{400, "control character in the path"};
    }
    path.push_back(c);
  }
  return std::nullopt;
}

// RFC 3986 5.2.4, in place. `path` begins with '/'.
void remove_dot_segments(std::string& path) {
  if (path.find("/.") == std::string::npos) return;
  std::string out;
  std::size_t at = 0;
  while (at < path.size()) {
    std::size_t next = path.find('/', at + 1);
    if (next == std::string::npos) next = path.size();
    const std::string_view segment = std::string_view(path).substr(at + 1, next - at - 1);
    const bool last = next == path.size();
    if (segment == "..") {
      const std::size_t slash = out.rfind('/');
      out.resize(slash == std::string::npos ? 0 : slash);
      if (last) out.push_back('/');
    } else if (segment == ".") {
      if (last) out.push_back('/');
    } else {
      out.append(path, at, next - at);
    }
    at = next;
  }
  path.assign(out.empty() ? "/" : out);
}

// Takes "http://authority" off the front. False when there is none of it.
bool take_scheme_and_authority(std::string_view& target, std::string_view& authority) {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = target.substr(0, colon);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) return false;
  target.remove_prefix(colon + 3);
  const std::size_t end = std::min(target.find_first_of("/?"), target.size());
  authority = target.substr(0, end);
  target.remove_prefix(end);
  return true;
}

}  // namespace

Response response_to(const Fault& fault) {
  return Response::text(fault.status, fmt::format("{} {}: {}\n", fault.status,
                                                  reason_phrase(fault.status), fault.what));
}

bool is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

bool is_connection_field(std::string_view name) {
  return name == "connection" || name == "keep-alive" || name == "transfer-encoding" ||
         name == "upgrade" || name == "proxy-connection";
}

bool is_token(std::string_view text) { return !text.empty() && all_in(text, kToken); }

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c != '\t' && is_control(static_cast<unsigned char>(c));
  });
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim_whitespace(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<Method> parse_method(std::string_view name) {
  for (const Method method : {Method::kGet, Method::kHead, Method::kOptions, Method::kPost,
                              Method::kPut, Method::kDelete, Method::kPatch}) {
    if (name == name_of(method)) return method;
  }
  return std::nullopt;
}

bool is_authority(std::string_view text) { return all_in(text, kAuthority); }

MaybeFault parse_target(std::string_view target, const Limits& limits, Request& request) {
  if (target.size() > limits.target_bytes_max) return Fault{414, "the target is too long"};
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) return Fault{400, "character in the target must be encoded"};
    if (c == '#') return Fault{400, "fragment in the target"};
  }
  if (target.empty()) return Fault{400, "empty target"};
  if (target.front() != '/') {
    std::string_view authority;
    if (!take_scheme_and_authority(target, authority)) {
      return Fault{400, "the target must begin with /"};
    }
    if (authority.empty() || !is_authority(authority)) return Fault{400, "bad authority in target"};
    request.authority = authority;
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  request.query = question < target.size() ? target.substr(question + 1) : std::string_view();
  if (auto fault = decode_path(target.substr(0, question), request.path)) return fault;
  if (request.path.empty()) request.path = "/";
  remove_dot_segments(request.path);
  return std::nullopt;
}

}  // namespace mirror::http
