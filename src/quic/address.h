// Address and Path: where a datagram came from and which way it goes. Values; no I/O.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace mirror::quic {

// An IPv4 or IPv6 address with its port; "none" when made without one.
class Address {
 public:
  Address() : storage_{} {}
  static Address of(const sockaddr* address, std::size_t size);  // other families: none
  // A numeric IPv4 or IPv6 address.
  static Result<Address> parse(const std::string& text, std::uint16_t port);

  const sockaddr* get() const { return &storage_.any; }
  sockaddr* get() { return &storage_.any; }
  socklen_t size() const;
  int family() const { return storage_.any.sa_family; }
  bool none() const { return family() == AF_UNSPEC; }
  bool wildcard() const;   // 0.0.0.0 or ::
  bool v4_mapped() const;  // IPv4 as an IPv6 socket of both families sees it
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  const sockaddr_in& v4() const { return storage_.v4; }
  const sockaddr_in6& v6() const { return storage_.v6; }
  sockaddr_in6& v6() { return storage_.v6; }

  std::string name() const;  // "192.0.2.1:40000", "[2001:db8::1]:40000"

  friend bool operator==(const Address& a, const Address& b);

 private:
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } storage_;
};

struct Path {
  Address local;
  Address remote;
  std::uint32_t socket = 0;  // which of the endpoint's sockets

  friend bool operator==(const Path&, const Path&) = default;
};

}  // namespace mirror::quic
