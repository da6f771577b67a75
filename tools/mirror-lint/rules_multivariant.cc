// Rules about the Multivariant Playlist, by itself and against what was measured.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "judging.h"

namespace mirror::lint {
namespace {

void judge_groups(const Playlist& playlist, const Scribe& scribe) {
  std::map<std::pair<std::string, std::string>, std::vector<const Described*>> groups;
  for (const Described& rendition : playlist.renditions) {
    groups[{std::string(rendition.attributes.text("TYPE")),
            std::string(rendition.attributes.text("GROUP-ID"))}]
        .push_back(&rendition);
  }
  for (const auto& [name, members] : groups) {
    std::map<std::string_view, int> names;
    int default_line = 0;
    for (const Described* member : members) {
      const auto [it, fresh] = names.emplace(member->attributes.text("NAME"), member->line);
      if (!fresh) {
        scribe("group-form"_rule,
               fmt::format("two renditions of {} \"{}\" are called \"{}\"", name.first, name.second,
                           it->first),
               quote(playlist, {it->second, member->line}));
      }
      if (!member->attributes.yes("DEFAULT")) continue;
      if (default_line > 0) {
        scribe("group-form"_rule,
               fmt::format("two renditions of {} \"{}\" are DEFAULT", name.first, name.second),
               quote(playlist, {default_line, member->line}));
      }
      default_line = member->line;
    }
  }
  for (const Described& variant : playlist.variants) {
    for (const std::string_view type : {"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"}) {
      const Attribute* group = variant.attributes.find(type);
      if (group == nullptr || !group->quoted || groups.contains({std::string(type), group->value}))
        continue;
      scribe("group-missing"_rule, fmt::format("{}=\"{}\"", type, group->value),
             quote(playlist, {variant.line}));
    }
  }
}

void judge_stable_id(const Playlist& playlist, const Described& described, std::string_view name,
                     const Scribe& scribe) {
  const Attribute* id = described.attributes.find(name);
  if (id == nullptr) return;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+/=.-_").find(c) != std::string_view::npos;
  };
  if (!id->value.empty() && std::ranges::all_of(id->value, allowed)) return;
  scribe("stable-id-form"_rule, fmt::format("{}=\"{}\"", name, id->value),
         quote(playlist, {described.line}));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return out;
}

std::set<std::string> split_codecs(std::string_view text) {
  std::set<std::string> codecs;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    codecs.insert(lower(item));
  }
  return codecs;
}

void judge_codecs(const Playlist& playlist, const Described& variant, const Measured& measured,
                  const Scribe& scribe) {
  if (!variant.attributes.has("CODECS")) return;
  const std::set<std::string> listed = split_codecs(variant.attributes.text("CODECS"));
  std::set<std::string> found;
  for (const std::string& codec : measured.codecs) found.insert(lower(codec));
  const auto quotes = quote(playlist, {variant.line});
  for (const std::string& codec : found) {
    if (!listed.contains(codec))
      scribe("codecs-mismatch"_rule, fmt::format("the media is {}, which is not listed", codec),
             quotes);
  }
  if (!measured.complete) return;
  for (const std::string& codec : listed) {
    const bool looked_into = codec.starts_with("avc") || codec.starts_with("hvc") ||
                             codec.starts_with("hev") || codec.starts_with("mp4a");
    if (looked_into && !found.contains(codec)) {
      scribe("codecs-mismatch"_rule, fmt::format("{} is listed, and no track is that", codec),
             quotes);
    }
  }
}

void judge_picture(const Playlist& playlist, const Described& variant, const Measured& measured,
                   const Scribe& scribe) {
  const auto quotes = quote(playlist, {variant.line});
  if (measured.size && variant.attributes.has("RESOLUTION")) {
    const std::string size = fmt::format("{}x{}", measured.size->width, measured.size->height);
    if (variant.attributes.text("RESOLUTION") != size) {
      scribe("resolution-mismatch"_rule, fmt::format("the SPS says {}", size), quotes);
    }
  }
  const auto rate = variant.attributes.decimal("FRAME-RATE");
  // One frame more or less in what was fetched may be a rounding of its durations.
  if (rate && measured.frame_rate &&
      std::abs(*rate - *measured.frame_rate) > 0.01 * *measured.frame_rate) {
    scribe("frame-rate-mismatch"_rule,
           fmt::format("the media has {:.3f} frames a second", *measured.frame_rate), quotes);
  }
}

void judge_bandwidth(const Playlist& playlist, const Described& variant, const Measured& measured,
                     const Scribe& scribe) {
  const auto quotes = quote(playlist, {variant.line});
  const auto above = [](double measured_bps, std::optional<std::uint64_t> said) {
    return said && measured_bps > 1.1 * static_cast<double>(*said);
  };
  if (above(measured.peak_bps, variant.attributes.integer("BANDWIDTH"))) {
    scribe("bandwidth-exceeded"_rule, fmt::format("{:.0f} bit/s at the peak", measured.peak_bps),
           quotes);
  }
  // An average over less than that says little.
  constexpr Seconds kEnough{10};
  if (measured.observed >= kEnough &&
      above(measured.average_bps, variant.attributes.integer("AVERAGE-BANDWIDTH"))) {
    scribe(
        "average-bandwidth-exceeded"_rule,
        fmt::format("{:.0f} bit/s over {:.0f} s", measured.average_bps, measured.observed.count()),
        quotes);
  }
}

}  // namespace

void judge_multivariant_playlist(const Playlist& playlist, const Scribe& scribe) {
  judge_groups(playlist, scribe);
  for (const Described& rendition : playlist.renditions) {
    judge_stable_id(playlist, rendition, "STABLE-RENDITION-ID", scribe);
  }
  for (const Described& variant : playlist.variants) {
    judge_stable_id(playlist, variant, "STABLE-VARIANT-ID", scribe);
    if (!variant.attributes.has("CODECS")) {
      scribe("codecs-missing"_rule, variant.uri, quote(playlist, {variant.line}));
    }
  }
}

void judge_variant(const Playlist& multivariant, const Described& variant, const Measured& measured,
                   const Scribe& scribe) {
  judge_codecs(multivariant, variant, measured, scribe);
  judge_picture(multivariant, variant, measured, scribe);
  judge_bandwidth(multivariant, variant, measured, scribe);
}

void judge_channels(const Playlist& multivariant, const Described& rendition,
                    std::uint32_t channels, const Scribe& scribe) {
  const std::string_view text = rendition.attributes.text("CHANNELS");
  const auto said = parse_integer(text.substr(0, text.find('/')));
  if (!said || channels == 0 || *said == channels) return;
  scribe("channels-mismatch"_rule, fmt::format("the media has {} channels", channels),
         quote(multivariant, {rendition.line}));
}

}  // namespace mirror::lint
