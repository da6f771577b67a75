// SrtCaller: feeds that we fetch. Each source is dialled over SRT, for ever, and becomes a
// Publication of the gate like those who call in.
//
// One thread ("ingest-call") dials and takes what all sources send. It is apart from the listener's
// because that one sleeps on its port while nobody publishes and must answer callers at once, while
// this one sleeps until the next dial is due; what both do with a connection is SrtPublishers'.
// Names are looked up on threads of their own (Lookup): a resolver that hangs stops no feed.
//
// Limits: kSourcesMax sources; one dial at a time for each, kDialWithin long; look-ups as Lookup
// has; waits between dials as Redial has.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "ingest/srt_address.h"
#include "media/feed_state.h"
#include "media/publish.h"
#include "media/stream_key.h"

namespace mirror::ingest {

struct SrtSource {
  media::StreamKey stream;
  std::string url;                       // as parse_srt_url takes it
  std::string stream_id{};               // instead of the URL's; at most 512 bytes
  std::string passphrase{};              // 10 to 79 characters; empty: in the clear
  std::chrono::milliseconds latency{0};  // 0: the caller's
};

struct SrtCallerSettings {
  std::vector<SrtSource> sources{};
  std::chrono::milliseconds latency{120};  // at least; the far end may ask for more
  std::chrono::milliseconds peer_idle_timeout{5000};
  std::int64_t bitrate_bps_max = 50'000'000;
  int udp_receive_buffer_bytes = 8 << 20;  // of each source, which has a port of its own
  bool private_addresses = false;          // whether this machine, link and site may be dialled
};

class SrtCaller final : public media::FeedReporter {
 public:
  static constexpr std::size_t kSourcesMax = 64;

  // Starts dialling. `gate`, `log`, `metrics` and `clock` outlive the caller. Fails on a URL or
  // passphrase that cannot be used, two sources of one stream, or too many.
  static Result<std::unique_ptr<SrtCaller>> create(SrtCallerSettings settings,
                                                   media::PublisherGate& gate, const Log& log,
                                                   Metrics& metrics, const Clock& clock,
                                                   Lookup::Resolve resolve = &Lookup::system);
  ~SrtCaller() override;
  SrtCaller(const SrtCaller&) = delete;
  SrtCaller& operator=(const SrtCaller&) = delete;

  // In the order of the settings. Any thread.
  std::vector<media::FeedState> feeds() const override;

  // Hangs up and ends the publications on "ingest-call"; returns when that is done, within some
  // 50 ms. Call from any thread but that. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit SrtCaller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::ingest
