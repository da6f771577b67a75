#include "ingest/srt_listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <srt/access_control.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/thread_name.h"
#include "ingest/refusals.h"
#include "ingest/srt_connection.h"
#include "ingest/srt_socket.h"
#include "ingest/stream_id.h"

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTurn{2};
// Without publishers only a new caller ends the wait early, so this is how long stop() may take.
// (srt_epoll_uwait of libsrt 1.5.1 takes no system descriptors, so an eventfd cannot wake it.)
constexpr milliseconds kIdleWait{50};
constexpr seconds kReportInterval{1};
constexpr int kBacklog = 32;
// Packets that may arrive in disorder before they count as lost.
constexpr int kReorderPacketsMax = 40;
constexpr std::int64_t kPayloadBytes = 1316;
constexpr std::int64_t kMssBytes = 1500;
constexpr std::int64_t kHeaderBytes = 28;  // IPv4 and UDP, as libsrt counts its buffers

struct RejectCode {
  RefusalReason reason;
  int code;
};

RejectCode reject_code(BadStreamId::Kind kind) {
  switch (kind) {
    case BadStreamId::Kind::kMode:
      return {RefusalReason::kBadMode, SRT_REJX_BAD_MODE};
    case BadStreamId::Kind::kType:
      return {RefusalReason::kBadMode, SRT_REJX_NOTSUP_MEDIA};
    case BadStreamId::Kind::kSyntax:
      break;
  }
  return {RefusalReason::kBadStreamId, SRT_REJX_BAD_REQUEST};
}

RejectCode reject_code(media::PublishRefusal::Reason reason) {
  switch (reason) {
    case media::PublishRefusal::Reason::kConflict:
      return {RefusalReason::kConflict, SRT_REJX_CONFLICT};
    case media::PublishRefusal::Reason::kShuttingDown:
      return {RefusalReason::kShuttingDown, SRT_REJX_DOWN};
    case media::PublishRefusal::Reason::kUnauthorized:
      return {RefusalReason::kUnauthorized, SRT_REJX_UNAUTHORIZED};
    case media::PublishRefusal::Reason::kOverload:
      break;
  }
  return {RefusalReason::kOverload, SRT_REJX_OVERLOAD};
}

// How many packets one connection may hold: its rate over latency and round trip (a lost packet
// waits for both), at least libsrt's default.
int receive_buffer_packets(const SrtSettings& settings) {
  constexpr milliseconds kRoundTripMax{500};
  constexpr std::int64_t kPacketsMin = 8192;
  constexpr std::int64_t kPacketsMax = 1 << 17;
  const std::int64_t held_ms =
      (std::max(settings.latency, milliseconds(1000)) + kRoundTripMax).count();
  const std::int64_t bytes = settings.bitrate_bps_max / 8 * held_ms / 1000;
  return static_cast<int>(std::clamp(bytes / kPayloadBytes * 5 / 4, kPacketsMin, kPacketsMax));
}

Status set_buffers(const SrtSocket& socket, const SrtSettings& settings) {
  const int packets = receive_buffer_packets(settings);
  // The flight window caps the receive buffer, so it is set first.
  const bool ok = socket.set(SRTO_FC, std::max(25'600, packets)) &&
                  socket.set(SRTO_RCVBUF, static_cast<int>(packets * (kMssBytes - kHeaderBytes))) &&
                  socket.set(SRTO_UDP_RCVBUF, settings.udp_receive_buffer_bytes);
  if (!ok) return fail("buffer sizes: {}", srt_getlasterror_str());
  return {};
}

Status configure(const SrtSocket& socket, const SrtSettings& settings) {
  const bool ok =
      socket.set(SRTO_RCVSYN, false) && socket.set(SRTO_REUSEADDR, false) &&
      socket.set(SRTO_RCVLATENCY, static_cast<int>(settings.latency.count())) &&
      socket.set(SRTO_LOSSMAXTTL, kReorderPacketsMax) &&
      socket.set(SRTO_PEERIDLETIMEO, static_cast<int>(settings.peer_idle_timeout.count())) &&
      socket.set(SRTO_ENFORCEDENCRYPTION, true);
  if (!ok) return fail("options: {}", srt_getlasterror_str());
  if (!settings.passphrase.empty() && !socket.set(SRTO_PASSPHRASE, settings.passphrase)) {
    return fail("the passphrase must have 10 to 79 characters");
  }
  return set_buffers(socket, settings);
}

struct Address {
  sockaddr_storage storage{};
  int size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<Address> numeric_address(const std::string& text, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int result = getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (result != 0) return fail("{} is not a numeric address", text);
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = static_cast<int>(found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

Result<SrtSocket> listen_on(const SrtSettings& settings, const std::string& text, bool v6_only,
                            srt_listen_callback_fn* callback, void* opaque) {
  const Result<Address> address = numeric_address(text, settings.port);
  if (!address) return std::unexpected(address.error());
  SrtSocket socket(srt_create_socket());
  if (Status status = configure(socket, settings); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (address->get()->sa_family == AF_INET6) socket.set(SRTO_IPV6ONLY, v6_only ? 1 : 0);
  if (srt_bind(socket.id(), address->get(), address->size) == SRT_ERROR ||
      srt_listen_callback(socket.id(), callback, opaque) == SRT_ERROR ||
      srt_listen(socket.id(), kBacklog) == SRT_ERROR) {
    return fail("{}", srt_getlasterror_str());
  }
  return socket;
}

// One socket for both families; IPv4 alone where the machine has no IPv6.
Result<SrtSocket> listen_on(const SrtSettings& settings, srt_listen_callback_fn* callback,
                            void* opaque) {
  if (settings.address != "*") {
    return listen_on(settings, settings.address, true, callback, opaque);
  }
  Result<SrtSocket> both = listen_on(settings, "::", false, callback, opaque);
  if (both) return both;
  return listen_on(settings, "0.0.0.0", false, callback, opaque);
}

// What the kernel grants of `wanted` bytes of receive buffer; getsockopt reports it doubled.
int granted_receive_buffer(int wanted) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  int granted = 0;
  socklen_t size = sizeof granted;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
  getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size);
  close(fd);
  return granted / 2;
}

// What SRT measured on all connections since the start, as counters without a label for the stream:
// per stream the same figures go to its publication.
class SrtMetrics {
 public:
  explicit SrtMetrics(Metrics& metrics)
      : connections(metrics.gauge("mirror_srt_connections", "Publishers connected over SRT")),
        accepted(metrics.counter("mirror_srt_accepted_total", "Publishers accepted over SRT")),
        bytes_(metrics.counter("mirror_srt_received_bytes_total", "Bytes received over SRT")),
        packets_(metrics.counter("mirror_srt_received_packets_total", "Packets received over SRT")),
        lost_(metrics.counter("mirror_srt_lost_packets_total",
                              "Packets seen missing, before repair")),
        retransmitted_(metrics.counter("mirror_srt_retransmitted_packets_total",
                                       "Packets that arrived by retransmission")),
        dropped_(
            metrics.counter("mirror_srt_dropped_packets_total", "Packets given up as too late")) {}

  void add(const media::TransportStats& before, const media::TransportStats& now) {
    grow(bytes_, before.bytes, now.bytes);
    grow(packets_, before.packets, now.packets);
    grow(lost_, before.packets_lost, now.packets_lost);
    grow(retransmitted_, before.packets_retransmitted, now.packets_retransmitted);
    grow(dropped_, before.packets_dropped, now.packets_dropped);
  }

  Gauge& connections;
  Counter& accepted;

 private:
  static void grow(Counter& counter, std::uint64_t before, std::uint64_t now) {
    if (now > before) counter.Increment(static_cast<double>(now - before));
  }

  Counter& bytes_;
  Counter& packets_;
  Counter& lost_;
  Counter& retransmitted_;
  Counter& dropped_;
};

}  // namespace

struct SrtListener::Impl {
  struct Publisher {
    std::unique_ptr<SrtConnection> connection;
    SteadyTime report_at;
    media::TransportStats reported{};
  };

  Impl(SrtSettings s, media::PublisherGate& g, const Log& l, Metrics& m, const Clock& c)
      : settings(std::move(s)), gate(g), log(l), clock(c), refusals(l, m), metrics(m) {}

  // On libsrt's thread, inside the handshake.
  static int on_handshake(void* opaque, SRTSOCKET socket, int version, const sockaddr* peer,
                          const char* stream_id);
  std::optional<RejectCode> why_not(const std::string& remote, std::string_view stream_id,
                                    std::string& why) const;

  // On "ingest-srt".
  void run();
  bool turn(milliseconds wait);
  bool drain(SRTSOCKET id);
  void accept_all(Instant now);
  void accept(SrtSocket socket, const sockaddr* peer, Instant now);
  void tend_all(Instant now);
  void report(Publisher& publisher, Instant now);
  void hang_up(SRTSOCKET id, std::string_view why);

  const SrtLibrary library;
  const SrtSettings settings;
  media::PublisherGate& gate;
  const Log& log;
  const Clock& clock;
  Refusals refusals;
  SrtMetrics metrics;
  std::uint16_t port = 0;
  int epoll = -1;

  std::atomic<bool> stopping{false};
  std::atomic<int> connected{0};  // written by "ingest-srt", read in handshakes

  std::unordered_map<SRTSOCKET, Publisher> publishers;  // "ingest-srt" only, as all below
  std::vector<SRT_EPOLL_EVENT> events;
  std::vector<SRTSOCKET> broken;

  SrtSocket listener;  // closed first: it calls back into all above
  std::jthread thread;
};

int SrtListener::Impl::on_handshake(void* opaque, SRTSOCKET socket, int /*version*/,
                                    const sockaddr* peer, const char* stream_id) {
  auto& self = *static_cast<Impl*>(opaque);
  const std::string remote = text_of(peer);
  const std::string_view text = stream_id == nullptr ? "" : stream_id;
  std::string why;
  const std::optional<RejectCode> refused = self.why_not(remote, text, why);
  if (!refused) return 0;
  srt_setrejectreason(socket, refused->code);
  self.refusals.tell(refused->reason, why, remote, text, self.clock.now().steady);
  return -1;
}

std::optional<RejectCode> SrtListener::Impl::why_not(const std::string& remote,
                                                     std::string_view stream_id,
                                                     std::string& why) const {
  if (stopping) {
    why = "shutting down";
    return RejectCode{RefusalReason::kShuttingDown, SRT_REJX_DOWN};
  }
  const auto key = parse_stream_id(stream_id);
  if (!key) {
    why = key.error().why;
    return reject_code(key.error().kind);
  }
  if (connected >= settings.publishers_max) {
    why = "as many publishers are connected as srt.max_publishers allows";
    return RejectCode{RefusalReason::kOverload, SRT_REJX_OVERLOAD};
  }
  const auto refusal = gate.admit({*key, "srt", remote});
  if (!refusal) return std::nullopt;
  why = refusal->message;
  return reject_code(refusal->reason);
}

void SrtListener::Impl::run() {
  name_this_thread("ingest-srt");
  while (!stopping) {
    const SteadyTime next = std::chrono::steady_clock::now() + kTurn;
    const bool more_waits = turn(publishers.empty() ? kIdleWait : kTurn);
    if (!more_waits) std::this_thread::sleep_until(next);
  }
  while (!publishers.empty()) hang_up(publishers.begin()->first, "shutting down");
}

// Waits for something to arrive and takes it; true when some of it still waits.
bool SrtListener::Impl::turn(milliseconds wait) {
  const int ready =
      srt_epoll_uwait(epoll, events.data(), static_cast<int>(events.size()), wait.count());
  bool more_waits = false;
  const std::size_t count = std::min(events.size(), static_cast<std::size_t>(std::max(ready, 0)));
  for (std::size_t i = 0; i < count; ++i) {
    if (events[i].fd == listener.id()) {
      accept_all(clock.now());
    } else if (drain(events[i].fd)) {
      more_waits = true;
    }
  }
  tend_all(clock.now());
  return more_waits;
}

bool SrtListener::Impl::drain(SRTSOCKET id) {
  const auto found = publishers.find(id);
  if (found == publishers.end()) return false;
  switch (found->second.connection->drain(clock)) {
    case SrtConnection::Drained::kAll:
      return false;
    case SrtConnection::Drained::kMoreWaits:
      return true;
    case SrtConnection::Drained::kBroken:
      break;
  }
  hang_up(id, "the connection ended");
  return false;
}

void SrtListener::Impl::accept_all(Instant now) {
  for (int i = 0; i < kBacklog; ++i) {
    sockaddr_storage peer{};
    int size = sizeof peer;
    auto* address = reinterpret_cast<sockaddr*>(&peer);
    SrtSocket socket(srt_accept(listener.id(), address, &size));
    if (socket.id() == SRT_INVALID_SOCK) return;
    accept(std::move(socket), address, now);
  }
}

// The handshake is over, so a refusal here can only hang up: it comes when two callers with one
// key, or more callers than there is room for, were let through at the same time.
void SrtListener::Impl::accept(SrtSocket socket, const sockaddr* peer, Instant now) {
  const std::string remote = text_of(peer);
  const std::string stream_id = socket.get_text(SRTO_STREAMID);
  const auto refuse = [&](RefusalReason reason, std::string_view why) {
    refusals.tell(reason, why, remote, stream_id, now.steady);
  };
  const auto key = parse_stream_id(stream_id);
  if (!key) return refuse(RefusalReason::kBadStreamId, key.error().why);
  if (std::ssize(publishers) >= settings.publishers_max) {
    return refuse(RefusalReason::kOverload, "too many publishers");
  }
  media::PublishRequest request{*key, "srt", remote};
  auto publication = gate.open(request);
  if (!publication) {
    return refuse(reject_code(publication.error().reason).reason, publication.error().message);
  }
  const SRTSOCKET id = socket.id();
  const int interest = SRT_EPOLL_IN | SRT_EPOLL_ERR;
  if (srt_epoll_add_usock(epoll, id, &interest) == SRT_ERROR) return;  // gone already
  auto connection = std::make_unique<SrtConnection>(std::move(socket), std::move(request),
                                                    *std::move(publication), now);
  log.info("ingest", "publisher connected", {{"stream", key->text()}, {"remote", remote}});
  publishers.emplace(id, Publisher{std::move(connection), now.steady + kReportInterval});
  connected = static_cast<int>(publishers.size());
  metrics.connections.Set(connected);
  metrics.accepted.Increment();
}

void SrtListener::Impl::tend_all(Instant now) {
  broken.clear();
  for (auto& [id, publisher] : publishers) {
    publisher.connection->idle(now);
    if (now.steady < publisher.report_at) continue;
    publisher.report_at = now.steady + kReportInterval;
    report(publisher, now);
    // What broke is drained to its end and seen there; this finds what epoll did not tell of.
    if (publisher.connection->broken() || publisher.connection->displaced()) broken.push_back(id);
  }
  for (const SRTSOCKET id : broken) {
    const bool displaced = publishers.at(id).connection->displaced();
    hang_up(id, displaced ? "another publisher took its place" : "the connection ended");
  }
}

void SrtListener::Impl::report(Publisher& publisher, Instant now) {
  const media::TransportStats stats = publisher.connection->report(now, log);
  metrics.add(publisher.reported, stats);
  publisher.reported = stats;
}

void SrtListener::Impl::hang_up(SRTSOCKET id, std::string_view why) {
  const auto found = publishers.find(id);
  report(found->second, clock.now());
  const media::PublishRequest request = found->second.connection->request();
  srt_epoll_remove_usock(epoll, id);
  const std::uint64_t bytes = found->second.reported.bytes;
  publishers.erase(found);
  connected = static_cast<int>(publishers.size());
  metrics.connections.Set(connected);
  log.info(
      "ingest", "publisher gone",
      {{"stream", request.key.text()}, {"remote", request.remote}, {"why", why}, {"bytes", bytes}});
}

SrtListener::SrtListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SrtListener::~SrtListener() {
  stop();
  if (impl_->epoll >= 0) srt_epoll_release(impl_->epoll);
}

Result<std::unique_ptr<SrtListener>> SrtListener::create(SrtSettings settings,
                                                         media::PublisherGate& gate, const Log& log,
                                                         Metrics& metrics, const Clock& clock) {
  const int wanted = settings.udp_receive_buffer_bytes;
  const std::string where = fmt::format("SRT listener {}:{}", settings.address, settings.port);
  auto impl = std::make_unique<Impl>(std::move(settings), gate, log, metrics, clock);
  Result<SrtSocket> socket = listen_on(impl->settings, &Impl::on_handshake, impl.get());
  if (!socket) return std::unexpected(std::move(socket.error()).within(where));
  impl->listener = *std::move(socket);

  sockaddr_storage bound{};
  int size = sizeof bound;
  srt_getsockname(impl->listener.id(), reinterpret_cast<sockaddr*>(&bound), &size);
  // The port stands at the same place in both families' addresses.
  impl->port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);

  const int interest = SRT_EPOLL_IN | SRT_EPOLL_ERR;
  impl->epoll = srt_epoll_create();
  srt_epoll_add_usock(impl->epoll, impl->listener.id(), &interest);
  impl->events.resize(static_cast<std::size_t>(impl->settings.publishers_max) + 1);
  if (const int granted = granted_receive_buffer(wanted); granted < wanted) {
    log.warning("ingest",
                "the kernel limits the UDP receive buffer; many feeds at once may lose packets",
                {{"granted_bytes", granted},
                 {"wanted_bytes", wanted},
                 {"remedy", fmt::format("sysctl -w net.core.rmem_max={}", wanted)}});
  }
  Impl* self = impl.get();
  impl->thread = std::jthread([self] { self->run(); });
  return std::unique_ptr<SrtListener>(new SrtListener(std::move(impl)));
}

std::uint16_t SrtListener::port() const { return impl_->port; }

void SrtListener::stop() {
  impl_->stopping = true;
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->listener = SrtSocket();  // libsrt frees the port some seconds later
}

}  // namespace mirror::ingest
