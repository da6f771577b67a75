#include "playlist_scan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

namespace mirror::load {

namespace {

// Lines of `text` in order; a CR before the LF belongs to neither.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }

 private:
  std::string_view rest_;
};

bool take_tag(std::string_view line, std::string_view tag, std::string_view& value) {
  if (!line.starts_with(tag)) return false;
  value = line.substr(tag.size());
  return true;
}

// The value of an attribute, without its quotes; empty when it is not there (RFC 8216bis, 4.2).
std::string_view attribute(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t equals = list.find('=');
    if (equals == std::string_view::npos) return {};
    std::string_view key = list.substr(0, equals);
    while (key.starts_with(' ')) key.remove_prefix(1);
    list.remove_prefix(equals + 1);
    const bool quoted = list.starts_with('"');
    if (quoted) list.remove_prefix(1);
    const std::size_t end = std::min(list.find(quoted ? '"' : ','), list.size());
    const std::string_view value = list.substr(0, end);
    if (key == name) return value;
    const std::size_t comma = list.find(',', end);
    if (comma == std::string_view::npos) return {};
    list.remove_prefix(comma + 1);
  }
  return {};
}

Result<std::uint64_t> number(std::string_view text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // The upper half would let positions overflow.
  if (error != std::errc() || end != text.data() + text.size() || value > UINT64_MAX / 2) {
    return fail("{}: \"{}\" is no sequence number", what, text.substr(0, 40));
  }
  return value;
}

Result<std::chrono::microseconds> seconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value < 86'400)) {
    return fail("EXT-X-PART: DURATION \"{}\" is no duration", text.substr(0, 40));
  }
  return std::chrono::microseconds(std::llround(value * 1e6));
}

class Scanner {
 public:
  Scanner(Position from, std::array<ListedPart, kNewPartsMax>& parts) : parts_(parts) {
    scan_.expected = from;
  }

  Result<PlaylistScan> scan(std::string_view text) {
    Lines lines(text);
    std::string_view line;
    if (!lines.next(line) || line != "#EXTM3U") return fail("it does not begin with #EXTM3U");
    while (lines.next(line)) {
      if (line.empty()) continue;
      if (line.front() != '#') {
        end_segment();
      } else if (line.starts_with("#EXT-X-")) {
        if (auto status = take(line); !status) return std::unexpected(std::move(status.error()));
      }
    }
    scan_.next = at_;
    return scan_;
  }

 private:
  Status take(std::string_view line) {
    std::string_view value;
    if (take_tag(line, "#EXT-X-PART:", value)) return take_part(value);
    if (take_tag(line, "#EXT-X-PROGRAM-DATE-TIME:", value)) return {};  // the most frequent
    if (take_tag(line, "#EXT-X-SKIP:", value)) {
      auto skipped = number(attribute(value, "SKIPPED-SEGMENTS"), "EXT-X-SKIP");
      if (!skipped) return std::unexpected(std::move(skipped.error()));
      at_.msn += *skipped;
    } else if (take_tag(line, "#EXT-X-MEDIA-SEQUENCE:", value)) {
      auto msn = number(value, "EXT-X-MEDIA-SEQUENCE");
      if (!msn) return std::unexpected(std::move(msn.error()));
      at_ = {*msn, 0};
    } else if (take_tag(line, "#EXT-X-MAP:", value)) {
      scan_.map_uri = attribute(value, "URI");
    } else if (take_tag(line, "#EXT-X-SERVER-CONTROL:", value)) {
      scan_.blocks = attribute(value, "CAN-BLOCK-RELOAD") == "YES";
    } else if (line == "#EXT-X-DISCONTINUITY") {
      discontinuity_ = true;
    } else if (line == "#EXT-X-ENDLIST") {
      scan_.ended = true;
    } else if (line.starts_with("#EXT-X-STREAM-INF:")) {
      return fail("a multivariant playlist stands where a media playlist should be");
    }
    return {};
  }

  Status take_part(std::string_view list) {
    const Position at = at_;
    ++at_.part;
    const bool discontinuity = std::exchange(discontinuity_, false);
    if (at < scan_.expected) return {};
    if (scan_.new_parts == parts_.size()) {
      ++scan_.overflow;
      return {};
    }
    auto duration = seconds(attribute(list, "DURATION"));
    if (!duration) return std::unexpected(std::move(duration.error()));
    ListedPart& part = parts_[scan_.new_parts++];
    part = {at, attribute(list, "URI"), *duration, attribute(list, "GAP") == "YES", discontinuity};
    if (part.uri.empty()) return fail("EXT-X-PART: there is no URI");
    if (!attribute(list, "BYTERANGE").empty()) scan_.byte_ranges = true;
    return {};
  }

  void end_segment() {
    // Parts of a segment that is long complete are no longer listed: only a segment that shows
    // parts tells that it has no more of them.
    const bool ends_before = at_.part > 0 && at_.part <= scan_.expected.part;
    if (at_.msn == scan_.expected.msn && ends_before) scan_.expected = {at_.msn + 1, 0};
    at_ = {at_.msn + 1, 0};
    discontinuity_ = false;
  }

  std::array<ListedPart, kNewPartsMax>& parts_;
  PlaylistScan scan_;
  Position at_;
  bool discontinuity_ = false;
};

bool has_folder(std::string_view uri, std::string_view name) {
  uri = uri.substr(0, uri.find('?'));
  for (std::size_t at = 0; at < uri.size();) {
    const std::size_t end = std::min(uri.find('/', at), uri.size());
    if (uri.substr(at, end - at) == name) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

Result<PlaylistScan> scan_media_playlist(std::string_view text, Position from,
                                         std::array<ListedPart, kNewPartsMax>& parts) {
  return Scanner(from, parts).scan(text);
}

bool is_multivariant(std::string_view text) {
  return text.find("\n#EXT-X-STREAM-INF:") != std::string_view::npos;
}

Result<std::string_view> choose_rendition(std::string_view text, std::string_view rendition) {
  Lines lines(text);
  std::string_view line;
  std::string_view value;
  std::string known;
  bool variant_follows = false;
  while (lines.next(line)) {
    std::string_view uri;
    std::string_view name;
    if (take_tag(line, "#EXT-X-STREAM-INF:", value)) {
      variant_follows = true;
    } else if (take_tag(line, "#EXT-X-MEDIA:", value)) {
      uri = attribute(value, "URI");
      name = attribute(value, "NAME");
      if (rendition.empty()) continue;
    } else if (!line.empty() && line.front() != '#' && variant_follows) {
      variant_follows = false;
      uri = line;
    }
    if (uri.empty()) continue;
    if (rendition.empty() || name == rendition || has_folder(uri, rendition)) return uri;
    known.append(known.empty() ? "" : ", ").append(uri);
  }
  return fail("there is no rendition \"{}\" among: {}", rendition, known);
}

}  // namespace mirror::load
