// SETTINGS of HTTP/3 (RFC 9114 7.2.4): what each side says of itself, once, at the start.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "http/http3_frames.h"

namespace mirror::http::h3 {

// Which settings there are, in one table with what they may say: every draft of WebTransport has
// ids of its own, and a browser goes by the ones that it knows.
namespace setting {
inline constexpr std::uint64_t kQpackMaxTableCapacity = 0x01;
inline constexpr std::uint64_t kMaxFieldSectionSize = 0x06;
inline constexpr std::uint64_t kQpackBlockedStreams = 0x07;
inline constexpr std::uint64_t kEnableConnectProtocol = 0x08;                 // RFC 9220
inline constexpr std::uint64_t kH3Datagram = 0x33;                            // RFC 9297
inline constexpr std::uint64_t kEnableWebTransportDraft02 = 0x2b603742;       // draft-02
inline constexpr std::uint64_t kWebTransportMaxSessionsDraft07 = 0xc671706a;  // draft-07
}  // namespace setting

struct Settings {
  std::uint64_t max_field_section_size = kVarintMax;  // none said: unlimited
  bool connect_protocol = false;
  bool datagrams = false;
  bool webtransport_draft02 = false;
  std::uint64_t webtransport_sessions = 0;  // draft-07

  bool webtransport() const { return webtransport_draft02 || webtransport_sessions > 0; }
};

inline constexpr std::size_t kSettingsBytesMax = 1024;
inline constexpr std::size_t kSettingsCountMax = 64;  // reserved ones among them

// The SETTINGS frame of `settings`, and of a QPACK without a dynamic table.
void append_settings(Wire& out, const Settings& settings);

// Reads a frame's payload. Unknown settings are skipped. The error is the connection's:
// kSettings for one that comes twice, is reserved or says what it cannot, kFrame for one that is
// cut off, kExcessiveLoad for more than kSettingsCountMax.
struct SettingsResult {
  Settings settings;
  std::uint64_t error = 0;  // 0: none
};
SettingsResult parse_settings(std::span<const std::uint8_t> payload);

}  // namespace mirror::http::h3
