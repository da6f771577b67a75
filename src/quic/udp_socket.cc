#include "quic/udp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/tcp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace mirror::quic {

namespace {

constexpr std::size_t kMessagesMax = 16;       // of one call that receives
constexpr std::size_t kMessageBytes = 65'536;  // the longest that receive offload makes
constexpr std::size_t kSentAtOnceMax = 16;     // batches in one call
constexpr std::uint8_t kEcnMask = 0x3;

void set(int fd, int level, int name, int value) {
  // What a kernel lacks is done without.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

// The larger value needs a privilege; the limit of everybody else is a sysctl.
void set_buffer(int fd, int force, int ordinary) {
  const int bytes = UdpSocket::kBufferBytes;
  if (::setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0) {
    set(fd, SOL_SOCKET, ordinary, bytes);
  }
}

enum class Side { kServer, kClient };

bool set_up(int fd, int family, Side side, Offload offload) {
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  // No fragments, and no kernel's opinion on the path's MTU: finding it is QUIC's (RFC 9000, 14).
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  set(fd, IPPROTO_IP, IP_RECVTOS, 1);
  // A client has one path and chose it: its address is what it bound to, wildcard or not.
  if (side == Side::kServer) set(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (family == AF_INET6) {
    set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    if (side == Side::kServer) set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  if (offload == Offload::kOff) return false;
  set(fd, SOL_UDP, UDP_GRO, 1);
  int segment = 0;
  socklen_t size = sizeof segment;
  return ::getsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, &size) == 0;
}

std::string reason_of(int error) {
  return error == EADDRINUSE ? "the port is in use by another program" : std::strerror(error);
}

Result<net::UniqueFd> bound(const Address& address, bool dual, bool shared) {
  net::UniqueFd fd(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("{}", std::strerror(errno));
  if (address.family() == AF_INET6) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual ? 0 : 1);
  if (shared) set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (::bind(fd.get(), address.get(), address.size()) != 0) return fail("{}", reason_of(errno));
  return fd;
}

// Control data of one message: destination or source address, ECN, segment size.
struct Control {
  alignas(cmsghdr) std::array<std::uint8_t, 128> bytes;
};

template <class T>
void append(msghdr& message, int level, int type, const T& value) {
  auto* header = reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(message.msg_control) +
                                            message.msg_controllen);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  message.msg_controllen += CMSG_SPACE(sizeof value);
}

void append_source(msghdr& message, const Address& local) {
  if (local.none() || local.wildcard()) return;
  if (local.family() == AF_INET) {
    in_pktinfo info{};
    info.ipi_spec_dst = local.v4().sin_addr;
    append(message, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_addr = local.v6().sin6_addr;
    append(message, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

void append_ecn(msghdr& message, const Address& remote, std::uint8_t ecn) {
  if (ecn == 0) return;
  if (remote.family() == AF_INET || remote.v4_mapped()) {
    append(message, IPPROTO_IP, IP_TOS, static_cast<int>(ecn));
  } else {
    append(message, IPPROTO_IPV6, IPV6_TCLASS, static_cast<int>(ecn));
  }
}

struct Outgoing {
  iovec part{};
  Control control;

  msghdr message(std::span<const std::uint8_t> bytes, const SendBuffer::Batch& batch,
                 bool segmented) {
    part = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    control.bytes.fill(0);
    msghdr made{};
    made.msg_name = const_cast<sockaddr*>(batch.path.remote.get());
    made.msg_namelen = batch.path.remote.size();
    made.msg_iov = &part;
    made.msg_iovlen = 1;
    made.msg_control = control.bytes.data();
    append_source(made, batch.path.local);
    append_ecn(made, batch.path.remote, batch.ecn);
    if (segmented && batch.packets > 1) {
      append(made, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(batch.segment_bytes));
    }
    if (made.msg_controllen == 0) made.msg_control = nullptr;
    return made;
  }
};

bool for_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

Address address_with_port(const in_addr& address, std::uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_addr = address;
  made.sin_port = htons(port);
  return Address::of(reinterpret_cast<const sockaddr*>(&made), sizeof made);
}

Address address_with_port(const in6_addr& address, std::uint16_t port) {
  sockaddr_in6 made{};
  made.sin6_family = AF_INET6;
  made.sin6_addr = address;
  made.sin6_port = htons(port);
  return Address::of(reinterpret_cast<const sockaddr*>(&made), sizeof made);
}

template <class T>
T value_of(cmsghdr* header) {
  T value{};
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

}  // namespace

UdpSocket::UdpSocket(net::UniqueFd fd, bool segments) : fd_(std::move(fd)), segments_(segments) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    local_ = Address::of(reinterpret_cast<const sockaddr*>(&address), size);
  }
}

Result<std::vector<UdpSocket>> UdpSocket::listen(const std::string& address, std::uint16_t port,
                                                 std::size_t count, Offload offload) {
  const auto context = fmt::format("cannot listen on {} port {}/udp", address, port);
  const bool dual =
      address == "*" && net::UniqueFd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)).get() >= 0;
  const std::string numeric = address != "*" ? address : dual ? "::" : "0.0.0.0";
  auto where = Address::parse(numeric, port);
  if (!where) return std::unexpected(std::move(where.error()).within(context));
  {
    // As net::listen_tcp: a socket that does not share finds out whether another program is there.
    auto probe = bound(*where, dual, false);
    if (!probe) return std::unexpected(std::move(probe.error()).within(context));
    where->set_port(net::local_port(probe->get()));
  }
  std::vector<UdpSocket> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    auto fd = bound(*where, dual, true);
    if (!fd) return std::unexpected(std::move(fd.error()).within(context));
    const bool segments = set_up(fd->get(), where->family(), Side::kServer, offload);
    sockets.push_back(UdpSocket(std::move(*fd), segments));
  }
  return sockets;
}

Result<UdpSocket> UdpSocket::client(const Address& remote, Offload offload) {
  auto any = Address::parse(remote.family() == AF_INET ? "0.0.0.0" : "::", 0);
  auto fd = bound(*any, false, false);
  if (!fd) return std::unexpected(std::move(fd.error()).within("UDP socket"));
  const bool segments = set_up(fd->get(), remote.family(), Side::kClient, offload);
  return UdpSocket(std::move(*fd), segments);
}

std::size_t UdpSocket::send(const SendBuffer& out, std::span<const SendBuffer::Batch> batches,
                            std::size_t& errors) {
  std::size_t done = 0;
  while (done < batches.size()) {
    std::array<Outgoing, kSentAtOnceMax> storage;
    std::array<mmsghdr, kSentAtOnceMax> messages;
    std::size_t count = 0;
    for (; count < storage.size() && done + count < batches.size(); ++count) {
      const SendBuffer::Batch& batch = batches[done + count];
      if (batch.packets > 1 && !segments_) break;
      messages[count] = {storage[count].message(out.bytes_of(batch), batch, true), 0};
    }
    if (count == 0) {
      if (!send_batch_in_pieces(out, batches[done], errors)) return done;
      ++done;
      continue;
    }
    const int sent = ::sendmmsg(fd_.get(), messages.data(), static_cast<unsigned>(count), 0);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (for_later(error)) return done;
    if (batches[done].packets > 1 && (error == EIO || error == EINVAL)) {
      segments_ = false;  // the interface cannot do it after all
      continue;
    }
    ++errors;
    ++done;
  }
  return done;
}

// False: the socket takes no more. What was sent of the batch then goes out twice, which costs
// less than remembering where it stopped.
bool UdpSocket::send_batch_in_pieces(const SendBuffer& out, const SendBuffer::Batch& batch,
                                     std::size_t& errors) {
  auto bytes = out.bytes_of(batch);
  while (!bytes.empty()) {
    const auto packet = bytes.first(std::min(bytes.size(), batch.segment_bytes));
    Outgoing outgoing;
    const msghdr message = outgoing.message(packet, batch, false);
    const ssize_t sent = ::sendmsg(fd_.get(), &message, 0);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && for_later(errno)) return false;
    if (sent < 0) ++errors;
    bytes = bytes.subspan(packet.size());
  }
  return true;
}

struct UdpSocket::Inbox::Impl {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(kMessagesMax * kMessageBytes);
  std::array<Control, kMessagesMax> controls;
  std::array<sockaddr_storage, kMessagesMax> names;
  std::array<iovec, kMessagesMax> parts;
  std::array<mmsghdr, kMessagesMax> messages;
  std::array<Received, kMessagesMax> received;
};

UdpSocket::Inbox::Inbox() : impl_(std::make_unique<Impl>()) {}
UdpSocket::Inbox::~Inbox() = default;

std::span<const UdpSocket::Received> UdpSocket::receive(Inbox& inbox) {
  Inbox::Impl& in = *inbox.impl_;
  for (std::size_t i = 0; i < kMessagesMax; ++i) {
    in.parts[i] = {in.bytes.data() + i * kMessageBytes, kMessageBytes};
    msghdr& header = in.messages[i].msg_hdr;
    header = {};
    header.msg_name = &in.names[i];
    header.msg_namelen = sizeof in.names[i];
    header.msg_iov = &in.parts[i];
    header.msg_iovlen = 1;
    header.msg_control = in.controls[i].bytes.data();
    header.msg_controllen = in.controls[i].bytes.size();
  }
  const int count = ::recvmmsg(fd_.get(), in.messages.data(), kMessagesMax, 0, nullptr);
  if (count <= 0) return {};
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    msghdr& header = in.messages[i].msg_hdr;
    Received& made = in.received[i] = {};
    made.bytes = {in.bytes.data() + i * kMessageBytes, in.messages[i].msg_len};
    made.segment_bytes = made.bytes.size();
    made.path.remote =
        Address::of(reinterpret_cast<const sockaddr*>(&in.names[i]), header.msg_namelen);
    made.path.local = local_;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        // On a socket of both families the IPv6 form comes too, and fits the peer's address.
        if (local_.family() == AF_INET) {
          made.path.local = address_with_port(value_of<in_pktinfo>(c).ipi_addr, local_.port());
        }
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        made.path.local = address_with_port(value_of<in6_pktinfo>(c).ipi6_addr, local_.port());
      } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)) {
        made.ecn = value_of<std::uint8_t>(c) & kEcnMask;
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
        made.ecn = static_cast<std::uint8_t>(value_of<int>(c)) & kEcnMask;
      } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        const int segment = value_of<int>(c);
        if (segment > 0) made.segment_bytes = static_cast<std::size_t>(segment);
      }
    }
  }
  return std::span(in.received).first(static_cast<std::size_t>(count));
}

}  // namespace mirror::quic
