// How SRT sockets are set up, the same for those that listen, are accepted, or dial. Included by
// .cc files only, as srt_socket.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "ingest/srt_socket.h"

namespace mirror::ingest {

// What one connection is to be like.
struct SrtTransport {
  std::chrono::milliseconds latency{120};  // at least; the other end may ask for more
  std::string passphrase{};                // empty: in the clear
  std::chrono::milliseconds peer_idle_timeout{5000};
  std::int64_t bitrate_bps_max = 50'000'000;
  int udp_receive_buffer_bytes = 32 << 20;
};

// SRTO_PASSPHRASE takes 10 to 79 characters.
inline constexpr std::size_t kPassphraseBytesMin = 10;
inline constexpr std::size_t kPassphraseBytesMax = 79;
Status check_passphrase(const std::string& passphrase);

// How many packets of 1316 bytes a connection must be able to hold: its rate over latency and round
// trip (a lost packet may take both to come), a quarter more for what others than 1316 bytes take,
// and no less than libsrt's default. A flight window below that would cap the buffer.
int receive_buffer_packets(std::chrono::milliseconds latency, std::int64_t bitrate_bps);

// All but the passphrase. Before bind or connect.
Status set_transport(const SrtSocket& socket, const SrtTransport& transport);

// In the listen callback, where a socket is not open yet: what differs for one stream. False when
// libsrt would not have it.
bool set_latency(SRTSOCKET socket, std::chrono::milliseconds latency, std::int64_t bitrate_bps);
bool set_passphrase(SRTSOCKET socket, const std::string& passphrase);

// What the kernel grants of `wanted` bytes of UDP receive buffer (net.core.rmem_max limits it, and
// libsrt does not tell).
int granted_receive_buffer(int wanted);

// "conflict (1409)": a reject code as the SRT Access Control Guidelines name it, or libsrt itself.
std::string reject_text(int code);

}  // namespace mirror::ingest
