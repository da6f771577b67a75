// UdpSocket: a bound UDP socket that sends and receives in batches.
//
// With the kernel's help where it has it: many packets of one path in one datagram (UDP_SEGMENT,
// UDP_GRO), many datagrams in one call. Tells which of its addresses a datagram came to, so that
// the answer leaves from there, and the ECN bits (RFC 9000, 13.4). Non-blocking; one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/unique_fd.h"
#include "quic/address.h"
#include "quic/send_buffer.h"

namespace mirror::quic {

enum class Offload { kAuto, kOff };  // kAuto: if the kernel has it

class UdpSocket {
 public:
  static constexpr int kBufferBytes = 4 * 1024 * 1024;

  // `count` sockets on one address and port (SO_REUSEPORT), one for each loop. `address` as for
  // net::listen_tcp: numeric, or "*" for both families. Port 0 picks one. Errors name address and
  // port; a port that another program has is one.
  static Result<std::vector<UdpSocket>> listen(const std::string& address, std::uint16_t port,
                                               std::size_t count, Offload offload = Offload::kAuto);
  // For a client that will speak to `remote`: the same family, any port.
  static Result<UdpSocket> client(const Address& remote, Offload offload = Offload::kAuto);

  int fd() const { return fd_.get(); }
  const Address& local() const { return local_; }  // as bound; the address may be a wildcard
  bool segments() const { return segments_; }      // UDP_SEGMENT works, as far as we know

  // Sends `batches` of `out` from the front; how many are gone. Fewer than all: the socket takes no
  // more for now. A batch that it will never take (no route, too long for the path) is gone too: to
  // QUIC that is a loss like another; counted in `errors`.
  std::size_t send(const SendBuffer& out, std::span<const SendBuffer::Batch> batches,
                   std::size_t& errors);

  struct Received {
    std::span<const std::uint8_t> bytes;  // of one datagram or of several behind each other
    std::size_t segment_bytes = 0;        // of each of them but perhaps the last
    Path path;                            // `socket` is left to the caller
    std::uint8_t ecn = 0;
  };
  // Where the kernel puts what it received; one serves all sockets of a loop.
  class Inbox;
  // What one call gave; empty: nothing waits. Valid until the next call with this inbox.
  std::span<const Received> receive(Inbox& inbox);

 private:
  UdpSocket(net::UniqueFd fd, bool segments);
  bool send_batch_in_pieces(const SendBuffer& out, const SendBuffer::Batch& batch,
                            std::size_t& errors);

  net::UniqueFd fd_;
  Address local_;
  bool segments_ = false;
};

class UdpSocket::Inbox {
 public:
  Inbox();
  ~Inbox();

 private:
  friend class UdpSocket;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::quic
