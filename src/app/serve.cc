#include "app/serve.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "admission/gate.h"
#include "admission/webhook.h"
#include "api/api.h"
#include "api/feed_directory.h"
#include "api/push_doors.h"
#include "app/devices.h"
#include "app/rtp_settings.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread_name.h"
#include "base/wake.h"
#include "http/http3_frames.h"
#include "http/server.h"
#include "ingest/rtp_listener.h"
#include "ingest/srt_caller.h"
#include "ingest/srt_listener.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "quic/kept_secret.h"
#include "quic/server.h"
#include "stream/registry.h"
#include "transcode/device_pool.h"

namespace mirror::app {
namespace {

using namespace std::chrono_literals;

// SIGTERM to exit takes at most 10 s: so long for the last segments, so long for the viewers.
constexpr auto kStreamsEnd = 4s;
constexpr auto kViewersEnd = 4s;
constexpr auto kFarewell = 200ms;
constexpr auto kSweepEvery = 1s;
// What a viewer still fetches when everything has ended: the last parts of what was live.
constexpr auto kAfterglow = 500ms;
constexpr auto kSilenceBeyondIdle = 5s;
// Routers forget a UDP flow after 30 s (RFC 9308, 3.2), and push viewers say nothing for hours.
constexpr auto kKeepAlive = 15s;
// WebTransport needs datagrams to be negotiated (RFC 9297, 2.1.1); nothing of ours sends long ones.
constexpr std::size_t kDatagramBytesMax = 1'500;

// Signals that end us, and SIGHUP: blocked in every thread, taken by await_end() on the main one.
sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

void block_signals() {
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error from write(2)
}

// Waits for a signal that ends us; meanwhile calls `every_second`, and `reload` on each SIGHUP.
int await_end(const std::function<void()>& every_second, const std::function<void()>& reload) {
  const sigset_t set = our_signals();
  const timespec period{std::chrono::duration_cast<std::chrono::seconds>(kSweepEvery).count(), 0};
  while (true) {
    const int number = sigtimedwait(&set, nullptr, &period);
    if (number == SIGHUP) {
      reload();
    } else if (number > 0) {
      return number;
    } else {
      every_second();
    }
  }
}

// What a stream held lies free in the arenas of threads that are gone: some 60 MB after twenty
// streams, of which 1 MB is in use. glibc gives it back when it is asked to, an arena at a time.
void give_memory_back() { ::malloc_trim(0); }

// A name for this run that no earlier run had: milliseconds since 1970 in base 36.
std::string epoch_of(WallTime now) {
  auto value = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  std::string text;
  for (; value > 0; value /= 36)
    text.insert(text.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[value % 36]);
  return text;
}

stream::StreamSettings stream_settings(const Config& config, transcode::PairingSource& pairings) {
  const auto& transcode = config.transcode;
  return {.video = {.width = transcode.width,
                    .height = transcode.height,
                    .bitrate_bps = transcode.video_bitrate_bps,
                    .frame_rate_max = transcode.frame_rate_max,
                    .preset = transcode.preset,
                    .decode_threads = transcode.decode_threads,
                    .pairings = &pairings,
                    .stills = {.every = config.thumbnails.every, .width = config.thumbnails.width}},
          .audio = {.bitrate_bps = transcode.audio_bitrate_bps},
          .window = config.hls.window,
          .frame_chunks = config.hls.frame_chunks,
          .reconnect_hold = config.hls.reconnect_hold,
          .takeover = config.publish.policy == Config::Publish::Policy::kTakeover
                          ? stream::StreamSettings::Takeover::kAlways
                          : stream::StreamSettings::Takeover::kWhenSilent,
          .takeover_after = config.publish.silence,
          .queue_units_max = transcode.queue_frames,
          .queue_bytes_max = transcode.queue_bytes,
          .queue_age_max = std::chrono::milliseconds(transcode.queue_milliseconds)};
}

void log_devices(const transcode::Discovery& discovery, const Log& log) {
  if (discovery.devices.empty()) {
    log.info("app", "transcoding in software only", {{"reason", discovery.why_none}});
  }
  for (const transcode::Device& device : discovery.devices) {
    const auto gpu = device.why_not(transcode::PairingKind::kNvidia);
    const auto decoding = device.why_not(transcode::PairingKind::kNvidiaX264);
    log.info("app", "GPU",
             {{"index", device.index},
              {"name", device.name},
              {"nvidia", gpu.empty() ? "works" : gpu},
              {"nvidia+x264", decoding.empty() ? "works" : decoding}});
  }
}

admission::GateSettings gate_settings(const Config& config) {
  admission::GateSettings settings{.token = config.publish.token};
  for (const auto& [key, rule] : config.streams.rules) {
    if (!rule.token.empty()) settings.tokens.emplace(key, rule.token);
  }
  return settings;
}

// Null where nobody is asked.
Result<std::unique_ptr<admission::Webhook>> create_webhook(const Config& config, const Log& log,
                                                           Metrics& metrics, const Clock& clock) {
  const auto& webhook = config.publish.webhook;
  if (webhook.url.empty()) return nullptr;
  return admission::Webhook::create(
      {.url = webhook.url, .secret = webhook.secret, .timeout = webhook.timeout}, log, metrics,
      clock);
}

ingest::SrtSettings srt_settings(const Config& config) {
  std::map<std::string, ingest::SrtRule, std::less<>> rules;
  for (const auto& [key, rule] : config.streams.rules) {
    rules.emplace(key, ingest::SrtRule{.passphrase = rule.passphrase, .latency = rule.latency});
  }
  return {.address = config.srt.address,
          .port = config.srt.port,
          .latency = config.srt.latency,
          .passphrase = config.srt.passphrase,
          .rules = std::move(rules),
          .publishers_max = config.srt.max_publishers,
          .peer_idle_timeout = config.srt.peer_idle_timeout};
}

// Null where there is nothing to fetch.
Result<std::unique_ptr<ingest::SrtCaller>> create_caller(const Config& config,
                                                         media::PublisherGate& gate, const Log& log,
                                                         Metrics& metrics, const Clock& clock) {
  if (config.sources.empty()) return nullptr;
  ingest::SrtCallerSettings settings{.latency = config.srt.latency,
                                     .peer_idle_timeout = config.srt.peer_idle_timeout,
                                     .private_addresses = config.srt.call_private_addresses};
  for (const Config::Source& source : config.sources) {
    auto key = media::StreamKey::parse(source.stream);
    if (!key) return std::unexpected(std::move(key.error()).within("sources"));
    settings.sources.push_back({.stream = *std::move(key),
                                .url = source.url,
                                .stream_id = source.stream_id,
                                .passphrase = source.passphrase,
                                .latency = source.latency});
  }
  return ingest::SrtCaller::create(std::move(settings), gate, log, metrics, clock);
}

// Null where nothing is to come over RTP.
Result<std::unique_ptr<ingest::RtpListener>> create_rtp(const Config& config,
                                                        media::PublisherGate& gate, const Log& log,
                                                        Metrics& metrics, const Clock& clock) {
  if (config.rtp.inputs.empty()) return nullptr;
  auto settings = rtp_settings(config);
  if (!settings) return std::unexpected(std::move(settings.error()));
  return ingest::RtpListener::create(*std::move(settings), gate, log, metrics, clock);
}

http::Limits http_limits(const Config& config) {
  return {.connections_per_loop_max = config.network.connections_per_loop_max,
          .header_timeout = config.network.header_timeout,
          .idle_timeout = config.network.idle_timeout,
          .alt_svc = config.https.http3 ? fmt::format("h3=\":{}\"; ma=86400", config.https.port)
                                        : std::string()};
}

quic::Limits quic_limits(const Config& config) {
  const http::Limits http;
  return {.connections_max = config.network.connections_per_loop_max,
          .handshake_timeout = config.network.header_timeout,
          // A connection that nothing is asked on is HTTP's to end; this one is for peers that are
          // gone without a word.
          .idle_timeout = config.network.idle_timeout + kSilenceBeyondIdle,
          .keep_alive = kKeepAlive,
          .bidirectional_streams_max = http.concurrent_streams_max,
          .datagram_bytes_max = kDatagramBytesMax,
          .early_data = config.https.early_data};
}

Result<std::shared_ptr<net::TlsCredentials>> credentials_of(const Config& config, WallTime now) {
  return config.https.certificate.empty()
             ? net::TlsCredentials::load_or_generate(config.state_dir,
                                                     net::TlsCredentials::local_names(), now)
             : net::TlsCredentials::load(config.https.certificate, config.https.key, now);
}

std::vector<http::Listen> listens_of(const Config& config,
                                     std::shared_ptr<net::TlsCredentials> credentials) {
  std::vector<http::Listen> listens = {
      {config.https.address, config.https.port, std::move(credentials)}};
  if (config.http.enabled) listens.push_back({config.http.address, config.http.port, nullptr});
  return listens;
}

// HTTP/3 on the loops of `server`, which outlives it. Null where it is switched off.
Result<std::unique_ptr<quic::Server>> create_quic(const Config& config,
                                                  std::span<net::EventLoop* const> loops,
                                                  const std::shared_ptr<net::TlsCredentials>& tls,
                                                  http::Server& server, Metrics& metrics,
                                                  const Log& log) {
  if (!config.https.http3) return nullptr;
  const quic::KeptSecret kept = quic::load_or_make_secret(config.state_dir);
  if (!kept.warning.empty()) {
    log.warning("app", "QUIC connections of another run of this server end slowly",
                {{"reason", kept.warning}});
  }
  const auto applications = [&server, loops](net::EventLoop& loop) {
    const auto index = static_cast<std::size_t>(std::ranges::find(loops, &loop) - loops.begin());
    return [&server, index](quic::Transport& transport) { return server.accept(index, transport); };
  };
  return quic::Server::create(loops, {{config.https.address, config.https.port}}, tls,
                              {.alpn = {"h3"},
                               .limits = quic_limits(config),
                               .secret = kept.secret,
                               .offload = quic::Offload::kAuto},
                              applications, metrics);
}

// For the connections that begin from now on; those that are there keep what they have.
void reload_certificate(const Config& config, WallTime now, http::Server& server,
                        quic::Server* quic, const Log& log) {
  const auto credentials = credentials_of(config, now);
  if (!credentials) {
    log.error("app", "the certificate cannot be loaded, the old one stays",
              {{"reason", credentials.error().message}});
    return;
  }
  bool everywhere = server.set_credentials(*credentials);
  if (quic != nullptr) everywhere = quic->set_credentials(*credentials) && everywhere;
  if (!everywhere) {
    log.error("app", "a network loop is too busy for the new certificate, send SIGHUP again");
    return;
  }
  log.info("app", "certificate loaded",
           {{"expires", fmt::format("{:%Y-%m-%d}", std::chrono::floor<std::chrono::seconds>(
                                                       (*credentials)->expires()))}});
}

// The loops' threads. Destruction stops and joins them.
class LoopThreads {
 public:
  explicit LoopThreads(const std::vector<std::unique_ptr<net::EventLoop>>& loops) {
    for (const auto& loop : loops) {
      loops_.push_back(loop.get());
      threads_.emplace_back([&loop = *loop] { loop.run(); });
    }
  }
  ~LoopThreads() {
    for (net::EventLoop* loop : loops_) loop->stop();
    for (std::thread& thread : threads_) thread.join();
  }
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

 private:
  std::vector<net::EventLoop*> loops_;
  std::vector<std::thread> threads_;
};

void wait_until_ended(const stream::Registry& registry) {
  const auto deadline = std::chrono::steady_clock::now() + kStreamsEnd;
  while (!registry.all_ended() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
  }
}

void drain(http::Server& server, quic::Server* quic) {
  const auto deadline = std::chrono::steady_clock::now() + kViewersEnd;
  std::vector<std::future<void>> ends;
  const auto end = [&ends] {
    auto drained = std::make_shared<std::promise<void>>();
    ends.push_back(drained->get_future());
    return [drained] { drained->set_value(); };
  };
  server.drain(end());
  if (quic != nullptr) quic->drain(end());
  for (auto& each : ends) each.wait_until(deadline);
  if (quic == nullptr) return;
  // Whoever is left is told: over UDP nobody notices by itself that there is no server any more.
  ends.clear();
  quic->close_all(http::h3::error::kNone, end());
  ends.front().wait_for(kFarewell);
}

Status run(const Config& config, const Log& log) {
  const SystemClock clock;
  Metrics metrics;
  metrics.gauge("mirror_start_time_seconds", "When this process started, in Unix time.")
      .Set(static_cast<double>(std::time(nullptr)));

  // Network side: one loop per thread, all of them woken by each publication.
  std::vector<std::unique_ptr<net::EventLoop>> loops;
  std::vector<net::EventLoop*> loop_list;
  std::vector<Wakeable*> wakeables;
  const int loop_count = loops_for(config.network, std::thread::hardware_concurrency());
  for (int i = 0; i < loop_count; ++i) {
    auto loop = net::EventLoop::create(fmt::format("net-{}", i));
    if (!loop) return std::unexpected(std::move(loop.error()).within("network loop"));
    loop_list.push_back(loop->get());
    wakeables.push_back(loop->get());
    loops.push_back(*std::move(loop));
  }
  const WakeList wake_list(wakeables);

  // GPUs, if it has any: tried once, before anybody publishes.
  transcode::DevicePool pairings(pool_settings(config), transcode::discover_devices());
  log_devices(pairings.discovery(), log);

  // Media side: one thread per stream, made when a publisher comes.
  const stream::StreamEnvironment stream_environment{wake_list, clock, metrics, log};
  stream::Registry registry(static_cast<std::size_t>(config.streams.max),
                            epoch_of(clock.now().wall), stream_settings(config, pairings),
                            stream_environment);

  auto webhook = create_webhook(config, log, metrics, clock);
  if (!webhook) return std::unexpected(std::move(webhook.error()));
  admission::Gate gate(gate_settings(config), registry, webhook->get(), metrics);

  // Viewers.
  std::atomic<bool> draining{false};
  const api::ApiSettings api_settings{.cors_allow_origins = config.cors.allow_origins};
  api::PushDoors push_doors;
  api::FeedDirectory feeds;
  const api::ApiEnvironment api_environment{registry, push_doors, feeds, metrics, clock, draining};
  const auto credentials = credentials_of(config, clock.now().wall);
  if (!credentials) return std::unexpected(credentials.error());
  auto server = http::Server::create(
      loop_list, listens_of(config, *credentials), http_limits(config),
      [&](net::EventLoop& loop) { return api::make_handler(loop, api_settings, api_environment); },
      metrics, log);
  if (!server) return std::unexpected(std::move(server.error()));
  auto quic = create_quic(config, loop_list, *credentials, **server, metrics, log);
  if (!quic) return std::unexpected(std::move(quic.error()));
  auto threads = std::make_unique<LoopThreads>(loops);

  // Publishers.
  auto srt = ingest::SrtListener::create(srt_settings(config), gate, log, metrics, clock);
  if (!srt) return std::unexpected(std::move(srt.error()));
  auto caller = create_caller(config, gate, log, metrics, clock);
  if (!caller) return std::unexpected(std::move(caller.error()));
  auto rtp = create_rtp(config, gate, log, metrics, clock);
  if (!rtp) return std::unexpected(std::move(rtp.error()));
  feeds.add(**srt);
  if (*caller) feeds.add(**caller);
  if (*rtp) feeds.add(**rtp);

  log.info("app", "serving",
           {{"srt_port", config.srt.port},
            {"https_port", config.https.port},
            {"http_port", config.http.enabled ? config.http.port : 0},
            {"loops", loop_count},
            {"state_dir", config.state_dir}});
  const int number = await_end(
      [&, streams = std::size_t{0}]() mutable {
        registry.sweep();
        const std::size_t before = std::exchange(streams, registry.streams()->size());
        if (streams < before) give_memory_back();
      },
      [&] { reload_certificate(config, clock.now().wall, **server, quic->get(), log); });

  // The way of the data, from its source: no more publishers, last segments, then the viewers.
  log.info("app", "stopping", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
  draining.store(true, std::memory_order_release);
  const bool had_streams = !registry.streams()->empty();
  (*srt)->stop();
  if (*caller) (*caller)->stop();
  if (*rtp) (*rtp)->stop();
  registry.stop_all();
  wait_until_ended(registry);
  if (had_streams) std::this_thread::sleep_for(kAfterglow);
  drain(**server, quic->get());
  threads.reset();  // nobody asks `feeds` any more
  log.info("app", "stopped");
  return {};
}

}  // namespace

int serve(const Config& config) {
  block_signals();
  const Log log(config.log.level, config.log.format);
  if (const Status status = run(config, log); !status) {
    log.error("app", status.error().message);
    return 1;
  }
  return 0;
}

}  // namespace mirror::app
