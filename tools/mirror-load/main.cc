// mirror-load: reads the command line, then puts viewers on a server.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <string>
#include <string_view>

#include "base/result.h"
#include "load_run.h"
#include "options.h"

namespace mirror::load {
namespace {

constexpr int kClean = 0;
constexpr int kFaulty = 1;
constexpr int kCouldNotRun = 2;

std::atomic<bool> stop{false};

extern "C" void on_signal(int) { stop = true; }

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void declare_viewers(CLI::App& app, Options& options) {
  app.add_option("--viewers", options.viewers, "viewers at once")
      ->check(CLI::Range(std::size_t{1}, Options::kViewersMax))
      ->capture_default_str();
  app.add_option_function<unsigned>(
         "--seconds", [&options](unsigned s) { options.measured = std::chrono::seconds(s); },
         "measured, once all viewers are there (default 30)")
      ->check(CLI::Range(1, 86'400));
  app.add_option_function<double>(
         "--ramp", [&options](double s) { options.ramp = std::chrono::duration<double>(s); },
         "seconds over which the viewers join (default: 250 of them a second)")
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--threads", options.threads, "threads of this tool")
      ->check(CLI::Range(std::size_t{1}, Options::kThreadsMax))
      ->capture_default_str();
  app.add_option("--rendition", options.rendition,
                 "of a multivariant playlist: a folder of its URI or a NAME (default: the first)");
  app.add_flag("--delta", options.delta_updates, "ask for delta updates (_HLS_skip=YES)");
}

void declare_carrier(CLI::App& app, Options& options, std::string& http) {
  app.add_option("--http", http, "HTTP version")
      ->check(CLI::IsMember({"1.1", "2", "3"}))
      ->capture_default_str();
  auto* connections = app.add_option("--connections-per-viewer", options.connections_per_viewer,
                                     "2: playlists on one, parts on the other")
                          ->check(CLI::Range(1, 2))
                          ->capture_default_str();
  app.add_option("--viewers-per-connection", options.viewers_per_connection,
                 "who share one connection; HTTP/2 and HTTP/3 only")
      ->check(CLI::Range(std::size_t{1}, Options::kViewersPerConnectionMax))
      ->capture_default_str()
      ->excludes(connections);
  app.add_flag("--insecure", options.any_certificate, "take any certificate");
  app.add_flag("--i-own-this-host", options.owns_host,
               "the server is mine, although it is not this machine");
}

void declare_push(CLI::App& app, Options& options) {
  auto* push =
      app.add_flag("--push", options.push,
                   "walls of push sessions instead of LL-HLS viewers; the URL is of /push");
  app.add_flag("--webtransport", options.webtransport, "push sessions over WebTransport")
      ->needs(push);
  app.add_option("--subscribe", options.subscriptions,
                 "STREAM/RENDITION[:PRIORITY], a tile; as often as wanted")
      ->needs(push);
  app.add_option("--tiles", options.tiles,
                 "of each wall, from another subscription on for each (default: all of them)")
      ->check(CLI::Range(std::size_t{1}, Options::kSubscriptionsMax))
      ->needs(push);
  app.add_flag("--chunks", options.chunks, "video frame by frame (chunks=1)")->needs(push);
}

// Those who come and go, and those whose way here is bad.
void declare_trouble(CLI::App& app, Options& options) {
  app.add_option_function<unsigned>(
         "--leave-after", [&options](unsigned s) { options.leave_after = std::chrono::seconds(s); },
         "seconds after which each viewer leaves and joins anew")
      ->check(CLI::Range(1, 86'400));
  auto* slow = app.add_option("--slow", options.slow, "viewers among them who take bytes slowly")
                   ->check(CLI::Range(std::size_t{1}, Options::kViewersMax));
  app.add_option("--slow-rate", options.slow_bytes_per_second, "bytes a second that those take")
      ->check(CLI::Range(std::size_t{1000}, std::size_t{100'000'000}))
      ->capture_default_str()
      ->needs(slow);
  app.add_option_function<double>(
         "--loss", [&options](double percent) { options.loss = percent / 100; },
         "percent of the datagrams that are lost, each way; HTTP/3 and WebTransport")
      ->check(CLI::Range(0.0, 50.0));
}

HttpVersion version_of(std::string_view http) {
  if (http == "3") return HttpVersion::kHttp3;
  return http == "2" ? HttpVersion::kHttp2 : HttpVersion::kHttp11;
}

// What the options are together.
Status check(Options& options) {
  if (options.http == HttpVersion::kHttp11 && options.viewers_per_connection > 1) {
    return fail("viewers share a connection over HTTP/2 and HTTP/3 only (--http 2)");
  }
  if (options.slow >= options.viewers && options.slow > 0) {
    return fail("--slow {} of {} viewers: one at least goes ahead, and is not slow", options.slow,
                options.viewers);
  }
  if (options.slow > 0 && options.viewers_per_connection > 1) {
    return fail("slow viewers have connections of their own (no --viewers-per-connection)");
  }
  if (options.loss > 0 && !options.speaks_quic()) {
    return fail("--loss is of datagrams: --http 3 or --webtransport");
  }
  if (!options.push) return {};
  if (options.subscriptions.empty()) return fail("--push needs --subscribe STREAM/RENDITION");
  if (options.tiles == 0) options.tiles = options.subscriptions.size();
  if (options.tiles > options.subscriptions.size() || options.tiles > Options::kSubscriptionsMax) {
    return fail("{} tiles of {} subscriptions: a session has each at most once, and at most {}",
                options.tiles, options.subscriptions.size(), Options::kSubscriptionsMax);
  }
  return {};
}

void declare(CLI::App& app, Options& options, std::string& http) {
  app.add_option("URL", options.url, "multivariant or media playlist, http or https")->required();
  declare_viewers(app, options);
  declare_carrier(app, options, http);
  declare_push(app, options);
  declare_trouble(app, options);
  app.add_option("--ndjson", options.ndjson,
                 "write figures to this file, an object a line; - is "
                 "standard output");
  app.add_flag("--quiet", options.quiet, "no line per second");
}

int run(const Options& options) {
  const auto outcome = run_load(options, stop);
  if (outcome) return *outcome == Outcome::kClean ? kClean : kFaulty;
  fmt::print(stderr, "mirror-load: {}\n", outcome.error().message);
  return kCouldNotRun;
}

int main_of(int argc, char** argv) {
  CLI::App app(
      "LL-HLS viewers and push walls as load: sequence, bytes, lateness and stalls, checked and "
      "measured",
      "mirror-load");
  Options options;
  std::string http = "1.1";
  declare(app, options, http);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kClean : kCouldNotRun;
  }
  options.http = version_of(http);
  if (const auto status = check(options); !status) {
    fmt::print(stderr, "mirror-load: {}\n", status.error().message);
    return kCouldNotRun;
  }
  if (options.threads > options.viewers) options.threads = options.viewers;
  catch_signals();
  return run(options);
}

}  // namespace
}  // namespace mirror::load

int main(int argc, char** argv) { return mirror::load::main_of(argc, argv); }
