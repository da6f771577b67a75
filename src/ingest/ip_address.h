// IpAddress, RemoteAddress, SenderList: whose datagrams are taken. Values; no I/O.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mirror::ingest {

// IPv6, and IPv4 as a socket of both families sees it (::ffff:192.0.2.1).
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  // Numeric, of either family.
  static std::optional<IpAddress> parse(const std::string& text);
  bool is_v4() const;
  bool is_multicast() const;
  std::string text() const;  // "192.0.2.1", "2001:db8::1"

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct RemoteAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  std::uint32_t scope = 0;  // of a link-local IPv6 address

  // Of another family than these two: empty.
  static std::optional<RemoteAddress> of(const sockaddr_storage& address);
  // For a socket of `family`. IPv6 does not go to a socket of IPv4: length 0.
  socklen_t write(int family, sockaddr_storage& out) const;
  std::string text() const;  // "192.0.2.1:40000", "[2001:db8::1]:40000"

  friend bool operator==(const RemoteAddress&, const RemoteAddress&) = default;
};

// Addresses and prefixes from which datagrams are taken; empty: from everywhere.
class SenderList {
 public:
  static constexpr std::size_t kEntriesMax = 64;

  SenderList() = default;
  // "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". The error names the entry.
  static Result<SenderList> parse(const std::vector<std::string>& entries);

  bool allows(const IpAddress& address) const;
  // The single addresses among the entries: whom to name when a group is joined by its source.
  std::vector<IpAddress> single_addresses() const;

 private:
  struct Prefix {
    IpAddress address;
    int bits = 0;  // of the 128
  };
  std::vector<Prefix> prefixes_;
};

}  // namespace mirror::ingest
