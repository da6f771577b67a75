#include "hls/uri.h"

#include <charconv>
#include <concepts>
#include <memory>
#include <utility>

namespace mirror::hls {

namespace {

// Digits only, no leading zero, within the type.
template <std::unsigned_integral T>
std::optional<T> parse_decimal(std::string_view text) {
  if (text.empty() || (text.front() == '0' && text.size() > 1)) return std::nullopt;
  T value = 0;
  const char* const begin = std::to_address(text.begin());
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Splits `text` at the first `separator`; without one, the second half is empty.
std::pair<std::string_view, std::string_view> split(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

// Sets `field` from a parameter that may come once. The value is not quoted back: it is a
// stranger's.
template <std::unsigned_integral T>
Status take_directive(std::optional<T>& field, std::string_view name, std::string_view value) {
  if (field) return fail("{} is given twice", name);
  field = parse_decimal<T>(value);
  if (!field) return fail("{} is not a decimal number in range", name);
  return {};
}

PlaylistQuestion::Skip skip_of(std::string_view value) {
  if (value == "YES") return PlaylistQuestion::Skip::kSegments;
  if (value == "v2") return PlaylistQuestion::Skip::kSegmentsAndDateRanges;
  return PlaylistQuestion::Skip::kNothing;
}

Status take_parameter(PlaylistQuestion& question, std::string_view name, std::string_view value) {
  if (name == "_HLS_msn") return take_directive(question.msn, name, value);
  if (name == "_HLS_part") return take_directive(question.part, name, value);
  if (name == "_HLS_skip") question.skip = skip_of(value);
  if (name == "_HLS_legacy") question.legacy = value == "YES";
  return {};
}

}  // namespace

std::optional<MediaName> parse_media_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".m4s";
  if (name == "init.mp4") return InitName{};
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const std::size_t dot = name.find('.');
  const auto segment = parse_decimal<MediaSequence>(name.substr(0, dot));
  if (!segment) return std::nullopt;
  if (dot == std::string_view::npos) return SegmentName{*segment};
  const auto part = parse_decimal<PartIndex>(name.substr(dot + 1));
  if (!part) return std::nullopt;
  return PartName{{*segment, *part}};
}

Result<PlaylistQuestion> parse_playlist_query(std::string_view query) {
  PlaylistQuestion question;
  while (!query.empty()) {
    const auto [parameter, rest] = split(query, '&');
    const auto [name, value] = split(parameter, '=');
    if (Status status = take_parameter(question, name, value); !status) {
      return std::unexpected(std::move(status).error());
    }
    query = rest;
  }
  // RFC 8216bis, 6.2.5.2: a server must answer this with 400.
  if (question.part && !question.msn) return fail("_HLS_part without _HLS_msn");
  return question;
}

}  // namespace mirror::hls
