// Which tags there are, where they may stand, and what their attributes must look like
// (RFC 8216bis, 4.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attribute_list.h"

namespace mirror::lint {

enum class Place { kBoth, kMedia, kMultivariant };
enum class Value { kNone, kInteger, kText, kDate, kDuration, kByteRange, kAttributes };
enum class Times { kOnce, kMany };

struct TagRule {
  std::string_view name;  // with the #
  std::string_view clause;
  Place place = Place::kBoth;
  Value value = Value::kNone;
  Times times = Times::kMany;
};

// Null for a tag that RFC 8216bis does not define.
const TagRule* find_tag(std::string_view name);

// What is wrong with the attributes of a tag, in words: `malformed` values of a wrong type,
// `missing` what is required and not there.
struct AttributeFaults {
  std::vector<std::string> malformed;
  std::vector<std::string> missing;
};
AttributeFaults check_attributes(std::string_view tag, const AttributeList& attributes);

}  // namespace mirror::lint
