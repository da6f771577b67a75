// PartLedger: what the viewers of all threads got from each media URL, so that they can be
// compared.
//
// Shared by every crew; a mutex, held for a lookup. Remembers the kEntriesMax URLs that were seen
// last: some minutes of a rendition. The first viewer's bytes are looked into and count as right;
// who gets others, or the same later, learns it here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "media_probe.h"

namespace mirror::load {

class PartLedger {
 public:
  static constexpr std::size_t kEntriesMax = 4096;

  struct Verdict {
    SteadyTime first_arrival{};
    bool same = true;  // as the first viewer got
    MediaFacts facts;
    // Why it is no media; said to the first viewer only, the others got the same.
    std::string fault;
  };

  Verdict check_part(std::string_view target, std::span<const std::uint8_t> bytes, SteadyTime now);
  Verdict check_init(std::string_view target, std::span<const std::uint8_t> bytes, SteadyTime now);

 private:
  using Probe = Result<MediaFacts> (*)(std::span<const std::uint8_t>);
  Verdict check(std::string_view target, std::span<const std::uint8_t> bytes, SteadyTime now,
                Probe probe);

  struct Entry {
    std::uint64_t hash = 0;
    std::size_t size = 0;
    SteadyTime first_arrival{};
    MediaFacts facts;
  };

  std::mutex mutex_;
  // Guarded by mutex_. By the hash of the URL: 64 bits keep 4096 of them apart.
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> order_;  // oldest first
};

}  // namespace mirror::load
