// Keeps what was fetched of one rendition until the playlist and its neighbours can be held
// against it: maps, parts, segments.
//
// Limits: kKept resources, kBytesKept bytes; the oldest go first, unjudged.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "judging.h"

namespace mirror::lint {

class MediaLedger {
 public:
  explicit MediaLedger(std::string url) : url_(std::move(url)) {}

  void take(const Exchange& exchange, const Scribe& scribe);
  // The newest complete version of the playlist.
  void take_playlist(std::shared_ptr<const Playlist> playlist, const Scribe& scribe);

  // ---- What was measured ----------------------------------------------------------------------
  // The newest map; null before there is one.
  const InitSection* init() const;
  // Frames a second of the leading track over all segments; nothing before the first.
  std::optional<double> frame_rate() const;
  double peak_bps(Seconds target_duration) const;
  double average_bps() const;
  Seconds observed() const { return seconds_; }
  // EXT-X-PROGRAM-DATE-TIME less decode time, by Discontinuity Sequence Number: what renditions
  // must agree on (6.2.4).
  const std::map<std::uint64_t, Seconds>& offsets() const { return offsets_; }

 private:
  static constexpr std::size_t kKept = 1024;
  static constexpr std::size_t kBytesKept = 256U << 20;
  static constexpr std::size_t kSegmentsMeasured = 8192;

  struct Media {
    std::string bytes;  // empty once it was compared
    Fragments fragments;
    bool read = false;
    bool unreadable = false;
    bool judged = false;
  };
  struct Size {
    double bits;
    Seconds duration;
  };

  std::string key_of(const Resource& resource) const;
  Media* find(const Resource& resource);
  void keep(const std::string& key, std::string bytes);
  void compare(const std::string& key, const std::string& bytes, const Scribe& scribe);
  void settle(const Scribe& scribe);
  bool settle_segment(const Segment& segment, const Scribe& scribe);
  bool settle_parts(const Segment& segment, const InitSection& init, const Scribe& scribe);
  void judge_continuity_to(const Segment& segment, const InitSection& init, const Fragments& media,
                           std::string_view where, bool first, const Scribe& scribe);
  void compare_with_parts(const Segment& segment, const InitSection& init, const Media& media,
                          const Scribe& scribe);
  void judge_offset(const Segment& segment, const InitSection& init, const Fragments& media,
                    const Scribe& scribe);
  void measure(const Segment& segment, const InitSection& init, const Media& media);
  bool read(Media& media, const InitSection& init, std::string_view what, const Scribe& scribe);

  std::string url_;
  std::shared_ptr<const Playlist> playlist_;
  std::map<std::string, InitSection> inits_;
  std::string newest_init_;
  std::map<std::string, Media> media_;
  std::deque<std::string> order_;
  std::size_t bytes_ = 0;
  std::map<std::string, std::uint64_t> contents_;  // hashes
  std::deque<std::string> contents_order_;
  std::optional<std::uint64_t> settling_;  // Media Sequence Number of the first one not settled
  std::optional<Fragments> before_;        // the part or segment before, for continuity
  std::optional<std::string> before_map_;
  std::map<std::uint64_t, Seconds> offsets_;
  std::deque<Size> sizes_;
  double bits_ = 0;
  Seconds seconds_{};
  std::uint64_t frames_ = 0;
  double frame_seconds_ = 0;
  bool unknown_told_ = false;
};

}  // namespace mirror::lint
