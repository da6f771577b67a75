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
#include "media/publish.h"
#include "media/stream_key.h"

namespace mirror::ingest {

struct SrtSource {
  media::StreamKey stream;
  std::string url;                       // as parse_srt_url takes it
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

// How a source is. Its words are for operators, and say nothing secret.
struct SourceStatus {
  enum class State {
    kConnecting,    // has not been live yet
    kLive,          // connected, and its publication is open
    kReconnecting,  // was live, and is dialled again
    kRefused        // the far end, our gate or the settings say no; dialled again, rarely
  };
  std::string stream;
  std::string url;
  State state = State::kConnecting;
  std::string why;   // of the last failure; empty while live
  WallTime since{};  // when this state began
  std::uint64_t dials = 0;
};
std::string_view name_of(SourceStatus::State state);

class SrtCaller {
 public:
  static constexpr std::size_t kSourcesMax = 64;

  // Starts dialling. `gate`, `log`, `metrics` and `clock` outlive the caller. Fails on a URL or
  // passphrase that cannot be used, two sources of one stream, or too many.
  static Result<std::unique_ptr<SrtCaller>> create(SrtCallerSettings settings,
                                                   media::PublisherGate& gate, const Log& log,
                                                   Metrics& metrics, const Clock& clock,
                                                   Lookup::Resolve resolve = &Lookup::system);
  ~SrtCaller();
  SrtCaller(const SrtCaller&) = delete;
  SrtCaller& operator=(const SrtCaller&) = delete;

  // In the order of the settings. Any thread.
  std::shared_ptr<const std::vector<SourceStatus>> sources() const;

  // Hangs up and ends the publications on "ingest-call"; returns when that is done, within some
  // 50 ms. Call from any thread but that. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit SrtCaller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::ingest
