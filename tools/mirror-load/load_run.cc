#include "load_run.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "crew.h"
#include "report.h"

namespace mirror::load {

namespace {

using namespace std::chrono_literals;

// A viewer who joins waits for the first segment for as long as the server lets it.
constexpr auto kScoutTime = 20s;
constexpr auto kScoutStep = 50ms;
// What the last viewers' joining stirs up settles.
constexpr auto kSettle = 1s;
// A crew that is busier than its processor answers late.
constexpr auto kReportTime = 10s;
constexpr double kViewersASecond = 250;
constexpr std::string_view kPushTarget = "/push";
constexpr std::size_t kOtherDescriptors = 64;

Status raise_descriptor_limit(const Options& options) {
  const std::size_t needed =
      options.viewers * options.connections_per_viewer + 4 * options.threads + kOtherDescriptors;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return fail("cannot raise the limit of open files: {}", std::strerror(errno));
  }
  if (limit.rlim_max >= needed) return {};
  return fail(
      "{} viewers need {} open files, and the hard limit is {}: raise it (ulimit -Hn as root, or "
      "LimitNOFILE), or let viewers share connections (--http 2 --viewers-per-connection)",
      options.viewers, needed, limit.rlim_max);
}

Result<Destination> find_destination(const Options& options) {
  Destination destination;
  auto url = parse_url(options.url);
  if (!url) return std::unexpected(std::move(url.error()));
  destination.url = std::move(*url);
  destination.authority = destination.url.authority();
  auto endpoints = resolve(destination.url.host, destination.url.port);
  if (!endpoints) return std::unexpected(std::move(endpoints.error()));
  destination.endpoints = std::move(*endpoints);
  if (!options.owns_host) {
    if (auto status = check_loopback(destination.url.host, destination.endpoints); !status) {
      return std::unexpected(std::move(status.error()));
    }
  }
  if (options.push && destination.url.target == "/") destination.url.target = kPushTarget;
  if (!destination.url.secure && options.speaks_quic()) {
    return fail("QUIC is spoken with TLS only: give an https URL");
  }
  if (!destination.url.secure) return destination;
  auto trust = TlsTrust::create(options.any_certificate ? TlsTrust::Check::kNothing
                                                        : TlsTrust::Check::kSystemAuthorities);
  if (!trust) return std::unexpected(std::move(trust.error()));
  destination.trust = std::move(*trust);
  if (options.speaks_quic()) {
    using quic::ClientTls;
    auto quic_trust = ClientTls::create(
        {"h3"}, options.any_certificate ? ClientTls::Verify::kOff : ClientTls::Verify::kServer, "");
    if (!quic_trust) return std::unexpected(std::move(quic_trust.error()));
    destination.quic_trust = std::move(*quic_trust);
  }
  return destination;
}

class Run {
 public:
  Run(const Options& options, const std::atomic<bool>& stop, Destination destination, Ndjson ndjson)
      : options_(options),
        stop_(stop),
        destination_(std::move(destination)),
        ndjson_(std::move(ndjson)),
        out_(options.ndjson == "-" ? stderr : stdout),
        assignment_{destination_.url,
                    options.rendition,
                    options.delta_updates,
                    options.leave_after,
                    options.viewers_per_connection > 1,
                    ledger_},
        reports_({2 * options.threads, 2 * options.threads}) {}

  Result<Outcome> run() {
    if (auto status = build(); !status) return std::unexpected(std::move(status.error()));
    if (auto status = scout(); !status) return std::unexpected(std::move(status.error()));
    if (auto status = join(); !status) return std::unexpected(std::move(status.error()));
    if (auto status = measure(); !status) return std::unexpected(std::move(status.error()));
    for (const auto& crew : crews_) crew->stop();
    print(table_of(measured_, whole_run_, options_));
    ndjson_.summary(measured_, whole_run_, options_);
    if (auto status = ndjson_.close(); !status) return std::unexpected(std::move(status.error()));
    return whole_run_.fault_count() == 0 ? Outcome::kClean : Outcome::kFaulty;
  }

 private:
  Status build() {
    for (std::size_t i = 0; i < options_.threads; ++i) {
      const std::size_t share =
          options_.viewers * (i + 1) / options_.threads - options_.viewers * i / options_.threads;
      // The slow ones come last: never the first viewer, who goes ahead.
      const std::size_t before = options_.viewers * i / options_.threads;
      const std::size_t quick = options_.viewers - options_.slow;
      const std::size_t slow = share - std::min(share, quick - std::min(quick, before));
      auto crew = Crew::create(options_, {.viewers = share, .slow = slow}, destination_,
                               assignment_, reports_);
      if (!crew) return std::unexpected(std::move(crew.error()));
      crews_.push_back(std::move(*crew));
    }
    for (const auto& crew : crews_) crew->start_thread();
    return {};
  }

  // What every crew saw since the last time.
  Result<std::unique_ptr<Stats>> collect(Crew::Collect which) {
    for (const auto& crew : crews_) crew->collect(which);
    const auto deadline = std::chrono::steady_clock::now() + kReportTime;
    auto all = std::make_unique<Stats>();
    for (std::size_t i = 0; i < crews_.size(); ++i) {
      auto one = reports_.take_until(deadline);
      if (!one) return fail("a thread of this tool has not come round for {} s", kReportTime / 1s);
      all->add(**one);
    }
    return all;
  }

  void wait_until(SteadyTime when) {
    while (!stop_ && std::chrono::steady_clock::now() < when) {
      std::this_thread::sleep_for(
          std::min<std::chrono::nanoseconds>(100ms, when - std::chrono::steady_clock::now()));
    }
  }

  // One viewer goes ahead: where even it cannot play there is nothing to measure.
  Status scout() {
    began_ = std::chrono::steady_clock::now();
    crews_.front()->begin_first();
    while (!stop_ && std::chrono::steady_clock::now() < began_ + kScoutTime) {
      wait_until(std::chrono::steady_clock::now() + kScoutStep);
      auto stats = collect(Crew::Collect::kInterval);
      if (!stats) return std::unexpected(std::move(stats.error()));
      whole_run_.add_faults(**stats);
      if ((*stats)->fault_count() > 0) {
        const auto& [fault, what] = (*stats)->examples.front();
        return fail("{}: {}", name_of(fault), what);
      }
      if ((*stats)->ended > 0) return fail("the stream has ended");
      if ((*stats)->playing > 0 && (*stats)->parts > 0) return {};
    }
    return stop_ ? fail("stopped before the first viewer played")
                 : fail("the first viewer did not get a part within {} s", kScoutTime / 1s);
  }

  Status join() {
    const auto ramp = std::chrono::duration_cast<std::chrono::nanoseconds>(options_.ramp.value_or(
        std::chrono::duration<double>(static_cast<double>(options_.viewers) / kViewersASecond)));
    for (const auto& crew : crews_) crew->begin_all(ramp);
    const auto until = std::chrono::steady_clock::now() + ramp + kSettle;
    while (!stop_ && std::chrono::steady_clock::now() < until) {
      auto stats = interval(std::min(std::chrono::steady_clock::now() + 1s, until), Phase::kJoining,
                            Crew::Collect::kInterval);
      if (!stats) return std::unexpected(std::move(stats.error()));
    }
    return {};
  }

  Status measure() {
    auto until = std::chrono::steady_clock::now();
    for (auto left = options_.measured; left > 0s && !stop_; --left) {
      until += 1s;
      const auto which = left == 1s ? Crew::Collect::kLast : Crew::Collect::kInterval;
      auto stats = interval(until, Phase::kMeasured, which);
      if (!stats) return std::unexpected(std::move(stats.error()));
      add_measured(**stats);
      if ((*stats)->ended == options_.viewers) return {};
    }
    return {};
  }

  void add_measured(const Stats& stats) {
    const auto wall = measured_.wall + stats.wall;
    measured_.add(stats);
    measured_.wall = wall;
    measured_.playing = stats.playing;
    measured_.ended = stats.ended;
  }

  Result<std::unique_ptr<Stats>> interval(SteadyTime until, Phase phase, Crew::Collect which) {
    wait_until(until);
    auto stats = collect(which);
    if (!stats) return stats;
    whole_run_.add_faults(**stats);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    if (!options_.quiet) print(line_of(**stats, phase, seconds));
    ndjson_.interval(**stats, phase, seconds);
    return stats;
  }

  void print(const std::string& text) {
    std::fputs(text.c_str(), out_);
    std::fflush(out_);
  }

  const Options& options_;
  const std::atomic<bool>& stop_;
  const Destination destination_;
  Ndjson ndjson_;
  std::FILE* const out_;
  PartLedger ledger_;
  const Assignment assignment_;
  StatsQueue reports_;
  Stats whole_run_;  // faults, from the first viewer on
  Stats measured_;
  SteadyTime began_{};
  std::vector<std::unique_ptr<Crew>> crews_;  // last: their threads use what stands above
};

}  // namespace

Result<Outcome> run_load(const Options& options, const std::atomic<bool>& stop) {
  auto destination = find_destination(options);
  if (!destination) return std::unexpected(std::move(destination.error()));
  if (auto status = raise_descriptor_limit(options); !status) {
    return std::unexpected(std::move(status.error()));
  }
  auto ndjson = Ndjson::open(options.ndjson);
  if (!ndjson) return std::unexpected(std::move(ndjson.error()));
  const auto run =
      std::make_unique<Run>(options, stop, std::move(*destination), std::move(*ndjson));
  return run->run();
}

}  // namespace mirror::load
