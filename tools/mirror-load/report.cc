#include "report.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

namespace mirror::load {

namespace {

using nlohmann::json;

double ms(std::chrono::microseconds value) { return static_cast<double>(value.count()) / 1000; }
double seconds_of(std::chrono::microseconds value) {
  return static_cast<double>(value.count()) / 1e6;
}

double per_second(std::uint64_t count, const Stats& stats) {
  return stats.wall.count() > 0 ? static_cast<double>(count) / seconds_of(stats.wall) : 0;
}

json quantiles(const Histogram& histogram) {
  return {{"count", histogram.count()},          {"min", ms(histogram.min())},
          {"p50", ms(histogram.quantile(0.50))}, {"p95", ms(histogram.quantile(0.95))},
          {"p99", ms(histogram.quantile(0.99))}, {"max", ms(histogram.max())}};
}

json faults_of(const Stats& stats) {
  json faults = json::object();
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (stats.faults[i] > 0) faults[std::string(name_of(static_cast<Fault>(i)))] = stats.faults[i];
  }
  return faults;
}

std::string crowd_of(const Options& options) {
  const std::string carrier =
      options.webtransport ? "WebTransport" : fmt::format("HTTP/{}", options.carrier());
  if (!options.push) return "viewers over " + carrier;
  return fmt::format("push walls of {} tiles over {}", options.tiles, carrier);
}

json object_of(const Stats& stats) {
  return {{"viewers_playing", stats.playing},
          {"viewers_ended", stats.ended},
          {"seconds", seconds_of(stats.wall)},
          {"requests", stats.requests},
          {"requests_per_second", per_second(stats.requests, stats)},
          {"reloads", stats.reloads},
          {"parts", stats.parts},
          {"bytes", stats.bytes},
          {"bytes_per_second", per_second(stats.bytes, stats)},
          {"connections", stats.connections},
          {"reconnects", stats.reconnects},
          {"restarts", stats.restarts},
          {"held_ms", quantiles(stats.held)},
          {"part_fetch_ms", quantiles(stats.fetched)},
          {"part_behind_fastest_ms", quantiles(stats.behind_fastest)},
          {"part_behind_capture_ms", quantiles(stats.behind_capture)},
          {"part_behind_published_ms", quantiles(stats.behind_published)},
          {"late_parts", stats.late_parts},
          {"dropped_parts", stats.dropped_parts},
          {"stalls", stats.stalls},
          {"stalled_ms", ms(stats.stalled)},
          {"faults", faults_of(stats)},
          {"client_cpu_seconds", seconds_of(stats.cpu)},
          {"client_busiest_thread", stats.busiest}};
}

void add_row(std::string& out, std::string_view name, const Histogram& histogram,
             std::chrono::microseconds less = {}) {
  if (histogram.count() == 0) return;
  const auto cell = [&](std::chrono::microseconds value) { return ms(value - less); };
  fmt::format_to(std::back_inserter(out), "{:<38}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n",
                 name, cell(histogram.min()), cell(histogram.quantile(0.50)),
                 cell(histogram.quantile(0.95)), cell(histogram.quantile(0.99)),
                 cell(histogram.max()));
}

void add_faults(std::string& out, const Stats& stats) {
  if (stats.fault_count() == 0) {
    out += "faults               none\n";
    return;
  }
  out += "faults              ";
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (stats.faults[i] == 0) continue;
    fmt::format_to(std::back_inserter(out), " {} {}", name_of(static_cast<Fault>(i)),
                   stats.faults[i]);
  }
  for (const auto& [status, count] : stats.statuses) {
    fmt::format_to(std::back_inserter(out), ", {} times {}", count, status);
  }
  out += '\n';
  for (const auto& [fault, what] : stats.examples) {
    fmt::format_to(std::back_inserter(out), "  {}: {}\n", name_of(fault), what);
  }
}

}  // namespace

std::string line_of(const Stats& interval, Phase phase, double seconds) {
  if (interval.requests == 0 && interval.parts > 0) {
    return fmt::format(
        "{:>6.0f} s{} {:>6} walls {:>8.0f} parts/s {:>7.1f} MB/s  published p50 {:>6.1f} p99 "
        "{:>6.1f} max {:>6.1f} ms  late {} dropped {}  stalls {}  faults {}\n",
        seconds, phase == Phase::kJoining ? " joining" : "", interval.playing,
        per_second(interval.parts, interval), per_second(interval.bytes, interval) / 1e6,
        ms(interval.behind_published.quantile(0.5)), ms(interval.behind_published.quantile(0.99)),
        ms(interval.behind_published.max()), interval.late_parts, interval.dropped_parts,
        interval.stalls, interval.fault_count());
  }
  return fmt::format(
      "{:>6.0f} s{} {:>6} viewers {:>8.0f} req/s {:>7.1f} MB/s  held p50 {:>6.1f}  "
      "fetch p99 {:>6.1f}  late p50 {:>5.1f} p99 {:>5.1f} max {:>5.1f} ms  stalls {}  faults {}\n",
      seconds, phase == Phase::kJoining ? " joining" : "", interval.playing,
      per_second(interval.requests, interval), per_second(interval.bytes, interval) / 1e6,
      ms(interval.held.quantile(0.5)), ms(interval.fetched.quantile(0.99)),
      ms(interval.behind_fastest.quantile(0.5)), ms(interval.behind_fastest.quantile(0.99)),
      ms(interval.behind_fastest.max()), interval.stalls, interval.fault_count());
}

std::string table_of(const Stats& measured, const Stats& whole_run, const Options& options) {
  std::string out = fmt::format(
      "\n{} {}, {:.1f} s measured, {} of them play at the end, {} have ended\n"
      "{:<38}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
      options.viewers, crowd_of(options), seconds_of(measured.wall), measured.playing,
      measured.ended, "ms", "min", "p50", "p95", "p99", "max");
  add_row(out, "reload held, to its head", measured.held);
  add_row(out, "part fetched, to its last byte", measured.fetched);
  add_row(out, "part late, behind its publication", measured.behind_published);
  add_row(out, "part late, behind the fastest viewer", measured.behind_fastest);
  add_row(out, "part late, behind its capture (prft)", measured.behind_capture);
  add_row(out, "  the same beyond its own minimum", measured.behind_capture,
          measured.behind_capture.min());
  fmt::format_to(std::back_inserter(out),
                 "requests             {} ({:.0f} a second), {} parts\n"
                 "bytes                {} ({:.1f} MB a second)\n"
                 "connections          {} opened, {} of them again; {} viewers began anew\n"
                 "stalls               {}, {:.1f} s in all\n"
                 "pushed               {} parts later than 50 ms, {} told as dropped\n"
                 "this tool            {:.2f} cores, busiest thread {:.0f} %{}\n",
                 measured.requests, per_second(measured.requests, measured), measured.parts,
                 measured.bytes, per_second(measured.bytes, measured) / 1e6, whole_run.connections,
                 whole_run.reconnects, whole_run.restarts, measured.stalls,
                 seconds_of(measured.stalled), measured.late_parts, measured.dropped_parts,
                 seconds_of(measured.cpu) / seconds_of(measured.wall), 100 * measured.busiest,
                 measured.busiest > 0.9 ? ": what is late may be late here (--threads)" : "");
  if (options.slow > 0) {
    fmt::format_to(std::back_inserter(out),
                   "slow viewers         {} at {} bytes a second: {} parts, {} told as dropped, {} "
                   "stalls, {} times left behind\n",
                   options.slow, options.slow_bytes_per_second, measured.slow.parts,
                   measured.slow.dropped_parts, measured.slow.stalls, measured.slow.left_behind);
  }
  add_faults(out, whole_run);
  return out;
}

Result<Ndjson> Ndjson::open(const std::string& name) {
  Ndjson file;
  if (name.empty()) return file;
  file.file_.reset(name == "-" ? stdout : std::fopen(name.c_str(), "we"));
  if (file.file_ == nullptr) return fail("{}: {}", name, std::strerror(errno));
  return file;
}

void Ndjson::write(const std::string& line) {
  if (file_ == nullptr) return;
  if (std::fputs(line.c_str(), file_.get()) < 0 || std::fputc('\n', file_.get()) < 0 ||
      std::fflush(file_.get()) != 0) {
    failed_ = true;
  }
}

void Ndjson::interval(const Stats& stats, Phase phase, double seconds) {
  if (file_ == nullptr) return;
  json object = object_of(stats);
  object["type"] = "interval";
  object["phase"] = phase == Phase::kJoining ? "joining" : "measured";
  object["at_seconds"] = seconds;
  write(object.dump());
}

void Ndjson::summary(const Stats& measured, const Stats& whole_run, const Options& options) {
  if (file_ == nullptr) return;
  json object = object_of(measured);
  object["type"] = "summary";
  object["viewers"] = options.viewers;
  object["http"] = options.carrier();
  if (options.push) object["tiles"] = options.tiles;
  if (options.slow > 0) {
    object["slow"] = {{"viewers", options.slow},
                      {"bytes_per_second", options.slow_bytes_per_second},
                      {"parts", measured.slow.parts},
                      {"bytes", measured.slow.bytes},
                      {"dropped_parts", measured.slow.dropped_parts},
                      {"stalls", measured.slow.stalls},
                      {"left_behind", measured.slow.left_behind}};
  }
  object["part_behind_least_capture_ms"] = quantiles(measured.behind_capture);
  for (auto& [key, value] : object["part_behind_least_capture_ms"].items()) {
    if (key != "count") value = value.get<double>() - ms(measured.behind_capture.min());
  }
  object["connections"] = whole_run.connections;
  object["reconnects"] = whole_run.reconnects;
  object["restarts"] = whole_run.restarts;
  object["faults"] = faults_of(whole_run);
  object["examples"] = json::array();
  for (const auto& [fault, what] : whole_run.examples) {
    object["examples"].push_back(fmt::format("{}: {}", name_of(fault), what));
  }
  for (const auto& [status, count] : whole_run.statuses) {
    object["statuses"][std::to_string(status)] = count;
  }
  write(object.dump(-1, ' ', false, json::error_handler_t::replace));
}

Status Ndjson::close() {
  file_.reset();
  if (failed_) return fail("the NDJSON file could not be written");
  return {};
}

}  // namespace mirror::load
