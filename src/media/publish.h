// How a transport hands a feed to the system without knowing it: a key becomes a Publication.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "media/access_unit.h"
#include "media/stream_key.h"

namespace mirror::media {

struct PublishRequest {
  StreamKey key;
  std::string protocol;  // "srt", "rtp"
  std::string remote;    // "192.0.2.1:40000"
};

struct PublishRefusal {
  enum class Reason { kConflict, kOverload, kShuttingDown };
  Reason reason;
  std::string message;
};

// What a transport measured since the connection began; all but `rtt_ms` are totals.
struct TransportStats {
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  std::uint64_t packets_lost = 0;           // seen missing, before repair
  std::uint64_t packets_retransmitted = 0;  // arrived again
  std::uint64_t packets_dropped = 0;        // given up: too late
  double rtt_ms = 0;
  int latency_ms = 0;  // the transport's own receive buffer, as negotiated
};

// What a demuxer counted; all totals.
struct DemuxStats {
  std::uint64_t packets = 0;
  std::uint64_t sync_losses = 0;
  std::uint64_t continuity_errors = 0;
  std::uint64_t section_crc_errors = 0;
  std::uint64_t access_units = 0;
  std::uint64_t damaged_access_units = 0;
  std::uint64_t dropped_bytes = 0;  // over a limit, or belonging to nothing
};

// One publisher's turn on a stream, used on the ingest thread only. Destroying it ends the turn.
class Publication : public AccessUnitSink {
 public:
  virtual void on_stats(const TransportStats& transport, const DemuxStats& demux) = 0;
  // True once nothing that it is given counts any more, because another publisher took its place or
  // the stream closed: the transport should hang up.
  virtual bool displaced() const = 0;
};

// Decides who may publish. `admit` may be called from any thread (libsrt asks inside its own
// handshake); `open` from the ingest thread only, and it may still refuse.
class PublisherGate {
 public:
  virtual ~PublisherGate() = default;
  virtual std::optional<PublishRefusal> admit(const PublishRequest& request) const = 0;
  virtual std::expected<std::unique_ptr<Publication>, PublishRefusal> open(
      const PublishRequest& request) = 0;
};

}  // namespace mirror::media
