// The two halves of bench/ingest_rtp.mjs:
//
//   mirror-bench-rtp receive PORT FEEDS SECONDS       the real RtpListener and demuxers; media
//                                                     threads are replaced by a sink that counts
//   mirror-bench-rtp send FILE PORT FEEDS BPS SECONDS MPEG-TS over RTP to 127.0.0.1, a burst each
//                                                     2 ms and feed
//
// Each prints one line of JSON. The receiver's CPU time is that of the whole process (getrusage),
// from the first feed's beginning to its end.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "base/clock.h"
#include "ingest/rtp_listener.h"

namespace {

using namespace mirror;
using namespace std::chrono_literals;

constexpr std::uint16_t kPortsApart = 6;
constexpr std::size_t kPayload = 7 * 188;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Counts {
  std::atomic<int> feeds{0};
  std::atomic<std::uint64_t> units{0};
  std::atomic<std::uint64_t> damaged{0};
  std::atomic<std::uint64_t> unit_bytes{0};
};

class CountingGate final : public media::PublisherGate {
 public:
  explicit CountingGate(Counts& counts) : counts_(counts) {}
  std::optional<media::PublishRefusal> admit(const media::PublishRequest&) const override {
    return std::nullopt;
  }
  std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> open(
      const media::PublishRequest&) override {
    ++counts_.feeds;
    return std::make_unique<Turn>(counts_);
  }

 private:
  struct Turn final : media::Publication {
    explicit Turn(Counts& c) : counts(c) {}
    void on_tracks(const std::vector<media::Track>&) override {}
    void on_access_unit(media::AccessUnit unit) override {
      counts.units.fetch_add(1, std::memory_order_relaxed);
      if (unit.damaged) counts.damaged.fetch_add(1, std::memory_order_relaxed);
      counts.unit_bytes.fetch_add(unit.data.size(), std::memory_order_relaxed);
    }
    void on_stats(const media::TransportStats&, const media::DemuxStats&) override {}
    bool displaced() const override { return false; }
    Counts& counts;
  };
  Counts& counts_;
};

double metric(const Metrics& metrics, const std::string& name) {
  const std::string text = metrics.render();
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
}

int receive(std::uint16_t port, int feeds, int seconds) {
  const SystemClock clock;
  const Log log(LogLevel::kWarning, LogFormat::kReadable);
  Metrics metrics;
  Counts counts;
  CountingGate gate(counts);
  ingest::RtpSettings settings{.address = "127.0.0.1", .silence = 60s};
  for (int i = 0; i < feeds; ++i) {
    settings.inputs.push_back({.stream = *media::StreamKey::parse("feed" + std::to_string(i)),
                               .port = static_cast<std::uint16_t>(port + i * kPortsApart)});
  }
  auto listener = ingest::RtpListener::create(std::move(settings), gate, log, metrics, clock);
  if (!listener) {
    std::fprintf(stderr, "%s\n", listener.error().message.c_str());
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  while (counts.feeds < feeds && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(10ms);
  }
  std::this_thread::sleep_for(1s);
  const double cpu = cpu_seconds();
  const auto began = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const double cpu_used = cpu_seconds() - cpu;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  std::this_thread::sleep_for(4s);  // until the senders have ended
  (*listener)->stop();
  std::printf(
      "{\"cores\":%.4f,\"feeds\":%d,\"packets\":%.0f,\"bytes\":%.0f,\"lost\":%.0f,"
      "\"kernel_dropped\":%.0f,\"units\":%llu,\"damaged\":%llu,\"unit_bytes\":%llu}\n",
      cpu_used / passed.count(), counts.feeds.load(),
      metric(metrics, "mirror_rtp_received_packets_total"),
      metric(metrics, "mirror_rtp_received_bytes_total"),
      metric(metrics, "mirror_rtp_lost_packets_total"),
      metric(metrics, "mirror_rtp_kernel_dropped_packets_total"),
      static_cast<unsigned long long>(counts.units),
      static_cast<unsigned long long>(counts.damaged),
      static_cast<unsigned long long>(counts.unit_bytes));
  return 0;
}

// One feed as a sender has it: where in the file it is, and its RTP header.
struct Feed {
  sockaddr_in to{};
  std::size_t at = 0;
  std::uint16_t sequence = 0;
  std::uint64_t sent = 0;
  std::uint64_t packets = 0;
};

int send(const char* name, std::uint16_t port, int feeds, double bps, int seconds) {
  std::ifstream file(name, std::ios::binary);
  const std::vector<char> ts(std::istreambuf_iterator<char>(file), {});
  if (ts.size() < kPayload) return 1;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  std::vector<Feed> all(static_cast<std::size_t>(feeds));
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].to.sin_family = AF_INET;
    all[i].to.sin_port = htons(static_cast<std::uint16_t>(port + i * kPortsApart));
    all[i].to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  constexpr std::size_t kBurst = 64;
  std::array<std::array<std::uint8_t, 12>, kBurst> headers;
  std::array<std::array<iovec, 2>, kBurst> parts;
  std::array<mmsghdr, kBurst> messages;
  std::uint64_t refused = 0;
  const auto began = std::chrono::steady_clock::now();
  const auto end = began + std::chrono::seconds(seconds);
  for (auto turn = began; turn < end; turn += 2ms) {
    std::this_thread::sleep_until(turn);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
    const auto due = static_cast<std::uint64_t>(passed.count() * bps / 8);
    for (std::size_t i = 0; i < all.size(); ++i) {
      Feed& feed = all[i];
      while (feed.sent + kPayload <= due) {
        std::size_t count = 0;
        for (; count < kBurst && feed.sent + kPayload <= due; ++count) {
          if (feed.at + kPayload > ts.size()) feed.at = 0;
          auto& header = headers[count];
          header = {0x80, 33};
          header[2] = static_cast<std::uint8_t>(feed.sequence >> 8U);
          header[3] = static_cast<std::uint8_t>(feed.sequence);
          const auto timestamp = static_cast<std::uint32_t>(passed.count() * 90'000);
          for (std::size_t b = 0; b < 4; ++b) {
            header[4 + b] = static_cast<std::uint8_t>(timestamp >> (24 - 8 * b));
          }
          header[11] = static_cast<std::uint8_t>(i + 1);
          parts[count][0] = {header.data(), header.size()};
          parts[count][1] = {const_cast<char*>(ts.data()) + feed.at, kPayload};
          messages[count] = {};
          messages[count].msg_hdr.msg_name = &feed.to;
          messages[count].msg_hdr.msg_namelen = sizeof feed.to;
          messages[count].msg_hdr.msg_iov = parts[count].data();
          messages[count].msg_hdr.msg_iovlen = 2;
          feed.at += kPayload;
          feed.sent += kPayload;
          ++feed.sequence;
        }
        int gone = 0;
        while (gone < static_cast<int>(count)) {
          const int now = sendmmsg(fd, messages.data() + gone,
                                   static_cast<unsigned>(count) - static_cast<unsigned>(gone), 0);
          if (now <= 0) {
            ++refused;
            break;
          }
          gone += now;
        }
        feed.packets += static_cast<std::uint64_t>(gone);
      }
    }
  }
  std::uint64_t packets = 0;
  for (const Feed& feed : all) packets += feed.packets;
  std::printf("{\"packets\":%llu,\"refused\":%llu,\"cores\":%.4f}\n",
              static_cast<unsigned long long>(packets), static_cast<unsigned long long>(refused),
              cpu_seconds() / seconds);
  close(fd);
  return 0;
}

int number(const char* text) { return std::atoi(text); }

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "receive" && argc == 5) {
    return receive(static_cast<std::uint16_t>(number(argv[2])), number(argv[3]), number(argv[4]));
  }
  if (mode == "send" && argc == 7) {
    return send(argv[2], static_cast<std::uint16_t>(number(argv[3])), number(argv[4]),
                std::strtod(argv[5], nullptr), number(argv[6]));
  }
  std::fprintf(stderr, "usage: %s receive PORT FEEDS SECONDS | send FILE PORT FEEDS BPS SECONDS\n",
               argv[0]);
  return 2;
}
