// Depacketizer: the packets of one track, in order → its access units.
//
// Sans-IO; owned by one session, on its thread. What goes in has been ordered and freed of
// duplicates and strangers by Receiver; what comes out goes to an AccessUnitSink within the call.
//
// Limits: one open unit of at most kAccessUnitBytesMax. What goes over it is dropped and counted.
// A packet makes no allocation of its own; an access unit makes few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "media/access_unit.h"
#include "media/publish.h"
#include "media/time.h"
#include "rtp/packet.h"
#include "rtp/sdp.h"

namespace mirror::rtp {

inline constexpr std::size_t kAccessUnitBytesMax = 4U << 20;

// Where on the stream's common time line an RTP timestamp of this track lies. Tracks have clocks
// of their own with random starts; sender reports tie them together (session_clock.h).
class TrackClock {
 public:
  struct Date {
    media::MediaTime time{};
    bool discontinuity = false;  // the time line broke before this; told once
  };
  virtual ~TrackClock() = default;
  // Once for each access unit, in the order of sending. Timestamps may go backwards (B pictures:
  // RTP carries presentation times).
  virtual Date date(std::uint32_t timestamp, Instant received) = 0;
};

class Depacketizer {
 public:
  virtual ~Depacketizer() = default;
  // `gap`: packets are missing between the last one and this. The unit that was open is emitted as
  // damaged, or not at all when nothing of it is of use.
  virtual void push(const Packet& packet, bool gap, Instant received) = 0;
  // Call every few milliseconds, but not while packets are held back for order or repair: a unit
  // whose end is not marked is taken for complete once nothing of it has come for a while.
  virtual void idle(Instant now) = 0;
  // The end of the feed: emits what is left.
  virtual void flush() = 0;
};

// For one medium of a session description: H.265 (RFC 7798), H.264 (RFC 6184), mpeg4-generic
// (RFC 3640). The error says what of it is not supported. `sink`, `clock` and `stats` outlive what
// is returned; `stats` counts access units, damage and dropped bytes. Parameter sets of the
// description (sprop-…), or newer ones that came in the stream, go in front of each random access
// unit that lacks its own. Decoding times are not known: dts equals pts.
Result<std::unique_ptr<Depacketizer>> make_depacketizer(const SdpMedia& medium,
                                                        media::TrackId track,
                                                        media::AccessUnitSink& sink,
                                                        TrackClock& clock,
                                                        media::DemuxStats& stats);

}  // namespace mirror::rtp
