#include "hint_ledger.h"

#include <fmt/format.h>

#include <algorithm>

namespace mirror::lint {

HintLedger::Resource& HintLedger::resource(const std::string& key) {
  const auto [it, fresh] = resources_.try_emplace(key);
  if (!fresh) return it->second;
  order_.push_back(key);
  if (order_.size() > kKept) {
    resources_.erase(order_.front());
    order_.pop_front();
  }
  return it->second;
}

std::string HintLedger::key_of(const lint::Resource& resource) const {
  return resource_key(resolve(url_, resource.uri), resource.range);
}

// A hint without BYTERANGE-LENGTH names where its range begins only.
bool HintLedger::same_resource(const std::string& hinted, const lint::Resource& listed) const {
  if (hinted == key_of(listed)) return true;
  if (!listed.range) return false;
  lint::Resource open = listed;
  open.range->length.reset();
  return hinted == key_of(open);
}

void HintLedger::judge_times(const std::string& key, const Resource& known,
                             const Scribe& scribe) const {
  if (known.listed && known.refused) {
    scribe("hint-refused"_rule, fmt::format("{}: {}", key, *known.refused));
    return;
  }
  if (!known.listed || !known.delivered) return;
  const Seconds behind = *known.delivered - *known.listed;
  if (behind > patience_) {
    scribe("hint-late"_rule, fmt::format("{}: {:.3f} s after it was listed", key, behind.count()));
  } else if (-behind > patience_) {
    scribe("blocking-late"_rule,
           fmt::format("{}: listed {:.3f} s after it was delivered", key, -behind.count()));
  }
}

// What became of the hint of the version before.
void HintLedger::settle(const Playlist& playlist, const Scribe& scribe) {
  const auto [key, position] = *open_;
  const auto part_at = [&](Position at) -> const Part* {
    const Segment* segment = playlist.find(at.msn);
    return segment != nullptr && at.part < segment->parts.size() ? &segment->parts[at.part]
                                                                 : nullptr;
  };
  const Segment* segment = playlist.find(position.msn);
  const bool ended_before =
      segment != nullptr && segment->complete && position.part >= segment->parts.size();
  const Part* listed = part_at(position);
  const Part* next_first = ended_before ? part_at({position.msn + 1, 0}) : nullptr;
  const Part* came = listed != nullptr ? listed : next_first;
  if (came != nullptr && same_resource(key, came->resource)) {
    ++honoured_;
    Resource& known = resource(key);
    known.listed = scribe.at;
    judge_times(key, known, scribe);
    open_.reset();
  } else if (listed != nullptr) {
    scribe("hint-mismatch"_rule,
           fmt::format("{} was hinted, and part {} is {}", key, to_string(position),
                       key_of(listed->resource)),
           quote(playlist, {listed->line}));
    open_.reset();
  } else if (ended_before || playlist.ended() || next_position(playlist).msn > position.msn + 1) {
    // A segment that has ended with nothing of the next one listed may still bring it.
    const bool still_hinted = !playlist.ended() && playlist.hint("PART") != nullptr &&
                              key_of(playlist.hint("PART")->resource) == key;
    if (still_hinted) {
      open_->position = next_position(playlist);
    } else {
      if (!playlist.ended()) ++abandoned_;  // behind the end nothing can come
      open_.reset();
    }
  }
}

void HintLedger::take_playlist(const Playlist& playlist, bool fresh, const Scribe& scribe) {
  if (playlist.part_target) patience_ = std::max(kSlack, 3 * *playlist.part_target);
  if (open_ && next_position(playlist) >= open_->position) {
    if (fresh || playlist.ended()) {
      settle(playlist, scribe);
    } else {
      open_.reset();  // nobody knows how long it has been listed
    }
  }
  const Hint* hint = playlist.hint("PART");
  if (hint == nullptr || open_) return;
  open_ = Open{key_of(hint->resource), next_position(playlist)};
}

void HintLedger::take_hint(const Exchange& exchange, const Playlist* playlist,
                           const Scribe& scribe) {
  const std::string key = resource_key(exchange.url, exchange.range);
  Resource& known = resource(key);
  // 6.2.5.2 lets a server give up after three Target Durations; when it had begun to answer, all it
  // can do then is to break off.
  const Seconds target =
      playlist == nullptr ? Seconds(1) : playlist->target_duration.value_or(Seconds(1));
  const bool gave_up =
      exchange.status == 503 ||
      (exchange.status == 0 && exchange.finished - exchange.started + kSlack >= 3 * target);
  if (exchange.ok()) {
    known.delivered = exchange.finished;
  } else if (!gave_up) {
    known.refused = exchange.status == 0 ? exchange.error : fmt::format("{}", exchange.status);
  }
  judge_times(key, known, scribe);
  if (!exchange.ok() || playlist == nullptr || !playlist->part_target) return;
  const Seconds trickle = exchange.finished - exchange.first_byte;
  if (trickle > 0.5 * *playlist->part_target && exchange.first_byte > Seconds{}) {
    scribe("hint-trickles"_rule,
           fmt::format("{}: {:.3f} s from the first byte to the last", key, trickle.count()));
  }
}

void HintLedger::finish(const Scribe& scribe) const {
  if (abandoned_ == 0) return;
  const std::string what = fmt::format("{} of {} hints", abandoned_, abandoned_ + honoured_);
  if (abandoned_ * 10 > abandoned_ + honoured_) {
    scribe("hint-not-honoured"_rule, what);
  } else {
    scribe("hint-abandoned"_rule, what);
  }
}

}  // namespace mirror::lint
