// Findings as text for people and as one JSON document for programs.
#pragma once

#include <string>

#include "findings.h"
#include "session.h"

namespace mirror::lint {

struct Run {
  std::string url;
  Seconds duration{};
  int http_major = 1;
  std::vector<Session::Rendition> renditions;
  std::map<Purpose, std::uint64_t> counts;
};

std::string text_report(const Run& run, const Findings& findings);
std::string json_report(const Run& run, const Findings& findings);
// The table of rules, as Markdown.
std::string rules_table();

std::string_view to_string(Severity severity);
std::string_view to_string(Purpose purpose);

}  // namespace mirror::lint
