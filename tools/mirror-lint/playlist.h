// A playlist as data: what each line of it says, with the line's number (RFC 8216bis, 4.4).
//
// Made by parse_playlist (playlist_parser.h); values only. Numbers of lines count from 1.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attribute_list.h"

namespace mirror::lint {

using Seconds = std::chrono::duration<double>;
using Date = std::chrono::sys_time<std::chrono::microseconds>;

// Where a Partial Segment stands: its Media Sequence Number and its Part Index (3.2).
struct Position {
  std::uint64_t msn = 0;
  std::uint64_t part = 0;
  auto operator<=>(const Position&) const = default;
};

struct ByteRange {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;  // none: to the end of the resource
  bool operator==(const ByteRange&) const = default;
};

// A resource as a playlist names it: not yet resolved against the playlist's own URL.
struct Resource {
  std::string uri;
  std::optional<ByteRange> range;
  bool operator==(const Resource&) const = default;
};

struct Part {
  int line = 0;
  Resource resource;
  Seconds duration{};
  bool independent = false;
  bool gap = false;
};

struct Segment {
  std::uint64_t msn = 0;
  std::uint64_t discontinuity_sequence = 0;
  int line = 0;  // of the EXTINF; 0 while the segment is open
  int date_line = 0;
  bool complete = false;  // false for the last one, of which only parts are listed
  bool discontinuity = false;
  bool gap = false;
  bool encrypted = false;  // under an EXT-X-KEY whose METHOD is not NONE
  Seconds duration{};      // EXTINF
  Resource resource;
  std::optional<Resource> map;
  std::optional<Date> date;
  std::vector<Part> parts;

  Seconds parts_duration() const;
};

struct Skip {
  int line = 0;
  std::uint64_t segments = 0;
  bool removes_dateranges = false;  // RECENTLY-REMOVED-DATERANGES is there, perhaps empty
  std::vector<std::string> removed_dateranges;
};

struct Hint {
  int line = 0;
  std::string type;
  Resource resource;
};

struct Report {
  int line = 0;
  std::string uri;
  std::optional<std::uint64_t> last_msn;
  std::optional<std::uint64_t> last_part;
};

struct DateRange {
  int line = 0;
  std::string id;
  AttributeList attributes;
};

struct ServerControl {
  int line = 0;
  bool can_block_reload = false;
  bool can_skip_dateranges = false;
  std::optional<Seconds> can_skip_until;
  std::optional<Seconds> hold_back;
  std::optional<Seconds> part_hold_back;
};

// A line of a Multivariant Playlist that carries attributes: EXT-X-STREAM-INF, EXT-X-MEDIA, …
struct Described {
  int line = 0;
  AttributeList attributes;
  std::string uri;
};

struct SyntaxFault {
  std::string_view rule;  // its id in the table of rules.h
  int line = 0;
  std::string what;
};

struct Playlist {
  std::vector<std::string> lines;
  bool merged = false;  // put together from a delta and what was there before
  std::vector<SyntaxFault> faults;
  bool multivariant = false;

  int version_line = 0;
  std::uint64_t version = 1;
  bool independent_segments = false;

  // Media Playlist
  int target_duration_line = 0;
  std::optional<Seconds> target_duration;
  int part_inf_line = 0;
  std::optional<Seconds> part_target;
  std::optional<ServerControl> server_control;
  int media_sequence_line = 0;
  std::uint64_t media_sequence = 0;
  int discontinuity_sequence_line = 0;
  std::uint64_t discontinuity_sequence = 0;
  std::string playlist_type;
  bool i_frames_only = false;
  int end_line = 0;  // EXT-X-ENDLIST
  std::optional<Skip> skip;
  std::vector<Segment> segments;
  std::vector<Hint> hints;
  std::vector<Report> reports;
  std::vector<DateRange> dateranges;
  // The greatest version that something in it needs (8), and the line that does.
  std::uint64_t version_needed = 1;
  int version_needed_line = 0;

  // Multivariant Playlist
  std::vector<Described> variants;
  std::vector<Described> renditions;

  bool ended() const { return end_line > 0; }
  std::string_view line(int number) const;
  const Segment* find(std::uint64_t msn) const;
  // Of everything listed, parts of the open segment included; skipped segments are not known.
  Seconds duration() const;
  const Hint* hint(std::string_view type) const;
};

// Media Sequence Numbers and Discontinuity Sequence Numbers from the two header tags and the
// DISCONTINUITY tags (4.4.3.2, 4.4.3.3); a delta's segments count from behind the skipped ones.
void number_segments(Playlist& playlist);

// Where the part after the last one will be.
Position next_position(const Playlist& playlist);

// True when the playlist answers a blocking request for `msn` and perhaps `part` (6.2.5.2).
bool contains(const Playlist& playlist, std::uint64_t msn, std::optional<std::uint64_t> part);

std::string to_string(Position position);

// ISO 8601 as EXT-X-PROGRAM-DATE-TIME and EXT-X-DATERANGE write it; a time zone is required.
std::optional<Date> parse_date(std::string_view text);

}  // namespace mirror::lint
