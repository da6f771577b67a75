#include "ingest/rtp_listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "base/snapshot.h"
#include "base/thread_name.h"
#include "ingest/rtp_input.h"
#include "ingest/udp_port.h"

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTurn{2};
// While nothing comes anywhere, the first datagram ends the wait.
constexpr milliseconds kIdleWait{500};
// RTCP, and parity that nobody sends, are looked at less often.
constexpr int kSlowTurns = 10;
constexpr int kMediaCallsPerTurnMax = 8;  // 512 datagrams: 2.7 Gbps
constexpr int kParityCallsPerTurnMax = 2;
constexpr seconds kCountInterval{1};

// Parity is longer than what it protects by a header (SMPTE ST 2022-1, 8.4).
static_assert(UdpPort::Inbox::kBytesMax >= rtp::kDatagramBytesMax + 16);

// What all inputs received since the start, as counters without a label for the stream: per stream
// the same figures go to its publication.
class RtpMetrics {
 public:
  explicit RtpMetrics(Metrics& metrics)
      : live(metrics.gauge("mirror_rtp_feeds", "Feeds that come over RTP or plain UDP")),
        bytes_(metrics.counter("mirror_rtp_received_bytes_total",
                               "Bytes received over RTP or plain UDP")),
        packets_(metrics.counter("mirror_rtp_received_packets_total",
                                 "Packets received over RTP or plain UDP")),
        lost_(metrics.counter("mirror_rtp_lost_packets_total", "Packets missing, before repair")),
        recovered_(metrics.counter("mirror_rtp_recovered_packets_total",
                                   "Lost packets made again from parity (SMPTE ST 2022-1)")),
        dropped_(metrics.counter("mirror_rtp_dropped_packets_total",
                                 "Packets given up: they did not come in time")),
        belated_(metrics.counter("mirror_rtp_belated_packets_total",
                                 "Packets that came after they had been given up")),
        strange_(
            metrics.counter("mirror_rtp_strange_packets_total",
                            "Datagrams that were malformed, or of a sender who does not count")),
        kernel_(metrics.counter("mirror_rtp_kernel_dropped_packets_total",
                                "Datagrams that the kernel threw away: the receive buffer of an "
                                "input was full")) {}

  void add(const media::TransportStats& before, const media::TransportStats& now) {
    grow(bytes_, before.bytes, now.bytes);
    grow(packets_, before.packets, now.packets);
    grow(lost_, before.packets_lost, now.packets_lost);
    grow(recovered_, before.packets_recovered, now.packets_recovered);
    grow(dropped_, before.packets_dropped, now.packets_dropped);
    grow(belated_, before.packets_belated, now.packets_belated);
    grow(strange_, before.packets_strange, now.packets_strange);
  }
  void add_kernel_drops(std::uint32_t datagrams) {
    if (datagrams > 0) kernel_.Increment(datagrams);
  }

  Gauge& live;

 private:
  Counter& bytes_;
  Counter& packets_;
  Counter& lost_;
  Counter& recovered_;
  Counter& dropped_;
  Counter& belated_;
  Counter& strange_;
  Counter& kernel_;
};

std::string endpoint_of(const RtpSettings& settings, const RtpSettings::Input& input) {
  const std::string& host = input.multicast.empty() ? settings.address : input.multicast;
  const bool v6 = host.find(':') != std::string::npos;
  const std::uint16_t port = input.description ? input.description->media.front().port : input.port;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

}  // namespace

struct RtpListener::Impl {
  // One input with its sockets.
  struct Line {
    struct MediumPorts {
      UdpPort media;
      UdpPort rtcp;
      std::uint32_t kernel_drops = 0;
    };
    std::unique_ptr<RtpInput> input;
    std::vector<MediumPorts> ports;
    std::vector<UdpPort> parity;
    media::TransportStats counted{};
    std::uint64_t state_version = 0;
  };

  Impl(RtpSettings s, media::PublisherGate& g, const Log& l, Metrics& m, const Clock& c)
      : settings(std::move(s)), gate(g), log(l), clock(c), metrics(m) {}
  ~Impl() {
    if (wake_fd >= 0) ::close(wake_fd);
  }

  Status add(const RtpSettings::Input& input, std::uint64_t seed);
  Status open_ports(const RtpSettings::Input& input, const UdpPortSettings& common, Line& line);
  void tell_of_buffer() const;

  // On "ingest-rtp".
  void run();
  bool turn();
  bool drain(Line& line, bool slow);
  void count(Line& line);
  void tell_states();
  void wait_for_anything();
  template <class Take>
  bool receive(UdpPort& port, int calls_max, RtpInput& input, Take&& take);

  const RtpSettings settings;
  media::PublisherGate& gate;
  const Log& log;
  const Clock& clock;
  RtpMetrics metrics;
  int granted_bytes = 0;
  int wake_fd = -1;

  std::atomic<bool> stopping{false};
  Snapshot<std::vector<media::FeedState>> states{
      std::make_shared<const std::vector<media::FeedState>>()};

  std::vector<Line> lines;  // "ingest-rtp" only once it runs, as all below
  UdpPort::Inbox inbox;
  std::vector<pollfd> waited_for;
  int turns = 0;
  SteadyTime count_at{};

  std::jthread thread;
};

Status RtpListener::Impl::add(const RtpSettings::Input& input, std::uint64_t seed) {
  if (input.description && input.description->media.empty()) {
    return fail("the session description has no media");
  }
  auto senders = SenderList::parse(input.senders);
  if (!senders) return std::unexpected(std::move(senders.error()).within("senders"));
  UdpPortSettings common{.address = settings.address,
                         .multicast = input.multicast,
                         .interface = input.interface,
                         .sources = senders->single_addresses()};
  RtpInputSettings made{.stream = input.stream,
                        .endpoint = endpoint_of(settings, input),
                        .senders = *std::move(senders),
                        .payload_type = input.payload_type,
                        .fec = input.fec,
                        .reorder = settings.reorder,
                        .silence = settings.silence};
  if (input.description) made.media = input.description->media;
  auto created = RtpInput::create(std::move(made), gate, log, seed, clock.now());
  if (!created) return std::unexpected(std::move(created.error()));
  Line line{.input = *std::move(created), .ports = {}, .parity = {}};
  if (Status status = open_ports(input, common, line); !status) return status;
  lines.push_back(std::move(line));
  return {};
}

Status RtpListener::Impl::open_ports(const RtpSettings::Input& input, const UdpPortSettings& common,
                                     Line& line) {
  const auto open = [&](std::uint32_t number, int buffer_bytes) -> Result<UdpPort> {
    if (number == 0 || number > 65535) return fail("there is no port {}", number);
    UdpPortSettings port = common;
    port.port = static_cast<std::uint16_t>(number);
    port.receive_buffer_bytes = buffer_bytes;
    return UdpPort::open(port);
  };
  for (std::size_t i = 0; i < line.input->media_count(); ++i) {
    std::uint32_t port = input.port;
    std::uint32_t rtcp_port = port + 1;
    if (input.description) {
      port = input.description->media[i].port;
      rtcp_port = input.description->media[i].rtcp_port;
    }
    auto media = open(port, settings.receive_buffer_bytes);
    if (!media) return std::unexpected(std::move(media.error()));
    auto rtcp = open(rtcp_port, 0);
    if (!rtcp) return std::unexpected(std::move(rtcp.error()));
    granted_bytes = media->granted_bytes();
    line.ports.push_back({*std::move(media), *std::move(rtcp)});
  }
  if (!line.input->has_fec()) return {};
  for (const int offset : {2, 4}) {
    auto port =
        open(input.port + static_cast<std::uint32_t>(offset), settings.receive_buffer_bytes / 4);
    if (!port) return std::unexpected(std::move(port.error()));
    line.parity.push_back(*std::move(port));
  }
  return {};
}

void RtpListener::Impl::tell_of_buffer() const {
  const int wanted = settings.receive_buffer_bytes;
  if (lines.empty() || granted_bytes >= wanted) return;
  log.warning("ingest",
              "the kernel limits the UDP receive buffer; a fast RTP feed may lose packets",
              {{"granted_bytes", granted_bytes},
               {"wanted_bytes", wanted},
               {"remedy", fmt::format("sysctl -w net.core.rmem_max={}", wanted)}});
}

void RtpListener::Impl::run() {
  name_this_thread("ingest-rtp");
  while (!stopping) {
    const SteadyTime next = std::chrono::steady_clock::now() + kTurn;
    const bool more_waits = turn();
    if (more_waits) continue;
    const SteadyTime now = clock.now().steady;
    const bool busy =
        std::ranges::any_of(lines, [now](const Line& line) { return line.input->busy(now); });
    if (busy) {
      std::this_thread::sleep_until(next);
    } else {
      wait_for_anything();
    }
  }
  for (Line& line : lines) {
    line.input->stop(clock.now());
    count(line);
  }
  metrics.live.Set(0);
  tell_states();
}

// Takes what has arrived; true when some of it still waits.
bool RtpListener::Impl::turn() {
  turns = (turns + 1) % kSlowTurns;
  bool more_waits = false;
  for (Line& line : lines) more_waits = drain(line, turns == 0) || more_waits;
  const Instant now = clock.now();
  const bool count_now = now.steady >= count_at;
  if (count_now) count_at = now.steady + kCountInterval;
  int live = 0;
  bool changed = false;
  for (Line& line : lines) {
    line.input->idle(now);
    while (auto report = line.input->take_report(now)) {
      line.ports[report->medium].rtcp.send(report->bytes, report->to);
    }
    if (count_now) count(line);
    changed = changed || line.state_version != line.input->state_version();
    if (line.input->state().state == media::FeedState::State::kLive) ++live;
  }
  if (changed) {
    metrics.live.Set(live);
    tell_states();
  }
  return more_waits;
}

// Parity before media before RTCP: a packet that a repair or a goodbye could make wrong has been
// taken by then.
bool RtpListener::Impl::drain(Line& line, bool slow) {
  RtpInput& input = *line.input;
  bool more_waits = false;
  if (slow || input.fec_busy(clock.now().steady)) {
    for (UdpPort& port : line.parity) {
      const bool more = receive(port, kParityCallsPerTurnMax, input,
                                [&input](auto bytes, const RemoteAddress& from, Instant now) {
                                  input.push_fec(bytes, from, now);
                                });
      more_waits = more_waits || more;
    }
  }
  for (std::size_t i = 0; i < line.ports.size(); ++i) {
    const bool more = receive(line.ports[i].media, kMediaCallsPerTurnMax, input,
                              [&input, i](auto bytes, const RemoteAddress& from, Instant now) {
                                input.push_media(i, bytes, from, now);
                              });
    more_waits = more_waits || more;
  }
  if (!slow) return more_waits;
  for (std::size_t i = 0; i < line.ports.size(); ++i) {
    receive(line.ports[i].rtcp, 1, input,
            [&input, i](auto bytes, const RemoteAddress& from, Instant now) {
              input.push_rtcp(i, bytes, from, now);
            });
  }
  return more_waits;
}

// True when more may wait than the port's share of a turn.
template <class Take>
bool RtpListener::Impl::receive(UdpPort& port, int calls_max, RtpInput& input, Take&& take) {
  for (int call = 0; call < calls_max; ++call) {
    const auto datagrams = port.receive(inbox);
    if (datagrams.empty()) return false;
    const Instant now = clock.now();
    for (const UdpPort::Datagram& datagram : datagrams) {
      const auto from = RemoteAddress::of(*datagram.from);
      if (datagram.cut) {
        input.count_cut(UdpPort::Inbox::kBytesMax, now);
        continue;
      }
      if (!from) {
        input.count_strange();
        continue;
      }
      take(datagram.bytes, *from, now);
    }
    if (datagrams.size() < UdpPort::Inbox::kDatagramsMax) return false;
  }
  return true;
}

void RtpListener::Impl::count(Line& line) {
  const media::TransportStats now = line.input->totals();
  metrics.add(line.counted, now);
  line.counted = now;
  for (Line::MediumPorts& ports : line.ports) {
    const std::uint32_t dropped = ports.media.dropped();
    metrics.add_kernel_drops(dropped - ports.kernel_drops);
    ports.kernel_drops = dropped;
  }
}

void RtpListener::Impl::tell_states() {
  auto next = std::make_shared<std::vector<media::FeedState>>();
  for (Line& line : lines) {
    next->push_back(line.input->state());
    line.state_version = line.input->state_version();
  }
  states.publish(std::move(next));
}

void RtpListener::Impl::wait_for_anything() {
  if (waited_for.empty()) {
    waited_for.push_back({wake_fd, POLLIN, 0});
    for (const Line& line : lines) {
      for (const auto& ports : line.ports) waited_for.push_back({ports.media.fd(), POLLIN, 0});
    }
  }
  ::poll(waited_for.data(), waited_for.size(), static_cast<int>(kIdleWait.count()));
}

RtpListener::RtpListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RtpListener::~RtpListener() { stop(); }

Result<std::unique_ptr<RtpListener>> RtpListener::create(RtpSettings settings,
                                                         media::PublisherGate& gate, const Log& log,
                                                         Metrics& metrics, const Clock& clock) {
  if (settings.inputs.size() > RtpSettings::kInputsMax) {
    return fail("more than {} RTP inputs", RtpSettings::kInputsMax);
  }
  auto impl = std::make_unique<Impl>(std::move(settings), gate, log, metrics, clock);
  impl->wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl->wake_fd < 0) return fail("RTP: no event descriptor");
  std::random_device random;
  for (const RtpSettings::Input& input : impl->settings.inputs) {
    const std::uint64_t seed = std::uint64_t{random()} << 32U | random();
    if (Status status = impl->add(input, seed); !status) {
      return std::unexpected(
          std::move(status.error()).within(fmt::format("RTP input '{}'", input.stream.text())));
    }
  }
  impl->tell_of_buffer();
  impl->tell_states();
  Impl* self = impl.get();
  if (!impl->lines.empty()) impl->thread = std::jthread([self] { self->run(); });
  return std::unique_ptr<RtpListener>(new RtpListener(std::move(impl)));
}

std::vector<media::FeedState> RtpListener::feeds() const { return *impl_->states.read(); }

void RtpListener::stop() {
  impl_->stopping = true;
  const std::uint64_t one = 1;
  (void)!::write(impl_->wake_fd, &one, sizeof one);
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace mirror::ingest
