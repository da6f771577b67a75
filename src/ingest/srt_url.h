// Where a source is dialled: srt://HOST:PORT[?streamid=…][&mode=caller]. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mirror::ingest {

struct SrtUrl {
  std::string host;  // a name or a numeric address; IPv6 without brackets
  std::uint16_t port = 0;
  std::string stream_id;  // percent-decoded; empty: none is sent
};

// At most 2048 bytes; a host name of at most 253 (RFC 1035, 2.3.4), a stream id of at most 512. The
// error says what is wrong in words for an operator. Passphrase and latency have settings of their
// own and are refused here, so that no URL holds a secret.
Result<SrtUrl> parse_srt_url(std::string_view text);

}  // namespace mirror::ingest
