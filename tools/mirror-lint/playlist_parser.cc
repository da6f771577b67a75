#include "playlist_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "playlist_reader.h"

namespace mirror::lint {
namespace {

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80             ? 1
                               : (lead & 0xe0) == 0xc0 ? 2
                               : (lead & 0xf0) == 0xe0 ? 3
                               : (lead & 0xf8) == 0xf0 ? 4
                                                       : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

}  // namespace

void PlaylistReader::split(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) fault("syntax-encoding", 1, "a byte order mark");
  while (!text.empty() && playlist_.lines.size() < kLinesMax) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    playlist_.lines.emplace_back(line);
    if (end == std::string_view::npos) {
      fault("syntax-line-end", static_cast<int>(playlist_.lines.size()),
            "the last line is not terminated");
      break;
    }
    text.remove_prefix(end + 1);
  }
}

void PlaylistReader::check_first_line() {
  if (playlist_.lines.empty() || playlist_.lines.front() != "#EXTM3U") {
    fault("syntax-not-m3u", 1, "the first line is not #EXTM3U");
  }
}

void PlaylistReader::read_line(int number) {
  const std::string_view line = playlist_.line(number);
  if (line.empty()) return;
  if (!is_utf8(line)) fault("syntax-encoding", number, "not UTF-8");
  if (std::ranges::any_of(line, is_control))
    fault("syntax-encoding", number, "a control character");
  if (line.starts_with("#EXT")) {
    read_tag(number, line);
  } else if (!line.starts_with('#')) {
    read_uri(number, line);
  }
}

void PlaylistReader::read_uri(int number, std::string_view uri) {
  if (variant_) {
    variant_->uri = uri;
    playlist_.variants.push_back(std::move(*variant_));
    variant_.reset();
    return;
  }
  if (!has_duration_) {
    fault("syntax-uri", number, "a URI without an EXTINF or EXT-X-STREAM-INF before it");
    return;
  }
  segment_.resource.uri = uri;
  segment_.complete = true;
  segment_.map = map_;
  segment_.encrypted = encrypted_;
  playlist_.segments.push_back(std::move(segment_));
  segment_ = {};
  segment_begun_ = has_duration_ = false;
}

void PlaylistReader::read_tag(int number, std::string_view text) {
  Tag tag;
  tag.line = number;
  const std::size_t colon = std::min(text.find(':'), text.size());
  tag.name = text.substr(0, colon);
  if (colon < text.size()) tag.value = text.substr(colon + 1);
  const TagRule* rule = find_tag(tag.name);
  if (rule == nullptr) {
    fault("syntax-unknown-tag", number, fmt::format("{} is not of RFC 8216bis", tag.name));
    return;
  }
  if (variant_ && tag.name != "#EXT-X-STREAM-INF") {
    fault("syntax-uri", variant_->line, "EXT-X-STREAM-INF without a URI line behind it");
    variant_.reset();
  }
  if (rule->value == Value::kAttributes) {
    std::vector<std::string> faults;
    tag.attributes = AttributeList::parse(tag.value, faults);
    for (std::string& what : faults) fault("syntax-attribute-list", number, std::move(what));
  }
  check_tag(tag);
  take_header(tag);
  take_segment_tag(tag);
  take_metadata(tag);
}

void PlaylistReader::check_tag(const Tag& tag) {
  const TagRule& rule = *find_tag(tag.name);
  if (rule.place == Place::kMedia && media_line_ == 0) media_line_ = tag.line;
  if (rule.place == Place::kMultivariant && multivariant_line_ == 0) multivariant_line_ = tag.line;
  if (!seen_.insert(tag.name).second && rule.times == Times::kOnce) {
    fault("syntax-tag-duplicate", tag.line, fmt::format("{} stands twice", tag.name));
  }
  check_value(rule, tag);
}

void PlaylistReader::check_value(const TagRule& rule, const Tag& tag) {
  const auto wrong = [&](bool good) {
    if (!good)
      fault("syntax-tag-value", tag.line,
            fmt::format("\"{}\" is no value of {}", tag.value, tag.name));
  };
  switch (rule.value) {
    case Value::kNone:
      return wrong(tag.value.empty());
    case Value::kInteger:
      return wrong(parse_integer(tag.value).has_value());
    case Value::kDate:
      return wrong(parse_date(tag.value).has_value());
    case Value::kByteRange:
      return wrong(parse_byte_range(tag.value, 0).has_value());
    case Value::kDuration:
      return wrong(tag.value.find(',') != std::string::npos &&
                   parse_decimal(std::string_view(tag.value).substr(0, tag.value.find(','))));
    case Value::kText:
      return wrong(tag.value == "EVENT" || tag.value == "VOD");
    case Value::kAttributes:
      break;
  }
  AttributeFaults faults = check_attributes(tag.name, tag.attributes);
  for (std::string& what : faults.malformed)
    fault("syntax-attribute-value", tag.line, std::move(what));
  for (std::string& what : faults.missing)
    fault("syntax-attribute-missing", tag.line, std::move(what));
  for (const Attribute& attribute : tag.attributes.all()) {
    if (attribute.name.starts_with("REQ-")) needs_version(12, tag.line);
  }
}

void PlaylistReader::finish() {
  if (variant_)
    fault("syntax-uri", variant_->line, "EXT-X-STREAM-INF without a URI line behind it");
  if (has_duration_) fault("syntax-uri", segment_.line, "EXTINF without a URI line behind it");
  if (segment_begun_ && !has_duration_ && !segment_.parts.empty()) {
    segment_.map = map_;
    segment_.encrypted = encrypted_;
    playlist_.segments.push_back(std::move(segment_));
  }
  playlist_.multivariant = multivariant_line_ > 0 && media_line_ == 0;
  if (multivariant_line_ > 0 && media_line_ > 0) {
    fault("syntax-tag-misplaced", std::max(multivariant_line_, media_line_),
          "tags of a Media Playlist and of a Multivariant Playlist in one (4.4.2)");
  }
  number_segments(playlist_);
}

Playlist parse_playlist(std::string_view text) { return PlaylistReader(text).read(); }

}  // namespace mirror::lint
