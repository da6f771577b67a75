#include "stream/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/thread_name.h"
#include "base/thread_priority.h"
#include "stream/line.h"
#include "stream/overload.h"
#include "stream/stream_metrics.h"

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kClosed = std::numeric_limits<std::uint64_t>::max();

// How long the media thread waits for an access unit before it looks at everything else.
constexpr auto kIdle = 20ms;
constexpr auto kStatusEvery = 500ms;
// No part for this long and the stream is not called live any more.
constexpr auto kSilent = 3s;
// A publisher that never showed a picture leaves its error to be read for this long.
constexpr auto kHoldWithoutPicture = 10s;

std::int64_t to_ns(SteadyTime time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

double to_ms(auto duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

}  // namespace

// One publisher's hold on the stream, on the thread that opened it. A turn that was taken over goes
// on unheard until its transport asks displaced().
class Stream::Turn final : public media::Publication {
 public:
  // With turns_mutex_ locked.
  Turn(std::shared_ptr<Stream> stream, std::uint64_t number, const media::PublishRequest& request)
      : owner_(std::move(stream)),
        stream_(*owner_),
        number_(number),
        counted_at_(stream_.environment_.clock.now().steady) {
    TurnInfo info;
    info.number = number;
    info.protocol = request.protocol;
    info.remote = request.remote;
    info_ = std::make_shared<const TurnInfo>(std::move(info));
    stream_.turn_.publish(info_);
  }

  ~Turn() override {
    TurnInfo info = *info_;
    info.over = true;
    const std::lock_guard lock(stream_.turns_mutex_);
    if (!holds()) return;
    stream_.turn_.publish(std::make_shared<const TurnInfo>(std::move(info)));
    std::uint64_t expected = number_;
    stream_.holder_.compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
  }

  void on_tracks(const std::vector<media::Track>& tracks) override {
    TurnInfo info = *info_;
    ++info.revision;
    info.tracks = tracks;
    auto next = std::make_shared<const TurnInfo>(std::move(info));
    const std::lock_guard lock(stream_.turns_mutex_);
    if (!holds()) return;
    info_ = std::move(next);
    stream_.turn_.publish(info_);
    cut_ = true;
  }

  void on_access_unit(media::AccessUnit unit) override {
    if (!holds()) return;
    stream_.last_received_ns_.store(to_ns(unit.received.steady), std::memory_order_release);
    const bool video = kind_of(unit.codec) == media::TrackKind::kVideo;
    // Once video was cut, it goes on at a picture that needs none of the lost ones.
    if (video && cut_ && !unit.random_access) return drop();
    if (behind(unit)) {
      cut_ = cut_ || video;
      return drop();
    }
    const std::size_t weight = unit.data.size();
    if (stream_.queue_.size() == 0) {
      stream_.refilled_ns_.store(to_ns(unit.received.steady), std::memory_order_relaxed);
    }
    if (!stream_.queue_.try_push({info_, std::move(unit), video && cut_}, weight)) {
      cut_ = cut_ || video;
      return drop();
    }
    if (video) cut_ = false;
  }

  void on_stats(const media::TransportStats& transport, const media::DemuxStats& demux) override {
    auto report = std::make_shared<TurnReport>();
    report->transport = transport;
    report->demux = demux;
    const SteadyTime now = stream_.environment_.clock.now().steady;
    const double seconds = std::chrono::duration<double>(now - counted_at_).count();
    if (seconds > 0 && transport.bytes >= counted_bytes_) {
      report->bitrate_bps = 8.0 * static_cast<double>(transport.bytes - counted_bytes_) / seconds;
    }
    counted_at_ = now;
    counted_bytes_ = transport.bytes;
    const std::lock_guard lock(stream_.turns_mutex_);
    if (holds()) stream_.report_.publish(std::move(report));
  }

  bool displaced() const override { return !holds(); }

  std::string_view displaced_by() const override {
    const bool closed = stream_.holder_.load(std::memory_order_acquire) == kClosed;
    return closed ? "the stream closed" : "another publisher took its place";
  }

 private:
  bool holds() const { return stream_.holder_.load(std::memory_order_acquire) == number_; }

  // Whether the oldest queued unit is older than the queue may hold. It came after the one that was
  // taken last, and not before the one that found the queue empty: a feed that returns after a
  // pause is not behind.
  bool behind(const media::AccessUnit& unit) const {
    if (stream_.queue_.size() == 0) return false;
    const std::int64_t taken = stream_.taken_received_ns_.load(std::memory_order_acquire);
    const std::int64_t refilled = stream_.refilled_ns_.load(std::memory_order_relaxed);
    return to_ns(unit.received.steady) - std::max(taken, refilled) >
           std::chrono::nanoseconds(stream_.settings_.queue_age_max).count();
  }

  void drop() { stream_.queue_dropped_.fetch_add(1, std::memory_order_relaxed); }

  const std::shared_ptr<Stream> owner_;
  Stream& stream_;
  const std::uint64_t number_;
  std::shared_ptr<const TurnInfo> info_;
  bool cut_ = false;
  SteadyTime counted_at_;  // from the turn's begin, so that the first report has a rate
  std::uint64_t counted_bytes_ = 0;
};

struct Stream::Running {
  explicit Running(Stream& stream)
      : metrics(stream.environment_.metrics, stream.key_.text()),
        line(
            {.video = stream.settings_.video,
             .audio = stream.settings_.audio,
             .window = stream.settings_.window,
             .frame_chunks = stream.settings_.frame_chunks,
             .epoch = stream.epoch_,
             .clock = &stream.environment_.clock,
             .on_still =
                 [&stream](media::Still still) {
                   stream.still_.publish(std::make_shared<const media::Still>(std::move(still)));
                 },
             .transcode_seconds = &metrics.transcode_seconds()},
            [&stream](auto presentation) {
              stream.previous_presentation_.publish(stream.presentation_.read());
              stream.presentation_.publish(std::move(presentation));
            },
            stream.environment_.wake_list),
        overload(stream.settings_.queue_age_max) {}

  StreamMetrics metrics;
  Line line;
  Overload overload;
  std::shared_ptr<const TurnInfo> turn;  // the one whose units are being taken
  bool turn_ended = true;                // the line was told that it is over
  std::optional<SteadyTime> free_since;  // nobody publishes since then

  State state = State::kConnecting;
  WallTime state_since{};
  std::string end = "the server stopped it";  // why, once it is over
  std::string error_logged;
  transcode::PairingState pairing;
  WallTime pairing_since{};
  SteadyTime status_at{};
  std::uint64_t parts_seen = 0;
  SteadyTime part_seen_at{};
  std::optional<double> publish_delay_ms;
  std::optional<double> capture_delay_ms;
};

Stream::Stream(media::StreamKey key, std::string epoch, StreamSettings settings,
               const StreamEnvironment& environment)
    : key_(std::move(key)),
      epoch_(std::move(epoch)),
      settings_(std::move(settings)),
      environment_(environment),
      queue_({.items = settings_.queue_units_max, .weight = settings_.queue_bytes_max}),
      taken_over_ns_(to_ns(environment_.clock.now().steady - settings_.takeover_every) - 1) {
  auto status = std::make_shared<StreamStatus>();
  status->since = environment_.clock.now().wall;
  status_.publish(std::move(status));
  media_thread_ = std::thread([this] { run(); });
}

Stream::~Stream() {
  stop();
  media_thread_.join();
}

void Stream::stop() {
  stopping_.store(true, std::memory_order_release);
  queue_.close();
}

std::optional<std::string> Stream::why_not(const media::PublishRequest& request) const {
  const std::uint64_t holder = holder_.load(std::memory_order_acquire);
  if (holder == 0) return std::nullopt;
  if (holder == kClosed) return fmt::format("stream '{}' is closing", key_.text());
  const std::int64_t now = to_ns(environment_.clock.now().steady);
  const auto longer_ago = [now](const std::atomic<std::int64_t>& since, auto period) {
    return now - since.load(std::memory_order_acquire) > std::chrono::nanoseconds(period).count();
  };
  if (longer_ago(last_received_ns_, settings_.takeover_after)) return std::nullopt;
  if (settings_.takeover == StreamSettings::Takeover::kWhenSilent || !request.may_displace) {
    return fmt::format("stream '{}' is already live", key_.text());
  }
  if (longer_ago(taken_over_ns_, settings_.takeover_every)) return std::nullopt;
  return fmt::format("stream '{}' was taken over a moment ago: two publishers have its key",
                     key_.text());
}

std::expected<std::unique_ptr<media::Publication>, std::string> Stream::open_turn(
    const media::PublishRequest& request) {
  const std::lock_guard lock(turns_mutex_);
  std::uint64_t holder = holder_.load(std::memory_order_acquire);
  if (auto why = why_not(request)) return std::unexpected(*std::move(why));
  const std::uint64_t number = turns_opened_ + 1;
  // Fails only when the media thread has closed the stream at this very moment.
  if (!holder_.compare_exchange_strong(holder, number, std::memory_order_acq_rel)) {
    return std::unexpected(fmt::format("stream '{}' is closing", key_.text()));
  }
  turns_opened_ = number;
  const std::int64_t now = to_ns(environment_.clock.now().steady);
  if (holder != 0) taken_over_ns_.store(now, std::memory_order_release);
  last_received_ns_.store(now, std::memory_order_release);
  report_.publish(nullptr);
  return std::make_unique<Turn>(shared_from_this(), number, request);
}

std::shared_ptr<const hls::Presentation> Stream::presentation_of(std::string_view epoch) const {
  for (const auto* snapshot : {&presentation_, &previous_presentation_}) {
    auto presentation = snapshot->read();
    if (presentation && presentation->epoch() == epoch) return presentation;
  }
  return nullptr;
}

void Stream::run() {
  name_this_thread("m-" + key_.text());
  lower_this_thread();  // ingest and network loops go first; if it cannot be, all are equal
  {
    Running running(*this);
    while (!stopping_.load(std::memory_order_acquire)) {
      const auto queued = queue_.take_until(std::chrono::steady_clock::now() + kIdle);
      if (queued) take(running, *queued);
      const Instant now = environment_.clock.now();
      if (!queued) idle(running, now);
      if (now.steady - running.status_at >= kStatusEvery) publish_status(running, now);
    }
    holder_.store(kClosed, std::memory_order_release);
    running.line.finish();
    still_.publish(nullptr);
    running.state = State::kEnded;
    publish_status(running, environment_.clock.now());
  }  // the metrics' series are gone before another stream of this name can be made
  ended_.store(true, std::memory_order_release);
  expired_.store(true, std::memory_order_release);
}

void Stream::take(Running& running, const Queued& queued) {
  taken_received_ns_.store(to_ns(queued.unit.received.steady), std::memory_order_release);
  // A turn that was taken over while it queued this.
  if (running.turn && queued.turn->number < running.turn->number) {
    queue_dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (queued.turn != running.turn) begin(running, queued.turn);
  push(running, queued);
  if (running.line.parts() != running.parts_seen) observe_part(running);
}

// What waited too long is not decoded: latency stays bounded, and pictures are given up instead.
void Stream::push(Running& running, const Queued& queued) {
  Line& line = running.line;
  if (!line.is_video(queued.unit)) return line.push(queued.unit);
  if (queued.after_cut) line.note_lost();
  const Instant now = environment_.clock.now();
  const auto level = running.overload.level();
  const auto action = running.overload.take(now, now.steady - queued.unit.received.steady,
                                            queued.unit.random_access);
  if (running.overload.level() != level) note_level(running);
  switch (action) {
    case Overload::Action::kDecode:
      return line.push(queued.unit);
    case Overload::Action::kSkip:
      return line.skip(queued.unit);
    case Overload::Action::kDrop:
      return line.note_lost();
  }
}

void Stream::note_level(Running& running) {
  const OverloadStatus& overload = running.overload.status();
  running.line.set_effort(overload.level);
  running.status_at = {};  // is told at once
  environment_.log.warning("stream",
                           overload.level == transcode::Effort::kAll
                               ? "all pictures are decoded again"
                               : "overload: pictures are left out",
                           {{"stream", key_.text()},
                            {"level", std::string(name_of(overload.level))},
                            {"reason", overload.why}});
}

void Stream::begin(Running& running, std::shared_ptr<const TurnInfo> turn) {
  const bool another = !running.turn || running.turn->number != turn->number;
  if (another && !running.turn_ended) running.line.end_turn();
  running.turn = std::move(turn);
  running.turn_ended = false;
  running.free_since.reset();
  // A feed is known by its tracks; a new connection has none until its first table came.
  if (!running.turn->tracks.empty()) running.line.begin_turn(running.turn->tracks);
}

void Stream::observe_part(Running& running) {
  const Instant now = environment_.clock.now();
  running.parts_seen = running.line.parts();
  running.part_seen_at = now.steady;
  const auto publish_delay = now.steady - *running.line.newest_received();
  running.publish_delay_ms = to_ms(publish_delay);
  running.capture_delay_ms = to_ms(now.wall - *running.line.newest_captured());
  running.metrics.observe_publish_delay(std::chrono::duration<double>(publish_delay).count());
}

// The queue is empty: ends what is over, and the stream itself when nobody comes back.
void Stream::idle(Running& running, Instant now) {
  const auto turn = turn_.read();
  if (queue_.size() > 0) return;  // sent since, before this turn was published: it comes first
  if (turn && !turn->over) {
    running.free_since.reset();
    if (turn != running.turn) begin(running, turn);
    return;
  }
  wait_for_return(running, now);
}

void Stream::wait_for_return(Running& running, Instant now) {
  if (!running.turn_ended) {
    running.line.end_turn();
    running.turn_ended = true;
    publish_status(running, now);
  }
  if (!running.free_since) running.free_since = now.steady;
  const auto hold = presentation_.read() ? std::chrono::milliseconds(settings_.reconnect_hold)
                                         : std::chrono::milliseconds(kHoldWithoutPicture);
  if (now.steady - *running.free_since < hold || !try_expire()) return;
  running.end = fmt::format("nobody came back within {:g} s", to_ms(hold) / 1'000);
  stop();
}

// Closes the stream unless a publisher has just opened it.
bool Stream::try_expire() {
  std::uint64_t free = 0;
  return holder_.compare_exchange_strong(free, kClosed, std::memory_order_acq_rel);
}

void Stream::publish_status(Running& running, Instant now) {
  running.status_at = now.steady;
  auto status = std::make_shared<StreamStatus>();
  const auto turn = turn_.read();
  if (turn) {
    status->protocol = turn->protocol;
    status->remote = turn->remote;
    status->tracks = turn->tracks;
  }
  if (const auto report = report_.read()) {
    status->transport = report->transport;
    status->demux = report->demux;
    status->source_bitrate_bps = report->bitrate_bps;
  }

  judge(running, now, *status);
  if (status->state != running.state || running.state_since == WallTime{}) {
    running.state_since = now.wall;
  }
  running.state = status->state;
  status->since = running.state_since;
  if (status->state == State::kLive) {
    status->publish_delay_ms = running.publish_delay_ms;
    status->capture_delay_ms = running.capture_delay_ms;
  }
  note_pairing(running, now);
  status->pairing = running.pairing;
  status->pairing_since = running.pairing_since;
  status->video = running.line.video_stats();
  status->audio = running.line.audio_stats();
  status->queue_dropped_units = queue_dropped_.load(std::memory_order_relaxed);
  status->overload = running.overload.status();
  status->viewers = audience_.estimate(now.steady, running.line.parts());
  status->client_reports = audience_.reports();
  status->glass_to_glass = audience_.glass_to_glass();
  running.metrics.update(*status);
  status_.publish(std::move(status));
  log_error(running);
}

// The state, and why it is this one.
void Stream::judge(const Running& running, Instant now, StreamStatus& status) const {
  const auto turn = turn_.read();
  // Not before all of it is shown: what it sent last may still be queued.
  const bool over = turn && turn->over && running.turn_ended;
  const bool watchable = presentation_.read() != nullptr;
  const std::string& error = running.line.error();
  const auto is = [&status](State state, std::string why) {
    status.state = state;
    status.why = std::move(why);
  };
  if (running.state == State::kEnded) return is(State::kEnded, running.end);
  if (!error.empty() && !(over && watchable)) return is(State::kFailed, error);
  if (over) return is(State::kReconnecting, "the publisher left");
  if (running.parts_seen > 0 && watchable) {
    if (now.steady - running.part_seen_at < kSilent) return is(State::kLive, {});
    return is(State::kReconnecting, to_ns(now.steady) - last_received_ns_.load() >=
                                            std::chrono::nanoseconds(kSilent).count()
                                        ? "the publisher is connected and sends nothing"
                                        : "what the publisher sends makes no picture");
  }
  is(State::kConnecting,
     !turn || turn->tracks.empty() ? "no tracks are known yet" : "there is no picture yet");
}

void Stream::note_pairing(Running& running, Instant now) {
  const transcode::PairingState& seen = running.line.pairing();
  transcode::PairingState& known = running.pairing;
  if (seen.name == known.name && seen.device == known.device && seen.moves == known.moves) return;
  const bool moved = seen.moves > known.moves;
  known = seen;
  running.pairing_since = now.wall;
  if (!moved) return;
  environment_.log.warning("stream", "transcoding moved to another pairing",
                           {{"stream", key_.text()},
                            {"pairing", known.name},
                            {"device", known.device},
                            {"reason", known.why}});
}

// Once per error, and no more often than a status: a feed may change its tracks many times a
// second.
void Stream::log_error(Running& running) {
  if (running.line.error() == running.error_logged) return;
  running.error_logged = running.line.error();
  if (running.error_logged.empty()) return;
  environment_.log.warning("stream", "the feed cannot be shown",
                           {{"stream", key_.text()}, {"reason", running.error_logged}});
}

}  // namespace mirror::stream
