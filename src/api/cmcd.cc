#include "api/cmcd.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>

namespace mirror::api {

namespace {

constexpr std::string_view kArgument = "CMCD=";
constexpr std::string_view kFieldPrefix = "cmcd-";  // -request, -object, -status, -session
constexpr std::size_t kPayloadMax = 2'048;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent-decodes into `room`; what is longer is cut.
std::string_view decode(std::string_view text, std::array<char, kPayloadMax>& room) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size() && size < room.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        room[size++] = static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    room[size++] = text[i];
  }
  return {room.data(), size};
}

// The next pair; a comma within quotes separates nothing.
std::string_view take_pair(std::string_view& rest) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < rest.size() && (quoted || rest[end] != ','); ++end) {
    if (rest[end] == '"') quoted = !quoted;
  }
  const std::string_view pair = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.size(), end + 1));
  return pair;
}

void take_number(std::uint32_t& field, std::string_view value) {
  std::uint32_t number = 0;
  const char* const end = std::to_address(value.end());
  const auto [stop, error] = std::from_chars(std::to_address(value.begin()), end, number);
  if (error == std::errc{} && stop == end) field = number;
}

std::optional<std::string_view> argument(std::string_view query) {
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    if (parameter.starts_with(kArgument)) return parameter.substr(kArgument.size());
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
  }
  return std::nullopt;
}

}  // namespace

void parse_cmcd(std::string_view payload, stream::ClientReport& report) {
  while (!payload.empty()) {
    std::string_view pair = take_pair(payload);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(std::min(pair.size(), equals + 1));
    if (key == "bl") take_number(report.buffer_ms, value);
    if (key == "mtp") take_number(report.throughput_kbps, value);
    if (key == "bs") report.starved = value.empty() || value == "true";
  }
}

std::optional<stream::ClientReport> client_report(const http::Request& request) {
  std::optional<stream::ClientReport> report;
  if (const auto escaped = argument(request.query)) {
    std::array<char, kPayloadMax> room;
    parse_cmcd(decode(*escaped, room), report.emplace());
  }
  for (const http::Header& header : request.headers) {
    if (!header.name.starts_with(kFieldPrefix)) continue;
    if (!report) report.emplace();
    parse_cmcd(header.value, *report);
  }
  return report;
}

}  // namespace mirror::api
