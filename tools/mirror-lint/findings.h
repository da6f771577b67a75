// What was found: one entry for each rule and rendition, with the first places and a count.
//
// Limit: kPlacesMax places an entry, and one entry for each rule and rendition.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "playlist.h"
#include "rules.h"

namespace mirror::lint {

struct Quote {
  int line = 0;
  std::string text;
};

struct Place {
  Seconds at{};  // since the start of the run
  std::string what;
  std::vector<Quote> quotes;
};

struct Finding {
  const Rule* rule = nullptr;
  std::string rendition;
  std::uint64_t count = 0;
  Seconds first{};
  Seconds last{};
  std::vector<Place> places;
};

class Findings {
 public:
  static constexpr std::size_t kPlacesMax = 3;

  void add(RuleName rule, std::string_view rendition, Seconds at, std::string what,
           std::vector<Quote> quotes = {});

  // Errors first, then in the order of the table.
  std::vector<Finding> sorted() const;
  std::uint64_t count(Severity severity) const;
  bool violated() const { return count(Severity::kError) + count(Severity::kWarning) > 0; }

 private:
  std::map<std::pair<std::size_t, std::string>, Finding> findings_;
};

// The lines of a playlist with these numbers; numbers of 0 are left out.
std::vector<Quote> quote(const Playlist& playlist, std::initializer_list<int> lines);

}  // namespace mirror::lint
