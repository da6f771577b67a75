// UnitOutlet: where a demuxer's streams hand over what they have assembled, and what they share.
//
// Owned by the Demuxer, on its thread; outlives its streams.
#pragma once

#include <cstddef>
#include <utility>

#include "media/access_unit.h"
#include "mpegts/counters.h"

namespace mirror::mpegts {

// When a picture or frame is decoded and shown, on the programme's unwrapped time line.
struct Stamp {
  media::MediaTime pts{};
  media::MediaTime dts{};
  bool discontinuity = false;
};

class UnitOutlet {
 public:
  UnitOutlet(media::AccessUnitSink& sink, Counters& counters, std::size_t access_unit_bytes_max)
      : sink_(sink), counters_(counters), access_unit_bytes_max_(access_unit_bytes_max) {}

  void emit(media::AccessUnit unit) {
    ++counters_.common.access_units;
    if (unit.damaged) ++counters_.common.damaged_access_units;
    sink_.on_access_unit(std::move(unit));
  }
  void count_dropped(std::size_t bytes) { counters_.common.dropped_bytes += bytes; }

  Counters& counters() { return counters_; }
  std::size_t access_unit_bytes_max() const { return access_unit_bytes_max_; }

 private:
  media::AccessUnitSink& sink_;
  Counters& counters_;
  const std::size_t access_unit_bytes_max_;
};

}  // namespace mirror::mpegts
