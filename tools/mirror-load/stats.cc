#include "stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace mirror::load {

std::string_view name_of(Fault fault) {
  static constexpr std::array<std::string_view, kFaults> kNames = {
      "connect",  "tls",   "protocol", "closed", "timeout", "status",   "short_body",
      "playlist", "stale", "gap",      "repeat", "media",   "mismatch", "refused",
  };
  return kNames[static_cast<std::size_t>(fault)];
}

namespace {

// A server may give up a viewer who does not keep up, and the parts that it asks for too late. Over
// WebTransport a slow viewer's streams overtake each other by more than a judge waits for: what was
// a hole then comes as a repeat.
bool slowness_explains(Fault fault) {
  switch (fault) {
    case Fault::kConnect:
    case Fault::kProtocol:
    case Fault::kClosed:
    case Fault::kTimeout:
    case Fault::kStatus:
    case Fault::kShortBody:
    case Fault::kStale:
    case Fault::kGap:
    case Fault::kRepeat:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Stats::note(Fault fault, std::string_view what) {
  const std::uint64_t before = faults[static_cast<std::size_t>(fault)]++;
  if (before < kExamplesMax) keep({fault, std::string(what)});
}

void Stats::keep(Example example) {
  const auto same = std::ranges::count(examples, example.fault, &Example::fault);
  if (same < static_cast<std::ptrdiff_t>(kExamplesMax)) examples.push_back(std::move(example));
}

void Stats::note_status(int status, std::string_view what) {
  note(Fault::kStatus, fmt::format("{}: {}", status, what));
  if (statuses.contains(status) || statuses.size() < kStatusesMax) ++statuses[status];
}

void Stats::add_faults(const Stats& other) {
  for (std::size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
  for (const auto& [status, count] : other.statuses) {
    if (statuses.contains(status) || statuses.size() < kStatusesMax) statuses[status] += count;
  }
  for (const Example& example : other.examples) keep(example);
  restarts += other.restarts;
  reconnects += other.reconnects;
  connections += other.connections;
  playing = other.playing;
  ended = other.ended;
}

void Stats::add(const Stats& other) {
  const std::size_t playing_all = playing + other.playing;
  const std::size_t ended_all = ended + other.ended;
  add_faults(other);
  playing = playing_all;
  ended = ended_all;
  requests += other.requests;
  reloads += other.reloads;
  parts += other.parts;
  bytes += other.bytes;
  stalls += other.stalls;
  stalled += other.stalled;
  held.add(other.held);
  fetched.add(other.fetched);
  behind_fastest.add(other.behind_fastest);
  behind_capture.add(other.behind_capture);
  behind_published.add(other.behind_published);
  late_parts += other.late_parts;
  dropped_parts += other.dropped_parts;
  slow.parts += other.slow.parts;
  slow.bytes += other.slow.bytes;
  slow.dropped_parts += other.slow.dropped_parts;
  slow.stalls += other.slow.stalls;
  slow.left_behind += other.slow.left_behind;
  cpu += other.cpu;
  wall = std::max(wall, other.wall);
  busiest = std::max(busiest, other.busiest);
}

void Stats::add_slow(const Stats& theirs) {
  slow.parts += theirs.parts;
  slow.bytes += theirs.bytes;
  slow.dropped_parts += theirs.dropped_parts;
  slow.stalls += theirs.stalls;
  connections += theirs.connections;
  for (std::size_t i = 0; i < kFaults; ++i) {
    (slowness_explains(static_cast<Fault>(i)) ? slow.left_behind : faults[i]) += theirs.faults[i];
  }
  for (const Example& example : theirs.examples) {
    if (!slowness_explains(example.fault)) keep(example);
  }
}

std::uint64_t Stats::fault_count() const {
  return std::accumulate(faults.begin(), faults.end(), std::uint64_t{0});
}

}  // namespace mirror::load
