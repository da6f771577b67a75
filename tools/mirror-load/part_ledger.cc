#define XXH_INLINE_ALL
#include "part_ledger.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace mirror::load {

PartLedger::Verdict PartLedger::check_part(std::string_view target,
                                           std::span<const std::uint8_t> bytes, SteadyTime now) {
  return check(target, bytes, now, &probe_part);
}

PartLedger::Verdict PartLedger::check_init(std::string_view target,
                                           std::span<const std::uint8_t> bytes, SteadyTime now) {
  return check(target, bytes, now, [](std::span<const std::uint8_t> init) -> Result<MediaFacts> {
    if (auto status = probe_init(init); !status) return std::unexpected(std::move(status.error()));
    return MediaFacts{};
  });
}

PartLedger::Verdict PartLedger::check(std::string_view target, std::span<const std::uint8_t> bytes,
                                      SteadyTime now, Probe probe) {
  const std::uint64_t key = XXH3_64bits(target.data(), target.size());
  const std::uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(key); found != entries_.end()) {
    Entry& entry = found->second;
    // Another thread may have read the clock before the one that came here first.
    entry.first_arrival = std::min(entry.first_arrival, now);
    const bool same = entry.hash == hash && entry.size == bytes.size();
    return {entry.first_arrival, same, entry.facts, {}};
  }
  Verdict verdict{now, true, {}, {}};
  if (auto facts = probe(bytes)) {
    verdict.facts = *facts;
  } else {
    verdict.fault = std::move(facts.error().message);
  }
  if (order_.size() == kEntriesMax) {
    entries_.erase(order_.front());
    order_.pop_front();
  }
  entries_.emplace(key, Entry{hash, bytes.size(), now, verdict.facts});
  order_.push_back(key);
  return verdict;
}

}  // namespace mirror::load
