// Where a source may be dialled: addresses, what networks they are of, and names looked up.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"

namespace mirror::ingest {

// A socket address of either family, as a value.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `text` without any look-up; an error when it is a name.
Result<Address> numeric_address(const std::string& text, std::uint16_t port);

enum class Reach {
  kPublic,
  kPrivate,  // this machine, its link or its site: dialled only when the configuration says so
  kNever     // multicast, broadcast, unspecified: nobody can be there
};
// IPv4 by the special-purpose registry (RFC 6890, RFC 6598), IPv6 likewise; an IPv4 address inside
// an IPv6 one (mapped, NAT64 RFC 6052, 6to4 RFC 3056) counts for itself.
Reach reach_of(const Address& address);

// One name's look-up. Blocking resolvers may take half a minute and cannot be called off, so each
// runs on a short-lived thread of its own ("ingest-dns") that owns what it needs and may outlive
// whoever asked.
class Lookup {
 public:
  // At most kAddressesMax addresses, best first; or why there are none. Called on that thread.
  using Resolve =
      std::function<Result<std::vector<Address>>(const std::string& host, std::uint16_t port)>;
  static constexpr std::size_t kAddressesMax = 8;
  // The system's: /etc/hosts, DNS.
  static Result<std::vector<Address>> system(const std::string& host, std::uint16_t port);

  static constexpr int kRunningMax = 4;  // in the whole process

  // Nothing while kRunningMax others are at work.
  static std::unique_ptr<Lookup> begin(const std::string& host, std::uint16_t port,
                                       const Resolve& resolve);

  // Nothing while it is at work; then, once, its outcome.
  std::unique_ptr<Result<std::vector<Address>>> take();

 private:
  struct Shared {
    std::mutex mutex;
    std::unique_ptr<Result<std::vector<Address>>> outcome;  // guarded by mutex
  };
  explicit Lookup(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  const std::shared_ptr<Shared> shared_;
};

}  // namespace mirror::ingest
