#include "push_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

namespace mirror::load {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr std::size_t kDroppedMax = 64;

// Whether `to` may be the next one behind `from`: how many parts a segment has is not told.
bool follows(std::pair<std::uint64_t, std::uint64_t> from,
             std::pair<std::uint64_t, std::uint64_t> to) {
  if (to.first == from.first) return to.second == from.second + 1;
  return to.first == from.first + 1 && to.second == 0;
}

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

void PushJudge::begin(bool in_order) {
  in_order_ = in_order;
  playing_ = false;
  greeted_ = false;
  opened_ = {};
  tracks_.clear();
}

void PushJudge::take(const push::Frame& frame, SteadyTime now, WallTime wall, Stats& stats) {
  if (in_order_ && !greeted_ && !std::holds_alternative<push::Hello>(frame)) {
    stats.note(Fault::kProtocol, "the first frame is not HELLO");
  }
  greeted_ = true;
  std::visit(Overloaded{
                 [&](const push::Hello& hello) { opened_ = hello.now; },
                 [&](const push::TrackInfo& info) { take_track(info, stats); },
                 [&](const push::Init& init) { take_init(init, now, stats); },
                 [&](const push::Part& part) { take_part(part.head, part.body, now, wall, stats); },
                 [&](const push::Dropped& dropped) { take_dropped(dropped, now, stats); },
                 [&](const push::StateChange&) {},
                 [&](const push::ErrorNotice& error) { stats.note(Fault::kRefused, error.text); },
                 [&](const push::Ping&) {},
                 [&](const push::Unknown&) {},
             },
             frame);
}

PushJudge::Track* PushJudge::track_of(push::TrackNumber number, Stats& stats) {
  if (const auto found = tracks_.find(number); found != tracks_.end()) return &found->second;
  if (tracks_.size() == kTracksMax) {
    stats.note(Fault::kProtocol, "too many tracks");
    return nullptr;
  }
  return &tracks_[number];
}

void PushJudge::take_track(const push::TrackInfo& info, Stats& stats) {
  Track* track = track_of(info.number, stats);
  if (track == nullptr) return;
  auto name = fmt::format("{}/{}/{}", info.stream, info.rendition, info.epoch);
  if (info.timescale == 0 || (!track->name.empty() && track->name != name)) {
    stats.note(Fault::kProtocol,
               fmt::format("track {} is {} and {}", info.number, track->name, name));
    return;
  }
  // Told again: the subscription begins anew.
  if (!track->name.empty()) {
    track->last.reset();
    track->dropped.clear();
    track->taken.clear();
  }
  track->name = std::move(name);
  track->timescale = info.timescale;
  for (const Early& each : std::exchange(track->early, {})) {
    take_bytes(*track, each.head, each.bytes, each.now, each.wall, stats);
  }
}

void PushJudge::take_init(const push::Init& init, SteadyTime now, Stats& stats) {
  Track* track = track_of(init.head.track, stats);
  if (track == nullptr) return;
  if (track->name.empty()) {
    stats.note(Fault::kProtocol, fmt::format("INIT of track {} before its TRACK", init.head.track));
    return;
  }
  track->has_init = true;
  const auto verdict = ledger_.check_init(track->name, init.body, now);
  if (!verdict.same) {
    stats.note(Fault::kMismatch, fmt::format("{}: not the header that another got", track->name));
  }
  if (!verdict.fault.empty()) {
    stats.note(Fault::kBadMedia, fmt::format("{}: {}", track->name, verdict.fault));
  }
}

void PushJudge::take_part(const push::PartHead& head, std::span<const std::uint8_t> body,
                          SteadyTime now, WallTime wall, Stats& stats) {
  stats.bytes += body.size();
  Track* track = track_of(head.track, stats);
  if (track == nullptr) return;
  if (!track->name.empty()) return take_bytes(*track, head, body, now, wall, stats);
  if (in_order_ || track->early.size() == kOpenPartsMax) {
    stats.note(Fault::kProtocol, fmt::format("PART of track {} before its TRACK", head.track));
    return;
  }
  track->early.push_back({head, {body.begin(), body.end()}, now, wall});
}

void PushJudge::take_bytes(Track& track, const push::PartHead& head,
                           std::span<const std::uint8_t> body, SteadyTime now, WallTime wall,
                           Stats& stats) {
  const auto begins = static_cast<std::uint64_t>(head.decode_time);
  if (!head.chunk) return take_whole(track, head, begins, body, now, wall, stats);
  const Position at{head.at.segment, head.at.part};
  auto open = track.open.find(at);
  if (open == track.open.end()) {
    if (track.open.size() == kOpenPartsMax) track.open.erase(track.open.begin());
    open = track.open.emplace(at, Open{begins, {}}).first;
  }
  auto& bytes = open->second.bytes;
  if (head.offset != bytes.size() || bytes.size() + body.size() > kPartBytesMax) {
    stats.note(Fault::kGap, fmt::format("{} {}.{}: a chunk at {} behind {} bytes", track.name,
                                        at.first, at.second, head.offset, bytes.size()));
    track.open.erase(open);
    return;
  }
  bytes.insert(bytes.end(), body.begin(), body.end());
  if (!head.last) return;
  const Open whole = std::move(open->second);
  track.open.erase(open);
  take_whole(track, head, whole.begins, whole.bytes, now, wall, stats);
}

void PushJudge::take_whole(Track& track, const push::PartHead& head, std::uint64_t begins,
                           std::span<const std::uint8_t> bytes, SteadyTime now, WallTime wall,
                           Stats& stats) {
  playing_ = true;
  ++stats.parts;
  const Position at{head.at.segment, head.at.part};
  const Arrived part{.begins = begins,
                     .ends = static_cast<std::uint64_t>(head.decode_time) + head.duration,
                     .independent = head.independent,
                     .discontinuity = head.discontinuity,
                     .at = now};
  if (!head.gap) check_bytes(track, head, part, bytes, wall, stats);
  if (track.waiting.size() == kOpenPartsMax) {
    stats.note(Fault::kProtocol, fmt::format("{}: too many parts wait", track.name));
    track.waiting.clear();
  }
  if (!track.waiting.emplace(at, part).second) {
    stats.note(Fault::kRepeat,
               fmt::format("{} {}.{}: it came again", track.name, at.first, at.second));
  }
  put_in_order(track, now, stats);
}

// The bytes, what they say of themselves, and when they came.
void PushJudge::check_bytes(const Track& track, const push::PartHead& head, const Arrived& part,
                            std::span<const std::uint8_t> bytes, WallTime wall, Stats& stats) {
  const auto name = fmt::format("{}/{}.{}", track.name, head.at.segment, head.at.part);
  if (in_order_ && !track.has_init) stats.note(Fault::kProtocol, name + ": before its INIT");
  const auto verdict = ledger_.check_part(name, bytes, part.at);
  stats.behind_fastest.record(duration_cast<microseconds>(part.at - verdict.first_arrival));
  if (verdict.facts.captured) {
    stats.behind_capture.record(duration_cast<microseconds>(wall - *verdict.facts.captured));
  }
  // What was there before the session is old, not late.
  if (head.times.published != WallTime{} && head.times.published > opened_) {
    const auto late = duration_cast<microseconds>(wall - head.times.published);
    stats.behind_published.record(late);
    stats.late_parts += late > kLate ? 1 : 0;
  }
  if (!verdict.same) {
    stats.note(Fault::kMismatch, name + ": not what another got");
    return;
  }
  if (!verdict.fault.empty()) {
    stats.note(Fault::kBadMedia, fmt::format("{}: {}", name, verdict.fault));
    return;
  }
  const auto& facts = verdict.facts;
  if (facts.decode_time && *facts.decode_time != part.begins) {
    stats.note(Fault::kBadMedia, fmt::format("{}: its tfdt is {}, its PART says {}", name,
                                             *facts.decode_time, part.begins));
  }
  if (facts.duration && *facts.duration != part.ends - part.begins) {
    stats.note(Fault::kBadMedia, fmt::format("{}: {} ticks of media, its PART says {}", name,
                                             *facts.duration, part.ends - part.begins));
  }
}

void PushJudge::take_dropped(const push::Dropped& dropped, SteadyTime now, Stats& stats) {
  stats.dropped_parts += dropped.parts;
  Track* track = track_of(dropped.track, stats);
  if (track == nullptr) return;
  if (track->dropped.size() == kDroppedMax) track->dropped.erase(track->dropped.begin());
  track->dropped.push_back(
      {{dropped.from.segment, dropped.from.part}, {dropped.to.segment, dropped.to.part}});
  // Some chunks of it may have come.
  track->open.erase({dropped.from.segment, dropped.from.part});
  put_in_order(*track, now, stats);
}

// Whether DROPPED named all between the two.
bool PushJudge::was_told(const Track& track, Position from, Position to) const {
  Position reached = from;
  for (std::size_t steps = 0; steps <= track.dropped.size(); ++steps) {
    const auto next = std::ranges::find_if(track.dropped, [&](const auto& range) {
      return range.second > reached && range.second < to &&
             (range.first <= reached || follows(reached, range.first));
    });
    if (next == track.dropped.end()) return false;
    reached = next->second;
    if (follows(reached, to)) return true;
  }
  return false;
}

// Whether DROPPED gave it up, and it came for the first time all the same.
bool PushJudge::was_on_its_way(const Track& track, Position at) const {
  return !in_order_ && !track.taken.contains(at) &&
         std::ranges::any_of(track.dropped, [&](const auto& range) {
           return range.first <= at && at <= range.second;
         });
}

void PushJudge::put_in_order(Track& track, SteadyTime now, Stats& stats) {
  while (!track.waiting.empty()) {
    const auto& [at, part] = *track.waiting.begin();
    const bool patient = !in_order_ && now - part.at < kPatience;
    bool told = false;
    if (track.last) {
      const auto& [before, last] = *track.last;
      const bool next = follows(before, at) && (part.discontinuity || part.begins == last.ends);
      told = !next && was_told(track, before, at);
      if (!next && !told && at > before && patient) return;
    } else if (patient && now - part.at < kPatience / 4) {
      return;  // an earlier one may have been overtaken
    }
    const bool behind = track.last && at <= track.last->first;
    if (!behind || !was_on_its_way(track, at)) check_order(track, at, part, told, stats);
    track.taken.insert(at);
    if (track.taken.size() > kOpenPartsMax) track.taken.erase(track.taken.begin());
    if (!track.last || at > track.last->first) {
      const auto ticks = static_cast<double>(part.ends - part.begins);
      const microseconds duration(static_cast<std::int64_t>(ticks * 1e6 / track.timescale));
      if (const auto stall = track.buffer.take(part.at, duration)) {
        ++stats.stalls;
        stats.stalled += *stall;
      }
      track.last = {at, part};
    }
    track.waiting.erase(track.waiting.begin());
  }
}

void PushJudge::check_order(const Track& track, Position at, const Arrived& part, bool told,
                            Stats& stats) {
  const auto name = [&] { return fmt::format("{}/{}.{}", track.name, at.first, at.second); };
  if (!track.last || told) {
    if (!part.independent) {
      stats.note(Fault::kGap, fmt::format("{}: not independent, {}", name(),
                                          told ? "behind what was dropped" : "the first one"));
    }
    return;
  }
  const auto& [before, last] = *track.last;
  if (at <= before) {
    stats.note(Fault::kRepeat,
               fmt::format("{}: behind {}.{}", name(), before.first, before.second));
  } else if (!follows(before, at)) {
    stats.note(Fault::kGap, fmt::format("{}: behind {}.{}, and no DROPPED", name(), before.first,
                                        before.second));
  } else if (!part.discontinuity && part.begins > last.ends) {
    stats.note(Fault::kGap, fmt::format("{}: begins {} ticks behind the end of the part before",
                                        name(), part.begins - last.ends));
  } else if (!part.discontinuity && part.begins < last.ends) {
    stats.note(Fault::kRepeat, fmt::format("{}: begins {} ticks before the end of the part before",
                                           name(), last.ends - part.begins));
  }
}

void PushJudge::check_time(SteadyTime now, Stats& stats) {
  for (auto& [number, track] : tracks_) {
    if (!track.name.empty() && !track.waiting.empty()) put_in_order(track, now, stats);
    const bool lost = std::ranges::any_of(
        track.early, [&](const Early& each) { return now - each.now > kPatience; });
    if (!lost) continue;
    stats.note(Fault::kProtocol, fmt::format("parts of track {} came, and no TRACK", number));
    track.early.clear();
  }
}

void PushJudge::finish(SteadyTime now, Stats& stats) {
  for (const auto& [number, track] : tracks_) {
    if (const auto stall = track.buffer.stalled_at(now)) {
      ++stats.stalls;
      stats.stalled += *stall;
    }
  }
}

}  // namespace mirror::load
