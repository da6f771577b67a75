// How SRT sockets are set up, the same for those that listen, are accepted, or dial. Included by
// .cc files only, as srt_socket.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "ingest/srt_address.h"
#include "ingest/srt_socket.h"

namespace mirror::ingest {

// Of one feed, unless the settings say otherwise.
inline constexpr std::int64_t kFeedBitrateMax = 50'000'000;

// What one connection is to be like.
struct SrtTransport {
  std::chrono::milliseconds latency{120};  // at least; the other end may ask for more
  std::string passphrase{};                // empty: in the clear
  std::chrono::milliseconds peer_idle_timeout{5000};
  std::int64_t bitrate_bps_max = kFeedBitrateMax;
  int udp_receive_buffer_bytes = 32 << 20;
};

// SRTO_PASSPHRASE takes 10 to 79 characters.
inline constexpr std::size_t kPassphraseBytesMin = 10;
inline constexpr std::size_t kPassphraseBytesMax = 79;
Status check_passphrase(const std::string& passphrase);

// How many packets of 1316 bytes a connection must be able to hold: its rate over latency and round
// trip (a lost packet may take both to come), and a quarter more for what others than 1316 bytes
// take. Never less than libsrt's own flight window, which is room for 50 Mbps and 3.8 s of latency:
// the other end may ask for more latency than we do, and the buffer is made before it says so. A
// slot costs 16 bytes; libsrt takes memory for packets as they come.
int receive_buffer_packets(std::chrono::milliseconds latency, std::int64_t bitrate_bps);
// The same as SRTO_RCVBUF has it.
int receive_buffer_bytes(std::chrono::milliseconds latency, std::int64_t bitrate_bps);

// The feed in bits per second that `buffer_bytes` (SRTO_RCVBUF) are room for at that latency, by
// the same reckoning.
std::int64_t bitrate_that_fits(int buffer_bytes, std::chrono::milliseconds latency);

// All but the passphrase. Before bind or connect.
Status set_transport(const SrtSocket& socket, const SrtTransport& transport);

// In the listen callback, where a socket is not open yet: what differs for one stream. False when
// libsrt would not have it.
bool set_latency(SRTSOCKET socket, std::chrono::milliseconds latency, std::int64_t bitrate_bps);
bool set_passphrase(SRTSOCKET socket, const std::string& passphrase);

// Binds to a UDP socket of ours with so much of a receive buffer as can be had, and returns what
// was granted. libsrt itself would ask for no more than net.core.rmem_max, and not tell. An IPv6
// address that is unspecified hears IPv4, too, unless `v6_only`.
Result<int> bind_to(const SrtSocket& socket, const Address& address, bool v6_only,
                    int receive_buffer_bytes);

// "conflict (1409)": a reject code as the SRT Access Control Guidelines name it, or libsrt itself.
std::string reject_text(int code);

}  // namespace mirror::ingest
