// Stream: one live stream from its first publisher until nobody has come back for it.
//
// It owns its line (transcoders, segmenters, windows) and the media thread that runs it, and
// outlives publishers: while one is away the windows stay, and the next one goes on behind a
// discontinuity.
//
//   ingest thread:  open_turn() → Turn (a media::Publication): access units into the bounded queue
//   media thread:   queue → Line → hls::Presentation
//   network loops:  presentation(), status(): immutable snapshots
//
// Limits: the queue (units, bytes and milliseconds; beyond them the feed is cut to its next random
// access unit and every loss is counted); everything below has limits of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/snapshot.h"
#include "base/wake.h"
#include "hls/presentation.h"
#include "media/publish.h"
#include "stream/audience.h"
#include "stream/status.h"
#include "transcode/transcoder.h"

namespace mirror::stream {

struct StreamSettings {
  transcode::VideoSettings video;
  transcode::AudioSettings audio;
  std::chrono::seconds window{30};          // what a playlist lists
  bool frame_chunks = true;                 // see hls::PresentationSettings
  std::chrono::seconds reconnect_hold{60};  // how long a stream waits for its publisher
  // A publisher that has sent nothing for this long may be replaced by a new one with its key, so
  // that an encoder that was killed can come back before its old connection has timed out.
  std::chrono::milliseconds takeover_after{1'000};
  std::size_t queue_units_max = 200;
  std::size_t queue_bytes_max = 64 * 1024 * 1024;
  std::chrono::milliseconds queue_age_max{1'000};
};

// What every stream is given; all of it outlives the streams.
struct StreamEnvironment {
  const WakeList& wake_list;
  const Clock& clock;
  Metrics& metrics;
  const Log& log;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(media::StreamKey key, std::string epoch, StreamSettings settings,
         const StreamEnvironment& environment);
  ~Stream();  // stops the media thread; the last segment is closed and ENDLIST published
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const media::StreamKey& key() const { return key_; }

  // Ingest thread (one at a time). Empty when another publisher holds the stream. What is returned
  // keeps the stream alive, since a turn that was taken over may outlast it.
  std::unique_ptr<media::Publication> open_turn(const media::PublishRequest& request);
  // Any thread: whether open_turn() would succeed now.
  bool is_free() const;

  // Any thread.
  std::shared_ptr<const hls::Presentation> presentation() const { return presentation_.read(); }
  // The one that is live or the one before it, whose last media viewers still fetch; else null.
  std::shared_ptr<const hls::Presentation> presentation_of(std::string_view epoch) const;
  Audience& audience() const { return audience_; }
  std::shared_ptr<const StreamStatus> status() const { return status_.read(); }
  // Nobody publishes and the hold is over: the playlists are closed and it can be removed.
  bool expired() const { return expired_.load(std::memory_order_acquire); }

  // Any thread; returns at once. The last segment is closed, ENDLIST is published and the media
  // thread ends; ended() tells when.
  void stop();
  bool ended() const { return ended_.load(std::memory_order_acquire); }

 private:
  class Turn;

  // One publisher's turn as the media thread sees it; a new value each time the tracks change.
  struct TurnInfo {
    std::uint64_t number = 0;
    std::uint64_t revision = 0;
    bool over = false;
    std::string protocol;
    std::string remote;
    std::vector<media::Track> tracks;
  };
  struct Queued {
    std::shared_ptr<const TurnInfo> turn;
    media::AccessUnit unit;
  };
  // What the ingest thread knows of the turn; read for the status.
  struct TurnReport {
    media::TransportStats transport;
    media::DemuxStats demux;
    double bitrate_bps = 0;
  };
  // The media thread's own state, alive while it runs.
  struct Running;

  void run();
  void take(Running& running, const Queued& queued);
  void begin(Running& running, std::shared_ptr<const TurnInfo> turn);
  void observe_part(Running& running);
  void idle(Running& running, Instant now);
  bool try_expire();
  void publish_status(Running& running, Instant now);
  void log_error(Running& running);

  const media::StreamKey key_;
  const std::string epoch_;
  const StreamSettings settings_;
  const StreamEnvironment environment_;

  // Written by the ingest thread, read by the media thread.
  BoundedQueue<Queued> queue_;
  std::atomic<std::uint64_t> queue_dropped_{0};
  Snapshot<TurnInfo> turn_;
  Snapshot<TurnReport> report_;
  // The turn that holds the stream: 0 when it is free, kClosed once nobody may open it again.
  std::atomic<std::uint64_t> holder_{0};
  std::uint64_t turns_opened_ = 0;  // ingest thread
  std::int64_t refilled_ns_ = 0;  // ingest thread: arrival of the last unit that found queue_ empty
  std::atomic<std::int64_t> last_received_ns_{0};  // when the turn last sent anything

  // Written by the media thread, read by anyone.
  Snapshot<hls::Presentation> presentation_;
  Snapshot<hls::Presentation> previous_presentation_;
  mutable Audience audience_;
  Snapshot<StreamStatus> status_;
  std::atomic<std::int64_t> taken_received_ns_{0};  // arrival of the unit that was taken last
  std::atomic<bool> expired_{false};
  std::atomic<bool> ended_{false};

  std::atomic<bool> stopping_{false};
  std::thread media_thread_;
};

}  // namespace mirror::stream
