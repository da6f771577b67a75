// Where the server is, and whether this tool may put load on it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mirror::load {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  // 127.0.0.0/8 (RFC 1122, 3.2.1.3), ::1 (RFC 4291, 2.5.3), and the former mapped into IPv6.
  bool is_loopback() const;
};

// Every TCP address that `host` (a name or a numeric address) has. Blocks; errors name the host.
Result<std::vector<Endpoint>> resolve(const std::string& host, std::uint16_t port);

// An error unless every address is of this very machine. A name is judged by all it resolves to,
// because any of them may be connected to.
Status check_loopback(const std::string& host, const std::vector<Endpoint>& endpoints);

}  // namespace mirror::load
