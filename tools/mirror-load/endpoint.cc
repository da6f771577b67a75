#include "endpoint.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "net/tcp.h"

namespace mirror::load {

namespace {

constexpr std::size_t kEndpointsMax = 16;
constexpr std::uint8_t kLoopbackNet = 127;

}  // namespace

bool Endpoint::is_loopback() const {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == kLoopbackNet;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<std::vector<Endpoint>> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0) return fail("cannot resolve \"{}\": {}", host, gai_strerror(rc));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<Endpoint> endpoints;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
    if (endpoints.size() == kEndpointsMax) {
      return fail("\"{}\" has more than {} addresses", host, kEndpointsMax);
    }
    Endpoint endpoint;
    std::memcpy(&endpoint.address, each->ai_addr, each->ai_addrlen);
    endpoint.size = each->ai_addrlen;
    endpoints.push_back(endpoint);
  }
  if (endpoints.empty()) return fail("\"{}\" has no IPv4 or IPv6 address", host);
  return endpoints;
}

Status check_loopback(const std::string& host, const std::vector<Endpoint>& endpoints) {
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.is_loopback()) continue;
    return fail(
        "\"{}\" is {}, which is not this machine: load on somebody else's server is an attack; if "
        "it is your own, say --i-own-this-host",
        host, net::name_of_peer(endpoint.address));
  }
  return {};
}

}  // namespace mirror::load
