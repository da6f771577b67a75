#include "observation.h"

#include <fmt/format.h>

#include <algorithm>

namespace mirror::lint {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

// RFC 3986, 5.2.4.
std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  std::string_view rest = path;
  bool folder = false;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(name.size());
    folder = name.empty() || name == "." || name == "..";
    if (name == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (name != "." && !(name.empty() && rest.empty())) {
      kept.push_back(name);
    }
  }
  std::string text;
  for (const std::string_view name : kept) text += fmt::format("/{}", name);
  if (folder || text.empty()) text += '/';
  return text;
}

}  // namespace

std::string_view Exchange::header(std::string_view name) const {
  const auto it = std::ranges::find(headers, name, &Headers::value_type::first);
  return it == headers.end() ? std::string_view{} : it->second;
}

bool is_playlist(Purpose purpose) { return purpose <= Purpose::kPartPastEnd; }

std::optional<std::string_view> cache_directive(const Exchange& exchange, std::string_view name) {
  std::string_view rest = exchange.header("cache-control");
  while (!rest.empty()) {
    const std::string_view item = trimmed(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.find(','), rest.size()));
    if (rest.starts_with(',')) rest.remove_prefix(1);
    const std::size_t equals = std::min(item.find('='), item.size());
    if (!same_name(trimmed(item.substr(0, equals)), name)) continue;
    return equals == item.size() ? std::string_view{} : trimmed(item.substr(equals + 1));
  }
  return std::nullopt;
}

std::optional<Seconds> fresh_for(const Exchange& exchange) {
  for (const std::string_view name : {"no-store", "no-cache", "private"}) {
    if (cache_directive(exchange, name)) return Seconds{};
  }
  for (const std::string_view name : {"s-maxage", "max-age"}) {
    const auto text = cache_directive(exchange, name);
    const auto value = text ? parse_integer(*text) : std::nullopt;
    if (value) return Seconds(static_cast<double>(*value));
  }
  return std::nullopt;
}

std::string resolve(std::string_view base, std::string_view reference) {
  if (reference.find("://") != std::string_view::npos) return std::string(reference);
  base = base.substr(0, base.find_first_of("?#"));
  const std::size_t scheme_end = base.find("://");
  if (scheme_end == std::string_view::npos) return std::string(reference);
  const std::size_t path_at = std::min(base.find('/', scheme_end + 3), base.size());
  const std::string_view origin = base.substr(0, path_at);
  if (reference.starts_with("//")) {
    return fmt::format("{}:{}", base.substr(0, scheme_end), reference);
  }
  const std::size_t query_at = std::min(reference.find_first_of("?#"), reference.size());
  const std::string_view query = reference.substr(query_at, reference.find('#') - query_at);
  const std::string_view path = reference.substr(0, query_at);
  std::string full;
  if (path.starts_with('/')) {
    full = path;
  } else if (path.empty()) {
    full = base.substr(path_at);
  } else {
    const std::string_view base_path = base.substr(path_at);
    full = base_path.empty() ? "/" : base_path.substr(0, base_path.rfind('/') + 1);
    full += path;
  }
  return fmt::format("{}{}{}", origin, without_dots(full.empty() ? "/" : full), query);
}

std::string resource_key(std::string_view url, const std::optional<ByteRange>& range) {
  if (!range) return std::string(url);
  return fmt::format("{} {}+{}", url, range->offset, range->length.value_or(0));
}

}  // namespace mirror::lint
