// What a Demuxer counts: all totals since it was made. Plain numbers, owned by the Demuxer and
// incremented by its parts, on its thread.
#pragma once

#include <cstdint>

#include "media/publish.h"

namespace mirror::mpegts {

struct Counters {
  // What every transport reports. `dropped_bytes` includes those of the cases below.
  media::DemuxStats common;

  std::uint64_t malformed_packets = 0;  // header fields that contradict one another
  std::uint64_t transport_errors = 0;   // transport_error_indicator
  std::uint64_t duplicate_packets = 0;
  std::uint64_t scrambled_packets = 0;
  std::uint64_t malformed_pes = 0;
  std::uint64_t oversized_units = 0;    // over DemuxerOptions::access_unit_bytes_max
  std::uint64_t late_bytes = 0;         // of a unit that had been taken for complete
  std::uint64_t audio_sync_losses = 0;  // bytes where a frame header had to be
  std::uint64_t undated_units = 0;      // before the first timestamp
  std::uint64_t ignored_streams = 0;    // over kElementaryStreamsMax, each time a PMT lists them
  std::uint64_t ignored_table_changes = 0;  // too many per second
};

}  // namespace mirror::mpegts
