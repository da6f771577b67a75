// How a transport hands a feed to the system without knowing it: a key becomes a Publication.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "media/access_unit.h"
#include "media/stream_key.h"

namespace mirror::media {

struct PublishRequest {
  StreamKey key;
  std::string protocol;      // "srt", "rtp", "udp"
  std::string remote;        // "192.0.2.1:40000"
  std::string user{};        // what the publisher calls itself, as it came (SRT: u=)
  std::string token{};       // what it says to be let in, as it came (SRT: s=); empty: nothing
  bool configured = false;   // the configuration names this feed (we dial it, or own its port):
                             // nobody is asked for a token
  bool may_displace = true;  // whatever the policy: false keeps away from a live publisher
};

struct PublishRefusal {
  enum class Reason { kConflict, kOverload, kShuttingDown, kUnauthorized };
  Reason reason;
  std::string message;
};

// What a transport measured since the connection began: totals, then what is so at present. What a
// transport does not know stays 0.
struct TransportStats {
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  std::uint64_t packets_lost = 0;           // seen missing, before repair
  std::uint64_t packets_retransmitted = 0;  // arrived again, because we asked
  std::uint64_t packets_dropped = 0;        // given up: they had not come in time
  std::uint64_t packets_belated = 0;        // came after they had been given up
  std::uint64_t packets_undecrypted = 0;
  std::uint64_t packets_reordered = 0;  // came behind a later one, in time
  std::uint64_t packets_duplicate = 0;
  std::uint64_t packets_recovered = 0;  // made again from what came beside (FEC)
  std::uint64_t packets_strange = 0;    // malformed, or of a sender who does not count

  double rtt_ms = 0;
  int latency_ms = 0;   // the transport's own receive buffer (SRT: the TSBPD delay), as negotiated
  int buffered_ms = 0;  // what that buffer holds
};

// What a demuxer counted: totals, then what is so at present. (TR 101 290, 5.2.1) gives the number
// of the indicator in the first priority.
struct DemuxStats {
  std::uint64_t packets = 0;
  std::uint64_t sync_losses = 0;         // 1.1
  std::uint64_t sync_byte_errors = 0;    // 1.2
  std::uint64_t pat_errors = 0;          // 1.3
  std::uint64_t continuity_errors = 0;   // 1.4
  std::uint64_t pmt_errors = 0;          // 1.5
  std::uint64_t pid_errors = 0;          // 1.6: a PID of the PMT is silent for 5 s
  std::uint64_t section_crc_errors = 0;  // 2.2
  double pcr_jitter_ms = 0;  // at present: the clock references' largest offset from their mean
  std::uint64_t access_units = 0;
  std::uint64_t damaged_access_units = 0;
  std::uint64_t dropped_bytes = 0;  // over a limit, or belonging to nothing
};

// One publisher's turn on a stream, used on the thread that opened it. Destroying it ends the turn.
class Publication : public AccessUnitSink {
 public:
  virtual void on_stats(const TransportStats& transport, const DemuxStats& demux) = 0;
  // True once nothing that it is given counts any more: the transport should hang up.
  virtual bool displaced() const = 0;
  // Why, for the log and the publisher: another took its place, it was not let in after all, the
  // stream closed. Meaningful once displaced(), and valid as long as the publication.
  virtual std::string_view displaced_by() const { return "another publisher took its place"; }
};

// Decides who may publish. Both may be called from any thread (libsrt asks inside its own
// handshake, where nobody may wait); `open` may still refuse.
class PublisherGate {
 public:
  virtual ~PublisherGate() = default;
  virtual std::optional<PublishRefusal> admit(const PublishRequest& request) const = 0;
  virtual std::expected<std::unique_ptr<Publication>, PublishRefusal> open(
      const PublishRequest& request) = 0;
};

}  // namespace mirror::media
