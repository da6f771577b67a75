#include "crew.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "http1_transport.h"
#include "http2_transport.h"
#include "http3_transport.h"
#include "push_wall.h"

namespace mirror::load {

namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 20ms;
constexpr std::uint64_t kLeaving = 0x100;  // H3_NO_ERROR (RFC 9114, 8.1)

std::chrono::microseconds cpu_of_this_thread() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

Result<std::unique_ptr<Crew>> Crew::create(const Options& options, const Size& size,
                                           const Destination& destination,
                                           const Assignment& assignment, StatsQueue& reports) {
  auto loop = net::EventLoop::create("load");
  if (!loop) return std::unexpected(std::move(loop.error()));
  std::unique_ptr<Crew> crew(new Crew(std::move(*loop), options, size, destination, reports));
  if (auto status = crew->open_door(options); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (options.push) {
    crew->build_walls(options, assignment);
  } else {
    crew->build_viewers(options, assignment);
  }
  return crew;
}

Crew::Crew(std::unique_ptr<net::EventLoop> loop, const Options& options, const Size& size,
           const Destination& destination, StatsQueue& reports)
    : loop_(std::move(loop)),
      size_(size),
      reports_(reports),
      workplace_(*loop_, destination, {.loss = options.loss}),
      slow_place_(*loop_, destination,
                  {.loss = options.loss, .bytes_per_second = options.slow_bytes_per_second}),
      stats_(std::make_unique<Stats>()),
      slow_stats_(std::make_unique<Stats>()),
      timer_(*loop_, [this] { tick(); }) {
  workplace_.stats = stats_.get();
  slow_place_.stats = slow_stats_.get();
}

Crew::~Crew() {
  stop();
  if (thread_.joinable()) thread_.join();
}

Status Crew::open_door(const Options& options) {
  if (!options.speaks_quic()) return {};
  auto door = QuicDoor::create(*loop_, workplace_.destination,
                               size_.viewers * options.connections_per_viewer);
  if (!door) return std::unexpected(std::move(door.error()));
  door_ = std::move(*door);
  workplace_.door = door_.get();
  slow_place_.door = door_.get();
  return {};
}

std::unique_ptr<Transport> Crew::make_transport(HttpVersion http, Workplace& workplace) {
  if (http == HttpVersion::kHttp3) return std::make_unique<Http3Transport>(workplace);
  if (http == HttpVersion::kHttp2) return std::make_unique<Http2Transport>(workplace);
  return std::make_unique<Http1Transport>(workplace);
}

void Crew::build_walls(const Options& options, const Assignment& assignment) {
  for (std::size_t i = 0; i < size_.viewers; ++i) {
    Workplace& workplace = workplace_of(i);
    if (!options.webtransport && i % options.viewers_per_connection == 0) {
      transports_.push_back(make_transport(options.http, workplace));
    }
    const auto make_carrier = [&](PushSink& sink) -> std::unique_ptr<PushCarrier> {
      if (options.webtransport) return std::make_unique<WebTransportPush>(workplace, sink);
      return std::make_unique<StreamedPush>(*transports_.back(), sink);
    };
    viewers_.push_back(
        std::make_unique<PushWall>(assignment.ledger,
                                   target_of_wall(assignment.url.target, options.subscriptions,
                                                  options.tiles, i, options.chunks),
                                   options.leave_after, make_carrier));
  }
}

void Crew::build_viewers(const Options& options, const Assignment& assignment) {
  for (std::size_t i = 0; i < size_.viewers; ++i) {
    if (i % options.viewers_per_connection == 0) {
      for (std::size_t n = 0; n < options.connections_per_viewer; ++n) {
        transports_.push_back(make_transport(options.http, workplace_of(i)));
      }
    }
    const std::size_t last = transports_.size() - 1;
    viewers_.push_back(std::make_unique<Viewer>(
        assignment, *transports_[last + 1 - options.connections_per_viewer], *transports_[last]));
  }
}

void Crew::start_thread() {
  interval_from_ = std::chrono::steady_clock::now();
  thread_ = std::thread([this] {
    timer_.arm_in(kTick);
    loop_->run();
  });
}

void Crew::begin_first() {
  loop_->post([this] {
    if (begun_ < viewers_.size()) begin_next();
  });
}

void Crew::begin_all(std::chrono::nanoseconds ramp) {
  loop_->post([this, ramp] {
    ramp_from_ = loop_->now();
    ramp_ = ramp;
  });
}

void Crew::collect(Collect which) {
  loop_->post([this, which] { report(which); });
}

void Crew::stop() {
  // The server is told, or it would send to nobody until its idle time-out. The endpoint writes in
  // a deferred task; the loop ends behind it.
  const bool posted = thread_.joinable() && door_ != nullptr && loop_->post([this] {
    door_->endpoint().close_all(kLeaving, "the viewers leave");
    loop_->defer([this] { loop_->defer([this] { loop_->stop(); }); });
  });
  if (!posted) loop_->stop();
}

void Crew::tick() {
  timer_.arm_in(kTick);
  start_due();
  for (std::size_t i = 0; i < begun_; ++i) viewers_[i]->tick(loop_->now(), stats_of(i));
}

void Crew::begin_next() {
  const std::size_t next = begun_++;
  viewers_[next]->start(stats_of(next));
}

void Crew::start_due() {
  if (ramp_ < 0ns) return;
  const double share = ramp_ == 0ns ? 1.0
                                    : std::chrono::duration<double>(loop_->now() - ramp_from_) /
                                          std::chrono::duration<double>(ramp_);
  const auto due =
      static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(viewers_.size()));
  while (begun_ < due) begin_next();
}

void Crew::report(Collect which) {
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < begun_; ++i) {
    if (which == Collect::kLast) viewers_[i]->finish(now);
    stats_->playing += viewers_[i]->state() == Participant::State::kFollowing ? 1 : 0;
    stats_->ended += viewers_[i]->state() == Participant::State::kEnded ? 1 : 0;
  }
  const auto cpu = cpu_of_this_thread();
  stats_->cpu = cpu - std::exchange(cpu_from_, cpu);
  stats_->wall = std::chrono::duration_cast<std::chrono::microseconds>(
      now - std::exchange(interval_from_, now));
  stats_->busiest = stats_->wall > 0us ? std::chrono::duration<double>(stats_->cpu) /
                                             std::chrono::duration<double>(stats_->wall)
                                       : 0;
  stats_->add_slow(*slow_stats_);
  auto told = std::exchange(stats_, std::make_unique<Stats>());
  const auto kept = std::exchange(slow_stats_, std::make_unique<Stats>());  // until nobody uses it
  workplace_.stats = stats_.get();
  slow_place_.stats = slow_stats_.get();
  for (std::size_t i = 0; i < begun_; ++i) viewers_[i]->use_stats(stats_of(i));
  // Refused only once nobody reads any more.
  reports_.try_push(std::move(told));
}

}  // namespace mirror::load
