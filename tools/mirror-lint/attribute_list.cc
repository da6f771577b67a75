#include "attribute_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace mirror::lint {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_character(char c) { return (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-'; }

// Takes an AttributeName and its "=" from the front of `rest`; empty when there is none.
std::string_view take_name(std::string_view& rest) {
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos || equals == 0) return {};
  const std::string_view name = rest.substr(0, equals);
  rest.remove_prefix(equals + 1);
  return name;
}

// Takes a value up to the comma behind it.
Attribute take_value(std::string_view& rest, std::vector<std::string>& faults) {
  Attribute attribute;
  if (rest.starts_with('"')) {
    attribute.quoted = true;
    const std::size_t end = rest.find('"', 1);
    if (end == std::string_view::npos) {
      faults.emplace_back("a quoted string that does not end");
      attribute.value = rest.substr(1);
      rest = {};
      return attribute;
    }
    attribute.value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return attribute;
  }
  const std::size_t end = std::min(rest.find(','), rest.size());
  attribute.value = rest.substr(0, end);
  rest.remove_prefix(end);
  if (attribute.value.empty()) faults.emplace_back("an attribute without a value");
  if (attribute.value.find_first_of("\" \t") != std::string::npos) {
    faults.push_back(fmt::format("a space or quote in an unquoted value: {}", attribute.value));
  }
  return attribute;
}

}  // namespace

AttributeList AttributeList::parse(std::string_view text, std::vector<std::string>& faults) {
  AttributeList list;
  std::string_view rest = text;
  if (rest.empty()) faults.emplace_back("an empty attribute list");
  while (!rest.empty()) {
    const std::string_view name = take_name(rest);
    if (name.empty()) {
      faults.push_back(fmt::format("no AttributeName=Value where \"{}\" begins", rest));
      break;
    }
    if (!std::ranges::all_of(name, is_name_character)) {
      faults.push_back(fmt::format("not an AttributeName: \"{}\"", name));
    }
    Attribute attribute = take_value(rest, faults);
    attribute.name = name;
    if (list.has(name)) faults.push_back(fmt::format("{} stands twice", name));
    list.attributes_.push_back(std::move(attribute));
    if (rest.empty()) break;
    if (!rest.starts_with(',')) {
      faults.push_back(fmt::format("no comma where \"{}\" begins", rest));
      break;
    }
    rest.remove_prefix(1);
    if (rest.empty()) faults.emplace_back("a comma at the end");
  }
  return list;
}

const Attribute* AttributeList::find(std::string_view name) const {
  const auto it = std::ranges::find(attributes_, name, &Attribute::name);
  return it == attributes_.end() ? nullptr : std::to_address(it);
}

std::string_view AttributeList::text(std::string_view name) const {
  const Attribute* attribute = find(name);
  return attribute == nullptr ? std::string_view{} : attribute->value;
}

std::optional<std::uint64_t> AttributeList::integer(std::string_view name) const {
  const Attribute* attribute = find(name);
  return attribute == nullptr ? std::nullopt : parse_integer(attribute->value);
}

std::optional<double> AttributeList::decimal(std::string_view name) const {
  const Attribute* attribute = find(name);
  return attribute == nullptr ? std::nullopt : parse_decimal(attribute->value);
}

bool AttributeList::operator==(const AttributeList& other) const {
  return std::ranges::equal(attributes_, other.attributes_, [](const auto& a, const auto& b) {
    return a.name == b.name && a.value == b.value;
  });
}

std::optional<std::uint64_t> parse_integer(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  const char* const begin = text.data();
  const auto [rest, error] = std::from_chars(begin, begin + text.size(), value);
  if (error != std::errc() || rest != begin + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_decimal(std::string_view text) {
  const bool well_formed =
      !text.empty() && is_digit(text.front()) && std::ranges::count(text, '.') <= 1 &&
      std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; });
  if (!well_formed) return std::nullopt;
  double value = 0;
  const char* const begin = text.data();
  const auto [rest, error] = std::from_chars(begin, begin + text.size(), value);
  if (error != std::errc() || rest != begin + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_signed_decimal(std::string_view text) {
  if (!text.starts_with('-')) return parse_decimal(text);
  const auto value = parse_decimal(text.substr(1));
  if (!value) return std::nullopt;
  return -*value;
}

}  // namespace mirror::lint
