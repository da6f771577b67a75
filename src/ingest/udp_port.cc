#include "ingest/udp_port.h"

#include <linux/sock_diag.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ingest/receive_buffer.h"

namespace mirror::ingest {
namespace {

void set(int fd, int level, int name, int value) {
  // What a kernel lacks is done without.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

std::string reason_of(int error) {
  return error == EADDRINUSE ? "the port is in use by another program" : std::strerror(error);
}

// Groups that are joined by their sources (RFC 4607): 232.0.0.0/8 and ff3x::/32.
bool source_specific(const IpAddress& group) {
  if (group.is_v4()) return group.bytes[12] == 232;
  return group.bytes[0] == 0xff && (group.bytes[1] & 0xf0U) == 0x30;
}

}  // namespace

UdpPort& UdpPort::operator=(UdpPort&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  std::swap(granted_bytes_, other.granted_bytes_);
  return *this;
}

UdpPort::~UdpPort() {
  if (fd_ >= 0) ::close(fd_);
}

Result<UdpPort> UdpPort::open(const UdpPortSettings& settings) {
  const std::string& name = settings.multicast.empty() ? settings.address : settings.multicast;
  const auto within = [&](Error error) {
    return std::unexpected(std::move(error).within(fmt::format("UDP {}:{}", name, settings.port)));
  };
  if (!settings.multicast.empty()) {
    const auto group = IpAddress::parse(settings.multicast);
    if (!group || !group->is_multicast()) {
      return within({"this is not the numeric address of a multicast group"});
    }
    auto port = open_socket(group->is_v4() ? AF_INET : AF_INET6, settings, *group);
    if (!port) return within(std::move(port.error()));
    if (Status joined = port->join(settings, *group); !joined) {
      return within(std::move(joined.error()));
    }
    return port;
  }
  if (settings.address == "*") {
    // One socket for both families; IPv4 alone where the machine has no IPv6.
    if (auto both = open_socket(AF_INET6, settings, IpAddress{})) return both;
    auto v4 = open_socket(AF_INET, settings, *IpAddress::parse("0.0.0.0"));
    if (!v4) return within(std::move(v4.error()));
    return v4;
  }
  const auto address = IpAddress::parse(settings.address);
  if (!address) return within({"this is not a numeric address"});
  auto port = open_socket(address->is_v4() ? AF_INET : AF_INET6, settings, *address);
  if (!port) return within(std::move(port.error()));
  return port;
}

Result<UdpPort> UdpPort::open_socket(int family, const UdpPortSettings& settings,
                                     const IpAddress& address) {
  UdpPort port(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), family);
  if (port.fd_ < 0) return fail("{}", std::strerror(errno));
  if (family == AF_INET6) {
    set(port.fd_, IPPROTO_IPV6, IPV6_V6ONLY, settings.address == "*" ? 0 : 1);
  }
  // Others may listen to the same group; a port of our own is ours alone.
  if (!settings.multicast.empty()) set(port.fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  if (settings.receive_buffer_bytes > 0) {
    port.granted_bytes_ = size_receive_buffer(port.fd_, settings.receive_buffer_bytes);
  }
  // Bound to the group itself, so that nothing that is sent elsewhere comes in.
  sockaddr_storage bound{};
  const socklen_t size = RemoteAddress{address, settings.port, 0}.write(family, bound);
  if (::bind(port.fd_, reinterpret_cast<const sockaddr*>(&bound), size) != 0) {
    return fail("{}", reason_of(errno));
  }
  return port;
}

Status UdpPort::join(const UdpPortSettings& settings, const IpAddress& group) const {
  const int level = group.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
  unsigned index = 0;
  if (!settings.interface.empty()) {
    index = ::if_nametoindex(settings.interface.c_str());
    if (index == 0) return fail("there is no network interface \"{}\"", settings.interface);
  }
  sockaddr_storage address{};
  RemoteAddress{group, 0, 0}.write(family_, address);
  int result = 0;
  if (source_specific(group)) {
    if (settings.sources.empty()) {
      return fail("{} is a source-specific group: name its sender's address", group.text());
    }
    for (const IpAddress& source : settings.sources) {
      if (source.is_v4() != group.is_v4()) continue;
      group_source_req request{};
      request.gsr_interface = index;
      request.gsr_group = address;
      RemoteAddress{source, 0, 0}.write(family_, request.gsr_source);
      if (::setsockopt(fd_, level, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request) != 0) {
        result = errno;
      }
    }
  } else {
    group_req request{};
    request.gr_interface = index;
    request.gr_group = address;
    if (::setsockopt(fd_, level, MCAST_JOIN_GROUP, &request, sizeof request) != 0) result = errno;
  }
  if (result != 0) return fail("joining the group: {}", std::strerror(result));
  // Without this, what any other program of this machine has joined comes here, too.
  if (group.is_v4()) set(fd_, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  return {};
}

std::uint16_t UdpPort::port() const {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size);
  const auto local = RemoteAddress::of(bound);
  return local ? local->port : 0;
}

std::uint32_t UdpPort::dropped() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) return 0;
  return info[SK_MEMINFO_DROPS];
}

UdpPort::Inbox::Inbox() : bytes_(kDatagramsMax * kBytesMax) {
  for (std::size_t i = 0; i < kDatagramsMax; ++i) {
    parts_[i] = {bytes_.data() + i * kBytesMax, kBytesMax};
    msghdr& header = messages_[i].msg_hdr;
    header.msg_name = &names_[i];
    header.msg_iov = &parts_[i];
    header.msg_iovlen = 1;
  }
}

std::span<const UdpPort::Datagram> UdpPort::receive(Inbox& inbox) {
  // The kernel writes over it.
  for (mmsghdr& message : inbox.messages_) message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  const int count =
      ::recvmmsg(fd_, inbox.messages_.data(), Inbox::kDatagramsMax, MSG_DONTWAIT, nullptr);
  if (count <= 0) return {};
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const msghdr& header = inbox.messages_[i].msg_hdr;
    inbox.datagrams_[i] = {{inbox.bytes_.data() + i * Inbox::kBytesMax, inbox.messages_[i].msg_len},
                           &inbox.names_[i],
                           (header.msg_flags & MSG_TRUNC) != 0};
  }
  return std::span(inbox.datagrams_).first(static_cast<std::size_t>(count));
}

bool UdpPort::send(std::span<const std::uint8_t> bytes, const RemoteAddress& to) const {
  sockaddr_storage address{};
  const socklen_t size = to.write(family_, address);
  if (size == 0) return false;
  const ssize_t sent = ::sendto(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  return sent == static_cast<ssize_t>(bytes.size());
}

}  // namespace mirror::ingest
