// Answers: what one network loop sends of published things, each made ready once: bytes, headers
// and all, shared by every viewer of the loop.
//
// Lives on its loop. Published things are immutable, so an answer never changes; it is kept for a
// few seconds, in which nearly all viewers come for it. Limit: kAnswersMax, the oldest go first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/cors.h"
#include "base/clock.h"
#include "hls/document.h"
#include "hls/segment.h"
#include "http/prepared.h"
#include "media/still.h"

namespace mirror::api {

using Answer = std::shared_ptr<const http::Prepared>;

// How long a playlist stays true under its URL.
enum class Freshness : std::uint8_t {
  kLive,      // without directives the same URL says something else with each part
  kDirected,  // with them it may be kept as long as a player may ask for it
};

class Answers {
 public:
  static constexpr std::size_t kAnswersMax = 2'048;

  explicit Answers(const Cors& cors) : cors_(cors) {}

  // `document` in `playlist`, gzipped where that is there and `gzip` says that the client takes it.
  Answer playlist(const hls::Playlists::Form& form, bool gzip, Freshness freshness);
  Answer playlist(const std::shared_ptr<const hls::Document>& document);
  // An init segment or a part. `tag` is unique within the rendition's epoch.
  Answer media(const Bytes& bytes, std::string_view content_type, std::string_view tag);
  Answer segment(const std::shared_ptr<const hls::Segment>& segment, std::string_view content_type,
                 std::string_view tag);
  // A still picture, for its URL that says something else with each. `epoch` is its stream's.
  Answer still(const std::shared_ptr<const media::Still>& still, std::string_view epoch);
  // The head of a part that is still being made.
  http::Headers growing(std::string_view content_type) const;

  // About twice a second.
  void on_tick(SteadyTime now);
  std::size_t size() const { return answers_.size(); }

 private:
  // By the address of what is answered with, which the answer keeps alive.
  struct Key {
    const void* object;
    int variant;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const void*>{}(key.object) ^ static_cast<std::size_t>(key.variant);
    }
  };
  struct Entry {
    std::shared_ptr<const void> object;
    Answer answer;
  };
  struct Made {
    Key key;
    SteadyTime at;
  };

  template <class Make>
  Answer find_or(const Key& key, std::shared_ptr<const void> object, Make&& make);
  http::Headers headers(std::string_view content_type, std::string_view cache) const;
  http::Headers media_headers(std::string_view content_type, std::string_view tag) const;
  void drop_oldest();

  const Cors& cors_;
  SteadyTime now_{};
  std::unordered_map<Key, Entry, Hash> answers_;
  std::deque<Made> made_;  // oldest first
};

}  // namespace mirror::api
