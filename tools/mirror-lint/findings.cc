#include "findings.h"

namespace mirror::lint {

void Findings::add(RuleName rule, std::string_view rendition, Seconds at, std::string what,
                   std::vector<Quote> quotes) {
  Finding& finding = findings_[{rule.index, std::string(rendition)}];
  if (finding.count == 0) {
    finding.rule = &rules()[rule.index];
    finding.rendition = rendition;
    finding.first = at;
  }
  ++finding.count;
  finding.last = at;
  if (finding.places.size() < kPlacesMax) {
    finding.places.push_back({at, std::move(what), std::move(quotes)});
  }
}

std::vector<Finding> Findings::sorted() const {
  std::vector<Finding> all;
  all.reserve(findings_.size());
  for (const Severity severity : {kError, kWarning, kNote}) {
    for (const auto& [key, finding] : findings_) {
      if (finding.rule->severity == severity) all.push_back(finding);
    }
  }
  return all;
}

std::uint64_t Findings::count(Severity severity) const {
  std::uint64_t sum = 0;
  for (const auto& [key, finding] : findings_) {
    if (finding.rule->severity == severity) ++sum;
  }
  return sum;
}

std::vector<Quote> quote(const Playlist& playlist, std::initializer_list<int> lines) {
  std::vector<Quote> quotes;
  for (const int line : lines) {
    if (line > 0) quotes.push_back({line, std::string(playlist.line(line))});
  }
  return quotes;
}

}  // namespace mirror::lint
