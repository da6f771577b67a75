// What bench/ingest-srt.mjs measures, in two roles:
//
//   mirror-bench-srt receive --port P --streams N --seconds S     the real listener and demuxer
//   mirror-bench-srt send --port P [--ports-apart 1] --streams N --seconds S [--mbps 50]
//                    [--tick-us 2000] [--passphrase WORDS]
//
// `receive` counts access units behind a gate of its own: each picture's timestamp says which one
// it is, so what is missing is known by number. It measures its own CPU over S seconds, from 2 s
// after the last of N streams came. `send` paces N synthetic transport streams: all that is due
// each tick, so 2000 us are bursts, as encoders write them, and 150 us are smooth. Both print one
// line of JSON.
#include <fmt/format.h>
#include <srt/srt.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ingest/kernel_drops.h"
#include "ingest/srt_listener.h"
#include "ingest/srt_socket.h"
#include "mpegts/test_stream.h"

namespace {

using namespace std::chrono_literals;
using namespace mirror;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMessageBytes = 7 * 188;
constexpr std::size_t kMessagesPerPicture = 81;  // 106,596 bytes
constexpr std::size_t kPicturesPerLoop = 16;     // continuity counters come round
constexpr int kVideoPid = 0x100;

// Pictures follow each other so that kMessagesPerPicture messages each make `mbps`.
std::int64_t picture_ticks(int mbps) {
  const double seconds = 8.0 * kMessagesPerPicture * kMessageBytes / (1e6 * mbps);
  return std::llround(90'000 * seconds);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// ---- send ------------------------------------------------------------------------------------

// kPicturesPerLoop pictures as messages, and where their timestamps stand.
struct Loop {
  mpegts::test::ByteVector bytes;
  std::vector<std::size_t> stamps;  // of each picture: offset of the five bytes of its PTS

  Loop() {
    using namespace mpegts::test;
    Muxer mux;
    for (std::size_t i = 0; i < kPicturesPerLoop; ++i) {
      const std::size_t begin = bytes.size();
      append(bytes, mux.tables({{0x1b, kVideoPid}}));
      const std::size_t room = (kMessagesPerPicture * 7 - 2) * 184 - 1;  // of one PES packet
      const std::size_t overhead = pes({.pts = 0, .dts = {}}, h264_picture(i == 0, 0)).size();
      const auto packet =
          mux.unit(kVideoPid, pes({.pts = 0, .dts = {}}, h264_picture(i == 0, room - overhead)));
      stamps.push_back(bytes.size() + 4 + 9);
      append(bytes, packet);
      if (bytes.size() - begin != kMessagesPerPicture * kMessageBytes) std::abort();
    }
  }
};

// Copies message `number` of the endless stream to `out`, with its timestamp if it holds one.
void write_message(const Loop& loop, std::uint64_t number, std::int64_t ticks, char* out) {
  const std::uint64_t picture = number / kMessagesPerPicture;
  const std::size_t at = number % (kMessagesPerPicture * kPicturesPerLoop) * kMessageBytes;
  std::memcpy(out, loop.bytes.data() + at, kMessageBytes);
  const std::size_t stamp = loop.stamps[picture % kPicturesPerLoop];
  if (stamp < at || stamp >= at + kMessageBytes) return;
  const auto pts = mpegts::test::timestamp(2, static_cast<std::int64_t>(picture) * ticks);
  std::memcpy(out + (stamp - at), pts.data(), pts.size());
}

struct Options {
  std::string role;
  std::map<std::string, int> numbers{{"--port", 7000}, {"--ports-apart", 0}, {"--streams", 1},
                                     {"--seconds", 5}, {"--mbps", 50},       {"--tick-us", 2000}};
  std::string passphrase;
  int operator[](const char* name) const { return numbers.at(name); }
};

// All streams leave by one UDP port, `local` once it is known: libsrt then has one sending thread,
// not one for each, and the sender leaves the machine to the receiver.
ingest::SrtSocket dial(const Options& options, int index, sockaddr_in& local) {
  ingest::SrtSocket socket(srt_create_socket());
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (srt_bind(socket.id(), reinterpret_cast<sockaddr*>(&local), sizeof local) == SRT_ERROR) {
    fmt::print(stderr, "bind: {}\n", srt_getlasterror_str());
    std::exit(1);
  }
  int size = sizeof local;
  srt_getsockname(socket.id(), reinterpret_cast<sockaddr*>(&local), &size);
  socket.set(SRTO_SENDER, true);
  socket.set(SRTO_STREAMID, fmt::format("bench{}", index));
  if (!options.passphrase.empty()) socket.set(SRTO_PASSPHRASE, options.passphrase);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const int port = options["--port"] + index * options["--ports-apart"];
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (srt_connect(socket.id(), reinterpret_cast<sockaddr*>(&address), sizeof address) ==
      SRT_ERROR) {
    fmt::print(stderr, "stream {}: {}\n", index, srt_getlasterror_str());
    std::exit(1);
  }
  socket.set(SRTO_SNDSYN, false);
  return socket;
}

int send(const Options& options) {
  const ingest::SrtLibrary library;
  const Loop loop;
  std::vector<ingest::SrtSocket> sockets;
  sockets.reserve(static_cast<std::size_t>(options["--streams"]));
  sockaddr_in local{};
  for (int i = 0; i < options["--streams"]; ++i) sockets.push_back(dial(options, i, local));
  const std::int64_t ticks = picture_ticks(options["--mbps"]);
  const double messages_per_second = 90'000.0 / static_cast<double>(ticks) * kMessagesPerPicture;
  const std::chrono::microseconds tick(options["--tick-us"]);
  const auto pictures = static_cast<std::uint64_t>(options["--seconds"] * 90'000 / ticks);
  const std::uint64_t total = pictures * kMessagesPerPicture;
  std::vector<char> message(kMessageBytes);
  std::uint64_t unsent = 0;
  const auto began = Clock::now();
  auto next = began;
  for (std::uint64_t sent = 0; sent < total;) {
    next += tick;
    std::this_thread::sleep_until(next);
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    const auto due = std::min(total, static_cast<std::uint64_t>(seconds * messages_per_second));
    for (; sent < due; ++sent) {
      write_message(loop, sent, ticks, message.data());
      for (const auto& socket : sockets) {
        const int size = static_cast<int>(message.size());
        if (srt_sendmsg2(socket.id(), message.data(), size, nullptr) != size) ++unsent;
      }
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  const double cpu = cpu_seconds();
  std::this_thread::sleep_for(1s);  // for what is asked for again
  std::int64_t dropped = 0;
  for (const auto& socket : sockets) {
    SRT_TRACEBSTATS stats{};
    if (srt_bstats(socket.id(), &stats, 0) != SRT_ERROR) dropped += stats.pktSndDropTotal;
  }
  fmt::print("{{\"pictures\":{},\"unsent\":{},\"dropped\":{},\"cores\":{:.3f}}}\n",
             pictures * sockets.size(), unsent, dropped, cpu / seconds);
  return 0;
}

// ---- receive ---------------------------------------------------------------------------------

// What came of one stream. Written on "ingest-srt" alone; read when it has ended.
struct Count {
  std::uint64_t pictures = 0;
  std::uint64_t damaged = 0;
  std::int64_t last = -1;  // the highest number
  media::TransportStats transport{};
  media::DemuxStats demux{};
};

class CountingGate final : public media::PublisherGate {
 public:
  CountingGate(std::int64_t ticks, std::map<std::string, Count>& counts)
      : ticks_(ticks), counts_(counts) {}

  std::optional<media::PublishRefusal> admit(const media::PublishRequest&) const override {
    return std::nullopt;
  }
  std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> open(
      const media::PublishRequest& request) override {
    live.fetch_add(1);
    return std::make_unique<Sink>(*this, counts_[request.key.text()]);
  }

  std::atomic<int> live{0};
  std::atomic<int> ended{0};

 private:
  class Sink final : public media::Publication {
   public:
    Sink(CountingGate& gate, Count& count) : gate_(gate), count_(count) {}
    ~Sink() override { gate_.ended.fetch_add(1); }
    void on_tracks(const std::vector<media::Track>&) override {}
    void on_access_unit(media::AccessUnit unit) override {
      ++count_.pictures;
      count_.damaged += unit.damaged ? 1 : 0;
      count_.last = std::max(count_.last, unit.pts.count() / gate_.ticks_);
    }
    void on_stats(const media::TransportStats& transport, const media::DemuxStats& demux) override {
      count_.transport = transport;
      count_.demux = demux;
    }
    bool displaced() const override { return false; }

   private:
    CountingGate& gate_;
    Count& count_;
  };

  const std::int64_t ticks_;
  std::map<std::string, Count>& counts_;
};

int receive(const Options& options) {
  std::map<std::string, Count> counts;
  CountingGate gate(picture_ticks(options["--mbps"]), counts);
  const Log log(LogLevel::kWarning, LogFormat::kReadable);
  Metrics metrics;
  const SystemClock clock;
  Metrics metrics_of_bench;
  ingest::KernelDrops kernel(metrics_of_bench);
  auto listener =
      ingest::SrtListener::create({.address = "127.0.0.1",
                                   .port = static_cast<std::uint16_t>(options["--port"]),
                                   .passphrase = options.passphrase},
                                  gate, log, metrics, clock);
  if (!listener) {
    fmt::print(stderr, "{}\n", listener.error().message);
    return 1;
  }
  const int streams = options["--streams"];
  while (gate.live < streams) std::this_thread::sleep_for(10ms);
  std::this_thread::sleep_for(2s);
  const double cpu = cpu_seconds();
  const auto began = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(options["--seconds"]));
  const double cores =
      (cpu_seconds() - cpu) / std::chrono::duration<double>(Clock::now() - began).count();
  while (gate.ended < streams) std::this_thread::sleep_for(10ms);
  (*listener)->stop();
  kernel.look();
  Count sum;
  std::int64_t missing = 0;
  for (const auto& [key, count] : counts) {
    sum.pictures += count.pictures;
    sum.damaged += count.damaged;
    missing += count.last + 1 - static_cast<std::int64_t>(count.pictures);
    sum.transport.bytes += count.transport.bytes;
    sum.transport.packets_lost += count.transport.packets_lost;
    sum.transport.packets_dropped += count.transport.packets_dropped;
    sum.transport.packets_retransmitted += count.transport.packets_retransmitted;
    sum.demux.continuity_errors += count.demux.continuity_errors;
  }
  fmt::print(
      "{{\"cores\":{:.3f},\"pictures\":{},\"missing\":{},\"damaged\":{},\"lost\":{},"
      "\"retransmitted\":{},\"dropped\":{},\"continuity_errors\":{},\"kernel_drops\":{}}}\n",
      cores, sum.pictures, missing, sum.damaged, sum.transport.packets_lost,
      sum.transport.packets_retransmitted, sum.transport.packets_dropped,
      sum.demux.continuity_errors, kernel.count());
  return 0;
}

int usage() {
  fmt::print(stderr, "mirror-bench-srt receive|send [--NAME NUMBER]... [--passphrase WORDS]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.size() % 2 == 0) return usage();
  Options options;
  options.role = words[0];
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const std::string& value = words[i + 1];
    if (words[i] == "--passphrase") {
      options.passphrase = value;
      continue;
    }
    const auto found = options.numbers.find(words[i]);
    if (found == options.numbers.end()) return usage();
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), found->second);
    if (error != std::errc() || end != value.data() + value.size()) return usage();
  }
  if (options.role == "send") return send(options);
  return options.role == "receive" ? receive(options) : usage();
}
