#include "ingest/srt_options.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <srt/access_control.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "ingest/receive_buffer.h"

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;

// Packets that may arrive in disorder before they count as lost.
constexpr int kReorderPacketsMax = 40;
constexpr std::int64_t kPayloadBytes = 1316;
constexpr std::int64_t kMssBytes = 1500;
constexpr std::int64_t kHeaderBytes = 28;  // IPv4 and UDP, as libsrt counts its buffers
constexpr std::int64_t kPacketBytes = kMssBytes - kHeaderBytes;
constexpr std::int64_t kPacketsMin = 25'600;  // libsrt's default of the flight window
constexpr std::int64_t kPacketsMax = 1 << 17;

template <class T>
bool set(SRTSOCKET socket, SRT_SOCKOPT option, T value) {
  return srt_setsockflag(socket, option, &value, sizeof value) != SRT_ERROR;
}

// How long a packet may lie in the buffer, its round trip included.
milliseconds held_for(milliseconds latency) {
  constexpr milliseconds kRoundTripMax{500};
  return std::max(latency, milliseconds(1000)) + kRoundTripMax;
}

bool set_buffers(SRTSOCKET socket, milliseconds latency, std::int64_t bitrate_bps) {
  // The flight window caps the receive buffer, so it is set first.
  return set(socket, SRTO_FC, receive_buffer_packets(latency, bitrate_bps)) &&
         set(socket, SRTO_RCVBUF, receive_buffer_bytes(latency, bitrate_bps));
}

std::string_view access_control_name(int code) {
  switch (code) {
    case SRT_REJX_BAD_REQUEST:
      return "bad request";
    case SRT_REJX_UNAUTHORIZED:
      return "unauthorized";
    case SRT_REJX_OVERLOAD:
      return "overload";
    case SRT_REJX_FORBIDDEN:
      return "forbidden";
    case SRT_REJX_NOTFOUND:
      return "not found";
    case SRT_REJX_BAD_MODE:
      return "bad mode";
    case SRT_REJX_UNACCEPTABLE:
      return "unacceptable";
    case SRT_REJX_CONFLICT:
      return "conflict";
    case SRT_REJX_NOTSUP_MEDIA:
      return "media type not supported";
    case SRT_REJX_LOCKED:
      return "locked";
    case SRT_REJX_ISE:
      return "internal server error";
    case SRT_REJX_DOWN:
      return "down";
    default:
      return "refused";
  }
}

}  // namespace

Status check_passphrase(const std::string& passphrase) {
  if (passphrase.size() >= kPassphraseBytesMin && passphrase.size() <= kPassphraseBytesMax) {
    return {};
  }
  return fail("the passphrase must have 10 to 79 characters");
}

int receive_buffer_packets(milliseconds latency, std::int64_t bitrate_bps) {
  const std::int64_t bytes = bitrate_bps / 8 * held_for(latency).count() / 1000;
  return static_cast<int>(std::clamp(bytes / kPayloadBytes * 5 / 4, kPacketsMin, kPacketsMax));
}

int receive_buffer_bytes(milliseconds latency, std::int64_t bitrate_bps) {
  return static_cast<int>(receive_buffer_packets(latency, bitrate_bps) * kPacketBytes);
}

std::int64_t bitrate_that_fits(int buffer_bytes, milliseconds latency) {
  const std::int64_t bytes = buffer_bytes / kPacketBytes * 4 / 5 * kPayloadBytes;
  return bytes * 8 * 1000 / held_for(latency).count();
}

Status set_transport(const SrtSocket& socket, const SrtTransport& transport) {
  const bool ok =
      socket.set(SRTO_RCVSYN, false) && socket.set(SRTO_REUSEADDR, false) &&
      socket.set(SRTO_RCVLATENCY, static_cast<int>(transport.latency.count())) &&
      socket.set(SRTO_LOSSMAXTTL, kReorderPacketsMax) &&
      socket.set(SRTO_PEERIDLETIMEO, static_cast<int>(transport.peer_idle_timeout.count())) &&
      socket.set(SRTO_ENFORCEDENCRYPTION, true) &&
      set_buffers(socket.id(), transport.latency, transport.bitrate_bps_max) &&
      socket.set(SRTO_UDP_RCVBUF, transport.udp_receive_buffer_bytes);
  if (!ok) return fail("options: {}", srt_getlasterror_str());
  return {};
}

bool set_latency(SRTSOCKET socket, milliseconds latency, std::int64_t bitrate_bps) {
  return set(socket, SRTO_RCVLATENCY, static_cast<int>(latency.count())) &&
         set_buffers(socket, latency, bitrate_bps);
}

bool set_passphrase(SRTSOCKET socket, const std::string& passphrase) {
  return srt_setsockflag(socket, SRTO_PASSPHRASE, passphrase.data(),
                         static_cast<int>(passphrase.size())) != SRT_ERROR;
}

Result<int> bind_to(const SrtSocket& socket, const Address& address, bool v6_only,
                    int receive_buffer_bytes) {
  const int family = address.get()->sa_family;
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("{}", std::strerror(errno));
  const int only = v6_only ? 1 : 0;
  const bool ours = (family != AF_INET6 ||
                     ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0) &&
                    ::bind(fd, address.get(), address.size) == 0;
  if (!ours) {
    const int why = errno;
    ::close(fd);
    return fail("{}",
                why == EADDRINUSE ? "the port is in use by another program" : std::strerror(why));
  }
  if (family == AF_INET6) socket.set(SRTO_IPV6ONLY, only);
  if (srt_bind_acquire(socket.id(), fd) == SRT_ERROR) {
    ::close(fd);
    return fail("{}", srt_getlasterror_str());
  }
  return size_receive_buffer(fd, receive_buffer_bytes);  // libsrt has asked for it in its own way
}

std::string reject_text(int code) {
  if (code >= SRT_REJC_PREDEFINED) return fmt::format("{} ({})", access_control_name(code), code);
  switch (code) {
    case SRT_REJ_BADSECRET:
      return "the passphrase is wrong";
    case SRT_REJ_UNSECURE:
      return "one end has a passphrase and the other has none";
    case SRT_REJ_TIMEOUT:
      return "no answer";
    default:
      return fmt::format("{} ({})", srt_rejectreason_str(code), code);
  }
}

}  // namespace mirror::ingest
