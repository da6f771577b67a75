// The rules as functions over what was observed. None keeps state, reads a clock or a socket; what
// has to be remembered between calls lives in judge.h and the ledgers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "findings.h"
#include "mp4.h"
#include "observation.h"
#include "playlist.h"

namespace mirror::lint {

// Writes findings about one rendition at one time.
struct Scribe {
  Findings* findings = nullptr;
  std::string rendition;
  Seconds at{};

  void operator()(RuleName rule, std::string what, std::vector<Quote> quotes = {}) const {
    findings->add(rule, rendition, at, std::move(what), std::move(quotes));
  }
};

// What a busy machine may add to a time before it counts as late.
inline constexpr Seconds kSlack{0.5};

// ---- One playlist by itself -----------------------------------------------------------------
void judge_syntax(const Playlist& playlist, const Scribe& scribe);
void judge_media_playlist(const Playlist& playlist, const Scribe& scribe);
void judge_dateranges(const Playlist& playlist, const Scribe& scribe);
void judge_multivariant_playlist(const Playlist& playlist, const Scribe& scribe);

// ---- One version after another; `before` complete (merged, if it came as a delta) ---------------
// False when the numbers at the top are wrong, so that nothing can be said by them.
bool judge_reload(const Playlist& before, const Playlist& after, const Scribe& scribe);
// `after` as it came; `before` is what the client has.
void judge_delta(const Playlist& before, const Exchange& exchange, const Scribe& scribe);

// ---- Requests and answers ---------------------------------------------------------------------
struct ServerFacts {
  Seconds target_duration{1};
  bool live = true;  // no EXT-X-ENDLIST seen
};
void judge_directives(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe);
void judge_transport(const Exchange& exchange, const ServerFacts& facts, const Scribe& scribe);

// ---- Media ------------------------------------------------------------------------------------
void judge_part_media(const Playlist& playlist, const Part& part, const InitSection& init,
                      const Fragments& media, const Scribe& scribe);
void judge_segment_media(const Playlist& playlist, const Segment& segment, const InitSection& init,
                         const Fragments& media, const Scribe& scribe);
// `after` follows `before` without a discontinuity.
void judge_continuity(const InitSection& init, const Fragments& before, const Fragments& after,
                      std::string_view where, const Scribe& scribe);
void judge_init_section(const InitSection& init, const Scribe& scribe);

// ---- A variant against what was measured of it ------------------------------------------------
struct Measured {
  bool complete = false;            // every rendition of the variant was looked into
  std::vector<std::string> codecs;  // of all tracks of all its renditions
  std::optional<PictureSize> size;
  std::optional<double> frame_rate;
  double peak_bps = 0;  // of the main rendition and the greatest of each group
  double average_bps = 0;
  Seconds observed{};
};
void judge_variant(const Playlist& multivariant, const Described& variant, const Measured& measured,
                   const Scribe& scribe);
void judge_channels(const Playlist& multivariant, const Described& rendition,
                    std::uint32_t channels, const Scribe& scribe);

}  // namespace mirror::lint
