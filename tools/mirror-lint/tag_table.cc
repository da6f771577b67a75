#include "tag_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "playlist.h"

namespace mirror::lint {
namespace {

using enum Place;
using enum Value;
using enum Times;

constexpr std::array kTags = {
    TagRule{"#EXTM3U", "4.4.1.1", kBoth, kNone, kOnce},
    TagRule{"#EXT-X-VERSION", "4.4.1.2", kBoth, kInteger, kOnce},
    TagRule{"#EXT-X-INDEPENDENT-SEGMENTS", "4.4.2.1", kBoth, kNone, kOnce},
    TagRule{"#EXT-X-START", "4.4.2.2", kBoth, kAttributes, kOnce},
    TagRule{"#EXT-X-DEFINE", "4.4.2.3", kBoth, kAttributes, kMany},
    TagRule{"#EXT-X-TARGETDURATION", "4.4.3.1", kMedia, kInteger, kOnce},
    TagRule{"#EXT-X-MEDIA-SEQUENCE", "4.4.3.2", kMedia, kInteger, kOnce},
    TagRule{"#EXT-X-DISCONTINUITY-SEQUENCE", "4.4.3.3", kMedia, kInteger, kOnce},
    TagRule{"#EXT-X-ENDLIST", "4.4.3.4", kMedia, kNone, kOnce},
    TagRule{"#EXT-X-PLAYLIST-TYPE", "4.4.3.5", kMedia, kText, kOnce},
    TagRule{"#EXT-X-I-FRAMES-ONLY", "4.4.3.6", kMedia, kNone, kOnce},
    TagRule{"#EXT-X-PART-INF", "4.4.3.7", kMedia, kAttributes, kOnce},
    TagRule{"#EXT-X-SERVER-CONTROL", "4.4.3.8", kMedia, kAttributes, kOnce},
    TagRule{"#EXTINF", "4.4.4.1", kMedia, kDuration, kMany},
    TagRule{"#EXT-X-BYTERANGE", "4.4.4.2", kMedia, kByteRange, kMany},
    TagRule{"#EXT-X-DISCONTINUITY", "4.4.4.3", kMedia, kNone, kMany},
    TagRule{"#EXT-X-KEY", "4.4.4.4", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-MAP", "4.4.4.5", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-PROGRAM-DATE-TIME", "4.4.4.6", kMedia, kDate, kMany},
    TagRule{"#EXT-X-GAP", "4.4.4.7", kMedia, kNone, kMany},
    TagRule{"#EXT-X-BITRATE", "4.4.4.8", kMedia, kInteger, kMany},
    TagRule{"#EXT-X-PART", "4.4.4.9", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-DATERANGE", "4.4.5.1", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-SKIP", "4.4.5.2", kMedia, kAttributes, kOnce},
    TagRule{"#EXT-X-PRELOAD-HINT", "4.4.5.3", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-RENDITION-REPORT", "4.4.5.4", kMedia, kAttributes, kMany},
    TagRule{"#EXT-X-MEDIA", "4.4.6.1", kMultivariant, kAttributes, kMany},
    TagRule{"#EXT-X-STREAM-INF", "4.4.6.2", kMultivariant, kAttributes, kMany},
    TagRule{"#EXT-X-I-FRAME-STREAM-INF", "4.4.6.3", kMultivariant, kAttributes, kMany},
    TagRule{"#EXT-X-SESSION-DATA", "4.4.6.4", kMultivariant, kAttributes, kMany},
    TagRule{"#EXT-X-SESSION-KEY", "4.4.6.5", kMultivariant, kAttributes, kMany},
    TagRule{"#EXT-X-CONTENT-STEERING", "4.4.6.6", kMultivariant, kAttributes, kOnce},
};

enum class Type {
  kQuoted,
  kDecimal,
  kSignedDecimal,
  kWhole,
  kEnumerated,
  kYes,  // the one value it may have
  kYesNo,
  kResolution,
  kQuotedDate,
  kQuotedByteRange,
};
using enum Type;

struct AttributeRule {
  std::string_view tag;
  std::string_view name;
  Type type;
  bool required = false;
};

constexpr bool kRequired = true;

constexpr std::array kAttributeRules = {
    AttributeRule{"#EXT-X-START", "TIME-OFFSET", kSignedDecimal, kRequired},
    AttributeRule{"#EXT-X-START", "PRECISE", kYesNo},
    AttributeRule{"#EXT-X-PART-INF", "PART-TARGET", kDecimal, kRequired},
    AttributeRule{"#EXT-X-SERVER-CONTROL", "CAN-SKIP-UNTIL", kDecimal},
    AttributeRule{"#EXT-X-SERVER-CONTROL", "CAN-SKIP-DATERANGES", kYes},
    AttributeRule{"#EXT-X-SERVER-CONTROL", "HOLD-BACK", kDecimal},
    AttributeRule{"#EXT-X-SERVER-CONTROL", "PART-HOLD-BACK", kDecimal},
    AttributeRule{"#EXT-X-SERVER-CONTROL", "CAN-BLOCK-RELOAD", kYes},
    AttributeRule{"#EXT-X-KEY", "METHOD", kEnumerated, kRequired},
    AttributeRule{"#EXT-X-KEY", "URI", kQuoted},
    AttributeRule{"#EXT-X-MAP", "URI", kQuoted, kRequired},
    AttributeRule{"#EXT-X-MAP", "BYTERANGE", kQuotedByteRange},
    AttributeRule{"#EXT-X-PART", "URI", kQuoted, kRequired},
    AttributeRule{"#EXT-X-PART", "DURATION", kDecimal, kRequired},
    AttributeRule{"#EXT-X-PART", "INDEPENDENT", kYes},
    AttributeRule{"#EXT-X-PART", "BYTERANGE", kQuotedByteRange},
    AttributeRule{"#EXT-X-PART", "GAP", kYes},
    AttributeRule{"#EXT-X-DATERANGE", "ID", kQuoted, kRequired},
    AttributeRule{"#EXT-X-DATERANGE", "CLASS", kQuoted},
    AttributeRule{"#EXT-X-DATERANGE", "START-DATE", kQuotedDate},
    AttributeRule{"#EXT-X-DATERANGE", "END-DATE", kQuotedDate},
    AttributeRule{"#EXT-X-DATERANGE", "DURATION", kDecimal},
    AttributeRule{"#EXT-X-DATERANGE", "PLANNED-DURATION", kDecimal},
    AttributeRule{"#EXT-X-DATERANGE", "END-ON-NEXT", kYes},
    AttributeRule{"#EXT-X-SKIP", "SKIPPED-SEGMENTS", kWhole, kRequired},
    AttributeRule{"#EXT-X-SKIP", "RECENTLY-REMOVED-DATERANGES", kQuoted},
    AttributeRule{"#EXT-X-PRELOAD-HINT", "TYPE", kEnumerated, kRequired},
    AttributeRule{"#EXT-X-PRELOAD-HINT", "URI", kQuoted, kRequired},
    AttributeRule{"#EXT-X-PRELOAD-HINT", "BYTERANGE-START", kWhole},
    AttributeRule{"#EXT-X-PRELOAD-HINT", "BYTERANGE-LENGTH", kWhole},
    // What is as in the containing playlist may be left out (4.4.5.4), but a client finds no
    // rendition without its URI.
    AttributeRule{"#EXT-X-RENDITION-REPORT", "URI", kQuoted, kRequired},
    AttributeRule{"#EXT-X-RENDITION-REPORT", "LAST-MSN", kWhole},
    AttributeRule{"#EXT-X-RENDITION-REPORT", "LAST-PART", kWhole},
    AttributeRule{"#EXT-X-MEDIA", "TYPE", kEnumerated, kRequired},
    AttributeRule{"#EXT-X-MEDIA", "URI", kQuoted},
    AttributeRule{"#EXT-X-MEDIA", "GROUP-ID", kQuoted, kRequired},
    AttributeRule{"#EXT-X-MEDIA", "LANGUAGE", kQuoted},
    AttributeRule{"#EXT-X-MEDIA", "NAME", kQuoted, kRequired},
    AttributeRule{"#EXT-X-MEDIA", "STABLE-RENDITION-ID", kQuoted},
    AttributeRule{"#EXT-X-MEDIA", "DEFAULT", kYesNo},
    AttributeRule{"#EXT-X-MEDIA", "AUTOSELECT", kYesNo},
    AttributeRule{"#EXT-X-MEDIA", "FORCED", kYesNo},
    AttributeRule{"#EXT-X-MEDIA", "CHANNELS", kQuoted},
    AttributeRule{"#EXT-X-STREAM-INF", "BANDWIDTH", kWhole, kRequired},
    AttributeRule{"#EXT-X-STREAM-INF", "AVERAGE-BANDWIDTH", kWhole},
    AttributeRule{"#EXT-X-STREAM-INF", "SCORE", kDecimal},
    AttributeRule{"#EXT-X-STREAM-INF", "CODECS", kQuoted},
    AttributeRule{"#EXT-X-STREAM-INF", "RESOLUTION", kResolution},
    AttributeRule{"#EXT-X-STREAM-INF", "FRAME-RATE", kDecimal},
    AttributeRule{"#EXT-X-STREAM-INF", "STABLE-VARIANT-ID", kQuoted},
    AttributeRule{"#EXT-X-STREAM-INF", "AUDIO", kQuoted},
    AttributeRule{"#EXT-X-STREAM-INF", "VIDEO", kQuoted},
    AttributeRule{"#EXT-X-STREAM-INF", "SUBTITLES", kQuoted},
    AttributeRule{"#EXT-X-I-FRAME-STREAM-INF", "BANDWIDTH", kWhole, kRequired},
    AttributeRule{"#EXT-X-I-FRAME-STREAM-INF", "URI", kQuoted, kRequired},
};

bool is_resolution(std::string_view text) {
  const std::size_t x = text.find('x');
  return x != std::string_view::npos && parse_integer(text.substr(0, x)) &&
         parse_integer(text.substr(x + 1));
}

bool fits(Type type, const Attribute& attribute) {
  const std::string_view value = attribute.value;
  switch (type) {
    case kQuoted:
      return attribute.quoted;
    case kQuotedDate:
      return attribute.quoted && parse_date(value);
    case kQuotedByteRange: {
      const std::size_t at = std::min(value.find('@'), value.size());
      const bool offset = at == value.size() || parse_integer(value.substr(at + 1));
      return attribute.quoted && parse_integer(value.substr(0, at)) && offset;
    }
    case kDecimal:
      return !attribute.quoted && parse_decimal(value);
    case kSignedDecimal:
      return !attribute.quoted && parse_signed_decimal(value);
    case kWhole:
      return !attribute.quoted && parse_integer(value);
    case kEnumerated:
      return !attribute.quoted;
    case kYes:
      return !attribute.quoted && value == "YES";
    case kYesNo:
      return !attribute.quoted && (value == "YES" || value == "NO");
    case kResolution:
      return !attribute.quoted && is_resolution(value);
  }
  return false;
}

}  // namespace

const TagRule* find_tag(std::string_view name) {
  const auto it = std::ranges::find(kTags, name, &TagRule::name);
  return it == kTags.end() ? nullptr : std::to_address(it);
}

AttributeFaults check_attributes(std::string_view tag, const AttributeList& attributes) {
  AttributeFaults faults;
  for (const AttributeRule& rule : kAttributeRules) {
    if (rule.tag != tag) continue;
    const Attribute* attribute = attributes.find(rule.name);
    if (attribute == nullptr) {
      if (rule.required) faults.missing.push_back(fmt::format("{} is required", rule.name));
    } else if (!fits(rule.type, *attribute)) {
      faults.malformed.push_back(
          fmt::format("{}={} is not what it has to be", rule.name, attribute->value));
    }
  }
  return faults;
}

}  // namespace mirror::lint
