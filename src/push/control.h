// What a viewer may ask of its push session: JSON objects, one per line (docs/push-protocol.md).
//
// Pure functions over bytes from strangers: time and memory linear in the input, which is limited
// (kControlLineBytesMax, kControlLinesMax). Strict: a key that is not known, is missing, comes
// twice or has a value of another kind is an error, and nothing of a request with an error counts.
// Fuzzed (fuzz/push_control_fuzz.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "hls/segment.h"
#include "push/frame.h"

namespace mirror::push {

inline constexpr std::size_t kControlLineBytesMax = 1'024;
inline constexpr std::size_t kControlLinesMax = 128;

// Greater is more important.
using Priority = std::uint8_t;
inline constexpr Priority kPriorityDefault = 128;

// Both names are spelled as stream keys are (media::StreamKey).
struct Target {
  std::string stream;
  std::string rendition;
  friend auto operator<=>(const Target&, const Target&) = default;
};

struct Subscribe {
  Target target;
  Priority priority = kPriorityDefault;
  bool chunks = false;  // each chunk of a part as soon as it is encoded
};
struct Unsubscribe {
  Target target;
};
struct SetPriority {
  Target target;
  Priority priority = kPriorityDefault;
};
struct Pause {
  Target target;
};
struct Resume {
  Target target;
};
// `to` takes the place of `target`, with its priority and form.
struct Switch {
  Target target;
  Target to;
};
// The player showed a part. Both times by the server's clock, as the player measured it.
struct Rendered {
  TrackNumber track = 0;
  hls::PartPosition at;
  WallTime captured{};
  WallTime rendered{};
};
using ControlMessage =
    std::variant<Subscribe, Unsubscribe, SetPriority, Pause, Resume, Switch, Rendered>;

Result<ControlMessage> parse_control_line(std::string_view line);
// Lines end with LF or CRLF; empty ones are passed over. An error names the line.
Result<std::vector<ControlMessage>> parse_control(std::string_view text);

// The query of the request that opens a session, without '?':
// subscribe=stream/rendition[:priority]&…&chunks=1. Percent-encoded or not. Parameters that are not
// known are ignored.
Result<std::vector<Subscribe>> parse_subscribe_query(std::string_view query);

}  // namespace mirror::push
