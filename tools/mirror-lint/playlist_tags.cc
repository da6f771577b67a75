// What each tag of a playlist says (RFC 8216bis, 4.4).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "playlist_reader.h"

namespace mirror::lint {

std::optional<ByteRange> parse_byte_range(std::string_view text, std::uint64_t next_offset) {
  const std::size_t at = std::min(text.find('@'), text.size());
  const auto length = parse_integer(text.substr(0, at));
  if (!length) return std::nullopt;
  if (at == text.size()) return ByteRange{next_offset, length};
  const auto offset = parse_integer(text.substr(at + 1));
  if (!offset) return std::nullopt;
  return ByteRange{*offset, length};
}

void PlaylistReader::take_header(const Tag& tag) {
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

void PlaylistReader::take_server_control(const Tag& tag) {
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

void PlaylistReader::take_segment_tag(const Tag& tag) {
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

void PlaylistReader::take_part(const Tag& tag) {
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

void PlaylistReader::take_metadata(const Tag& tag) {
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

}  // namespace mirror::lint
