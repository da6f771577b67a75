// What viewers ask for, as they write it: file names of media and the query of a playlist.
//
// Pure functions over bytes from strangers: no allocation but for an error's text, time linear in
// the input, whose length the HTTP server limits. Fuzzed (fuzz/playlist_query_fuzz.cc).
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "hls/window.h"

namespace mirror::hls {

struct InitName {
  friend bool operator==(const InitName&, const InitName&) = default;
};
struct SegmentName {
  MediaSequence segment = 0;
  friend bool operator==(const SegmentName&, const SegmentName&) = default;
};
struct PartName {
  PartPosition position;
  friend bool operator==(const PartName&, const PartName&) = default;
};
using MediaName = std::variant<InitName, SegmentName, PartName>;

// The last component of a media URI, below the epoch: "init.mp4", "12.m4s", "12.3.m4s". Each name
// has exactly one spelling (no leading zeros), so that a cache never holds a thing twice.
std::optional<MediaName> parse_media_name(std::string_view name);

// The query of a media playlist's URL, without '?'. Parameters that we do not know are ignored, and
// so are forms of _HLS_skip that we do not know: a full playlist is a valid answer to any of them
// (RFC 8216bis, 6.2.5.1).
Result<PlaylistQuestion> parse_playlist_query(std::string_view query);

}  // namespace mirror::hls
