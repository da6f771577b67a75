// What of a session description (RFC 8866) a receiver of one stream needs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mirror::rtp {

// One "m=" section that has RTP in it.
struct SdpMedia {
  std::string kind;        // "video", "audio"
  std::uint16_t port = 0;  // as written; RTCP one above unless a=rtcp says otherwise
  std::uint16_t rtcp_port = 0;
  std::uint8_t payload_type = 0;  // the first one that is described
  std::string encoding;           // of a=rtpmap, lower case: "h265", "mpeg4-generic", "mp2t"
  std::uint32_t clock_rate = 0;
  std::uint16_t channels = 0;                                  // audio; 1 where it is not said
  std::map<std::string, std::string, std::less<>> parameters;  // of a=fmtp; names in lower case
  std::string connection;  // address of c=, without TTL; may be empty
  std::string language;    // of a=lang, or empty
};

struct SessionDescription {
  std::vector<SdpMedia> media;
};

inline constexpr std::size_t kSdpBytesMax = 16 * 1024;
inline constexpr std::size_t kSdpMediaMax = 16;

// The error names the line. Lines of no meaning here are skipped.
Result<SessionDescription> parse_sdp(std::string_view text);

}  // namespace mirror::rtp
