// KernelDrops: UDP datagrams that the kernel threw away because a receive buffer was full, as a
// metric.
//
// RcvbufErrors of /proc/net/snmp and snmp6 (RFC 4113's counters, as Linux extends them): of every
// UDP socket in the network namespace, whoever owns it, since the machine started. What is shown
// here is what was added since this process started. SRT and RTP count such losses as their own,
// and repair some; this is how to tell a network that loses from a machine that does not keep up.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/metrics.h"

namespace mirror::ingest {

// From the text of /proc/net/snmp (two lines "Udp:", names and values).
std::optional<std::uint64_t> udp_receive_buffer_errors(std::string_view snmp);
// From that of /proc/net/snmp6 (one "Udp6RcvbufErrors" line).
std::optional<std::uint64_t> udp6_receive_buffer_errors(std::string_view snmp6);

class KernelDrops {
 public:
  explicit KernelDrops(Metrics& metrics);

  // Reads the kernel's figures: some ten microseconds, so a few times a second at most. One thread.
  void look();
  // Since it was made, as of the last look.
  std::uint64_t count() const { return count_; }

 private:
  Counter& counter_;
  std::optional<std::uint64_t> seen_;
  std::uint64_t count_ = 0;
};

}  // namespace mirror::ingest
