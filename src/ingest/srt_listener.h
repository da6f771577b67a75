// SrtListener: publishers call in over SRT; each becomes a Publication of the gate.
//
// Owns one UDP port, one thread ("ingest-srt") and every connection on it. libsrt asks for
// admission on a thread of its own, inside the handshake; everything else happens on "ingest-srt",
// so that the gate's `open` and all publications see one thread. Takes what has arrived every 2 ms
// rather than packet by packet: with 25 feeds of 50 Mbps the wake-ups cost more than the work.
//
// Limits: publishers_max connections, kBacklog handshakes not yet accepted, a share of the turn for
// each connection, libsrt's receive buffer as computed from bitrate_max and latency.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "media/publish.h"

namespace mirror::ingest {

struct SrtSettings {
  std::string address = "*";  // "*": every address, IPv6 and IPv4; else one numeric address
  std::uint16_t port = 6000;  // 0: any free one
  std::chrono::milliseconds latency{120};  // at least; the caller may ask for more
  std::string passphrase;  // 10 to 79 characters; empty: encrypted callers are refused
  int publishers_max = 64;
  std::chrono::milliseconds peer_idle_timeout{5000};  // silence after which a peer is gone
  std::int64_t bitrate_bps_max = 50'000'000;          // of one feed; sizes the receive buffer
  int udp_receive_buffer_bytes = 32 << 20;            // of the port: 100 ms of 25 such feeds
};

class SrtListener {
 public:
  // Binds and starts. `gate`, `log`, `metrics` and `clock` outlive the listener.
  static Result<std::unique_ptr<SrtListener>> create(SrtSettings settings,
                                                     media::PublisherGate& gate, const Log& log,
                                                     Metrics& metrics, const Clock& clock);
  ~SrtListener();
  SrtListener(const SrtListener&) = delete;
  SrtListener& operator=(const SrtListener&) = delete;

  // The port bound.
  std::uint16_t port() const;
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
