#include "api/answers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace mirror::api {

namespace {

using namespace std::chrono_literals;

constexpr auto kKept = 3s;

constexpr std::string_view kPlaylistType = "application/vnd.apple.mpegurl";

// Never changes under its URL, because that carries the epoch.
constexpr std::string_view kCacheMedia = "public, max-age=3600, immutable";
// RFC 8216bis, appendix B.1: six target durations. Media sequence numbers never come again.
constexpr std::string_view kCacheDirected = "public, max-age=6, immutable";
constexpr std::string_view kCacheLive = "no-cache";
// Half as long as stills are apart, where nobody says otherwise.
constexpr std::string_view kCacheStill = "public, max-age=1";

constexpr int kDirectedVariant = 1;

// RFC 9110, 5.6.7.
std::string http_date(WallTime time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(second));
}

}  // namespace

http::Headers Answers::headers(std::string_view content_type, std::string_view cache) const {
  http::Headers headers = cors_.fixed();
  headers.push_back({"content-type", std::string(content_type)});
  headers.push_back({"cache-control", std::string(cache)});
  return headers;
}

http::Headers Answers::media_headers(std::string_view content_type, std::string_view tag) const {
  http::Headers fields = headers(content_type, kCacheMedia);
  fields.push_back({"etag", fmt::format("\"{}\"", tag)});
  fields.push_back({"accept-ranges", "bytes"});
  return fields;
}

http::Headers Answers::growing(std::string_view content_type) const {
  return headers(content_type, kCacheMedia);
}

template <class Make>
Answer Answers::find_or(const Key& key, std::shared_ptr<const void> object, Make&& make) {
  const auto found = answers_.find(key);
  if (found != answers_.end()) return found->second.answer;
  if (answers_.size() >= kAnswersMax) drop_oldest();
  Answer answer = make();
  answers_.emplace(key, Entry{std::move(object), answer});
  made_.push_back({key, now_});
  return answer;
}

Answer Answers::playlist(const hls::Playlists::Form& form, bool gzip, Freshness freshness) {
  const bool packed = gzip && form.gzip;
  const auto& document = packed ? form.gzip : form.plain;
  const bool directed = freshness == Freshness::kDirected;
  return find_or({document.get(), directed ? kDirectedVariant : 0}, document, [&] {
    http::Headers fields = headers(kPlaylistType, directed ? kCacheDirected : kCacheLive);
    fields.push_back({"etag", document->etag});
    fields.push_back({"vary", "accept-encoding"});
    if (packed) fields.push_back({"content-encoding", "gzip"});
    return std::make_shared<const http::Prepared>(200, std::move(fields), document->pieces);
  });
}

Answer Answers::playlist(const std::shared_ptr<const hls::Document>& document) {
  return find_or({document.get(), 0}, document, [&] {
    http::Headers fields = headers(kPlaylistType, kCacheLive);
    fields.push_back({"etag", document->etag});
    return std::make_shared<const http::Prepared>(200, std::move(fields), document->pieces);
  });
}

Answer Answers::media(const Bytes& bytes, std::string_view content_type, std::string_view tag) {
  // The answer holds the bytes, so nothing else has to.
  return find_or({bytes.data(), 0}, nullptr, [&] {
    return std::make_shared<const http::Prepared>(200, media_headers(content_type, tag),
                                                  std::vector<Bytes>{bytes});
  });
}

Answer Answers::segment(const std::shared_ptr<const hls::Segment>& segment,
                        std::string_view content_type, std::string_view tag) {
  return find_or({segment.get(), 0}, segment, [&] {
    std::vector<Bytes> body;
    for (const hls::Part& part : segment->parts) body.push_back(part.bytes);
    return std::make_shared<const http::Prepared>(200, media_headers(content_type, tag),
                                                  std::move(body));
  });
}

Answer Answers::still(const std::shared_ptr<const media::Still>& still, std::string_view epoch) {
  return find_or({still.get(), 0}, still, [&] {
    http::Headers fields = headers("image/jpeg", kCacheStill);
    fields.push_back({"etag", fmt::format("\"{}-still-{}\"", epoch, still->number)});
    fields.push_back({"last-modified", http_date(still->captured)});
    return std::make_shared<const http::Prepared>(200, std::move(fields),
                                                  std::vector<Bytes>{still->jpeg});
  });
}

void Answers::on_tick(SteadyTime now) {
  now_ = now;
  while (!made_.empty() && now - made_.front().at > kKept) drop_oldest();
}

void Answers::drop_oldest() {
  answers_.erase(made_.front().key);
  made_.pop_front();
}

}  // namespace mirror::api
