#include "ingest/stream_id.h"

#include <algorithm>
#include <optional>

namespace mirror::ingest {
namespace {

using Kind = BadStreamId::Kind;

constexpr std::size_t kStreamIdBytesMax = 512;  // SRTO_STREAMID

std::unexpected<BadStreamId> bad(Kind kind, std::string why) {
  return std::unexpected(BadStreamId{kind, std::move(why)});
}

std::expected<media::StreamKey, BadStreamId> parse_key(std::string_view text) {
  Result<media::StreamKey> key = media::StreamKey::parse(text);
  if (!key) return bad(Kind::kSyntax, std::move(key.error().message));
  return *std::move(key);
}

// `pairs` is what follows "#!::".
std::expected<media::StreamKey, BadStreamId> parse_pairs(std::string_view pairs) {
  std::optional<std::string_view> resource;
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
    if (name != "r") continue;
    if (resource) return bad(Kind::kSyntax, "the stream id names two resources");
    resource = value;
  }
  if (!resource) return bad(Kind::kSyntax, "the stream id names no resource (r=…)");
  return parse_key(*resource);
}

}  // namespace

std::expected<media::StreamKey, BadStreamId> parse_stream_id(std::string_view text) {
  constexpr std::string_view kStandard = "#!::";
  if (text.empty()) return bad(Kind::kSyntax, "there is no stream id");
  if (text.size() > kStreamIdBytesMax) return bad(Kind::kSyntax, "the stream id is too long");
  if (text.starts_with(kStandard)) return parse_pairs(text.substr(kStandard.size()));
  return parse_key(text);
}

}  // namespace mirror::ingest
