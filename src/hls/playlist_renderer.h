// PlaylistRenderer: a window's media playlist in all its forms (RFC 8216bis, 4.4, 6.2.5.1).
//
// Owned by a Window, used on the stream's media thread once per publication. What it renders anew
// is bounded (the recent segments: fewer than 2 * kBlockSegments), however long the playlist is:
// older segments come as blocks whose lines, plain and deflated, exist already.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hls/document.h"
#include "hls/gzip.h"
#include "hls/playlist.h"
#include "hls/window.h"

namespace mirror::hls {

class PlaylistRenderer {
 public:
  // `settings` must outlive this.
  explicit PlaylistRenderer(const WindowSettings& settings);

  struct Contents {
    const WindowView& view;
    const std::deque<SegmentText>& texts;  // of view.segments.recent(), one each
    const DateRanges& date_ranges;
    const std::vector<RenditionReport>& reports;
    std::uint64_t version = 0;  // names what is rendered
  };
  Playlists render(const Contents& contents, bool gzip);

  // `segments` are the oldest recent ones, and complete; the first of `texts` are theirs.
  std::shared_ptr<const SegmentBlock> pack(std::vector<SegmentList::Pointer> segments,
                                           const std::deque<SegmentText>& texts);

 private:
  // A form before it becomes a document: what is fresh before and after the packed lines.
  struct Draft {
    std::string opening;
    bool history = true;  // with the lines of the blocks between
    std::string rest;
  };

  // Everything before the segments.
  std::string opening(std::string_view head, const Contents& contents, std::string_view skip,
                      MediaSequence ranges_since) const;
  Draft delta(const Contents& contents, MediaSequence from, std::string rest,
              bool skip_date_ranges) const;
  Draft legacy(const Contents& contents) const;
  Playlists::Form finish(const Contents& contents, Draft draft, std::string_view form, bool gzip);
  void render_legacy(const Contents& contents, bool gzip);

  const WindowSettings& settings_;
  const std::string head_;
  const std::string legacy_head_;
  Deflater deflater_;

  // The legacy form changes once a segment.
  Playlists::Form legacy_;
  std::uint64_t legacy_key_ = 0;
};

}  // namespace mirror::hls
