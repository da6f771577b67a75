// TCP listening sockets and the names of peers. Stateless; any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/unique_fd.h"

namespace mirror::net {

// `count` non-blocking listening sockets on one address and port (SO_REUSEPORT: the kernel spreads
// new connections over them), one for each loop. `address` is a numeric IPv4 or IPv6 address, or
// "*" for both families. Port 0 picks a free one, the same for all. Errors name address and port;
// a port that another program listens on is an error even if that program shares ports too.
Result<std::vector<UniqueFd>> listen_tcp(const std::string& address, std::uint16_t port,
                                         std::size_t count);

// The port that a socket is bound to; 0 if it is not.
std::uint16_t local_port(int fd);

// "192.0.2.1:40000", "[2001:db8::1]:40000"; an IPv4-mapped address is written as IPv4.
std::string name_of_peer(const sockaddr_storage& address);

}  // namespace mirror::net
