// Follows what one rendition hinted, and whether it came (RFC 8216bis, 4.4.5.3 and 6.2.6).
//
// Limit: kKept resources are remembered; older ones are forgotten.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "judging.h"

namespace mirror::lint {

class HintLedger {
 public:
  explicit HintLedger(std::string url) : url_(std::move(url)) {}

  // Every version of the playlist, in the order in which it came; `fresh` for an answer that was
  // released by a new part, so that its time says when the part was listed.
  void take_playlist(const Playlist& playlist, bool fresh, const Scribe& scribe);
  // The end of a request for a hinted part.
  void take_hint(const Exchange& exchange, const Playlist* playlist, const Scribe& scribe);
  void finish(const Scribe& scribe) const;

 private:
  static constexpr std::size_t kKept = 512;
  struct Resource {
    std::optional<Seconds> listed;
    std::optional<Seconds> delivered;
    std::optional<std::string> refused;  // what the answer was
  };
  struct Open {
    std::string key;
    Position position;
  };

  Resource& resource(const std::string& key);
  std::string key_of(const lint::Resource& resource) const;
  bool same_resource(const std::string& hinted, const lint::Resource& listed) const;
  void settle(const Playlist& playlist, const Scribe& scribe);
  void judge_times(const std::string& key, const Resource& known, const Scribe& scribe) const;

  std::string url_;
  std::map<std::string, Resource> resources_;
  std::deque<std::string> order_;
  std::optional<Open> open_;
  Seconds patience_{0.5};  // how late is late
  std::uint64_t honoured_ = 0;
  std::uint64_t abandoned_ = 0;
};

}  // namespace mirror::lint
