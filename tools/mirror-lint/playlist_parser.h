// The strict reader of playlists (RFC 8216bis, 4.1 to 4.4): every line is kept with its number, and
// whatever breaks the grammar becomes a fault that names its rule.
#pragma once

#include <string_view>

#include "playlist.h"

namespace mirror::lint {

// Never fails: a text that is no playlist at all gives one that has faults and nothing else. Lines
// past kLinesMax are not read.
inline constexpr std::size_t kLinesMax = 400'000;
Playlist parse_playlist(std::string_view text);

}  // namespace mirror::lint
