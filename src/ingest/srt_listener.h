// SrtListener: publishers call in over SRT; each becomes a Publication of the gate.
//
// Owns one UDP port, one thread ("ingest-srt") and every connection on it. libsrt asks for
// admission on a thread of its own, inside the handshake; everything else happens on "ingest-srt",
// so that the gate's `open` and all publications see one thread.
//
// Limits: publishers_max connections, kBacklog handshakes not yet accepted, a share of the turn for
// each connection, libsrt's receive buffer as computed from bitrate_max and latency.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "ingest/refusals.h"
#include "media/feed_state.h"
#include "media/publish.h"

namespace mirror::ingest {

// What differs for one stream key.
struct SrtRule {
  std::string passphrase{};              // instead of the listener's; empty: the listener's
  std::chrono::milliseconds latency{0};  // instead of the listener's; 0: the listener's
};

struct SrtSettings {
  std::string address = "*";  // "*": every address, IPv6 and IPv4; else one numeric address
  std::uint16_t port = 6000;  // 0: any free one
  std::chrono::milliseconds latency{120};  // at least; the caller may ask for more
  // 10 to 79 characters; empty: encrypted callers are refused. Whoever publishes a key that has a
  // passphrase must encrypt with it; whether with AES-128, 192 or 256 the caller chooses.
  std::string passphrase{};
  // By stream key. libsrt negotiates the latency: the greater of ours and the caller's holds, so a
  // rule can raise it, or lower it no further than the caller asks.
  std::map<std::string, SrtRule, std::less<>> rules{};
  int publishers_max = 64;
  std::chrono::milliseconds peer_idle_timeout{5000};  // silence after which a peer is gone
  std::int64_t bitrate_bps_max = 50'000'000;          // of one feed; sizes the receive buffer
  int udp_receive_buffer_bytes = 32 << 20;            // of the port: 100 ms of 25 such feeds
};

class SrtListener final : public media::FeedReporter {
 public:
  // Binds and starts. `gate`, `log`, `metrics` and `clock` outlive the listener.
  static Result<std::unique_ptr<SrtListener>> create(SrtSettings settings,
                                                     media::PublisherGate& gate, const Log& log,
                                                     Metrics& metrics, const Clock& clock);
  ~SrtListener() override;
  SrtListener(const SrtListener&) = delete;
  SrtListener& operator=(const SrtListener&) = delete;

  // The port bound.
  std::uint16_t port() const;
  // Nothing: callers are not named by the configuration.
  std::vector<media::FeedState> feeds() const override { return {}; }
  // The last callers turned away, oldest first. Any thread.
  std::vector<media::TurnedAway> turned_away() const override;
  // Refuses new callers, hangs up on all others and ends their publications on "ingest-srt";
  // returns when that is done, within some 100 ms. Call from any thread but "ingest-srt".
  // Idempotent.
  void stop();

 private:
  struct Impl;
  explicit SrtListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::ingest
