#include "http/shard.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "net/tcp.h"

namespace mirror::http {

namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr auto kSweepPeriodMax = std::chrono::milliseconds(250);
constexpr auto kSweepPeriodMin = std::chrono::milliseconds(5);

std::chrono::milliseconds sweep_period(const Limits& limits) {
  const auto shortest = std::min(
      {limits.header_timeout, limits.body_timeout, limits.idle_timeout, limits.write_timeout});
  return std::clamp(shortest / 4, kSweepPeriodMin, kSweepPeriodMax);
}

// A peer that vanished without a FIN is noticed although a held request makes no traffic.
void set_up_socket(int fd, const Limits& limits) {
  const int on = 1;
  const int idle_s = 30;
  const int interval_s = 10;
  const int probes = 3;
  // What the kernel holds cannot be taken back: no more than keeps the network busy, so that who
  // sends what is live can still drop what was overtaken.
  const int unsent_bytes = 128 * 1024;
  const auto unacknowledged_ms = static_cast<unsigned>(limits.write_timeout.count());
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
}

}  // namespace

ShardMetrics::ShardMetrics(Metrics& metrics, const std::string& loop)
    : connections(
          metrics.gauge("mirror_http_connections", "Open HTTP connections.", {{"loop", loop}})),
      accepted(metrics.counter("mirror_http_connections_accepted_total",
                               "HTTP connections accepted.", {{"loop", loop}})),
      refused(metrics.counter("mirror_http_connections_refused_total",
                              "HTTP connections closed at once, over the limit of the loop.",
                              {{"loop", loop}})),
      received_bytes(metrics.counter("mirror_http_received_bytes_total",
                                     "Bytes read from HTTP sockets.", {{"loop", loop}})),
      sent_bytes(metrics.counter("mirror_http_sent_bytes_total", "Bytes written to HTTP sockets.",
                                 {{"loop", loop}})),
      tls_failures(metrics.counter("mirror_http_tls_handshake_failures_total",
                                   "TLS handshakes that failed.", {{"loop", loop}})),
      protocol_errors(metrics.counter("mirror_http_protocol_errors_total",
                                      "Requests, frames and records that broke a rule.",
                                      {{"loop", loop}})) {
  constexpr std::array versions = {Version::kHttp10, Version::kHttp11, Version::kHttp2,
                                   Version::kHttp3};
  constexpr std::array classes = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t v = 0; v < versions.size(); ++v) {
    for (std::size_t c = 0; c < classes.size(); ++c) {
      requests_[v][c] = &metrics.counter(
          "mirror_http_requests_total", "HTTP requests answered.",
          {{"loop", loop}, {"version", std::string(name_of(versions[v]))}, {"status", classes[c]}});
    }
  }
  constexpr std::array kinds = {"handshake", "head", "body", "idle", "write", "linger"};
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    timeouts_[k] = &metrics.counter("mirror_http_timeouts_total",
                                    "HTTP connections and requests ended by a time-out.",
                                    {{"loop", loop}, {"kind", kinds[k]}});
  }
  constexpr std::array drops = {"datagram", "webtransport_stream", "push", "priority_update"};
  for (std::size_t d = 0; d < drops.size(); ++d) {
    dropped_[d] = &metrics.counter("mirror_http3_dropped_total",
                                   "What HTTP/3 connections let fall, by what it was.",
                                   {{"loop", loop}, {"what", drops[d]}});
  }
}

Counter& ShardMetrics::dropped(Carrier::Dropped what) const {
  return *dropped_[static_cast<std::size_t>(what)];
}

Counter& ShardMetrics::requests(Version version, int status) const {
  const auto v = std::min<std::size_t>(static_cast<std::size_t>(version), requests_.size() - 1);
  return *requests_[v][static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)];
}

Counter& ShardMetrics::timeouts(Connection::Timeout kind) const {
  return *timeouts_[static_cast<std::size_t>(kind)];
}

// A listening socket as the loop sees it.
struct Shard::Door final : net::EventLoop::Watcher {
  Door(Shard& owner, Listener&& what) : shard(owner), listener(std::move(what)) {}
  void on_events(std::uint32_t) override { shard.accept_from(*this); }

  Shard& shard;
  Listener listener;
};

Shard::Shard(net::EventLoop& loop, const Limits& limits, std::unique_ptr<Handler> handler,
             Metrics& metrics, const std::string& name, const Log& log)
    : loop_(loop),
      limits_(limits),
      log_(log),
      metrics_(metrics, name),
      handler_(std::move(handler)),
      sweep_timer_(loop, [this] { sweep(); }),
      sweep_period_(sweep_period(limits)),
      read_buffer_(Connection::kReadBytes),
      plain_buffer_(net::TlsSession::kRecordBytesMax) {
  sweep_timer_.arm_in(sweep_period_);
}

Shard::~Shard() {
  for (auto& door : doors_) loop_.unwatch(door->listener.fd.get());
  connections_.clear();
  removed_.clear();
}

Status Shard::listen(Listener listener) {
  auto door = std::make_unique<Door>(*this, std::move(listener));
  if (auto status = loop_.watch(door->listener.fd.get(), EPOLLIN, *door); !status) return status;
  doors_.push_back(std::move(door));
  return {};
}

void Shard::accept_from(Door& door) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    net::UniqueFd fd(::accept4(door.listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd), peer, door);
      continue;
    }
    const int error = errno;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      pause_accepting(error);
    }
    if (error != ECONNABORTED && error != EINTR) return;
  }
}

void Shard::admit(net::UniqueFd fd, const sockaddr_storage& peer, const Door& door) {
  if (connections_.size() + http3_.size() >= limits_.connections_per_loop_max) {
    metrics_.refused.Increment();
    return;
  }
  std::unique_ptr<net::TlsSession> tls;
  if (door.listener.tls) {
    auto session = net::TlsSession::create(door.listener.tls);
    if (!session) {
      metrics_.refused.Increment();
      return;
    }
    tls = std::move(*session);
  }
  set_up_socket(fd.get(), limits_);
  auto connection =
      std::make_unique<Connection>(*this, std::move(fd), net::name_of_peer(peer), std::move(tls));
  if (!connection->watch()) {
    metrics_.refused.Increment();
    return;
  }
  metrics_.accepted.Increment();
  metrics_.connections.Increment();
  connection->slot = connections_.size();
  connections_.push_back(std::move(connection));
}

std::unique_ptr<quic::Application> Shard::accept(quic::Transport& transport) {
  if (draining_ || connections_.size() + http3_.size() >= limits_.connections_per_loop_max) {
    metrics_.refused.Increment();
    return nullptr;
  }
  auto connection = std::make_unique<Http3Connection>(*this, transport);
  metrics_.accepted.Increment();
  metrics_.connections.Increment();
  connection->slot = http3_.size();
  http3_.push_back(connection.get());
  return connection;
}

void Shard::set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials) {
  for (auto& door : doors_) {
    if (door->listener.tls) door->listener.tls = credentials;
  }
}

// Without descriptors the listening sockets stay readable: look again at the next sweep.
void Shard::pause_accepting(int error) {
  if (!std::exchange(pause_logged_, true)) {
    log_.warning("http", "cannot accept connections, will try again",
                 {{"reason", std::strerror(error)}});
  }
  metrics_.refused.Increment();
  if (std::exchange(accepting_paused_, true)) return;
  for (auto& door : doors_) loop_.unwatch(door->listener.fd.get());
}

void Shard::resume_accepting() {
  if (!std::exchange(accepting_paused_, false)) return;
  for (auto& door : doors_) {
    if (!loop_.watch(door->listener.fd.get(), EPOLLIN, *door)) accepting_paused_ = true;
  }
}

void Shard::sweep() {
  resume_accepting();
  // Backwards: a connection that closes is replaced by the last one, which has been looked at.
  for (std::size_t i = connections_.size(); i > 0; --i) connections_[i - 1]->check_timeouts();
  for (std::size_t i = http3_.size(); i > 0; --i) http3_[i - 1]->check_timeouts();
  sweep_timer_.arm_in(sweep_period_);
}

void Shard::schedule(Scheduled& connection) {
  scheduled_.push_back(&connection);
  defer_cleanup();
}

void Shard::defer_cleanup() {
  if (std::exchange(cleanup_due_, true)) return;
  loop_.defer([this] { flush_scheduled(); });
}

void Shard::remove(Http3Connection& connection) {
  metrics_.connections.Decrement();
  std::erase(scheduled_, static_cast<Scheduled*>(&connection));
  http3_[connection.slot] = http3_.back();
  http3_[connection.slot]->slot = connection.slot;
  http3_.pop_back();
  defer_cleanup();
}

void Shard::remove(Connection& connection) {
  metrics_.connections.Decrement();
  const std::size_t slot = connection.slot;
  removed_.push_back(std::move(connections_[slot]));
  if (slot + 1 < connections_.size()) {
    connections_[slot] = std::move(connections_.back());
    connections_[slot]->slot = slot;
  }
  connections_.pop_back();
  defer_cleanup();
}

void Shard::flush_scheduled() {
  cleanup_due_ = false;
  std::vector<Scheduled*> due;
  due.swap(scheduled_);
  for (Scheduled* connection : due) connection->pump_and_flush();
  // What was removed may have been scheduled again in between.
  std::erase_if(scheduled_, [](const Scheduled* connection) { return connection->closed(); });
  removed_.clear();
  due.clear();
  if (scheduled_.empty()) scheduled_.swap(due);  // keeps the capacity
  check_drained();
}

void Shard::drain(std::function<void()> done) {
  for (auto& door : doors_) loop_.unwatch(door->listener.fd.get());
  doors_.clear();
  accepting_paused_ = false;
  draining_ = true;
  drained_ = std::move(done);
  for (std::size_t i = connections_.size(); i > 0; --i) connections_[i - 1]->drain();
  for (std::size_t i = http3_.size(); i > 0; --i) http3_[i - 1]->drain();
  check_drained();
}

void Shard::check_drained() {
  if (!drained_ || !connections_.empty() || !http3_.empty()) return;
  std::exchange(drained_, nullptr)();
}

std::string_view Shard::date() {
  const std::time_t second = std::time(nullptr);
  if (second != date_second_) {
    date_second_ = second;
    date_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(second));
  }
  return date_;
}

}  // namespace mirror::http
