// The reader behind parse_playlist: keeps the state from line to line. playlist_parser.cc splits
// and checks lines, playlist_tags.cc takes over what each tag says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "playlist.h"
#include "tag_table.h"

namespace mirror::lint {

// One line that is a tag.
struct Tag {
  int line = 0;
  std::string name;
  std::string value;
  AttributeList attributes;
};

// "<n>[@<o>]"; without an offset the range begins where the one before it ended.
std::optional<ByteRange> parse_byte_range(std::string_view text, std::uint64_t next_offset);

class PlaylistReader {
 public:
  explicit PlaylistReader(std::string_view text) { split(text); }

  Playlist read() {
    check_first_line();
    for (std::size_t i = 0; i < playlist_.lines.size(); ++i) read_line(static_cast<int>(i) + 1);
    finish();
    return std::move(playlist_);
  }

 private:
  void fault(std::string_view rule, int line, std::string what) {
    constexpr std::size_t kFaultsMax = 1000;
    if (playlist_.faults.size() < kFaultsMax)
      playlist_.faults.push_back({rule, line, std::move(what)});
  }

  void split(std::string_view text);
  void check_first_line();
  void read_line(int number);
  void read_uri(int number, std::string_view uri);
  void read_tag(int number, std::string_view text);
  void check_tag(const Tag& tag);
  void check_value(const TagRule& rule, const Tag& tag);
  void take_header(const Tag& tag);
  void take_segment_tag(const Tag& tag);
  void take_part(const Tag& tag);
  void take_metadata(const Tag& tag);
  void take_server_control(const Tag& tag);
  void finish();

  Segment& open_segment() {
    segment_begun_ = true;
    return segment_;
  }
  void needs_version(std::uint64_t version, int line) {
    if (version <= playlist_.version_needed) return;
    playlist_.version_needed = version;
    playlist_.version_needed_line = line;
  }

  Playlist playlist_;
  std::set<std::string, std::less<>> seen_;
  Segment segment_;
  bool segment_begun_ = false;
  bool has_duration_ = false;
  bool encrypted_ = false;
  std::optional<Resource> map_;
  std::optional<Described> variant_;  // EXT-X-STREAM-INF, waiting for its URI
  std::uint64_t next_offset_ = 0;     // for byte ranges without one
  int media_line_ = 0;                // the first tags that only one kind of playlist may hold
  int multivariant_line_ = 0;
};

}  // namespace mirror::lint
