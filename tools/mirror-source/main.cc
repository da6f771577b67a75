// mirror-source: reads the command line, then runs one feed into one output.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "feed.h"

namespace mirror::source {
namespace {

std::atomic<bool> stop{false};

extern "C" void on_signal(int) { stop = true; }

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;  // without SA_RESTART: it interrupts a sleep
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct Options {
  std::string url;
  std::string output;
  std::string name;
  std::string codec = "hevc";
  std::string size = "640x360";
  std::string fps = "30";
  std::string bitrate = "2M";
  std::string start_pts = "1s";
  std::string loop_file;
  std::string loop_jump = "0";
  std::string passphrase;
  int bit_depth = 8;
  int b_frames = 0;
  int grain_percent = 0;
  int latency_ms = 0;
  double gop_seconds = 1;
  double duration_s = 0;
  double drift_ppm = 0;
  double wrap_soon_s = 0;
  double resize_every_s = 0;
  bool no_audio = false;
  bool reconnect = false;
  bool video_pes_length = false;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--url", options.url, "srt://HOST:PORT?streamid=NAME[&latency=MS][&passphrase=…]");
  app.add_option("--output", options.output, "write this file instead, not paced by the clock");
  app.add_option("--name", options.name, "shown in the picture (default: the stream id)");
  app.add_option("--codec", options.codec, "video codec")
      ->check(CLI::IsMember({"hevc", "h264"}))
      ->capture_default_str();
  app.add_option("--size", options.size, "WIDTHxHEIGHT")->capture_default_str();
  app.add_option("--fps", options.fps, "frames per second: 25, 29.97, 59.94, … or N/D")
      ->capture_default_str();
  app.add_option("--bitrate", options.bitrate, "video bits per second at most; k and M are known")
      ->capture_default_str();
  app.add_option("--bit-depth", options.bit_depth, "8 or 10")
      ->check(CLI::IsMember({8, 10}))
      ->capture_default_str();
  app.add_option("--gop", options.gop_seconds, "seconds from one random access point to the next")
      ->check(CLI::Range(0.02, 60.0))
      ->capture_default_str();
  app.add_option("--bframes", options.b_frames, "consecutive B-frames")
      ->check(CLI::Range(0, 8))
      ->capture_default_str();
  app.add_option("--grain", options.grain_percent,
                 "percent of the bars' area filled with noise, to reach a high bitrate")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_flag("--no-audio", options.no_audio, "no audio track");
  app.add_option("--latency", options.latency_ms, "SRT latency in ms")
      ->check(CLI::Range(0, 60'000));
  app.add_option("--passphrase", options.passphrase, "encrypt with AES; 10 to 79 characters");
  app.add_option("--duration", options.duration_s, "stop after so many seconds")
      ->check(CLI::PositiveNumber);
  app.add_option("--start-pts", options.start_pts,
                 "pts of the first frame: 90 kHz ticks, or seconds with an s behind")
      ->capture_default_str();
  app.add_option("--wrap-soon", options.wrap_soon_s,
                 "begin so many seconds before the timestamps pass 2^33, instead of --start-pts")
      ->check(CLI::Range(0.1, 3600.0));
  app.add_option("--drift", options.drift_ppm,
                 "how much too fast the feed's clock runs, in millionths; negative: too slow")
      ->check(CLI::Range(-100'000.0, 100'000.0));
  app.add_option("--loop-file", options.loop_file, "play this file for ever instead of drawing")
      ->check(CLI::ExistingFile);
  app.add_option("--change-resolution-every", options.resize_every_s,
                 "seconds after which the picture becomes half as wide and high, and back")
      ->check(CLI::Range(0.5, 3600.0))
      ->excludes("--loop-file");
  app.add_option("--loop-jump", options.loop_jump,
                 "how far the timestamps jump whenever that file begins again; as --start-pts, or "
                 "negative: back")
      ->capture_default_str();
  app.add_flag("--reconnect", options.reconnect, "call again, for ever, when refused or cut off");
  app.add_flag("--video-pes-length", options.video_pes_length,
               "write PES_packet_length for video where it fits");
}

template <class T>
bool read_number(std::string_view text, T& value) {
  const char* const begin = std::to_address(text.begin());
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, value);
  return error == std::errc() && rest == end;
}

Result<FrameRate> parse_fps(const std::string& text) {
  struct Known {
    std::string_view name;
    FrameRate rate;
  };
  constexpr std::array<Known, 4> kKnown{{{"23.976", {24'000, 1001}},
                                         {"23.98", {24'000, 1001}},
                                         {"29.97", {30'000, 1001}},
                                         {"59.94", {60'000, 1001}}}};
  for (const Known& known : kKnown) {
    if (text == known.name) return known.rate;
  }
  const std::string_view view = text;
  const std::size_t slash = view.find('/');
  FrameRate rate;
  const bool read =
      read_number(view.substr(0, slash), rate.num) &&
      (slash == std::string_view::npos || read_number(view.substr(slash + 1), rate.den));
  if (!read || rate.den < 1 || rate.den > 100'000 || rate.num < rate.den ||
      rate.num / rate.den > 240 || rate.num > 1'000'000) {
    return fail("--fps {}: not a frame rate from 1 to 240", text);
  }
  return rate;
}

Result<std::int64_t> parse_bitrate(const std::string& text) {
  std::string_view digits = text;
  double unit = 1;
  if (digits.ends_with('M')) unit = 1e6;
  if (digits.ends_with('k')) unit = 1e3;
  if (unit > 1) digits.remove_suffix(1);
  double value = 0;
  if (!read_number(digits, value) || !(value * unit >= 10e3 && value * unit <= 500e6)) {
    return fail("--bitrate {}: not a rate from 10k to 500M", text);
  }
  return static_cast<std::int64_t>(value * unit);
}

// Ticks, or seconds with an s behind, as 33 bits; a negative value is as much before 0.
Result<std::int64_t> parse_ticks(std::string_view option, const std::string& text, bool negative) {
  constexpr std::int64_t kWrap = std::int64_t{1} << 33;
  std::string_view digits = text;
  const bool seconds = digits.ends_with('s');
  if (seconds) digits.remove_suffix(1);
  double value = 0;
  const double unit = seconds ? 90'000 : 1;
  if (!read_number(digits, value) || !(value >= 0 || negative) ||
      std::abs(value) * unit >= static_cast<double>(kWrap)) {
    return fail("{} {}: not from {} to 8589934591 ticks", option, text,
                negative ? "-8589934591" : "0");
  }
  return (std::llround(value * unit) + kWrap) % kWrap;
}

Status parse_size(const std::string& text, VideoSettings& video) {
  const std::string_view view = text;
  const std::size_t x = view.find('x');
  if (x == std::string_view::npos || !read_number(view.substr(0, x), video.width) ||
      !read_number(view.substr(x + 1), video.height)) {
    return fail("--size {}: not WIDTHxHEIGHT", text);
  }
  return {};
}

Result<FeedSettings> settings_of(const Options& options) {
  FeedSettings settings;
  settings.name = options.name;
  settings.video.codec = options.codec == "hevc" ? VideoCodec::kHevc : VideoCodec::kH264;
  settings.video.bit_depth = options.bit_depth;
  settings.video.gop_seconds = options.gop_seconds;
  settings.video.b_frames = options.b_frames;
  settings.video.grain_percent = options.grain_percent;
  settings.audio = !options.no_audio;
  settings.mux.video_pes_length = options.video_pes_length;
  settings.mux.drift_ppm = options.drift_ppm;
  if (options.resize_every_s > 0)
    settings.resize_every = microseconds(std::llround(options.resize_every_s * 1e6));
  if (options.duration_s > 0)
    settings.duration = microseconds(std::llround(options.duration_s * 1e6));
  const auto rate = parse_fps(options.fps);
  if (!rate) return std::unexpected(rate.error());
  settings.video.rate = *rate;
  const auto bitrate = parse_bitrate(options.bitrate);
  if (!bitrate) return std::unexpected(bitrate.error());
  settings.video.bitrate_bps = *bitrate;
  const auto start_pts = parse_ticks("--start-pts", options.start_pts, false);
  if (!start_pts) return std::unexpected(start_pts.error());
  settings.start_pts = *start_pts;
  if (options.wrap_soon_s > 0) {
    settings.start_pts = (std::int64_t{1} << 33) - std::llround(options.wrap_soon_s * 90'000);
  }
  const auto loop_jump = parse_ticks("--loop-jump", options.loop_jump, true);
  if (!loop_jump) return std::unexpected(loop_jump.error());
  settings.loop_jump = *loop_jump;
  if (Status sized = parse_size(options.size, settings.video); !sized) {
    return std::unexpected(sized.error());
  }
  return settings;
}

Status run_feed(const Options& options, const FeedSettings& settings, Output& output, Pace& pace) {
  if (!options.loop_file.empty()) return run_loop_file(options.loop_file, settings, output, pace);
  return run_synthetic(settings, output, pace);
}

Status write_file(const Options& options, const FeedSettings& settings) {
  if (!settings.duration) return fail("--output needs --duration");
  auto output = open_file(options.output);
  if (!output) return std::unexpected(output.error());
  Pace pace(Pace::Mode::kUnpaced, stop);
  return run_feed(options, settings, **output, pace);
}

Status publish_once(const Options& options, const FeedSettings& settings, const SrtTarget& target) {
  auto output = call_srt(target);
  if (!output) return std::unexpected(output.error());
  fmt::print(stderr, "mirror-source: {}: publishing\n", settings.name);
  Pace pace(Pace::Mode::kRealTime, stop);
  return run_feed(options, settings, **output, pace);
}

// With --reconnect an error is only told, and the next call waits from half a second up to five.
Status publish(const Options& options, FeedSettings settings, const SrtTarget& target) {
  const Pace life(Pace::Mode::kRealTime, stop);
  const FeedSettings first = settings;
  microseconds back_off(500'000);
  for (;;) {
    const microseconds called_at = life.elapsed();
    if (first.duration) {
      if (called_at >= *first.duration) return {};
      settings.duration = *first.duration - called_at;
    }
    // The feed's clock runs on over a lost connection, as an encoder's does.
    settings.start_pts = (first.start_pts + called_at.count() * 9 / 100) % (std::int64_t{1} << 33);
    Status status = publish_once(options, settings, target);
    if (status || stop) return {};
    if (!options.reconnect) return status;
    fmt::print(stderr, "mirror-source: {}: {}; calling again\n", settings.name,
               status.error().message);
    if (life.elapsed() - called_at > microseconds(10'000'000)) back_off = microseconds(500'000);
    Pace wait(Pace::Mode::kRealTime, stop);
    if (!wait.wait_until(back_off)) return {};
    back_off = std::min(2 * back_off, microseconds(5'000'000));
  }
}

Status run(const Options& options) {
  Result<FeedSettings> settings = settings_of(options);
  if (!settings) return std::unexpected(settings.error());
  if (options.url.empty() == options.output.empty()) return fail("needs --url or --output");
  if (!options.output.empty()) return write_file(options, *settings);
  Result<SrtTarget> target = parse_srt_url(options.url);
  if (!target) return std::unexpected(target.error());
  if (!options.passphrase.empty()) target->passphrase = options.passphrase;
  if (options.latency_ms > 0) target->latency_ms = options.latency_ms;
  if (settings->name.empty()) settings->name = target->stream_id;
  return publish(options, std::move(*settings), *target);
}

}  // namespace
}  // namespace mirror::source

int main(int argc, char** argv) {
  CLI::App app("A synthetic contribution feed: moving picture, burned-in clock, tone with a blip.");
  mirror::source::Options options;
  mirror::source::declare(app, options);
  CLI11_PARSE(app, argc, argv);
  av_log_set_level(AV_LOG_ERROR);
  mirror::source::catch_signals();
  if (mirror::Status status = mirror::source::run(options); !status) {
    fmt::print(stderr, "mirror-source: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
