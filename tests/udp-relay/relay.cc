#include "relay.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace mirror::relay {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr int kSocketBufferBytes = 4 << 20;
// How many datagrams one socket may give before the others have their turn.
constexpr int kDatagramsPerTurnMax = 256;

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Result<net::UniqueFd> udp_socket() {
  net::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail("socket: {}", std::strerror(errno));
  // As much as the kernel grants.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  return fd;
}

std::string to_json(const Counts& counts) {
  return fmt::format(
      R"({{"received":{},"lost":{},"lost_in_outage":{},"dropped_by_rate":{},"dropped_when_full":{},)"
      R"("held_back":{},"duplicated":{},"forwarded":{},"send_errors":{}}})",
      counts.received, counts.lost, counts.lost_in_outage, counts.dropped_by_rate,
      counts.dropped_when_full, counts.held_back, counts.duplicated, counts.forwarded,
      counts.send_errors);
}

// In words that need no escaping in JSON.
std::string quoted(std::string_view text) {
  std::string safe;
  for (const char c : text) safe.push_back(c < ' ' || c == '"' || c == '\\' || c > '~' ? '?' : c);
  return '"' + safe + '"';
}

}  // namespace

Relay::Relay(net::UniqueFd listener, std::uint16_t port, const sockaddr_in& server,
             std::uint64_t seed)
    : listener_(std::move(listener)), port_(port), server_(server), next_seed_(seed) {}

Result<std::unique_ptr<Relay>> Relay::create(std::uint16_t port, const sockaddr_in& server,
                                             std::uint64_t seed) {
  Result<net::UniqueFd> fd = udp_socket();
  if (!fd) return std::unexpected(fd.error());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::bind(fd->get(), generic(address), sizeof address) != 0) {
    return fail("UDP port {}: {}", port, std::strerror(errno));
  }
  socklen_t size = sizeof address;
  ::getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address), &size);
  return std::unique_ptr<Relay>(new Relay(*std::move(fd), ntohs(address.sin_port), server, seed));
}

Status Relay::run() {
  std::vector<pollfd> watched;
  std::vector<Flow*> order;
  for (;;) {
    watched.assign({{STDIN_FILENO, POLLIN, 0}, {listener_.get(), POLLIN, 0}});
    order.clear();
    for (const auto& [key, flow] : flows_) {
      watched.push_back({flow->to_server.get(), POLLIN, 0});
      order.push_back(flow.get());
    }
    const auto wait = std::clamp<nanoseconds>(next_arrival() - std::chrono::steady_clock::now(),
                                              nanoseconds(0), seconds(1));
    const timespec limit{std::chrono::duration_cast<seconds>(wait).count(),
                         (wait % seconds(1)).count()};
    if (::ppoll(watched.data(), watched.size(), &limit, nullptr) < 0 && errno != EINTR) {
      return fail("poll: {}", std::strerror(errno));
    }
    if (watched[0].revents != 0 && !take_commands()) return {};
    // The flows first: a new client may take the place of one of them.
    const SteadyTime now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (watched[i + 2].revents != 0) take_from_server(*order[i], now);
    }
    if (watched[1].revents != 0) take_from_clients(now);
    for (const auto& [key, flow] : flows_) deliver(*flow, now);
  }
}

SteadyTime Relay::next_arrival() const {
  SteadyTime next = std::chrono::steady_clock::now() + seconds(1);
  for (const auto& [key, flow] : flows_) {
    next = std::min(
        {next, flow->up.next_arrival().value_or(next), flow->down.next_arrival().value_or(next)});
  }
  return next;
}

void Relay::take_from_clients(SteadyTime now) {
  for (int i = 0; i < kDatagramsPerTurnMax; ++i) {
    sockaddr_in client{};
    socklen_t size = sizeof client;
    const ssize_t got = ::recvfrom(listener_.get(), inbox_.data(), inbox_.size(), 0,
                                   reinterpret_cast<sockaddr*>(&client), &size);
    if (got < 0) return;
    Flow* const flow = flow_of(client, now);
    if (flow == nullptr) continue;
    flow->heard = now;
    flow->up.push({inbox_.data(), static_cast<std::size_t>(got)}, now);
  }
}

void Relay::take_from_server(Flow& flow, SteadyTime now) {
  for (int i = 0; i < kDatagramsPerTurnMax; ++i) {
    const ssize_t got = ::recv(flow.to_server.get(), inbox_.data(), inbox_.size(), 0);
    if (got < 0 && errno == ECONNREFUSED) continue;  // nobody listens there just now
    if (got < 0) return;
    flow.down.push({inbox_.data(), static_cast<std::size_t>(got)}, now);
  }
}

void Relay::deliver(Flow& flow, SteadyTime now) {
  while (flow.up.pop(now, outbox_)) {
    if (::send(flow.to_server.get(), outbox_.data(), outbox_.size(), 0) < 0) ++up_.send_errors;
  }
  while (flow.down.pop(now, outbox_)) {
    const ssize_t sent = ::sendto(listener_.get(), outbox_.data(), outbox_.size(), 0,
                                  generic(flow.client), sizeof flow.client);
    if (sent < 0) ++down_.send_errors;
  }
}

Relay::Flow* Relay::flow_of(const sockaddr_in& client, SteadyTime now) {
  const FlowKey key = std::uint64_t{client.sin_addr.s_addr} << 16 | client.sin_port;
  if (const auto found = flows_.find(key); found != flows_.end()) return found->second.get();
  if (flows_.size() >= kFlowsMax) {
    flows_.erase(std::ranges::min_element(flows_, {},
                                          [](const auto& entry) { return entry.second->heard; }));
  }
  Result<net::UniqueFd> fd = udp_socket();
  if (!fd || ::connect(fd->get(), generic(server_), sizeof server_) != 0) {
    ++flows_refused_;
    return nullptr;
  }
  auto flow =
      std::make_unique<Flow>(Flow{client, *std::move(fd), Impairment(link_.up, up_, next_seed_),
                                  Impairment(link_.down, down_, next_seed_ + 1), now});
  next_seed_ += 2;
  ++flows_made_;
  return flows_.emplace(key, std::move(flow)).first->second.get();
}

bool Relay::take_commands() {
  char bytes[kCommandBytesMax];
  const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
  if (got <= 0) return got < 0 && (errno == EINTR || errno == EAGAIN);
  for (const char c : std::string_view(bytes, static_cast<std::size_t>(got))) {
    if (c != '\n') {
      if (commands_.size() < kCommandBytesMax) commands_.push_back(c);
      continue;
    }
    fmt::print("{}\n", answer_to(commands_));
    std::fflush(stdout);
    commands_.clear();
  }
  return true;
}

std::string Relay::answer_to(std::string_view line) {
  if (line == "counts") return counted();
  if (line.size() >= kCommandBytesMax) return R"({"error":"the line is too long"})";
  const Status status = apply(line, link_, std::chrono::steady_clock::now());
  if (!status) return fmt::format(R"({{"error":{}}})", quoted(status.error().message));
  return R"({"ok":true})";
}

std::string Relay::counted() const {
  return fmt::format(R"({{"up":{},"down":{},"flows":{},"flows_made":{},"flows_refused":{}}})",
                     to_json(up_), to_json(down_), flows_.size(), flows_made_, flows_refused_);
}

}  // namespace mirror::relay
