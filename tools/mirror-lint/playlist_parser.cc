#include "playlist_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tag_table.h"

namespace mirror::lint {
namespace {

// One line that is a tag.
struct Tag {
  int line = 0;
  std::string name;
  std::string value;
  AttributeList attributes;
};

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

// "<n>[@<o>]"; without an offset the range begins where the one before it ended.
std::optional<ByteRange> parse_byte_range(std::string_view text, std::uint64_t next_offset) {
  const std::size_t at = std::min(text.find('@'), text.size());
  const auto length = parse_integer(text.substr(0, at));
  if (!length) return std::nullopt;
  if (at == text.size()) return ByteRange{next_offset, length};
  const auto offset = parse_integer(text.substr(at + 1));
  if (!offset) return std::nullopt;
  return ByteRange{*offset, length};
}

class Parser {
 public:
  explicit Parser(std::string_view text) { split(text); }

  Playlist read() {
    check_first_line();
    for (std::size_t i = 0; i < playlist_.lines.size(); ++i) read_line(static_cast<int>(i) + 1);
    finish();
    return std::move(playlist_);
  }

 private:
  void fault(std::string_view rule, int line, std::string what) {
    constexpr std::size_t kFaultsMax = 1000;
    if (playlist_.faults.size() < kFaultsMax)
      playlist_.faults.push_back({rule, line, std::move(what)});
  }

  void split(std::string_view text);
  void check_first_line();
  void read_line(int number);
  void read_uri(int number, std::string_view uri);
  void read_tag(int number, std::string_view text);
  void check_tag(const Tag& tag);
  void check_value(const TagRule& rule, const Tag& tag);
  void take_header(const Tag& tag);
  void take_segment_tag(const Tag& tag);
  void take_part(const Tag& tag);
  void take_metadata(const Tag& tag);
  void take_server_control(const Tag& tag);
  void finish();

  Segment& open_segment() {
    segment_begun_ = true;
    return segment_;
  }
  void needs_version(std::uint64_t version, int line) {
    if (version <= playlist_.version_needed) return;
    playlist_.version_needed = version;
    playlist_.version_needed_line = line;
  }

  Playlist playlist_;
  std::set<std::string, std::less<>> seen_;
  Segment segment_;
  bool segment_begun_ = false;
  bool has_duration_ = false;
  bool encrypted_ = false;
  std::optional<Resource> map_;
  std::optional<Described> variant_;  // EXT-X-STREAM-INF, waiting for its URI
  std::uint64_t next_offset_ = 0;     // for byte ranges without one
  int media_line_ = 0;                // the first tags that only one kind of playlist may hold
  int multivariant_line_ = 0;
};

void Parser::split(std::string_view text) {
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

void Parser::check_first_line() {
  if (playlist_.lines.empty() || playlist_.lines.front() != "#EXTM3U") {
    fault("syntax-not-m3u", 1, "the first line is not #EXTM3U");
  }
}

void Parser::read_line(int number) {
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

void Parser::read_uri(int number, std::string_view uri) {
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

void Parser::read_tag(int number, std::string_view text) {
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

void Parser::check_tag(const Tag& tag) {
  const TagRule& rule = *find_tag(tag.name);
  if (rule.place == Place::kMedia && media_line_ == 0) media_line_ = tag.line;
  if (rule.place == Place::kMultivariant && multivariant_line_ == 0) multivariant_line_ = tag.line;
  if (!seen_.insert(tag.name).second && rule.times == Times::kOnce) {
    fault("syntax-tag-duplicate", tag.line, fmt::format("{} stands twice", tag.name));
  }
  check_value(rule, tag);
}

void Parser::check_value(const TagRule& rule, const Tag& tag) {
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

void Parser::take_header(const Tag& tag) {
  const auto integer = [&] { return parse_integer(tag.value); };
  if (tag.name == "#EXT-X-VERSION") {
    playlist_.version_line = tag.line;
    playlist_.version = integer().value_or(1);
  } else if (tag.name == "#EXT-X-INDEPENDENT-SEGMENTS") {
    playlist_.independent_segments = true;
  } else if (tag.name == "#EXT-X-DEFINE") {
    needs_version(tag.attributes.has("QUERYPARAM") ? 11 : 8, tag.line);
  } else if (tag.name == "#EXT-X-TARGETDURATION") {
    playlist_.target_duration_line = tag.line;
    if (const auto value = integer())
      playlist_.target_duration = Seconds(static_cast<double>(*value));
  } else if (tag.name == "#EXT-X-MEDIA-SEQUENCE" || tag.name == "#EXT-X-DISCONTINUITY-SEQUENCE") {
    const bool media = tag.name == "#EXT-X-MEDIA-SEQUENCE";
    (media ? playlist_.media_sequence_line : playlist_.discontinuity_sequence_line) = tag.line;
    (media ? playlist_.media_sequence : playlist_.discontinuity_sequence) = integer().value_or(0);
    if (!playlist_.segments.empty() || segment_begun_) {
      fault("syntax-tag-misplaced", tag.line, "stands behind the first segment (4.4.3.2, 4.4.3.3)");
    }
  } else if (tag.name == "#EXT-X-ENDLIST") {
    playlist_.end_line = tag.line;
  } else if (tag.name == "#EXT-X-PLAYLIST-TYPE") {
    playlist_.playlist_type = tag.value;
  } else if (tag.name == "#EXT-X-I-FRAMES-ONLY") {
    playlist_.i_frames_only = true;
    needs_version(4, tag.line);
  } else if (tag.name == "#EXT-X-PART-INF") {
    playlist_.part_inf_line = tag.line;
    if (const auto value = tag.attributes.decimal("PART-TARGET"))
      playlist_.part_target = Seconds(*value);
  } else if (tag.name == "#EXT-X-SERVER-CONTROL") {
    take_server_control(tag);
  }
}

void Parser::take_server_control(const Tag& tag) {
  const auto seconds = [&](std::string_view name) -> std::optional<Seconds> {
    const auto value = tag.attributes.decimal(name);
    return value ? std::optional(Seconds(*value)) : std::nullopt;
  };
  playlist_.server_control =
      ServerControl{.line = tag.line,
                    .can_block_reload = tag.attributes.yes("CAN-BLOCK-RELOAD"),
                    .can_skip_dateranges = tag.attributes.yes("CAN-SKIP-DATERANGES"),
                    .can_skip_until = seconds("CAN-SKIP-UNTIL"),
                    .hold_back = seconds("HOLD-BACK"),
                    .part_hold_back = seconds("PART-HOLD-BACK")};
}

void Parser::take_segment_tag(const Tag& tag) {
  if (tag.name == "#EXTINF") {
    const std::string_view number = std::string_view(tag.value).substr(0, tag.value.find(','));
    if (has_duration_) fault("syntax-uri", segment_.line, "EXTINF without a URI line behind it");
    open_segment().line = tag.line;
    segment_.duration = Seconds(parse_decimal(number).value_or(0));
    has_duration_ = true;
    if (number.find('.') != std::string_view::npos) needs_version(3, tag.line);
    return;
  }
  if (tag.name == "#EXT-X-BYTERANGE") {
    needs_version(4, tag.line);
    open_segment().resource.range = parse_byte_range(tag.value, next_offset_);
    if (segment_.resource.range) {
      next_offset_ = segment_.resource.range->offset + *segment_.resource.range->length;
    }
    return;
  }
  if (tag.name == "#EXT-X-GAP") {
    open_segment().gap = true;
    return;
  }
  if (tag.name == "#EXT-X-PART") return take_part(tag);
  const bool before_parts = tag.name == "#EXT-X-DISCONTINUITY" || tag.name == "#EXT-X-KEY" ||
                            tag.name == "#EXT-X-MAP" || tag.name == "#EXT-X-PROGRAM-DATE-TIME";
  if (!before_parts) return;
  if (!segment_.parts.empty()) {
    fault("syntax-tag-misplaced", tag.line,
          fmt::format("{} stands behind the first EXT-X-PART of its segment (4.4.4.9)", tag.name));
  }
  if (tag.name == "#EXT-X-DISCONTINUITY") {
    open_segment().discontinuity = true;
  } else if (tag.name == "#EXT-X-PROGRAM-DATE-TIME") {
    open_segment().date = parse_date(tag.value);
    segment_.date_line = tag.line;
  } else if (tag.name == "#EXT-X-KEY") {
    encrypted_ = tag.attributes.text("METHOD") != "NONE";
  } else {
    needs_version(playlist_.i_frames_only ? 5 : 6, tag.line);
    map_ = Resource{std::string(tag.attributes.text("URI")), {}};
    if (tag.attributes.has("BYTERANGE")) {
      map_->range = parse_byte_range(tag.attributes.text("BYTERANGE"), 0);
    }
  }
}

void Parser::take_part(const Tag& tag) {
  Segment& segment = open_segment();
  if (has_duration_)
    fault("syntax-tag-misplaced", tag.line, "EXT-X-PART between EXTINF and its URI");
  Part part{.line = tag.line,
            .resource = {std::string(tag.attributes.text("URI")), {}},
            .duration = Seconds(tag.attributes.decimal("DURATION").value_or(0)),
            .independent = tag.attributes.yes("INDEPENDENT"),
            .gap = tag.attributes.yes("GAP")};
  if (tag.attributes.has("BYTERANGE")) {
    std::uint64_t offset = 0;
    if (!segment.parts.empty() && segment.parts.back().resource.range) {
      const ByteRange& before = *segment.parts.back().resource.range;
      offset = before.offset + before.length.value_or(0);
    }
    part.resource.range = parse_byte_range(tag.attributes.text("BYTERANGE"), offset);
  }
  segment.parts.push_back(std::move(part));
}

void Parser::take_metadata(const Tag& tag) {
  const AttributeList& attributes = tag.attributes;
  const std::string uri(attributes.text("URI"));
  if (tag.name == "#EXT-X-DATERANGE") {
    playlist_.dateranges.push_back({tag.line, std::string(attributes.text("ID")), attributes});
  } else if (tag.name == "#EXT-X-SKIP") {
    Skip skip{.line = tag.line, .segments = attributes.integer("SKIPPED-SEGMENTS").value_or(0)};
    skip.removes_dateranges = attributes.has("RECENTLY-REMOVED-DATERANGES");
    std::string_view ids = attributes.text("RECENTLY-REMOVED-DATERANGES");
    while (!ids.empty()) {
      const std::size_t end = std::min(ids.find('\t'), ids.size());
      skip.removed_dateranges.emplace_back(ids.substr(0, end));
      ids.remove_prefix(std::min(end + 1, ids.size()));
    }
    needs_version(skip.removes_dateranges ? 10 : 9, tag.line);
    playlist_.skip = std::move(skip);
  } else if (tag.name == "#EXT-X-PRELOAD-HINT") {
    Hint hint{tag.line, std::string(attributes.text("TYPE")), {uri, {}}};
    const auto start = attributes.integer("BYTERANGE-START");
    const auto length = attributes.integer("BYTERANGE-LENGTH");
    if (start || length) hint.resource.range = ByteRange{start.value_or(0), length};
    playlist_.hints.push_back(std::move(hint));
  } else if (tag.name == "#EXT-X-RENDITION-REPORT") {
    playlist_.reports.push_back(
        {tag.line, uri, attributes.integer("LAST-MSN"), attributes.integer("LAST-PART")});
  } else if (tag.name == "#EXT-X-MEDIA") {
    playlist_.renditions.push_back({tag.line, attributes, uri});
  } else if (tag.name == "#EXT-X-STREAM-INF") {
    if (variant_)
      fault("syntax-uri", variant_->line, "EXT-X-STREAM-INF without a URI line behind it");
    variant_ = Described{tag.line, attributes, {}};
  }
}

void Parser::finish() {
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

}  // namespace

Playlist parse_playlist(std::string_view text) { return Parser(text).read(); }

}  // namespace mirror::lint
