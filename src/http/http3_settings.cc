#include "http/http3_settings.h"

#include <algorithm>
#include <array>

namespace mirror::http::h3 {

namespace {

// One row of the table: where the value goes, and whether it is a yes or no.
struct Row {
  std::uint64_t id;
  bool boolean;
  std::uint64_t (*get)(const Settings&);
  void (*set)(Settings&, std::uint64_t);
};

void ignore(Settings&, std::uint64_t) {}

constexpr std::array kRows = {
    // The peer's table is not used, and ours has no room.
    Row{setting::kQpackMaxTableCapacity, false, [](const Settings&) -> std::uint64_t { return 0; },
        &ignore},
    Row{setting::kQpackBlockedStreams, false, [](const Settings&) -> std::uint64_t { return 0; },
        &ignore},
    Row{setting::kMaxFieldSectionSize, false,
        [](const Settings& s) { return s.max_field_section_size; },
        [](Settings& s, std::uint64_t value) { s.max_field_section_size = value; }},
    Row{setting::kEnableConnectProtocol, true,
        [](const Settings& s) -> std::uint64_t { return s.connect_protocol; },
        [](Settings& s, std::uint64_t value) { s.connect_protocol = value != 0; }},
    Row{setting::kH3Datagram, true, [](const Settings& s) -> std::uint64_t { return s.datagrams; },
        [](Settings& s, std::uint64_t value) { s.datagrams = value != 0; }},
    Row{setting::kEnableWebTransportDraft02, true,
        [](const Settings& s) -> std::uint64_t { return s.webtransport_draft02; },
        [](Settings& s, std::uint64_t value) { s.webtransport_draft02 = value != 0; }},
    Row{setting::kWebTransportMaxSessionsDraft07, false,
        [](const Settings& s) { return s.webtransport_sessions; },
        [](Settings& s, std::uint64_t value) { s.webtransport_sessions = value; }},
};

// RFC 9114 11.2.2: settings of HTTP/2 without a counterpart.
constexpr bool is_reserved(std::uint64_t id) { return id == 0x00 || (id >= 0x02 && id <= 0x05); }

}  // namespace

void append_settings(Wire& out, const Settings& settings) {
  // A peer takes what is not said for the default. QPACK's are said all the same: that there is no
  // dynamic table is the first thing that whoever reads a trace looks for.
  static const Settings unsaid;
  Wire payload;
  for (const Row& row : kRows) {
    const std::uint64_t value = row.get(settings);
    const bool qpack =
        row.id == setting::kQpackMaxTableCapacity || row.id == setting::kQpackBlockedStreams;
    if (!qpack && value == row.get(unsaid)) continue;
    append_varint(payload, row.id);
    append_varint(payload, value);
  }
  append_frame_head(out, frame::kSettings, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
}

SettingsResult parse_settings(std::span<const std::uint8_t> payload) {
  SettingsResult result;
  std::array<std::uint64_t, kSettingsCountMax> seen{};
  std::size_t count = 0;
  while (!payload.empty()) {
    const auto id = take_varint(payload);
    const auto value = id ? take_varint(payload) : std::nullopt;
    if (!value) {
      result.error = error::kFrame;
      return result;
    }
    if (count == seen.size()) {
      result.error = error::kExcessiveLoad;
      return result;
    }
    const auto end = seen.begin() + static_cast<std::ptrdiff_t>(count);
    const auto* row =
        std::find_if(kRows.begin(), kRows.end(), [&](const Row& one) { return one.id == *id; });
    if (is_reserved(*id) || std::find(seen.begin(), end, *id) != end ||
        (row != kRows.end() && row->boolean && *value > 1)) {
      result.error = error::kSettings;
      return result;
    }
    seen[count++] = *id;
    if (row != kRows.end()) row->set(result.settings, *value);
  }
  return result;
}

}  // namespace mirror::http::h3
