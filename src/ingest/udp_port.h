// UdpPort: one bound UDP socket that only listens, or answers with a word now and then.
//
// Not thread-safe; used on the thread of its owner. Reads many datagrams with one call into an
// inbox that all ports of a thread share.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ingest/ip_address.h"

namespace mirror::ingest {

struct UdpPortSettings {
  std::string address = "*";  // "*": every address of both families; else one numeric address
  std::uint16_t port = 0;     // 0: any free one
  std::string multicast{};    // a group to join; empty: none. `address` is not used then
  std::string interface{};    // by which to join: its name; empty: the system chooses
  // Sources of a source-specific group (RFC 4607); of another group they are not needed.
  std::vector<IpAddress> sources{};
  int receive_buffer_bytes = 0;  // 0: what the system gives
};

class UdpPort {
 public:
  struct Datagram {
    std::span<const std::uint8_t> bytes;
    const sockaddr_storage* from = nullptr;
    bool cut = false;  // it was longer than there was room for
  };
  // Where the kernel puts what it received.
  class Inbox;

  // The error names address and port.
  static Result<UdpPort> open(const UdpPortSettings& settings);
  UdpPort(UdpPort&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        family_(other.family_),
        granted_bytes_(other.granted_bytes_) {}
  UdpPort& operator=(UdpPort&& other) noexcept;
  ~UdpPort();

  int fd() const { return fd_; }
  std::uint16_t port() const;
  // What the kernel granted of the receive buffer that was asked for.
  int granted_bytes() const { return granted_bytes_; }

  // What one call gave; empty: nothing waits. Valid until the next call with this inbox.
  std::span<const Datagram> receive(Inbox& inbox);
  // Datagrams that the kernel threw away since the socket was made, because its buffer was full.
  // Wraps at 32 bits. One call into the kernel (SO_MEMINFO; SO_RXQ_OVFL says the same with each
  // datagram, and costs a fortieth of the receiving thread).
  std::uint32_t dropped() const;
  // False when it could not go out; nobody waits for it.
  bool send(std::span<const std::uint8_t> bytes, const RemoteAddress& to) const;

 private:
  UdpPort(int fd, int family) : fd_(fd), family_(family) {}
  static Result<UdpPort> open_socket(int family, const UdpPortSettings& settings,
                                     const IpAddress& address);
  Status join(const UdpPortSettings& settings, const IpAddress& group) const;

  int fd_ = -1;
  int family_ = AF_UNSPEC;
  int granted_bytes_ = 0;
};

class UdpPort::Inbox {
 public:
  static constexpr std::size_t kDatagramsMax = 64;
  // A jumbo frame's (9,000 bytes) and its parity's. What datagrams do not reach is never touched,
  // so that usual ones cost no more than in a smaller inbox (docs/performance.md).
  static constexpr std::size_t kBytesMax = 9216;

  Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

 private:
  friend class UdpPort;
  std::vector<std::uint8_t> bytes_;
  std::array<sockaddr_storage, kDatagramsMax> names_{};
  std::array<iovec, kDatagramsMax> parts_{};
  std::array<mmsghdr, kDatagramsMax> messages_{};
  std::array<Datagram, kDatagramsMax> datagrams_{};
};

}  // namespace mirror::ingest
