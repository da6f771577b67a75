// RTCP (RFC 3550, 6): what a sender says of itself, and what a receiver answers.
//
// Sans-IO, no state; any thread. A datagram is a compound packet: several RTCP packets, one behind
// the other. Limits: at most kRtcpItemsMax of each kind are kept of one datagram.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace mirror::rtp {

inline constexpr std::size_t kRtcpItemsMax = 16;
// Reception reports in one receiver report: the count has five bits (6.4.2).
inline constexpr std::size_t kReceptionReportsMax = 31;

// Seconds since 1900 and their 2^-32ths (6.4.1). Zero: the sender has no clock to tell.
using NtpTime = std::uint64_t;

// 6.4.1, without the reports of what the sender receives itself.
struct SenderReport {
  std::uint32_t ssrc = 0;
  NtpTime ntp = 0;
  std::uint32_t rtp_timestamp = 0;  // the same instant, on the clock of the data packets
  std::uint32_t packets = 0;        // sent since the beginning, modulo 2^32
  std::uint32_t octets = 0;         // of payload
};

// The canonical name of a source (6.5.1). Bytes of a stranger: escape them before anybody reads.
struct CanonicalName {
  std::uint32_t ssrc = 0;
  std::string name;  // 255 bytes at most
};

struct RtcpCompound {
  std::vector<SenderReport> sender_reports;
  std::vector<CanonicalName> names;
  std::vector<std::uint32_t> goodbyes;  // SSRCs that leave (6.6)
};

// True for what came on a port that RTP and RTCP may share and is RTCP (RFC 5761, 4): version 2 and
// a packet type of 192 to 223. No RTP packet looks so, unless it has a marker and a payload type of
// 64 to 95, which senders are told to avoid.
bool is_rtcp(std::span<const std::uint8_t> datagram);

// Empty when the datagram is no RTCP: another version, or lengths that do not add up (A.2). A
// compound need not begin with a report (RFC 5506). Packets of other types are passed over, items
// over the limits too.
std::optional<RtcpCompound> parse_rtcp(std::span<const std::uint8_t> datagram);

// How one source was received (6.4.1). Out-of-range values are clamped when it is written.
struct ReceptionReport {
  std::uint32_t ssrc = 0;                 // of the source that this is about
  std::uint8_t fraction_lost = 0;         // of the packets since the last report, in 1/256
  std::int64_t cumulative_lost = 0;       // written as 24 bits, signed
  std::uint32_t highest_sequence = 0;     // with the count of wraps in the upper 16 bits
  std::uint32_t jitter = 0;               // in units of the timestamp (A.8)
  std::uint32_t last_sr = 0;              // see last_sr_of(); 0: none came
  std::uint32_t delay_since_last_sr = 0;  // in 1/65536 s; 0: none came
};

// A receiver report with these (kReceptionReportsMax at most) and, as each compound must have it
// (6.1), the canonical name of the receiver, 255 bytes at most.
std::vector<std::uint8_t> make_receiver_report(std::uint32_t own_ssrc,
                                               std::span<const ReceptionReport> reports,
                                               std::string_view canonical_name);

// The middle 32 bits of an NTP time: what `last_sr` repeats to the sender.
std::uint32_t last_sr_of(NtpTime ntp);
// A duration in 1/65536 s, clamped to what 32 bits hold (18 hours) and to 0.
std::uint32_t delay_since_last_sr(SteadyTime::duration since);
// The wall clock that an NTP time says. Eras of 136 years are told apart by the highest bit: set
// means 1968 to 2036 (RFC 4330, 3).
WallTime wall_time_of(NtpTime ntp);

}  // namespace mirror::rtp
