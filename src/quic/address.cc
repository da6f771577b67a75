#include "quic/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "net/tcp.h"

namespace mirror::quic {

Address Address::of(const sockaddr* address, std::size_t size) {
  Address made;
  const bool known = (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) ||
                     (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6));
  if (!known) return made;
  std::memcpy(&made.storage_, address,
              address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return made;
}

Result<Address> Address::parse(const std::string& text, std::uint16_t port) {
  Address made;
  if (::inet_pton(AF_INET, text.c_str(), &made.storage_.v4.sin_addr) == 1) {
    made.storage_.v4.sin_family = AF_INET;
  } else if (::inet_pton(AF_INET6, text.c_str(), &made.storage_.v6.sin6_addr) == 1) {
    made.storage_.v6.sin6_family = AF_INET6;
  } else {
    return fail("{}: not a numeric IPv4 or IPv6 address", text);
  }
  made.set_port(port);
  return made;
}

socklen_t Address::size() const {
  if (family() == AF_INET) return sizeof(sockaddr_in);
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : 0;
}

bool Address::wildcard() const {
  if (family() == AF_INET) return storage_.v4.sin_addr.s_addr == INADDR_ANY;
  return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&storage_.v6.sin6_addr);
}

bool Address::v4_mapped() const {
  return family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr);
}

std::uint16_t Address::port() const {
  if (none()) return 0;
  return ntohs(family() == AF_INET ? storage_.v4.sin_port : storage_.v6.sin6_port);
}

void Address::set_port(std::uint16_t port) {
  if (family() == AF_INET) {
    storage_.v4.sin_port = htons(port);
  } else if (family() == AF_INET6) {
    storage_.v6.sin6_port = htons(port);
  }
}

std::string Address::name() const {
  sockaddr_storage storage{};
  std::memcpy(&storage, &storage_, sizeof storage_);
  return none() ? "-" : net::name_of_peer(storage);
}

bool operator==(const Address& a, const Address& b) {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_INET) {
    return a.v4().sin_port == b.v4().sin_port && a.v4().sin_addr.s_addr == b.v4().sin_addr.s_addr;
  }
  if (a.family() != AF_INET6) return true;
  return a.v6().sin6_port == b.v6().sin6_port && a.v6().sin6_scope_id == b.v6().sin6_scope_id &&
         std::memcmp(&a.v6().sin6_addr, &b.v6().sin6_addr, sizeof(in6_addr)) == 0;
}

}  // namespace mirror::quic
