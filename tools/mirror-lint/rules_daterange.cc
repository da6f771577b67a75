// Rules about EXT-X-DATERANGE (RFC 8216bis, 4.4.5.1).
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "judging.h"

namespace mirror::lint {
namespace {

void judge_form(const Playlist& playlist, const DateRange& range, const Scribe& scribe) {
  const AttributeList& attributes = range.attributes;
  const auto wrong = [&](std::string_view what) {
    scribe("daterange-form"_rule, fmt::format("{}: {}", range.id, what),
           quote(playlist, {range.line}));
  };
  const auto start = parse_date(attributes.text("START-DATE"));
  const auto end = parse_date(attributes.text("END-DATE"));
  const auto duration = attributes.decimal("DURATION");
  if (start && end && *end < *start) wrong("END-DATE is before START-DATE");
  if (start && end && duration) {
    const Seconds span = *end - *start;
    if (std::abs(span.count() - *duration) > 0.001) wrong("END-DATE is not START-DATE + DURATION");
  }
  if (!attributes.yes("END-ON-NEXT")) return;
  if (!attributes.has("CLASS")) wrong("END-ON-NEXT without CLASS");
  if (end || duration) wrong("END-ON-NEXT with DURATION or END-DATE");
}

}  // namespace

void judge_dateranges(const Playlist& playlist, const Scribe& scribe) {
  std::map<std::string_view, const DateRange*> known;
  std::map<std::string_view, bool> started;
  for (const DateRange& range : playlist.dateranges) {
    judge_form(playlist, range, scribe);
    started[range.id] = started[range.id] || range.attributes.has("START-DATE");
    const auto [it, first] = known.emplace(range.id, &range);
    if (first) continue;
    for (const Attribute& attribute : range.attributes.all()) {
      const Attribute* other = it->second->attributes.find(attribute.name);
      if (other == nullptr || other->value == attribute.value) continue;
      scribe("daterange-conflict"_rule, fmt::format("{}: {}", range.id, attribute.name),
             quote(playlist, {it->second->line, range.line}));
    }
  }
  for (const auto& [id, has_start] : started) {
    if (has_start) continue;
    scribe("daterange-form"_rule, fmt::format("{}: no START-DATE", id),
           quote(playlist, {known[id]->line}));
  }
}

}  // namespace mirror::lint
