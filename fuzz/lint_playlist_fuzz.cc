// mirror-lint's playlist parser, the merge of deltas and the rules that look at one playlist and at
// two, against arbitrary text. The text before the first zero byte is one version, the rest the
// next.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "delta.h"
#include "judging.h"
#include "playlist_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mirror::lint;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\0');
  const Playlist before = parse_playlist(text.substr(0, cut));
  const Playlist after =
      cut == std::string_view::npos ? before : parse_playlist(text.substr(cut + 1));
  Findings findings;
  const Scribe scribe{&findings, "fuzz", Seconds(0)};
  for (const Playlist* playlist : {&before, &after}) {
    judge_syntax(*playlist, scribe);
    judge_media_playlist(*playlist, scribe);
    judge_multivariant_playlist(*playlist, scribe);
    // A playlist is the same as itself.
    if (!first_difference(*playlist, *playlist).empty()) std::abort();
  }
  judge_reload(before, after, scribe);
  if (const auto merged = merge_delta(before, after); merged && merged->skip && after.skip)
    std::abort();
  return 0;
}
