#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mirror::lint {
namespace {

std::uint64_t sum(const Run& run, bool playlists) {
  std::uint64_t total = 0;
  for (const auto& [purpose, count] : run.counts) {
    if (is_playlist(purpose) == playlists) total += count;
  }
  return total;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string text_of(const Finding& finding) {
  std::string text =
      fmt::format("\n{:<7} {}  [{}]  {}\n        {}; {}, at {:.2f} s",
                  to_string(finding.rule->severity), finding.rule->id, finding.rule->clause,
                  finding.rendition.empty() ? "the Multivariant Playlist" : finding.rendition,
                  finding.rule->text, counted(finding.count, "time"), finding.first.count());
  if (finding.count > 1) text += fmt::format(" to {:.2f} s", finding.last.count());
  text += '\n';
  for (const Place& place : finding.places) {
    text += fmt::format("        {:8.2f} s  {}\n", place.at.count(), place.what);
    for (const Quote& quote : place.quotes)
      text += fmt::format("          {:>6} | {}\n", quote.line, quote.text);
  }
  return text;
}

// What came from the server may be anything; JSON is UTF-8.
nlohmann::json json_of(const Finding& finding) {
  nlohmann::json places = nlohmann::json::array();
  for (const Place& place : finding.places) {
    nlohmann::json lines = nlohmann::json::array();
    for (const Quote& quote : place.quotes)
      lines.push_back({{"line", quote.line}, {"text", quote.text}});
    places.push_back({{"at_s", place.at.count()}, {"what", place.what}, {"lines", lines}});
  }
  return {{"rule", finding.rule->id},
          {"severity", to_string(finding.rule->severity)},
          {"clause", finding.rule->clause},
          {"text", finding.rule->text},
          {"rendition", finding.rendition},
          {"count", finding.count},
          {"first_s", finding.first.count()},
          {"last_s", finding.last.count()},
          {"places", places}};
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "";
}

std::string_view to_string(Purpose purpose) {
  constexpr std::array<std::string_view, 16> kNames = {
      "multivariant", "plain",           "reload", "segment_reload", "part_alone", "far_ahead",
      "past",         "part_past_end",   "init",   "part",           "hint",       "segment",
      "removed_part", "removed_segment", "again",  "nothing"};
  return kNames[static_cast<std::size_t>(purpose)];
}

std::string text_report(const Run& run, const Findings& findings) {
  std::string text =
      fmt::format("{}: {:.1f} s over HTTP/{}, {}, {}, {}\n", run.url, run.duration.count(),
                  run.http_major == 1 ? "1.1" : std::to_string(run.http_major),
                  counted(run.renditions.size(), "rendition"), counted(sum(run, true), "playlist"),
                  counted(sum(run, false), "resource"));
  for (const Finding& finding : findings.sorted()) text += text_of(finding);
  text += fmt::format("\n{}, {}, {}\n", counted(findings.count(Severity::kError), "error"),
                      counted(findings.count(Severity::kWarning), "warning"),
                      counted(findings.count(Severity::kNote), "note"));
  return text;
}

std::string json_report(const Run& run, const Findings& findings) {
  nlohmann::json report = {
      {"url", run.url}, {"seconds", run.duration.count()}, {"http", run.http_major}};
  report["renditions"] = nlohmann::json::array();
  for (const auto& rendition : run.renditions) {
    report["renditions"].push_back({{"name", rendition.name}, {"url", rendition.url}});
  }
  report["exchanges"] = nlohmann::json::object();
  for (const auto& [purpose, count] : run.counts)
    report["exchanges"][std::string(to_string(purpose))] = count;
  report["findings"] = nlohmann::json::array();
  for (const Finding& finding : findings.sorted()) report["findings"].push_back(json_of(finding));
  report["errors"] = findings.count(Severity::kError);
  report["warnings"] = findings.count(Severity::kWarning);
  report["notes"] = findings.count(Severity::kNote);
  return report.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string rules_table() {
  std::string text = "| Rule | Severity | Clause | What holds |\n| --- | --- | --- | --- |\n";
  for (const Rule& rule : rules()) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", rule.id, to_string(rule.severity), rule.clause,
                        rule.text);
  }
  return text;
}

}  // namespace mirror::lint
