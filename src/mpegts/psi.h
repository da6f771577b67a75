// The programme association and programme map tables (ISO/IEC 13818-1, 2.4.4.3 and 2.4.4.8), as
// plain data. Parsers of one section each; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "media/access_unit.h"

namespace mirror::mpegts {

// Elementary streams taken from one PMT; further ones are passed over.
inline constexpr std::size_t kElementaryStreamsMax = 16;

inline constexpr std::uint8_t kPatTableId = 0x00;
inline constexpr std::uint8_t kPmtTableId = 0x02;

struct Programme {
  std::uint16_t number = 0;
  std::uint16_t pmt_pid = 0;
};

// One PAT section with current_next_indicator set.
struct PatSection {
  bool is_whole_table = false;        // section 0 of 0
  std::vector<Programme> programmes;  // without the network PID (number 0)
};
std::optional<PatSection> parse_pat(std::span<const std::uint8_t> section);

// One PMT section with current_next_indicator set.
struct Pmt {
  std::uint16_t programme_number = 0;
  std::uint16_t pcr_pid = 0;
  std::vector<media::Track> tracks;  // at most kElementaryStreamsMax, each PID once
  std::size_t ignored_streams = 0;   // over that limit
};
std::optional<Pmt> parse_pmt(std::span<const std::uint8_t> section);

// What an elementary stream is, from its stream_type and the descriptors in its ES_info loop. `id`
// is left to the caller.
media::Track classify_stream(std::uint8_t stream_type, std::span<const std::uint8_t> descriptors);

}  // namespace mirror::mpegts
