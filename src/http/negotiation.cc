#include "http/negotiation.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "http/request_rules.h"

namespace mirror::http {

namespace {

// Thousandths; RFC 9110 12.4.2: "0" or "1" with up to three decimals. What is no weight is none.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int value = (text[0] - '0') * 1000;
  int scale = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return std::nullopt;
    value += (c - '0') * scale;
    scale /= 10;
  }
  return value <= 1000 ? std::optional(value) : std::nullopt;
}

struct Coding {
  std::string_view name;
  int weight = 1000;
};

// "gzip;q=0.5"; a coding whose weight cannot be read is not taken.
Coding coding_of(std::string_view item) {
  const std::size_t semicolon = std::min(item.find(';'), item.size());
  Coding coding{trim_whitespace(item.substr(0, semicolon))};
  if (semicolon == item.size()) return coding;
  const std::string_view parameter = trim_whitespace(item.substr(semicolon + 1));
  const bool is_weight = equal_ignoring_case(parameter.substr(0, 2), "q=");
  coding.weight = is_weight ? weight_of(parameter.substr(2)).value_or(0) : 0;
  return coding;
}

struct Weights {
  std::optional<int> gzip;
  std::optional<int> identity;
  std::optional<int> any;
};

void note_all(std::string_view list, Weights& weights) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const Coding coding = coding_of(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    // x-gzip is gzip (RFC 9110 8.4.1.3).
    if (equal_ignoring_case(coding.name, "gzip") || equal_ignoring_case(coding.name, "x-gzip")) {
      weights.gzip = std::max(weights.gzip.value_or(0), coding.weight);
    } else if (equal_ignoring_case(coding.name, "identity")) {
      weights.identity = coding.weight;
    } else if (coding.name == "*") {
      weights.any = coding.weight;
    }
  }
}

}  // namespace

bool accepts_gzip(const Request& request) {
  Weights weights;
  for (const auto& [name, value] : request.headers) {
    if (name == "accept-encoding") note_all(value, weights);
  }
  const int gzip = weights.gzip.value_or(weights.any.value_or(0));
  const int identity = weights.identity.value_or(weights.any.value_or(0));
  return gzip > 0 && gzip >= identity;
}

}  // namespace mirror::http
