// What concerns more than one rendition: reports, variants, alignment.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "judge.h"

namespace mirror::lint {

Judge::Rendition* Judge::find_url(std::string_view url) const {
  for (const auto& [name, rendition] : renditions_) {
    if (rendition->url == url) return rendition.get();
  }
  return nullptr;
}

void Judge::judge_reports(Rendition& rendition, const Exchange& exchange, const Scribe& scribe) {
  const Playlist& playlist = *exchange.playlist;
  if (!multivariant_ || playlist.ended() || !playlist.part_target) return;
  std::set<const Rendition*> reported;
  for (const Report& report : playlist.reports) {
    const auto quotes = quote(playlist, {report.line});
    if (report.uri.find("://") != std::string::npos)
      scribe("report-absolute"_rule, report.uri, quotes);
    const Rendition* about = find_url(resolve(rendition.url, report.uri));
    if (about == nullptr || about == &rendition) {
      scribe("report-unknown"_rule, report.uri, quotes);
      continue;
    }
    reported.insert(about);
    judge_report(*about, report, exchange, scribe);
  }
  for (const auto& [name, other] : renditions_) {
    const bool owed = other.get() != &rendition && other->full && !other->full->i_frames_only &&
                      !other->full->ended();
    if (owed && !reported.contains(other.get())) {
      scribe("report-missing"_rule, fmt::format("no EXT-X-RENDITION-REPORT of {}", name));
    }
  }
}

void Judge::judge_report(const Rendition& about, const Report& report, const Exchange& exchange,
                         const Scribe& scribe) {
  const Playlist& playlist = *exchange.playlist;
  // What is left out is as in the playlist that holds the report (4.4.5.4).
  const Position own = next_position(playlist);
  const Position own_last =
      own.part > 0 ? Position{own.msn, own.part - 1} : Position{own.msn == 0 ? 0 : own.msn - 1, 0};
  const Position last{report.last_msn.value_or(own_last.msn),
                      report.last_part.value_or(own_last.part)};
  const Quote quoted{report.line, std::string(playlist.line(report.line))};
  constexpr std::size_t kClaimsMax = 1024;
  if (about.full && claims_.size() < kClaimsMax) {
    claims_.push_back({scribe.rendition, about.name, last, exchange.finished, quoted});
  }
  // What the other rendition had shown a part and some slack before this answer came.
  const Seconds long_ago = exchange.finished - playlist.part_target.value_or(Seconds{}) - kSlack;
  Position shown;
  for (const auto& [at, next] : about.reached) {
    if (at <= long_ago) shown = next;
  }
  const bool stale =
      shown.part > 0 ? Position{last.msn, last.part + 1} < shown : last.msn + 1 < shown.msn;
  if (stale) {
    scribe("report-stale"_rule,
           fmt::format("{} has shown what comes before {} for {:.3f} s", about.name,
                       to_string(shown), (exchange.finished - long_ago).count()),
           {quoted});
  }
}

// A report is true when the rendition shows what it says within a Target Duration.
void Judge::settle_claims(Seconds now, bool all) {
  while (!claims_.empty()) {
    const Claim& claim = claims_.front();
    const auto found = renditions_.find(claim.about);
    const Playlist* full = found == renditions_.end() ? nullptr : found->second->full.get();
    const Seconds patience =
        full == nullptr ? kSlack : full->target_duration.value_or(Seconds(1)) + kSlack;
    const bool shown =
        full == nullptr || full->ended() || contains(*full, claim.last.msn, claim.last.part);
    if (!shown) {
      if (now - claim.at < patience) return;  // or it is too early to say at the end
      scribe_for(claim.by, claim.at)(
          "report-ahead"_rule,
          fmt::format("{} ends before {}", claim.about, to_string(next_position(*full))),
          {claim.quote});
    }
    claims_.pop_front();
  }
  if (all) claims_.clear();
}

Measured Judge::measure(const Described& variant) const {
  Measured measured;
  const Rendition* main = find_url(resolve(multivariant_url_, variant.uri));
  if (main == nullptr || main->media.init() == nullptr) return measured;
  measured.complete = true;
  const auto add_codecs = [&](const InitSection& init) {
    for (const Track& track : init.tracks) {
      if (track.codec.empty()) measured.complete = false;
      if (!track.codec.empty()) measured.codecs.push_back(track.codec);
    }
  };
  add_codecs(*main->media.init());
  const Seconds target =
      main->full && main->full->target_duration ? *main->full->target_duration : Seconds(1);
  const Track* leading = main->media.init()->leading();
  if (leading->kind == TrackKind::kVideo) measured.size = leading->size;
  measured.frame_rate = main->media.frame_rate();
  measured.peak_bps = main->media.peak_bps(target);
  measured.average_bps = main->media.average_bps();
  measured.observed = main->media.observed();
  for (const std::string_view type : {"AUDIO", "VIDEO"}) {
    double peak = 0;
    double average = 0;
    bool found = !variant.attributes.has(type);
    for (const Described& rendition : multivariant_->renditions) {
      const bool member = rendition.attributes.text("TYPE") == type &&
                          variant.attributes.has(type) &&
                          rendition.attributes.text("GROUP-ID") == variant.attributes.text(type);
      found = found || member;
      if (!member || rendition.uri.empty()) continue;
      const Rendition* each = find_url(resolve(multivariant_url_, rendition.uri));
      if (each == nullptr || each->media.init() == nullptr) {
        measured.complete = false;
        continue;
      }
      if (each == main) continue;
      add_codecs(*each->media.init());
      peak = std::max(peak, each->media.peak_bps(target));
      average = std::max(average, each->media.average_bps());
    }
    measured.complete = measured.complete && found;
    measured.peak_bps += peak;
    measured.average_bps += average;
  }
  return measured;
}

void Judge::judge_variants(Seconds now) {
  const Scribe scribe = scribe_for("", now);
  for (const Described& variant : multivariant_->variants)
    judge_variant(*multivariant_, variant, measure(variant), scribe);
  for (const Described& rendition : multivariant_->renditions) {
    const Rendition* known = find_url(resolve(multivariant_url_, rendition.uri));
    const InitSection* init = known == nullptr ? nullptr : known->media.init();
    if (init == nullptr || init->leading()->kind != TrackKind::kAudio) continue;
    judge_channels(*multivariant_, rendition, init->leading()->channels, scribe);
  }
  const Rendition* first = nullptr;
  for (const auto& [name, rendition] : renditions_) {
    if (!rendition->full) continue;
    if (first == nullptr) first = rendition.get();
    if (first->full->target_duration == rendition->full->target_duration) continue;
    scribe("variant-target-duration"_rule, fmt::format("{} and {}", first->name, name),
           quote(*rendition->full, {rendition->full->target_duration_line}));
  }
}

// 6.2.4: what bears one date has one decode time in every rendition.
void Judge::judge_alignment(Seconds now) {
  constexpr double kApartMax = 0.05;  // seconds
  const Rendition* first = nullptr;
  for (const auto& [name, rendition] : renditions_) {
    if (rendition->media.offsets().empty()) continue;
    if (first == nullptr) {
      first = rendition.get();
      continue;
    }
    for (const auto& [discontinuity, offset] : rendition->media.offsets()) {
      const auto other = first->media.offsets().find(discontinuity);
      if (other == first->media.offsets().end()) continue;
      const double apart = (offset - other->second).count();
      if (std::abs(apart) <= kApartMax) continue;
      scribe_for(name, now)("renditions-misaligned"_rule,
                            fmt::format("{:+.3f} s against {} (Discontinuity Sequence Number {})",
                                        apart, first->name, discontinuity));
    }
  }
}

}  // namespace mirror::lint
