#include "quic/endpoint.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace mirror::quic {

// A socket as the loop sees it.
struct Endpoint::Door final : net::EventLoop::Watcher {
  Door(Endpoint& owner, UdpSocket&& what, std::uint32_t place)
      : endpoint(owner), socket(std::move(what)), index(place) {}

  void on_events(std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0) {
      endpoint.blocked_ = false;
      [[maybe_unused]] const auto status = endpoint.loop_.rewatch(socket.fd(), EPOLLIN, *this);
      endpoint.schedule();
    }
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) endpoint.read(*this);
  }

  Endpoint& endpoint;
  UdpSocket socket;
  const std::uint32_t index;
};

Endpoint::Endpoint(net::EventLoop& loop, const Limits& limits, const Secret& secret,
                   std::uint8_t worker, Metrics& metrics, const std::string& name)
    : loop_(loop),
      metrics_(metrics, name),
      core_(*this, limits, secret, worker, metrics_, random_),
      timer_(loop, [this] {
        core_.expire();
        schedule();
      }) {}

Endpoint::~Endpoint() {
  for (auto& door : doors_) loop_.unwatch(door->socket.fd());
}

Status Endpoint::add(UdpSocket socket) {
  auto door =
      std::make_unique<Door>(*this, std::move(socket), static_cast<std::uint32_t>(doors_.size()));
  if (auto status = loop_.watch(door->socket.fd(), EPOLLIN, *door); !status) return status;
  doors_.push_back(std::move(door));
  return {};
}

const UdpSocket& Endpoint::socket(std::size_t index) const { return doors_[index]->socket; }

Result<Connection*> Endpoint::connect(const Address& remote, const Connection::Server& server,
                                      std::unique_ptr<Application> application) {
  for (std::size_t tries = 0; tries < doors_.size(); ++tries) {
    const Door& door = *doors_[next_door_++ % doors_.size()];
    if (door.socket.local().family() != remote.family()) continue;
    return core_.connect({door.socket.local(), remote, door.index}, server, std::move(application));
  }
  return fail("no UDP socket of the family of {}", remote.name());
}

void Endpoint::read(Door& door) {
  for (std::size_t datagrams = 0; datagrams < kDatagramsPerTurn;) {
    const auto received = door.socket.receive(inbox_);
    if (received.empty()) break;
    for (const UdpSocket::Received& message : received) {
      Path path = message.path;
      path.socket = door.index;
      auto bytes = message.bytes;
      if (bytes.empty()) ++datagrams;
      while (!bytes.empty()) {
        const auto datagram = bytes.first(std::min(bytes.size(), message.segment_bytes));
        bytes = bytes.subspan(datagram.size());
        ++datagrams;
        core_.receive(datagram, path, message.ecn);
      }
    }
  }
  schedule();
}

void Endpoint::inject(std::span<const std::uint8_t> datagram, const Path& path) {
  core_.receive(datagram, path, 0);
  schedule();
}

// From the loop that got the datagram to the one that owns its connection. Both limits, of the
// other loop's queue and ours, end in a loss that QUIC mends.
bool Endpoint::stray(std::uint8_t worker, std::span<const std::uint8_t> datagram, const Path& path,
                     std::uint8_t ecn) {
  Endpoint& owner = *workers_[worker];
  if (owner.strays_waiting_.fetch_add(1) >= kStraysWaitingMax) {
    owner.strays_waiting_.fetch_sub(1);
    return false;
  }
  const bool posted = owner.loop_.post([&owner, bytes = Bytes::copy_of(datagram), path, ecn] {
    owner.strays_waiting_.fetch_sub(1);
    owner.metrics_.strays_taken.Increment();
    owner.core_.receive(bytes.span(), path, ecn, EndpointCore::Origin::kOtherWorker);
    owner.schedule();
  });
  if (!posted) owner.strays_waiting_.fetch_sub(1);
  return posted;
}

void Endpoint::schedule() {
  if (std::exchange(scheduled_, true)) return;
  loop_.defer([this] { flush(); });
}

void Endpoint::flush() {
  scheduled_ = false;
  bool all = false;
  for (int round = 0; round < kRoundsPerTurn && !all && send(); ++round) {
    all = core_.write(out_);
    if (!send()) break;
  }
  core_.bury();
  // Whoever is left goes on at the next turn, behind what has come meanwhile (a deferred task would
  // still be of this one), or when the socket takes more.
  const SteadyTime next = !all && !blocked_ ? loop_.now() : core_.next_expiry();
  if (next == SteadyTime::max()) {
    timer_.disarm();
  } else {
    timer_.arm(next);
  }
  check_drained();
}

bool Endpoint::send() {
  if (blocked_) return false;
  while (!out_.empty()) {
    const auto batches = out_.batches();
    const std::uint32_t index = batches.front().path.socket;
    const auto other = std::ranges::find_if(
        batches, [&](const SendBuffer::Batch& batch) { return batch.path.socket != index; });
    const auto run = batches.first(static_cast<std::size_t>(other - batches.begin()));
    Door& door = *doors_[index];
    std::size_t errors = 0;
    const std::size_t sent = door.socket.send(out_, run, errors);
    for (const SendBuffer::Batch& batch : run.first(sent)) {
      metrics_.sent_packets.Increment(static_cast<double>(batch.packets));
      metrics_.sent_bytes.Increment(static_cast<double>(batch.bytes));
    }
    if (errors > 0) metrics_.send_errors.Increment(static_cast<double>(errors));
    const bool blocked = sent < run.size();
    out_.drop(sent);
    if (blocked) {
      wait_for_room(door);
      return false;
    }
  }
  return true;
}

void Endpoint::wait_for_room(Door& door) {
  metrics_.send_blocked.Increment();
  blocked_ = loop_.rewatch(door.socket.fd(), EPOLLIN | EPOLLOUT, door).has_value();
}

void Endpoint::drain(std::function<void()> done) {
  drained_ = std::move(done);
  core_.drain();
  schedule();
}

void Endpoint::close_all(std::uint64_t error, std::string_view reason) {
  core_.close_all(error, reason);
}

void Endpoint::check_drained() {
  if (!drained_ || core_.connections() > 0 || !out_.empty()) return;
  std::exchange(drained_, nullptr)();
}

}  // namespace mirror::quic
