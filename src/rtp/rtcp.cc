#include "rtp/rtcp.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

using Span = std::span<const std::uint8_t>;

constexpr std::uint8_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kSenderInfoBytes = 24;  // with the SSRC in front
constexpr std::size_t kReceptionReportBytes = 24;
constexpr std::size_t kItemTextMax = 255;

// Packet types (12.1).
constexpr std::uint8_t kSenderReportType = 200;
constexpr std::uint8_t kReceiverReportType = 201;
constexpr std::uint8_t kDescriptionType = 202;
constexpr std::uint8_t kGoodbyeType = 203;
// SDES items (12.2).
constexpr std::uint8_t kItemEnd = 0;
constexpr std::uint8_t kItemCname = 1;

// Seconds from 1900 to 1970, and from 1970 to 7 February 2036, where the seconds begin anew.
constexpr std::int64_t kNtpToUnix = 2'208'988'800;
constexpr std::int64_t kSecondEraToUnix = (std::int64_t{1} << 32U) - kNtpToUnix;

void read_sender_report(Span body, RtcpCompound& out) {
  if (body.size() < kSenderInfoBytes || out.sender_reports.size() >= kRtcpItemsMax) return;
  out.sender_reports.push_back({.ssrc = read_u32(body),
                                .ntp = read_u64(body.subspan(4)),
                                .rtp_timestamp = read_u32(body.subspan(12)),
                                .packets = read_u32(body.subspan(16)),
                                .octets = read_u32(body.subspan(20))});
}

// The size of the items behind an SSRC, with their end and padding to four bytes; 0 when the chunk
// runs over its packet.
std::size_t read_items(std::uint32_t ssrc, Span items, RtcpCompound& out) {
  std::size_t at = 0;
  while (at < items.size() && items[at] != kItemEnd) {
    if (at + 2 > items.size()) return 0;
    const std::size_t length = items[at + 1];
    if (at + 2 + length > items.size()) return 0;
    if (items[at] == kItemCname && out.names.size() < kRtcpItemsMax) {
      const auto text = items.subspan(at + 2, length);
      out.names.push_back({ssrc, std::string(text.begin(), text.end())});
    }
    at += 2 + length;
  }
  if (at >= items.size()) return 0;
  return at / 4 * 4 + 4;
}

void read_description(Span body, std::size_t chunks, RtcpCompound& out) {
  for (; chunks > 0 && body.size() >= 8; --chunks) {
    const std::size_t items = read_items(read_u32(body), body.subspan(4), out);
    if (items == 0 || 4 + items > body.size()) return;
    body = body.subspan(4 + items);
  }
}

void read_goodbye(Span body, std::size_t sources, RtcpCompound& out) {
  for (; sources > 0 && body.size() >= 4; --sources, body = body.subspan(4)) {
    if (out.goodbyes.size() < kRtcpItemsMax) out.goodbyes.push_back(read_u32(body));
  }
}

void append_reception_report(std::vector<std::uint8_t>& out, const ReceptionReport& report) {
  constexpr std::int64_t kLostMost = 0x7f'ffff;
  const std::int64_t lost = std::clamp(report.cumulative_lost, -kLostMost - 1, kLostMost);
  append_u32(out, report.ssrc);
  append_u32(out, static_cast<std::uint32_t>(report.fraction_lost) << 24U |
                      (static_cast<std::uint32_t>(lost) & 0xff'ffffU));
  append_u32(out, report.highest_sequence);
  append_u32(out, report.jitter);
  append_u32(out, report.last_sr);
  append_u32(out, report.delay_since_last_sr);
}

void append_header(std::vector<std::uint8_t>& out, std::size_t count, std::uint8_t type,
                   std::size_t body_bytes) {
  out.push_back(static_cast<std::uint8_t>(kVersion << 6U | count));
  out.push_back(type);
  append_u16(out, static_cast<std::uint16_t>(body_bytes / 4));
}

}  // namespace

bool is_rtcp(Span datagram) {
  return datagram.size() >= kHeaderBytes && datagram[0] >> 6U == kVersion && datagram[1] >= 192 &&
         datagram[1] <= 223;
}

std::optional<RtcpCompound> parse_rtcp(Span datagram) {
  if (datagram.empty()) return std::nullopt;
  RtcpCompound out;
  while (!datagram.empty()) {
    if (!is_rtcp(datagram)) return std::nullopt;
    const std::size_t size = (std::size_t{read_u16(datagram.subspan(2))} + 1) * 4;
    if (size > datagram.size()) return std::nullopt;
    Span body = datagram.subspan(kHeaderBytes, size - kHeaderBytes);
    if ((datagram[0] & 0x20U) != 0) {
      const std::size_t padding = body.empty() ? 0 : body.back();
      if (size != datagram.size() || padding == 0 || padding > body.size()) return std::nullopt;
      body = body.first(body.size() - padding);
    }
    const std::size_t count = datagram[0] & 0x1fU;
    switch (datagram[1]) {
      case kSenderReportType:
        read_sender_report(body, out);
        break;
      case kDescriptionType:
        read_description(body, count, out);
        break;
      case kGoodbyeType:
        read_goodbye(body, count, out);
        break;
      default:
        break;
    }
    datagram = datagram.subspan(size);
  }
  return out;
}

std::vector<std::uint8_t> make_receiver_report(std::uint32_t own_ssrc,
                                               std::span<const ReceptionReport> reports,
                                               std::string_view canonical_name) {
  reports = reports.first(std::min(reports.size(), kReceptionReportsMax));
  canonical_name = canonical_name.substr(0, kItemTextMax);
  std::vector<std::uint8_t> out;
  append_header(out, reports.size(), kReceiverReportType,
                4 + reports.size() * kReceptionReportBytes);
  append_u32(out, own_ssrc);
  for (const auto& report : reports) append_reception_report(out, report);

  // One chunk of one item, then one to four zeros: its end, and padding.
  const std::size_t items = (2 + canonical_name.size()) / 4 * 4 + 4;
  append_header(out, 1, kDescriptionType, 4 + items);
  append_u32(out, own_ssrc);
  out.push_back(kItemCname);
  out.push_back(static_cast<std::uint8_t>(canonical_name.size()));
  out.insert(out.end(), canonical_name.begin(), canonical_name.end());
  out.resize(out.size() + items - 2 - canonical_name.size());
  return out;
}

std::uint32_t last_sr_of(NtpTime ntp) { return static_cast<std::uint32_t>(ntp >> 16U); }

std::uint32_t delay_since_last_sr(SteadyTime::duration since) {
  using Unit = std::chrono::duration<std::int64_t, std::ratio<1, 65'536>>;
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  // Clamped before it is converted: the conversion multiplies.
  since =
      std::clamp<SteadyTime::duration>(since, SteadyTime::duration::zero(), std::chrono::hours(19));
  return static_cast<std::uint32_t>(
      std::min(std::chrono::duration_cast<Unit>(since).count(), kMost));
}

WallTime wall_time_of(NtpTime ntp) {
  const auto seconds = static_cast<std::int64_t>(ntp >> 32U);
  const auto fraction = static_cast<std::int64_t>(ntp & 0xffff'ffffU);
  const bool first_era = (ntp >> 63U) != 0;
  const std::int64_t unix_seconds = first_era ? seconds - kNtpToUnix : seconds + kSecondEraToUnix;
  return WallTime(std::chrono::seconds(unix_seconds) +
                  std::chrono::microseconds(fraction * 1'000'000 >> 32U));
}

}  // namespace mirror::rtp
