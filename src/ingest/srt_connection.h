// SrtConnection: one accepted publisher, from its socket through the demuxer to its Publication.
//
// Owned by SrtPublishers, used on their ingest thread only. Takes at most kMessagesPerTurnMax
// messages a turn; holds no bytes itself beyond what the demuxer does (see there) and libsrt's
// receive buffer.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/srt_socket.h"
#include "media/publish.h"
#include "mpegts/demuxer.h"

namespace mirror::ingest {

class SrtConnection {
 public:
  enum class Drained { kAll, kMoreWaits, kBroken };

  SrtConnection(SrtSocket socket, media::PublishRequest request,
                std::unique_ptr<media::Publication> publication, Instant now);
  SrtConnection(const SrtConnection&) = delete;
  SrtConnection& operator=(const SrtConnection&) = delete;
  // Emits what the demuxer still holds, then ends the publication and the connection.
  ~SrtConnection();

  SRTSOCKET id() const { return socket_.id(); }
  const media::PublishRequest& request() const { return request_; }

  // Takes what has arrived.
  Drained drain(const Clock& clock);
  // Once a turn: lets the demuxer finish a quiet picture.
  void idle(Instant now) { demuxer_.idle(now); }
  // About once a second: reports to the publication and, once, what the feed lacks. Returns what
  // libsrt measured.
  media::TransportStats report(Instant now, const Log& log);
  bool broken() const;
  // Nobody hears it any more, and why. Cheap enough for each turn.
  bool displaced() const { return publication_->displaced(); }
  std::string_view displaced_by() const { return publication_->displaced_by(); }

 private:
  // 2.7 Gbps at a turn each 2 ms, and short enough that 64 such neighbours wait their turn in turn.
  static constexpr int kMessagesPerTurnMax = 512;
  static constexpr std::size_t kMessageBytesMax = 1500;

  WallTime captured(Instant now, std::int64_t srt_now_us, std::int64_t play_time_us) const;
  enum class Warning { kNoSync, kNoProgramme, kLatencyShort, kBufferSmall };
  static constexpr std::size_t kWarnings = 4;
  void warn_once(Instant now, const Log& log);
  void warn(Warning what, std::string_view words, const Log& log);
  bool first(Warning what);
  void warn_of_small_buffer(const Log& log);

  const SrtSocket socket_;
  const media::PublishRequest request_;
  const SteadyTime began_;
  media::TransportStats reported_;
  const std::chrono::milliseconds latency_;  // as negotiated
  const int buffer_bytes_;                   // libsrt's, as granted
  const std::unique_ptr<media::Publication> publication_;
  mpegts::Demuxer demuxer_;
  std::array<bool, kWarnings> warned_{};
  std::array<char, kMessageBytesMax> message_{};
};

}  // namespace mirror::ingest
