// mirror-lint: reads the command line, follows a stream and tells what it found.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

#include "curl_fetcher.h"
#include "judge.h"
#include "report.h"
#include "session.h"

namespace mirror::lint {
namespace {

constexpr int kClean = 0;
constexpr int kViolated = 1;
constexpr int kCouldNotRun = 2;

std::atomic<bool> stop{false};
extern "C" void on_signal(int) { stop = true; }

struct Options {
  std::string url;
  double seconds = 15;
  std::string http;
  bool json = false;
  bool insecure = false;
  bool rules = false;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("url", options.url, "a Multivariant or Media Playlist, http or https");
  app.add_option("--seconds", options.seconds, "how long to follow the stream")
      ->check(CLI::Range(1.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--http", options.http, "HTTP version, 1.1 or 2 (default: 2 where TLS offers it)")
      ->check(CLI::IsMember({"1.1", "2"}));
  app.add_flag("--json", options.json, "one JSON document instead of text");
  app.add_flag("--insecure", options.insecure, "accept any certificate");
  app.add_flag("--rules", options.rules, "print the table of rules and exit");
}

int could_not_run(std::string_view why) {
  fmt::print(stderr, "mirror-lint: {}\n", why);
  return kCouldNotRun;
}

int lint(const Options& options) {
  const HttpVersion version = options.http == "2"     ? HttpVersion::k2
                              : options.http == "1.1" ? HttpVersion::k11
                                                      : HttpVersion::kAny;
  const auto fetcher = CurlFetcher::create(
      version, options.insecure ? Certificates::kIgnore : Certificates::kVerify);
  if (!fetcher) return could_not_run(fetcher.error().message);
  Findings findings;
  Judge judge(findings, version == HttpVersion::k2 ? 2 : 0);
  Session session(options.url, **fetcher, judge);
  const Status status = session.run(Seconds(options.seconds), stop);
  if (!status) return could_not_run(status.error().message);
  const Run run{options.url, (*fetcher)->now(), session.http_major(), session.renditions(),
                session.counts()};
  fmt::print("{}", options.json ? json_report(run, findings) : text_report(run, findings));
  return findings.violated() ? kViolated : kClean;
}

}  // namespace
}  // namespace mirror::lint

int main(int argc, char** argv) {
  CLI::App app(
      "Follows a Low-Latency HLS stream as a strict client and names every rule that its server "
      "breaks.");
  mirror::lint::Options options;
  mirror::lint::declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? mirror::lint::kClean : mirror::lint::kCouldNotRun;
  }
  if (options.rules) {
    fmt::print("{}", mirror::lint::rules_table());
    return mirror::lint::kClean;
  }
  if (options.url.empty()) return mirror::lint::could_not_run("which URL? (--help)");
  std::signal(SIGINT, mirror::lint::on_signal);
  std::signal(SIGTERM, mirror::lint::on_signal);
  return mirror::lint::lint(options);
}
