// Stream: one live stream from its first publisher until nobody has come back for it.
//
// It owns its line (transcoders, segmenters, windows) and the media thread that runs it, and
// outlives publishers: while one is away the windows stay, and the next one goes on behind a
// discontinuity.
//
//   ingest threads: open_turn() → Turn (a media::Publication): access units into the bounded queue
//   media thread:   queue → Line → hls::Presentation
//   network loops:  presentation(), status(): immutable snapshots
//
// Limits: the queue (units, bytes and milliseconds; beyond them the feed is cut to its next random
// access unit and every loss is counted); everything below has limits of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
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
#include "media/still.h"
#include "stream/audience.h"
#include "stream/status.h"
#include "transcode/transcoder.h"

namespace mirror::stream {

struct StreamSettings {
  transcode::VideoSettings video;
  transcode::AudioSettings audio;
  std::chrono::seconds window{30};          // what a playlist lists
  bool frame_chunks = true;                 // see hls::PresentationSettings
  std::chrono::seconds reconnect_hold{10};  // how long a stream waits for its publisher
  // What becomes of a publisher when another one comes with its key. An encoder that was killed may
  // always come back before its old connection has timed out.
  enum class Takeover {
    kAlways,      // the newcomer takes its place; see takeover_every
    kWhenSilent,  // the newcomer is refused, unless it has sent nothing for takeover_after
  };
  Takeover takeover = Takeover::kAlways;
  std::chrono::milliseconds takeover_after{1'000};
  // Two encoders with one key would displace each other for ever: one that has just taken the place
  // of another keeps it for this long, unless it falls silent.
  std::chrono::milliseconds takeover_every{2'000};
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

  // Any thread. The error is why not, in words. What is returned is used on the thread that asked
  // for it, and keeps the stream alive, since a turn that was taken over may outlast it.
  std::expected<std::unique_ptr<media::Publication>, std::string> open_turn(
      const media::PublishRequest& request);
  // Any thread: why open_turn() would fail now; nothing when it would not.
  std::optional<std::string> why_not(const media::PublishRequest& request) const;

  // Any thread.
  std::shared_ptr<const hls::Presentation> presentation() const { return presentation_.read(); }
  // The one that is live or the one before it, whose last media viewers still fetch; else null.
  std::shared_ptr<const hls::Presentation> presentation_of(std::string_view epoch) const;
  // The newest still picture: nothing before the first, and none once the stream has ended.
  std::shared_ptr<const media::Still> still() const { return still_.read(); }
  // What no other stream is called, of this or another run of the server, whatever its key.
  const std::string& epoch() const { return epoch_; }
  Audience& audience() const { return audience_; }
  std::shared_ptr<const StreamStatus> status() const { return status_.read(); }
  // Access units that wait for the media thread.
  std::size_t queued() const { return queue_.size(); }
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
    bool after_cut = false;  // video before it was dropped here
  };
  // What the turn's thread knows of it; read for the status.
  struct TurnReport {
    media::TransportStats transport;
    media::DemuxStats demux;
    double bitrate_bps = 0;
  };
  // The media thread's own state, alive while it runs.
  struct Running;

  void run();
  void take(Running& running, const Queued& queued);
  void push(Running& running, const Queued& queued);
  void note_level(Running& running);
  void begin(Running& running, std::shared_ptr<const TurnInfo> turn);
  void observe_part(Running& running);
  void idle(Running& running, Instant now);
  void wait_for_return(Running& running, Instant now);
  void judge(const Running& running, Instant now, StreamStatus& status) const;
  bool try_expire();
  void publish_status(Running& running, Instant now);
  void note_pairing(Running& running, Instant now);
  void log_error(Running& running);

  const media::StreamKey key_;
  const std::string epoch_;
  const StreamSettings settings_;
  const StreamEnvironment environment_;

  // Written by turns, read by the media thread. Two turns may be alive at once, each on a thread of
  // its own, of which the older one is not heard any more: what could arrive late from it
  // (snapshots) is written under turns_mutex_ while it holds the stream, or (units) known by its
  // number.
  BoundedQueue<Queued> queue_;
  std::atomic<std::uint64_t> queue_dropped_{0};
  Snapshot<TurnInfo> turn_;      // written with turns_mutex_ locked
  Snapshot<TurnReport> report_;  // written with turns_mutex_ locked
  // The turn that holds the stream: 0 when it is free, kClosed once nobody may open it again. A
  // turn's number is put in and taken out with turns_mutex_ locked.
  std::atomic<std::uint64_t> holder_{0};
  std::mutex turns_mutex_;
  std::uint64_t turns_opened_ = 0;            // guarded by turns_mutex_
  std::atomic<std::int64_t> refilled_ns_{0};  // arrival of the last unit that found queue_ empty
  std::atomic<std::int64_t> last_received_ns_{0};  // when the turn last sent anything
  std::atomic<std::int64_t> taken_over_ns_;        // when a turn last ended another

  // Written by the media thread, read by anyone.
  Snapshot<hls::Presentation> presentation_;
  Snapshot<hls::Presentation> previous_presentation_;
  Snapshot<media::Still> still_;
  mutable Audience audience_;
  Snapshot<StreamStatus> status_;
  std::atomic<std::int64_t> taken_received_ns_{0};  // arrival of the unit that was taken last
  std::atomic<bool> expired_{false};
  std::atomic<bool> ended_{false};

  std::atomic<bool> stopping_{false};
  std::thread media_thread_;
};

}  // namespace mirror::stream
