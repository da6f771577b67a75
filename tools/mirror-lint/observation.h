// What was asked of a server and what it answered: the record that every rule judges.
//
// Made by the follower from real exchanges, and by tests by hand. Times are seconds since the start
// of the run, so that nothing here reads a clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "playlist.h"

namespace mirror::lint {

enum class Purpose {
  kMultivariant,
  kPlain,          // a Media Playlist without delivery directives
  kReload,         // a blocking reload of what comes next
  kSegmentReload,  // _HLS_msn alone: waits for the whole segment
  kPartAlone,      // _HLS_part without _HLS_msn: has to be refused
  kFarAhead,       // _HLS_msn far beyond the end: has to be refused
  kPast,           // _HLS_msn of long ago: has to be answered at once
  kPartPastEnd,    // a Part Index behind the end of a complete segment
  kInit,
  kPart,
  kHint,  // asked for while it was only hinted
  kSegment,
  kRemovedPart,  // no longer listed, and still owed (6.2.2)
  kRemovedSegment,
  kAgain,    // fetched a second time, to compare
  kNothing,  // a name that cannot exist, for the headers of a 404
};

enum class SkipDirective { kNone, kYes, kV2 };

struct Directives {
  std::optional<std::uint64_t> msn;
  std::optional<std::uint64_t> part;
  SkipDirective skip = SkipDirective::kNone;
};

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct Exchange {
  Purpose purpose = Purpose::kPlain;
  std::string rendition;  // its name in reports; "" for the Multivariant Playlist
  std::string url;        // as requested, with its directives
  Directives asked;
  std::optional<ByteRange> range;
  std::optional<Position> position;  // of a part or (part 0) segment, as it was listed
  Seconds started{};
  Seconds first_byte{};  // of the body
  Seconds finished{};
  int status = 0;  // 0: no answer
  std::string error;
  int http_major = 1;
  Headers headers;
  std::string body;  // decoded
  // Parsed from the body of a playlist that came with 200.
  std::shared_ptr<const Playlist> playlist;

  bool ok() const { return status == 200 || status == 206; }
  std::string_view header(std::string_view name) const;
};

bool is_playlist(Purpose purpose);

// Cache-Control's directive `name`: nothing when it is absent, "" when it has no value.
std::optional<std::string_view> cache_directive(const Exchange& exchange, std::string_view name);
// For how long a shared cache may keep the answer; nothing when the headers do not say.
std::optional<Seconds> fresh_for(const Exchange& exchange);

// `reference` against the URL of the playlist that holds it (RFC 3986, 5.2, as far as http URLs
// need it).
std::string resolve(std::string_view base, std::string_view reference);

// One text for a resource: its URL and range.
std::string resource_key(std::string_view url, const std::optional<ByteRange>& range);

}  // namespace mirror::lint
