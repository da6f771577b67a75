// The nouns of a contribution feed, as plain data: tracks and access units, and who takes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "media/time.h"

namespace mirror::media {

enum class Codec { kH264, kHevc, kAac, kMpegAudio, kAc3, kEac3, kOpus, kUnsupported };
enum class TrackKind { kVideo, kAudio, kOther };

constexpr TrackKind kind_of(Codec codec) {
  switch (codec) {
    case Codec::kH264:
    case Codec::kHevc:
      return TrackKind::kVideo;
    case Codec::kAac:
    case Codec::kMpegAudio:
    case Codec::kAc3:
    case Codec::kEac3:
    case Codec::kOpus:
      return TrackKind::kAudio;
    case Codec::kUnsupported:
      break;
  }
  return TrackKind::kOther;
}

// The name an operator knows: "H.264", "HEVC", "AAC", "MPEG audio", "AC-3", "E-AC-3", "Opus".
std::string_view name_of(Codec codec);

// Identifies a track within its feed; in MPEG-TS it is the PID.
using TrackId = std::uint32_t;

struct Track {
  TrackId id = 0;
  Codec codec = Codec::kUnsupported;
  std::string language;     // ISO 639-2 code, or empty
  std::string description;  // for an unsupported codec: what it is, for example "MPEG-2 video"
  // Of Opus alone: the channel_config_code of its mapping into MPEG-2 TS (codec/opus.h).
  std::uint8_t opus_channels = 0;

  friend bool operator==(const Track&, const Track&) = default;
};

// One coded picture, or one audio frame, as it came.
struct AccessUnit {
  TrackId track = 0;
  Codec codec = Codec::kUnsupported;
  MediaTime pts{};             // unwrapped: grows past 2^33
  MediaTime dts{};             // equals pts where the source gives none
  bool random_access = false;  // H.264 IDR (or recovery point), HEVC IRAP; every audio frame
  bool damaged = false;        // bytes are known to be missing from this unit
  bool discontinuity = false;  // the source's timeline broke before this unit; pts may jump
  Instant received{};          // when its last byte came in; `wall` less transport latency
  // Video: Annex B byte stream, parameter sets in-band. AAC: one ADTS frame, header included.
  // Opus: a byte that is the track's opus_channels, then one packet without its control header.
  // Others: one frame as the standard defines it.
  Bytes data;
};

// Takes what a demuxer or depacketizer makes. Called on the ingest thread.
class AccessUnitSink {
 public:
  virtual ~AccessUnitSink() = default;
  // The feed's tracks; again whenever they change. Comes before their first access unit.
  virtual void on_tracks(const std::vector<Track>& tracks) = 0;
  virtual void on_access_unit(AccessUnit unit) = 0;
};

}  // namespace mirror::media
