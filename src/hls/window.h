// Window: the segments of one rendition that viewers can fetch, and "is this part ready?".
//
// Written by the stream's media thread through a Segmenter; read by network loops through immutable
// views (WindowView). Each publication renders the media playlist once, for all viewers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "hls/date_range.h"
#include "hls/document.h"
#include "hls/growth.h"
#include "hls/segment.h"
#include "hls/segment_list.h"
#include "media/sample.h"

namespace mirror::hls {

// What a network loop sees: everything that exists at one moment. Immutable.
struct WindowView {
  using Position = PartPosition;

  // Oldest first, numbers without a hole; only the last may be open. Those before first_listed are
  // kept a while for those who still fetch them.
  SegmentList segments;
  MediaSequence first_listed = 0;
  // EXT-X-DISCONTINUITY-SEQUENCE: breaks before first_listed that are no longer listed.
  std::uint64_t discontinuity_sequence = 0;
  // The part that comes next, unless the stream has ended: what EXT-X-PRELOAD-HINT names.
  Position next;
  // RFC 8216bis, 6.2.5.2: how many parts ahead of the newest a request may ask.
  PartIndex advance_part_limit = 0;
  Playlists playlists;  // media.m3u8; empty before the first part
  bool ended = false;   // ENDLIST; nothing will be added

  const Segment* find(MediaSequence number) const { return segments.find(number); }
  // The newest complete part's position: what a RENDITION-REPORT says. Empty before the first part.
  std::optional<Position> last_part() const;
};

// RFC 8216bis, 6.2.5.2: the delivery directives of a media playlist request.
struct PlaylistQuestion {
  enum class Skip : std::uint8_t { kNothing, kSegments, kSegmentsAndDateRanges };
  std::optional<MediaSequence> msn;
  std::optional<PartIndex> part;
  Skip skip = Skip::kNothing;
  bool legacy = false;  // not of the RFC: a playlist for players without low latency
};

enum class Readiness {
  kReady,     // answer now
  kNotYet,    // hold the request, ask again after the next wake
  kTooFar,    // more than is reasonable ahead: refuse (400)
  kNotFound,  // never existed, or no longer exists (404)
};

Readiness readiness_of(const WindowView& view, const PlaylistQuestion& question);
// A request for the segment whose parts are coming now is held; those further ahead are not found.
Readiness readiness_of_segment(const WindowView& view, MediaSequence number);
// A request for the part that the playlist hints at is held; parts further ahead are not found, and
// neither is a gap.
Readiness readiness_of_part(const WindowView& view, MediaSequence number, PartIndex part);

class PlaylistRenderer;  // hls/playlist_renderer.h
struct SegmentText;      // hls/playlist.h

struct WindowSettings {
  std::string epoch;  // the folder of every media URI
  media::SampleGrid grid;
  MediaSequence first_segment = 0;
  // The playlist's length; at least three target durations (RFC 8216bis, 6.2.2).
  std::chrono::milliseconds listed{30'000};
  // How long a segment can be fetched after it left the playlist. 6.2.2 asks for its own duration
  // plus that of the longest playlist that listed it.
  std::chrono::milliseconds kept{31'000};
  // Tells when a part is published; none: nobody wants to know. Outlives the window.
  const Clock* clock = nullptr;
};

// How a publication leaves the segment that it adds to.
enum class SegmentState { kOpen, kComplete };

class Window {
 public:
  // What the media playlist of a sibling rendition is called from here, and its window.
  struct Sibling {
    std::string uri;  // "../audio/media.m3u8"
    std::shared_ptr<const Window> window;
  };

  explicit Window(WindowSettings settings);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // Any thread.
  std::shared_ptr<const WindowView> view() const { return view_.read(); }
  // Grows by one with each publication, after its view can be read.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  // The part at view()->next while it is being made.
  const std::shared_ptr<Growth>& growth() const { return growth_; }
  // Somebody takes gzip: the publications of the next seconds come with it, too.
  void want_gzip() const { gzip_wanted_.store(version(), std::memory_order_relaxed); }

  // The media thread only, as all below. Called before the first publication.
  void set_siblings(std::vector<Sibling> siblings);

  // Begins a segment; nothing is published until its first part is. The last one must be complete.
  struct Opening {
    std::int64_t decode_time = 0;
    WallTime date{};
    bool discontinuity = false;
  };
  void open(const Opening& opening);
  // A chunk of the part that will be published next; `independent` is the part's.
  void grow(ComingPiece chunk, bool independent);
  // Adds a part to the open segment, and publishes.
  void publish(Part part, SegmentState state);
  // Completes the open segment with the parts that it has, and publishes.
  void complete();
  // Adds or ends a date range, and publishes when there is a playlist.
  void set_date_range(DateRange range);
  // ENDLIST. Completes what is open. Nothing may be added afterwards.
  void end();

  bool has_open_segment() const { return opened_; }
  const WindowSettings& settings() const { return settings_; }

 private:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  struct WeakSibling {
    std::string uri;
    std::weak_ptr<const Window> window;
  };

  WallTime now() const { return settings_.clock ? settings_.clock->now().wall : WallTime{}; }
  void publish_view();
  void slide();
  void pack();
  void complete_open_segment();
  void show_open_segment();
  Playlists render();

  const WindowSettings settings_;
  const std::uint64_t listed_samples_;
  const std::uint64_t kept_samples_;
  const std::unique_ptr<PlaylistRenderer> renderer_;
  std::vector<WeakSibling> siblings_;

  // Written by the media thread only.
  WindowView next_;                // what the next publication will show
  std::deque<SegmentText> texts_;  // of next_.segments.recent(), one each
  DateRanges date_ranges_;
  Segment open_;  // meaningful while opened_
  std::uint64_t open_samples_ = 0;
  bool opened_ = false;
  bool open_shown_ = false;  // next_.segments ends with a copy of open_
  std::uint64_t listed_now_samples_ = 0;
  std::uint64_t kept_now_samples_ = 0;

  // Handed to readers.
  Snapshot<WindowView> view_;
  std::atomic<std::uint64_t> version_{0};
  const std::shared_ptr<Growth> growth_ = std::make_shared<Growth>();
  mutable std::atomic<std::uint64_t> gzip_wanted_{kNever};  // the version at which it was
};

}  // namespace mirror::hls
