// Where the transport stream goes: an SRT listener, or a file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace mirror::source {

class Output {
 public:
  virtual ~Output() = default;
  // At most seven TS packets, the payload of one SRT message.
  virtual Status write(std::span<const std::uint8_t> bytes) = 0;
};

Result<std::unique_ptr<Output>> open_file(const std::string& path);

struct SrtTarget {
  std::string host;
  std::string port;
  std::string stream_id;
  std::string passphrase;  // empty: not encrypted
  int latency_ms = 120;
};

// `srt://host:port?streamid=…&latency=MS&passphrase=…`; an IPv6 address stands in brackets. Values
// may be percent-encoded.
Result<SrtTarget> parse_srt_url(const std::string& url);

// Calls the listener, once. An error names why it refused. Blocks for at most 3 seconds per
// address.
Result<std::unique_ptr<Output>> call_srt(const SrtTarget& target);

}  // namespace mirror::source
