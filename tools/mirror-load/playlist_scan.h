// What a viewer needs of a playlist, read in one pass without allocation: views into its text.
//
// Positions are counted as a server answering a blocking reload counts them (RFC 8216bis, 6.2.5.2):
// the media sequence number of a segment, and the index of a part within it. Segments that a delta
// update skips (4.4.5.2) are counted, not seen.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace mirror::load {

struct Position {
  std::uint64_t msn = 0;
  std::uint32_t part = 0;
  auto operator<=>(const Position&) const = default;
};

struct ListedPart {
  Position at;
  std::string_view uri;
  std::chrono::microseconds duration{};
  bool gap = false;            // GAP=YES: there is nothing to fetch
  bool discontinuity = false;  // first part behind EXT-X-DISCONTINUITY
};

// The newest parts of one playlist. A viewer that has more to catch up with has lost its place.
inline constexpr std::size_t kNewPartsMax = 64;

struct PlaylistScan {
  std::string_view map_uri;  // of the last EXT-X-MAP; empty: none
  Position next;             // behind the last part or segment that is listed
  // Where `from` is: itself or, when its segment turned out to end before it, the first part of
  // the next one.
  Position expected;
  bool ended = false;         // EXT-X-ENDLIST
  bool blocks = false;        // CAN-BLOCK-RELOAD=YES
  bool byte_ranges = false;   // a part is a BYTERANGE of something
  std::size_t new_parts = 0;  // of the array that was passed: those at or behind `from`
  std::size_t overflow = 0;   // how many more there were
};

// Errors: not a media playlist (no EXTM3U, a multivariant one, a tag that cannot be understood).
Result<PlaylistScan> scan_media_playlist(std::string_view text, Position from,
                                         std::array<ListedPart, kNewPartsMax>& parts);

bool is_multivariant(std::string_view text);

// The URI of the media playlist of `rendition` (a folder in its URI, or its NAME), or of the first
// variant when `rendition` is empty. Errors name what there is.
Result<std::string_view> choose_rendition(std::string_view text, std::string_view rendition);

}  // namespace mirror::load
