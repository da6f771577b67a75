// Config: everything that an operator can set, as plain values.
//
// Made once at start by load(), then read-only and passed by parts to whoever needs them. A default
// constructed Config is what Mirror runs with when nobody says anything, save `state_dir`, which
// depends on who runs it. The table of keys in config_keys.cc gives each value its name, range and
// help; the reader, the environment, `mirror config` and configs/mirror.yaml all come from it.
// Rules and lists (`streams.rules`, `sources`, `rtp.inputs`) have tables of their own there, and
// are set by the file alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace mirror::app {

struct Config {
  std::string state_dir;  // filled in by load(); never empty afterwards

  struct Log {
    LogLevel level = LogLevel::kInfo;
    LogFormat format = LogFormat::kReadable;
  } log;

  struct Srt {
    std::string address = "*";  // "*": every address of both families
    std::uint16_t port = 6000;
    std::chrono::milliseconds latency{120};
    std::string passphrase;  // empty: no encryption asked for
    int max_publishers = 64;
    std::chrono::milliseconds peer_idle_timeout{5000};
    bool call_private_addresses = false;  // whether `sources` may dial into private networks
  } srt;

  struct Https {
    std::string address = "*";
    std::uint16_t port = 8443;
    std::string certificate;  // PEM files; both or none
    std::string key;
    bool http3 = true;        // QUIC on the UDP port of the same number
    bool early_data = false;  // 0-RTT, over HTTP/3
  } https;

  struct Http {
    bool enabled = true;
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
  } http;

  struct Network {
    int loops = 0;  // 0: loops_for() decides
    std::size_t connections_per_loop_max = 10'000;
    std::chrono::milliseconds idle_timeout{60'000};
    std::chrono::milliseconds header_timeout{10'000};
  } network;

  struct Cors {
    std::vector<std::string> allow_origins{"*"};
  } cors;

  struct Transcode {
    std::uint16_t width = 640;
    std::uint16_t height = 360;
    std::uint32_t video_bitrate_bps = 400'000;
    std::uint32_t audio_bitrate_bps = 64'000;
    double frame_rate_max = 30;
    std::string preset = "superfast";
    int decode_threads = 1;
    std::vector<std::string> prefer{"nvidia", "nvidia+x264", "software"};
    std::vector<std::string> devices;  // their numbers; empty: all
    int sessions_per_device = 0;       // streams; 0: no limit
    int device_memory_floor_mb = 500;
    enum class Fallback { kAlways, kNever };
    Fallback fallback = Fallback::kAlways;
    std::size_t queue_frames = 240;
    std::size_t queue_bytes = 32'000'000;
    int queue_milliseconds = 1'000;
  } transcode;

  struct Thumbnails {
    std::chrono::milliseconds every{2'000};  // 0: none
    std::uint16_t width = 320;
  } thumbnails;

  struct Hls {
    std::chrono::seconds window{30};
    bool frame_chunks = true;
    std::chrono::seconds reconnect_hold{10};
  } hls;

  // Who may publish, and what becomes of a stream whose publisher is away.
  struct Publish {
    enum class Policy { kTakeover, kReject };
    Policy policy = Policy::kTakeover;         // a second publisher with the key of a live stream
    std::chrono::milliseconds silence{1'000};  // then a key is free, whoever holds it
    std::string token;  // asked of every publisher that calls in; empty: none

    struct Webhook {
      std::string url;     // http:// or https://; empty: nobody is asked
      std::string secret;  // HMAC-SHA256 key for the signature header
      std::chrono::milliseconds timeout{2'000};
    } webhook;
  } publish;

  struct Streams {
    int max = 25;
    // What differs for one stream; by key.
    struct Rule {
      std::string passphrase;                // instead of srt.passphrase
      std::string token;                     // instead of publish.token
      std::chrono::milliseconds latency{0};  // instead of srt.latency; 0: that one
    };
    std::map<std::string, Rule, std::less<>> rules;
  } streams;

  // Feeds that we fetch: dialled over SRT as caller, for ever.
  struct Source {
    std::string stream;
    std::string url;        // srt://HOST:PORT
    std::string stream_id;  // what the far side is asked for; empty: nothing
    std::string passphrase;
    std::chrono::milliseconds latency{0};  // 0: srt.latency
  };
  std::vector<Source> sources;

  // Feeds that come to a port of their own.
  struct Rtp {
    std::string address = "*";
    std::uint16_t first_port = 5004;  // of inputs without one: six apart, in their order
    std::chrono::milliseconds reorder{50};
    std::chrono::milliseconds silence{5000};  // that ends a feed
    struct Input {
      std::string stream;
      std::uint16_t port = 0;            // 0: by first_port
      std::string multicast;             // a group to join; empty: unicast
      std::string interface;             // by which to join; empty: the system chooses
      std::vector<std::string> senders;  // addresses or prefixes; empty: anybody's
      int payload_type = 33;             // of MPEG-TS; 33 is always taken too
      std::string sdp;                   // a file; empty: MPEG-TS
      bool fec = true;                   // SMPTE 2022-1 on port + 2 and + 4
    };
    std::vector<Input> inputs;
  } rtp;
};

// The number of network loops for a machine with `cores` processors.
int loops_for(const Config::Network& network, unsigned cores);

// The port of `rtp.inputs[index]`: its own; else, six apart from rtp.first_port, its place's among
// the inputs without one.
int rtp_port(const Config::Rtp& rtp, std::size_t index);

// One thing wrong with what an operator wrote.
struct Fault {
  std::string where;  // "mirror.yaml:3:9", "environment", or the file's name alone
  std::string path;   // "srt.port", "MIRROR_SRT_PORT"; empty where no key is concerned
  std::string what;

  std::string text() const;  // "where: path: what"
};

// What else than the file has a say. A value, so that tests need no real environment.
struct Surroundings {
  std::map<std::string, std::string> variables;
  bool is_root = false;

  static Surroundings of_process();
};

inline constexpr std::size_t kConfigFileBytesMax = 64 * 1024;

// Defaults, then `file` if there is one, then MIRROR_… variables. Every fault of every source is
// reported in one run; there is a Config only when there is none. The YAML is read strictly: one
// document, no anchors or aliases, no tags, no key twice.
std::expected<Config, std::vector<Fault>> load(const std::optional<std::string>& file,
                                               const Surroundings& surroundings);

// The same with the text at hand; `name` stands for the file in faults.
std::expected<Config, std::vector<Fault>> load_text(const std::string& name, std::string_view text,
                                                    const Surroundings& surroundings);

// `config` as a commented YAML file that load() takes back. Secrets are not shown.
std::string render(const Config& config);

}  // namespace mirror::app
