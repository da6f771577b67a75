// RtpListener: feeds that come over RTP, or as MPEG-TS over plain UDP, each to ports of its own.
//
// Owns the UDP ports of all inputs and one thread ("ingest-rtp"), on which everything happens; the
// gate's `open` and all publications see that thread alone. Takes what has arrived every 2 ms
// rather than packet by packet: with 25 feeds of 50 Mbps the wake-ups cost more than the work.
//
// Ports of an input of MPEG-TS: media on P, RTCP on P + 1, parity on P + 2 (columns) and P + 4
// (rows) where FEC is on. Of one with a session description: as that says.
//
// Limits: kInputsMax inputs of what RtpInput holds each; a share of the turn for each port.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "media/feed_state.h"
#include "media/publish.h"
#include "media/stream_key.h"
#include "rtp/sdp.h"

namespace mirror::ingest {

struct RtpSettings {
  static constexpr std::size_t kInputsMax = 256;

  struct Input {
    media::StreamKey stream;
    std::uint16_t port = 0;              // of no meaning where there is a description
    std::string multicast{};             // a group to join; empty: unicast
    std::string interface{};             // by which to join; empty: the system chooses
    std::vector<std::string> senders{};  // addresses or prefixes; empty: anybody's
    std::uint8_t payload_type = 33;      // of MPEG-TS; 33 is always taken too
    std::optional<rtp::SessionDescription> description{};  // none: MPEG-TS
    bool fec = true;                                       // SMPTE ST 2022-1; MPEG-TS only
  };

  std::string address = "*";  // "*": every address, IPv6 and IPv4; else one numeric address
  std::chrono::milliseconds reorder{50};
  std::chrono::milliseconds silence{5000};  // that ends a feed
  // Of each media port: 700 ms of 50 Mbps, as the kernel counts them.
  int receive_buffer_bytes = 4 << 20;
  std::vector<Input> inputs{};
};

class RtpListener final : public media::FeedReporter {
 public:
  // Binds and starts. `gate`, `log`, `metrics` and `clock` outlive the listener. The error names
  // the stream.
  static Result<std::unique_ptr<RtpListener>> create(RtpSettings settings,
                                                     media::PublisherGate& gate, const Log& log,
                                                     Metrics& metrics, const Clock& clock);
  ~RtpListener() override;
  RtpListener(const RtpListener&) = delete;
  RtpListener& operator=(const RtpListener&) = delete;

  std::vector<media::FeedState> feeds() const override;
  // Ends all feeds on "ingest-rtp"; returns when that is done, within some 10 ms. Call from any
  // thread but "ingest-rtp". Idempotent.
  void stop();

 private:
  struct Impl;
  explicit RtpListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::ingest
