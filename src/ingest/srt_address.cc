#include "ingest/srt_address.h"

#include <netdb.h>

#include <array>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/thread_name.h"

namespace mirror::ingest {
namespace {

struct Prefix {
  std::uint32_t bits;
  int length;
};

constexpr std::uint32_t v4(int a, int b, int c, int d) {
  return static_cast<std::uint32_t>(a) << 24 | static_cast<std::uint32_t>(b) << 16 |
         static_cast<std::uint32_t>(c) << 8 | static_cast<std::uint32_t>(d);
}

// RFC 6890, table by table; 0.0.0.0/8 is "this network", 240.0.0.0/4 holds the broadcast address.
constexpr std::array kPrivateV4 = {Prefix{v4(10, 0, 0, 0), 8},     Prefix{v4(100, 64, 0, 0), 10},
                                   Prefix{v4(127, 0, 0, 0), 8},    Prefix{v4(169, 254, 0, 0), 16},
                                   Prefix{v4(172, 16, 0, 0), 12},  Prefix{v4(192, 0, 0, 0), 24},
                                   Prefix{v4(192, 168, 0, 0), 16}, Prefix{v4(198, 18, 0, 0), 15}};
constexpr std::array kNeverV4 = {Prefix{v4(0, 0, 0, 0), 8}, Prefix{v4(224, 0, 0, 0), 4},
                                 Prefix{v4(240, 0, 0, 0), 4}};

template <std::size_t N>
bool within(std::uint32_t address, const std::array<Prefix, N>& prefixes) {
  for (const Prefix& prefix : prefixes) {
    if ((address ^ prefix.bits) >> (32 - prefix.length) == 0) return true;
  }
  return false;
}

Reach reach_of_v4(std::uint32_t address) {
  if (within(address, kNeverV4)) return Reach::kNever;
  return within(address, kPrivateV4) ? Reach::kPrivate : Reach::kPublic;
}

std::uint32_t v4_at(const in6_addr& address, std::size_t at) {
  return v4(address.s6_addr[at], address.s6_addr[at + 1], address.s6_addr[at + 2],
            address.s6_addr[at + 3]);
}

bool starts_with(const in6_addr& address, std::initializer_list<std::uint8_t> prefix) {
  return std::memcmp(address.s6_addr, std::data(prefix), prefix.size()) == 0;
}

Reach reach_of_v6(const in6_addr& address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) return reach_of_v4(v4_at(address, 12));
  if (starts_with(address, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return reach_of_v4(v4_at(address, 12));
  }
  if (starts_with(address, {0, 0x64, 0xff, 0x9b, 0, 1})) return Reach::kPrivate;  // RFC 8215
  if (starts_with(address, {0x20, 0x02})) return reach_of_v4(v4_at(address, 2));
  if (IN6_IS_ADDR_MULTICAST(&address) || IN6_IS_ADDR_UNSPECIFIED(&address)) return Reach::kNever;
  const bool unique_local = (address.s6_addr[0] & 0xfe) == 0xfc;  // RFC 4193
  if (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_LINKLOCAL(&address) ||
      IN6_IS_ADDR_SITELOCAL(&address) || unique_local) {
    return Reach::kPrivate;
  }
  // ::/8 beside those (::a.b.c.d of old among them) reaches nobody.
  return address.s6_addr[0] == 0 ? Reach::kNever : Reach::kPublic;
}

Result<std::vector<Address>> find(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return fail("{}", gai_strerror(error));
  std::vector<Address> addresses;
  for (const addrinfo* each = found; each != nullptr && addresses.size() < Lookup::kAddressesMax;
       each = each->ai_next) {
    Address& address = addresses.emplace_back();
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.size = each->ai_addrlen;
  }
  freeaddrinfo(found);
  return addresses;
}

std::atomic<int>& running() {
  static std::atomic<int> count{0};
  return count;
}

}  // namespace

Result<Address> numeric_address(const std::string& text, std::uint16_t port) {
  const auto found = find(text, port, AI_NUMERICHOST | AI_PASSIVE);
  if (!found || found->empty()) return fail("{} is not a numeric address", text);
  return found->front();
}

Reach reach_of(const Address& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* found = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return reach_of_v4(ntohl(found->sin_addr.s_addr));
  }
  if (address.storage.ss_family != AF_INET6) return Reach::kNever;
  return reach_of_v6(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr);
}

Result<std::vector<Address>> Lookup::system(const std::string& host, std::uint16_t port) {
  return find(host, port, 0);
}

std::unique_ptr<Lookup> Lookup::begin(const std::string& host, std::uint16_t port,
                                      const Resolve& resolve) {
  if (running().fetch_add(1) >= kRunningMax) {
    running().fetch_sub(1);
    return nullptr;
  }
  auto shared = std::make_shared<Shared>();
  try {
    std::thread([shared, host, port, resolve] {
      name_this_thread("ingest-dns");
      auto outcome = std::make_unique<Result<std::vector<Address>>>(resolve(host, port));
      {
        const std::lock_guard lock(shared->mutex);
        shared->outcome = std::move(outcome);
      }
      running().fetch_sub(1);
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had: later, perhaps
    running().fetch_sub(1);
    return nullptr;
  }
  return std::unique_ptr<Lookup>(new Lookup(std::move(shared)));
}

std::unique_ptr<Result<std::vector<Address>>> Lookup::take() {
  const std::lock_guard lock(shared_->mutex);
  return std::move(shared_->outcome);
}

}  // namespace mirror::ingest
