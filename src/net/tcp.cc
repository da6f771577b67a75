#include "net/tcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace mirror::net {

namespace {

constexpr int kBacklog = 4096;

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool dual = false;  // IPv6 socket that takes IPv4 too

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  void set_port(std::uint16_t port) {
    if (family() == AF_INET) {
      reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
    } else {
      reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
    }
  }
};

Endpoint endpoint_v4(in_addr address) {
  Endpoint endpoint;
  auto& v4 = reinterpret_cast<sockaddr_in&>(endpoint.storage);
  v4.sin_family = AF_INET;
  v4.sin_addr = address;
  endpoint.size = sizeof v4;
  return endpoint;
}

Endpoint endpoint_v6(in6_addr address) {
  Endpoint endpoint;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(endpoint.storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = address;
  endpoint.size = sizeof v6;
  return endpoint;
}

bool machine_has_ipv6() {
  const UniqueFd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return static_cast<bool>(probe);
}

Result<Endpoint> parse_endpoint(const std::string& address) {
  if (address == "*") {
    if (!machine_has_ipv6()) return endpoint_v4(in_addr{});
    Endpoint endpoint = endpoint_v6(in6addr_any);
    endpoint.dual = true;
    return endpoint;
  }
  in_addr v4{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return endpoint_v4(v4);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) return endpoint_v6(v6);
  return fail("not a numeric IPv4 or IPv6 address, nor *");
}

std::string reason_of(int error) {
  switch (error) {
    case EADDRINUSE:
      return "the port is in use by another program";
    case EACCES:
      return "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)";
    case EADDRNOTAVAIL:
      return "no interface of this machine has that address";
    case EAFNOSUPPORT:
      return "this machine has no such address family";
    default:
      return std::strerror(error);
  }
}

enum class Sharing { kExclusive, kReusePort };

Result<UniqueFd> bound_socket(const Endpoint& endpoint, Sharing sharing) {
  UniqueFd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("{}", reason_of(errno));
  const int on = 1;
  const int v6_only = endpoint.dual ? 0 : 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (endpoint.family() == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  }
  if (sharing == Sharing::kReusePort &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return fail("SO_REUSEPORT: {}", std::strerror(errno));
  }
  if (::bind(fd.get(), endpoint.get(), endpoint.size) != 0) return fail("{}", reason_of(errno));
  return fd;
}

Result<std::vector<UniqueFd>> listen_all(Endpoint endpoint, std::uint16_t port, std::size_t count) {
  endpoint.set_port(port);
  {
    // Two processes of one user may share a port by SO_REUSEPORT without noticing, and then steal
    // each other's viewers. A socket that does not share finds out (and picks the port for 0).
    auto probe = bound_socket(endpoint, Sharing::kExclusive);
    if (!probe) return std::unexpected(std::move(probe.error()));
    endpoint.set_port(local_port(probe->get()));
  }
  std::vector<UniqueFd> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    auto fd = bound_socket(endpoint, Sharing::kReusePort);
    if (!fd) return std::unexpected(std::move(fd.error()));
    if (::listen(fd->get(), kBacklog) != 0) return fail("{}", reason_of(errno));
    sockets.push_back(std::move(*fd));
  }
  return sockets;
}

}  // namespace

Result<std::vector<UniqueFd>> listen_tcp(const std::string& address, std::uint16_t port,
                                         std::size_t count) {
  const auto context = fmt::format("cannot listen on {} port {}/tcp", address, port);
  auto endpoint = parse_endpoint(address);
  if (!endpoint) return std::unexpected(std::move(endpoint.error()).within(context));
  auto sockets = listen_all(*endpoint, port, count);
  if (!sockets) return std::unexpected(std::move(sockets.error()).within(context));
  return sockets;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

std::string name_of_peer(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v6.sin6_port));
  }
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

}  // namespace mirror::net
