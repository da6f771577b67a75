// Attribute lists of playlist tags (RFC 8216bis, 4.2), read strictly.
//
// Values; no memory of the text they came from. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mirror::lint {

struct Attribute {
  std::string name;
  std::string value;  // without the quotes
  bool quoted = false;
};

class AttributeList {
 public:
  AttributeList() = default;

  // What `text` says, and in `faults` what is wrong with it; what could be read is there all the
  // same.
  static AttributeList parse(std::string_view text, std::vector<std::string>& faults);

  const Attribute* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // The value, or an empty text.
  std::string_view text(std::string_view name) const;
  std::optional<std::uint64_t> integer(std::string_view name) const;
  std::optional<double> decimal(std::string_view name) const;
  bool yes(std::string_view name) const { return text(name) == "YES"; }

  const std::vector<Attribute>& all() const { return attributes_; }
  bool operator==(const AttributeList& other) const;

 private:
  std::vector<Attribute> attributes_;
};

// decimal-integer: digits only, from 0 to 2^64-1.
std::optional<std::uint64_t> parse_integer(std::string_view text);
// decimal-floating-point, not negative: digits, perhaps a point and more digits; no exponent.
std::optional<double> parse_decimal(std::string_view text);
// signed-decimal-floating-point
std::optional<double> parse_signed_decimal(std::string_view text);

}  // namespace mirror::lint
