// Feed: one rendition of one stream as a hub follows it, from presentation to presentation, for all
// viewers of its loop who subscribe to it.
//
// Lives on its loop, owned by the hub. Each part becomes a frame once; viewers share it by
// reference. Holds the frames of the part that is being made, nothing else: what a viewer still
// needs of the past is in the window.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "hls/growth.h"
#include "hls/presentation.h"
#include "hls/window.h"
#include "push/catalogue.h"
#include "push/control.h"
#include "push/frame.h"

namespace mirror::push {

class Subscription;

// One rendition of one presentation, as all viewers of the loop number it. Immutable.
struct Track {
  TrackNumber number = 0;
  std::shared_ptr<const hls::Presentation> presentation;
  const hls::Presentation::Rendition* rendition = nullptr;  // of presentation
  std::uint32_t timescale = 0;
  Bytes announcement;  // the TRACK frame
  Bytes init_head;     // of the INIT frame; rendition->init follows
};

// A part, or a chunk of it, ready to send. Immutable.
struct MediaFrame {
  std::shared_ptr<const Track> track;
  hls::PartPosition at;
  bool independent = false;
  bool first = true;  // begins the part
  bool last = true;   // nothing of the part follows
  std::int64_t decode_time = 0;
  std::int64_t duration = 0;
  Bytes head;
  Bytes body;  // of the window's own bytes

  std::size_t size() const { return head.size() + body.size(); }
  std::int64_t end() const { return decode_time + duration; }
};
using MediaFramePointer = std::shared_ptr<const MediaFrame>;

// a / of_a < b / of_b, without rounding.
constexpr bool is_before(std::int64_t a, std::uint32_t of_a, std::int64_t b, std::uint32_t of_b) {
  __extension__ using Wide = __int128;
  return static_cast<Wide>(a) * of_b < static_cast<Wide>(b) * of_a;
}

class Feed {
 public:
  Feed(Target target, const Catalogue& catalogue, TrackNumber& last_track);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  const Target& target() const { return target_; }
  StreamState state() const { return state_; }
  // Null before anything could be seen.
  const std::shared_ptr<const Track>& track() const { return track_; }
  // Whether the playlist of this rendition is the one by which a stream's viewers are counted.
  bool is_first_rendition() const;

  // Looks for what is new since the last time and gives it to the subscriptions.
  void refresh(SteadyTime now);
  // Looks also for what changes without a publication. About twice a second.
  void look(SteadyTime now);

  // The frames from the newest independent part on, as far as subscriptions were given them.
  std::vector<MediaFramePointer> from_newest_independent(bool chunks) const;
  // The same from the part at `from` on.
  std::vector<MediaFramePointer> from_part(hls::PartPosition from, bool chunks) const;
  // The earliest independent part that begins at or after `time` (in units of `timescale`) and was
  // given to subscriptions.
  std::optional<hls::Part> independent_from(std::int64_t time, std::uint32_t timescale,
                                            hls::PartPosition& position) const;

  void attach(Subscription& subscription);
  void detach(Subscription& subscription);
  std::size_t subscribers() const { return subscriptions_.size(); }

 private:
  void adopt(const std::shared_ptr<const hls::Presentation>& presentation,
             const hls::Presentation::Rendition& rendition);
  void read_window(SteadyTime now);
  void read_growth(SteadyTime now);
  void publish(const hls::Segment& segment, hls::PartIndex index, SteadyTime now);
  void overtaken(hls::PartPosition from, hls::PartPosition to);
  template <class Give>
  void for_each_subscription(Give&& give);
  MediaFramePointer whole(const hls::Segment& segment, hls::PartIndex index) const;
  MediaFramePointer rest(const hls::Segment& segment, hls::PartIndex index) const;
  MediaFramePointer chunk(const hls::ComingPart& coming, std::size_t index) const;
  const hls::Window& window() const { return *track_->rendition->window; }
  std::uint32_t sample_duration() const { return window().settings().grid.sample_duration; }

  const Target target_;
  const Catalogue& catalogue_;
  TrackNumber& last_track_;

  StreamState state_ = StreamState::kAbsent;
  std::shared_ptr<const Track> track_;
  bool ended_ = false;      // the track will get nothing more
  SteadyTime looked_{};     // in the catalogue
  std::uint64_t seen_ = 0;  // version of the window
  std::uint64_t seen_growth_ = 0;
  hls::PartPosition cursor_;  // the part that subscriptions are given next
  // The chunks of the part at cursor_ that were given; empty when nobody wants chunks.
  std::vector<MediaFramePointer> chunks_;
  std::size_t chunk_bytes_ = 0;

  std::vector<Subscription*> subscriptions_;
  std::size_t chunk_subscriptions_ = 0;
  std::optional<hls::Growth::Waiter> waiter_;  // while anybody wants chunks
  std::size_t turns_ = 0;  // rotates who is given first, so that nobody is always last
};

}  // namespace mirror::push
