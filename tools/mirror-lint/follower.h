// A strict client of one rendition: waits for each part, asks for what is hinted before it is
// there, fetches each part the moment it is listed, each segment when it is complete, each map;
// asks for delta updates where they are offered, and now and then what a server has to refuse.
//
// Knows no clock but the fetcher's and judges nothing: every exchange goes to the sink. Limits:
// kRemembered resources, kLaterMax requests put off.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fetcher.h"

namespace mirror::lint {

class Follower {
 public:
  using Sink = std::function<void(const Exchange&)>;

  Follower(std::string name, std::string url, Fetcher& fetcher, Sink sink);
  // Callbacks of the fetcher refer to it.
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void start();
  // Begins what the clock says is due.
  void tick();
  // True when the playlist has ended and everything listed was fetched.
  bool finished() const { return ended_ && in_flight_ == 0; }

 private:
  static constexpr std::size_t kRemembered = 16'384;
  static constexpr std::size_t kLaterMax = 256;
  struct Later {
    Seconds due;
    Exchange exchange;
  };
  struct ListedPart {
    std::string url;
    std::optional<ByteRange> range;
    Position position;
  };

  void ask(Exchange exchange, std::function<void(const Exchange&)> then = {});
  void ask_playlist(Purpose purpose, const Directives& directives, bool main);
  void ask_later(Seconds delay, Exchange exchange);
  bool first_time(const std::string& key);
  Exchange resource(Purpose purpose, const Resource& resource, Position position) const;
  Seconds target_duration() const;

  void take_playlist(const Exchange& exchange, bool main);
  bool can_wait() const;  // the server takes blocking requests
  void go_on();
  void reload();
  void probe();
  void fetch_listed(const Playlist& playlist);
  void fetch_segment(const Segment& segment);
  void fetch_hints(const Playlist& playlist);
  void take_hint(const Exchange& answer, const std::string& key);
  void watch_removals(const Playlist& playlist);

  std::string name_;
  std::string url_;
  Fetcher& fetcher_;
  Sink sink_;
  std::shared_ptr<const Playlist> latest_;
  std::set<std::string> asked_;
  std::deque<std::string> asked_order_;
  std::deque<Later> later_;
  std::deque<ListedPart> listed_parts_;
  std::optional<Segment> oldest_;  // of the last full playlist
  Seconds longest_{};              // duration of the longest playlist
  std::optional<std::uint64_t> fetch_from_;
  std::optional<Seconds> retry_at_;
  Seconds plain_at_{};
  Seconds part_check_at_{};
  Seconds segment_check_at_{};
  std::uint64_t reloads_ = 0;
  std::uint64_t parts_ = 0;
  std::uint64_t hints_ = 0;
  std::string hinted_;
  std::size_t in_flight_ = 0;
  bool main_in_flight_ = false;
  bool ended_ = false;
};

}  // namespace mirror::lint
