#include "ingest/stream_id.h"

#include <algorithm>
#include <optional>

#include "ingest/percent.h"

namespace mirror::ingest {
namespace {

using Kind = BadStreamId::Kind;

constexpr std::size_t kStreamIdBytesMax = 512;  // SRTO_STREAMID

std::unexpected<BadStreamId> bad(Kind kind, std::string why) {
  return std::unexpected(BadStreamId{kind, std::move(why)});
}

std::expected<StreamId, BadStreamId> id_of(std::string_view resource, std::string_view user,
                                           std::string_view token) {
  Result<media::StreamKey> key = media::StreamKey::parse(resource);
  if (!key) return bad(Kind::kSyntax, std::move(key.error().message));
  return StreamId{*std::move(key), std::string(user), std::string(token)};
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// `pairs` is what follows "#!::".
std::expected<StreamId, BadStreamId> parse_pairs(std::string_view pairs) {
  std::optional<std::string_view> resource;
  std::optional<std::string_view> user;
  std::optional<std::string_view> session;
  while (!pairs.empty()) {
    const std::string_view pair = pairs.substr(0, pairs.find(','));
    pairs.remove_prefix(std::min(pairs.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return bad(Kind::kSyntax, "a part of the stream id is not name=value");
    }
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (name == "m" && value != "publish") return bad(Kind::kMode, "only m=publish is served");
    if (name == "t" && value != "stream") return bad(Kind::kType, "only t=stream is served");
    auto* const said = name == "r"   ? &resource
                       : name == "u" ? &user
                       : name == "s" ? &session
                                     : nullptr;
    if (said == nullptr) continue;
    if (*said) return bad(Kind::kSyntax, "the stream id says r=, u= or s= twice");
    *said = value;
  }
  if (!resource) return bad(Kind::kSyntax, "the stream id names no resource (r=…)");
  return id_of(*resource, user.value_or(""), session.value_or(""));
}

std::expected<StreamId, BadStreamId> parse_decoded(std::string_view text) {
  constexpr std::string_view kStandard = "#!::";
  if (std::ranges::any_of(text, is_control)) {
    return bad(Kind::kSyntax, "the stream id holds a control character");
  }
  if (text.starts_with(kStandard)) return parse_pairs(text.substr(kStandard.size()));
  return id_of(text, "", "");
}

}  // namespace

std::expected<StreamId, BadStreamId> parse_stream_id(std::string_view text) {
  if (text.empty()) return bad(Kind::kSyntax, "there is no stream id");
  if (text.size() > kStreamIdBytesMax) return bad(Kind::kSyntax, "the stream id is too long");
  if (!text.starts_with("%23!")) return parse_decoded(text);
  const std::optional<std::string> decoded = percent_decoded(text);
  if (!decoded) return bad(Kind::kSyntax, "the stream id is badly percent-encoded");
  return parse_decoded(*decoded);
}

std::string without_token(std::string_view text) {
  std::string decoded(text);
  if (text.starts_with("%23")) {
    auto whole = percent_decoded(text);
    if (!whole) return "(badly percent-encoded)";
    decoded = *std::move(whole);
  }
  std::string out;
  std::string_view rest = decoded;
  constexpr std::string_view kStandard = "#!::";
  if (rest.starts_with(kStandard)) {
    out = kStandard;
    rest.remove_prefix(kStandard.size());
  }
  while (true) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    out += pair.starts_with("s=") ? "s=…" : pair;
    if (pair.size() == rest.size()) return out;
    out += ',';
    rest.remove_prefix(pair.size() + 1);
  }
}

}  // namespace mirror::ingest
