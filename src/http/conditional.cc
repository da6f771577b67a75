#include "http/conditional.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "http/request_rules.h"

namespace mirror::http {

namespace {

std::string_view without_weakness(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

bool is_weak(std::string_view tag) { return tag.starts_with("W/"); }

// RFC 9110 8.8.3.2.
bool equal_weakly(std::string_view a, std::string_view b) {
  return without_weakness(a) == without_weakness(b);
}
bool equal_strongly(std::string_view a, std::string_view b) { return !is_weak(a) && a == b; }

// Takes the next entity tag off the front of a list; empty at its end or where it is no list. A
// comma may stand within the quotes (RFC 9110 8.8.3).
std::string_view take_tag(std::string_view& list) {
  const std::size_t start = list.find_first_not_of(" \t,");
  if (start == std::string_view::npos) return {};
  list.remove_prefix(start);
  const std::size_t open = is_weak(list) ? 2 : 0;
  if (open >= list.size() || list[open] != '"') return {};
  const std::size_t close = list.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  const std::string_view tag = list.substr(0, close + 1);
  list.remove_prefix(close + 1);
  return tag;
}

// "*" matches whatever there is.
template <class Equal>
bool any_matches(std::string_view list, std::optional<std::string_view> etag, Equal equal) {
  if (list == "*") return true;
  if (!etag) return false;
  for (;;) {
    const std::string_view tag = take_tag(list);
    if (tag.empty()) return false;
    if (equal(tag, *etag)) return true;
  }
}

// Digits as a number; too large a one is the largest, which is past the end of any body.
std::optional<std::uint64_t> number_of(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kMost - digit) / 10 ? kMost : value * 10 + digit;
  }
  return value;
}

struct Whole {};
struct Unsatisfiable {};
struct Part {
  std::uint64_t first;
  std::uint64_t last;  // inclusive
};
using Extent = std::variant<Whole, Unsatisfiable, Part>;

// RFC 9110 14.1.2 and 14.2. What is no valid single byte range is ignored.
Extent extent_of(std::string_view range, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  // An empty body has no range that Content-Range could name.
  if (size == 0 || !equal_ignoring_case(range.substr(0, kUnit.size()), kUnit)) return Whole{};
  range = trim_whitespace(range.substr(kUnit.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return Whole{};
  const std::string_view from = range.substr(0, dash);
  const std::string_view to = range.substr(dash + 1);
  if (from.empty()) {
    const auto suffix = number_of(to);
    if (!suffix) return Whole{};
    if (*suffix == 0) return Unsatisfiable{};
    return Part{size - std::min(*suffix, size), size - 1};
  }
  const auto first = number_of(from);
  const auto last = to.empty() ? std::optional(size - 1) : number_of(to);
  if (!first || !last || (!to.empty() && *last < *first)) return Whole{};
  if (*first >= size) return Unsatisfiable{};
  return Part{*first, std::min(*last, size - 1)};
}

std::vector<Bytes> part_of(const std::vector<Bytes>& body, const Part& part) {
  std::vector<Bytes> pieces;
  std::uint64_t offset = part.first;
  std::uint64_t left = part.last - part.first + 1;
  for (const Bytes& piece : body) {
    if (left == 0) break;
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const auto n = std::min<std::uint64_t>(piece.size() - offset, left);
    pieces.push_back(piece.slice(std::exchange(offset, 0), n));
    left -= n;
  }
  return pieces;
}

// RFC 9110 15.4.5, and what a script of another origin needs in order to see the answer.
bool belongs_to_304(std::string_view name) {
  constexpr std::array kNames = {std::string_view("etag"), std::string_view("cache-control"),
                                 std::string_view("content-location"), std::string_view("expires"),
                                 std::string_view("vary")};
  return std::ranges::find(kNames, name) != kNames.end() || name.starts_with("access-control-") ||
         name == "timing-allow-origin";
}

void send(Exchange& exchange, Response response, std::span<const Header> extra) {
  response.headers.insert(response.headers.end(), extra.begin(), extra.end());
  exchange.respond(std::move(response));
}

Response not_modified(const Prepared& answer) {
  Response response{.status = 304};
  std::ranges::copy_if(answer.headers(), std::back_inserter(response.headers),
                       [](const Header& header) { return belongs_to_304(header.name); });
  return response;
}

// Of a refusal, a script of another origin sees the status by the CORS fields of the answer.
Response refusal(const Prepared& answer, int status, std::string_view why) {
  Response response = Response::text(status, why);
  std::ranges::copy_if(answer.headers(), std::back_inserter(response.headers),
                       [](const Header& header) {
                         return header.name != "cache-control" && header.name != "etag" &&
                                belongs_to_304(header.name);
                       });
  return response;
}

}  // namespace

Conditions Conditions::of(const Request& request) {
  Conditions conditions;
  if (request.method != Method::kGet && request.method != Method::kHead) return conditions;
  std::shared_ptr<Fields> fields;
  const auto note = [&fields](std::string Fields::* field, const std::string& value) {
    if (!fields) fields = std::make_shared<Fields>();
    std::string& text = (*fields).*field;
    if (!text.empty()) text += ", ";
    text += value;
  };
  for (const auto& [name, value] : request.headers) {
    if (name == "if-none-match") {
      note(&Fields::if_none_match, value);
    } else if (name == "if-match") {
      note(&Fields::if_match, value);
    } else if (name == "range" && request.method == Method::kGet) {
      note(&Fields::range, value);
    } else if (name == "if-range" && request.method == Method::kGet) {
      note(&Fields::if_range, value);
    }
  }
  conditions.fields_ = std::move(fields);
  return conditions;
}

// In the order of RFC 9110 13.2.2. There are no modification dates here, so conditions on them
// (If-Modified-Since, If-Unmodified-Since, a date in If-Range) are not met or not considered.
void respond(Exchange& exchange, const Conditions& conditions,
             std::shared_ptr<const Prepared> answer, std::span<const Header> extra) {
  if (conditions.empty() || answer->status() != 200) {
    return exchange.respond(std::move(answer), extra);
  }
  const Conditions::Fields& asked = *conditions.fields_;
  const auto etag = answer->etag();
  if (!asked.if_match.empty() && !any_matches(asked.if_match, etag, equal_strongly)) {
    return send(exchange, refusal(*answer, 412, "what is here has another ETag\n"), extra);
  }
  if (!asked.if_none_match.empty() && any_matches(asked.if_none_match, etag, equal_weakly)) {
    return send(exchange, not_modified(*answer), extra);
  }
  const bool in_range = asked.if_range.empty() || (etag && equal_strongly(asked.if_range, *etag));
  const Extent extent = in_range ? extent_of(asked.range, answer->body_size()) : Extent(Whole{});
  if (const auto* part = std::get_if<Part>(&extent)) {
    Response response{
        .status = 206, .headers = answer->headers(), .body = part_of(answer->body(), *part)};
    response.headers.push_back({"content-range", fmt::format("bytes {}-{}/{}", part->first,
                                                             part->last, answer->body_size())});
    return send(exchange, std::move(response), extra);
  }
  if (std::holds_alternative<Unsatisfiable>(extent)) {
    Response response = refusal(*answer, 416, "no byte of this lies in that range\n");
    response.headers.push_back({"content-range", fmt::format("bytes */{}", answer->body_size())});
    return send(exchange, std::move(response), extra);
  }
  exchange.respond(std::move(answer), extra);
}

}  // namespace mirror::http
