#include "ingest/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace mirror::ingest {
namespace {

constexpr std::size_t kV4At = 12;  // where the IPv4 address stands in a mapped one
constexpr int kV4Bits = 32;
constexpr int kV6Bits = 128;

bool same_prefix(const IpAddress& a, const IpAddress& b, int bits) {
  const auto whole = static_cast<std::size_t>(bits / 8);
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + static_cast<long>(whole), b.bytes.begin())) {
    return false;
  }
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xffU << (8 - bits % 8));
  return ((a.bytes[whole] ^ b.bytes[whole]) & mask) == 0;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(const std::string& text) {
  IpAddress address;
  if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) return address;
  address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (inet_pton(AF_INET, text.c_str(), address.bytes.data() + kV4At) == 1) return address;
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  static constexpr std::array<std::uint8_t, kV4At> kMapped = {0, 0, 0, 0, 0,   0,
                                                              0, 0, 0, 0, 255, 255};
  return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

bool IpAddress::is_multicast() const {
  return is_v4() ? bytes[kV4At] >= 224 && bytes[kV4At] <= 239 : bytes[0] == 0xff;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes.data() + kV4At, out.data(), out.size());
  } else {
    inet_ntop(AF_INET6, bytes.data(), out.data(), out.size());
  }
  return out.data();
}

std::optional<RemoteAddress> RemoteAddress::of(const sockaddr_storage& address) {
  RemoteAddress remote;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    remote.ip.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    std::memcpy(remote.ip.bytes.data() + kV4At, &v4.sin_addr, sizeof v4.sin_addr);
    remote.port = ntohs(v4.sin_port);
    return remote;
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  std::memcpy(remote.ip.bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  remote.port = ntohs(v6.sin6_port);
  remote.scope = v6.sin6_scope_id;
  return remote;
}

socklen_t RemoteAddress::write(int family, sockaddr_storage& out) const {
  if (family == AF_INET) {
    if (!ip.is_v4()) return 0;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.bytes.data() + kV4At, sizeof v4.sin_addr);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_scope_id = scope;
  std::memcpy(&v6.sin6_addr, ip.bytes.data(), sizeof v6.sin6_addr);
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

std::string RemoteAddress::text() const {
  return ip.is_v4() ? fmt::format("{}:{}", ip.text(), port)
                    : fmt::format("[{}]:{}", ip.text(), port);
}

Result<SenderList> SenderList::parse(const std::vector<std::string>& entries) {
  if (entries.size() > kEntriesMax) return fail("more than {} senders", kEntriesMax);
  SenderList list;
  for (const std::string& entry : entries) {
    const std::size_t slash = entry.find('/');
    const auto address = IpAddress::parse(entry.substr(0, slash));
    if (!address) return fail("\"{}\" is neither an address nor a prefix", entry);
    const int most = address->is_v4() ? kV4Bits : kV6Bits;
    int bits = most;
    if (slash != std::string::npos) {
      const char* const begin = entry.data() + slash + 1;
      const char* const end = entry.data() + entry.size();
      const auto [stop, error] = std::from_chars(begin, end, bits);
      if (error != std::errc{} || stop != end || bits < 0 || bits > most) {
        return fail("\"{}\": the prefix has 0 to {} bits", entry, most);
      }
    }
    list.prefixes_.push_back({*address, bits + kV6Bits - most});
  }
  return list;
}

bool SenderList::allows(const IpAddress& address) const {
  if (prefixes_.empty()) return true;
  return std::ranges::any_of(prefixes_, [&](const Prefix& prefix) {
    return same_prefix(prefix.address, address, prefix.bits);
  });
}

std::vector<IpAddress> SenderList::single_addresses() const {
  std::vector<IpAddress> found;
  for (const Prefix& prefix : prefixes_) {
    if (prefix.bits == kV6Bits) found.push_back(prefix.address);
  }
  return found;
}

}  // namespace mirror::ingest
