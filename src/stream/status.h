// StreamStatus: what the API tells about one stream. An immutable snapshot, made by its media
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "media/access_unit.h"
#include "media/publish.h"
#include "stream/audience.h"
#include "transcode/transcoder.h"

namespace mirror::stream {

enum class State {
  kConnecting,    // a publisher is connected, nothing can be watched yet
  kLive,          // access units come in and parts go out
  kReconnecting,  // the publisher left or fell silent; the windows are held for its return
  kFailed,        // the publisher's feed cannot be shown, or could not before it left
  kEnded,         // closed; about to be removed
};

std::string_view name_of(State state);
// How far a stream has given up pictures: "none", "reference_only", "keyframes_only".
std::string_view name_of(transcode::Effort effort);

// What the stream does without, because its media thread cannot keep up; see Overload.
struct OverloadStatus {
  transcode::Effort level = transcode::Effort::kAll;
  WallTime since{};                 // the last change of level; no date: there was none
  std::string why;                  // empty at kAll
  std::uint64_t skipped_units = 0;  // of the video, to catch up
  std::uint64_t catch_ups = 0;      // drops to the next random access point
};

struct StreamStatus {
  State state = State::kConnecting;
  WallTime since{};
  std::string why;  // why it is in this state, in words; empty while it is live

  std::string protocol;
  std::string remote;
  std::vector<media::Track> tracks;
  double source_bitrate_bps = 0;
  media::TransportStats transport;
  media::DemuxStats demux;

  // From the last byte of an access unit to its part being fetchable, of the newest part.
  std::optional<double> publish_delay_ms;
  // From capture (as estimated) to the newest part being fetchable.
  std::optional<double> capture_delay_ms;
  transcode::PairingState pairing;
  WallTime pairing_since{};
  transcode::TranscodeStats video;
  transcode::TranscodeStats audio;
  std::uint64_t queue_dropped_units = 0;
  OverloadStatus overload;
  double viewers = 0;  // an estimate, see Audience
  GlassToGlass glass_to_glass;
  Audience::Reports client_reports;
};

}  // namespace mirror::stream
