// Judges a whole run: takes every exchange in the order in which it ended and writes findings.
//
// Single-threaded, owned by the program or a test. Remembers of each rendition the newest complete
// playlist and what the ledgers keep; nothing grows with the length of the run.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hint_ledger.h"
#include "judging.h"
#include "media_ledger.h"

namespace mirror::lint {

class Judge {
 public:
  // `http_major` is the version that was asked for: 0 for whatever the server likes.
  explicit Judge(Findings& findings, int http_major = 0)
      : findings_(findings), http_major_(http_major) {}

  // The rendition that will be known by `name`; `url` is that of its Media Playlist.
  void add_rendition(const std::string& name, const std::string& url);
  void take(const Exchange& exchange);
  // The end of the run, at `now`: what can only be said of all of it.
  void finish(Seconds now);

 private:
  // Something that came late, until it is known whether a discontinuity explains it.
  struct Late {
    RuleName rule;
    Seconds at;
    std::string what;
    std::uint64_t msn;  // of the segment that came, or that the part is of
  };
  struct Rendition {
    Rendition(std::string name_, const std::string& url_)
        : name(std::move(name_)), url(url_), hints(url_), media(url_) {}
    std::string name;
    std::string url;
    std::shared_ptr<const Playlist> full;  // merged, if it came as a delta
    std::optional<Seconds> full_at;        // when the answer was there
    std::optional<Seconds> segment_at;     // when the newest complete segment was first seen
    std::optional<Seconds> part_at;
    std::deque<std::pair<Seconds, Position>> reached;  // the newest parts, and when they were seen
    std::deque<Late> late;
    std::map<std::string, Position> uris;
    HintLedger hints;
    MediaLedger media;
  };
  // What a report said, until the rendition that it is about has shown it.
  struct Claim {
    std::string by;
    std::string about;
    Position last;
    Seconds at;
    Quote quote;
  };

  Scribe scribe_for(const std::string& rendition, Seconds at) const {
    return {&findings_, rendition, at};
  }
  ServerFacts facts_of(const Rendition* rendition) const;
  void take_multivariant(const Exchange& exchange, const Scribe& scribe);
  void take_media_playlist(Rendition& rendition, const Exchange& exchange, const Scribe& scribe);
  std::shared_ptr<const Playlist> merged(const Rendition& rendition, const Exchange& exchange,
                                         const Scribe& scribe) const;
  struct SameEnd {
    bool as_delta;  // the later one came as a delta
    bool at_once;   // it was asked for before the earlier one was there
  };
  static bool judge_same_end(const Playlist& before, const Playlist& after, SameEnd how,
                             const Scribe& scribe);
  void judge_pace(Rendition& rendition, const Playlist& playlist, const Exchange& exchange,
                  const Scribe& scribe);
  void settle_late(Rendition& rendition, const Playlist& playlist, bool all);
  void judge_uris(Rendition& rendition, const Playlist& playlist, const Scribe& scribe);
  void judge_reports(Rendition& rendition, const Exchange& exchange, const Scribe& scribe);
  void judge_report(const Rendition& about, const Report& report, const Exchange& exchange,
                    const Scribe& scribe);
  void settle_claims(Seconds now, bool all);
  void judge_variants(Seconds now);
  void judge_alignment(Seconds now);
  Measured measure(const Described& variant) const;
  Rendition* find_url(std::string_view url) const;

  Findings& findings_;
  int http_major_;
  bool http_told_ = false;
  std::string multivariant_url_;
  std::shared_ptr<const Playlist> multivariant_;
  std::map<std::string, std::unique_ptr<Rendition>> renditions_;
  std::deque<Claim> claims_;
};

}  // namespace mirror::lint
