#include "rtp/sdp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace mirror::rtp {
namespace {

constexpr unsigned kPayloadTypeMax = 127;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// What stands before `separator`, which is taken off `rest` with it; all of it when there is none.
std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t at = std::min(rest.find(separator), rest.size());
  const auto taken = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return taken;
}

std::string_view take_word(std::string_view& rest) {
  rest = trim(rest);
  const std::size_t at = std::min(rest.find_first_of(" \t"), rest.size());
  const auto word = rest.substr(0, at);
  rest = trim(rest.substr(at));
  return word;
}

std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

// Types that need no a=rtpmap (RFC 3551, table 4 and 5), as far as they can be meant here.
struct StaticType {
  std::uint8_t payload_type;
  std::string_view encoding;
  std::uint32_t clock_rate;
};
constexpr std::array<StaticType, 3> kStaticTypes = {
    {{14, "mpa", 90'000}, {32, "mpv", 90'000}, {33, "mp2t", 90'000}}};

// What is said of one payload type.
struct Format {
  std::string encoding;
  std::uint32_t clock_rate = 0;
  std::uint16_t channels = 1;
  std::map<std::string, std::string, std::less<>> parameters;
};

// An "m=" section while its lines are being read.
struct Section {
  SdpMedia media;
  std::size_t line = 0;
  std::vector<std::uint8_t> payload_types;
  std::map<std::uint8_t, Format> formats;
};

class Parser {
 public:
  Status line(std::string_view text);
  Result<SessionDescription> finish();
  std::size_t line_number() const { return line_; }

 private:
  Status media(std::string_view value);
  Status connection(std::string_view value);
  Status attribute(std::string_view value);
  Status rtpmap(std::string_view value);
  Status fmtp(std::string_view value);
  Status rtcp(std::string_view value);
  Status finish_section();

  std::size_t line_ = 0;
  bool skipping_ = false;  // a section without RTP
  std::string session_connection_;
  std::string session_language_;
  std::optional<Section> section_;
  SessionDescription description_;
};

Status Parser::line(std::string_view text) {
  ++line_;
  text = trim(text);
  if (text.size() < 2 || text[1] != '=') return {};  // "SDP:", as ffmpeg prints it
  const auto value = trim(text.substr(2));
  switch (text[0]) {
    case 'm':
      return media(value);
    case 'c':
      return connection(value);
    case 'a':
      return attribute(value);
    default:
      return {};
  }
}

// m=<media> <port>["/"<number>] <proto> <fmt>… (RFC 8866, 5.14)
Status Parser::media(std::string_view value) {
  if (auto status = finish_section(); !status) return status;
  Section section;
  section.line = line_;
  section.media.kind = lower_case(take_word(value));
  auto ports = take_word(value);
  const auto port = number(take_until(ports, '/'), 65'535);
  if (!port) return fail("m=: the port is no number up to 65535");
  section.media.port = static_cast<std::uint16_t>(*port);
  const auto protocol = lower_case(take_word(value));
  if (protocol.find("savp") != std::string::npos) {
    return fail("m=: encrypted media (SRTP) is not supported");
  }
  skipping_ = protocol != "rtp/avp" && protocol != "rtp/avpf";
  if (skipping_) return {};
  if (description_.media.size() >= kSdpMediaMax) {
    return fail("more than {} m= lines", kSdpMediaMax);
  }
  while (!value.empty()) {
    const auto type = number(take_word(value), kPayloadTypeMax);
    if (!type) return fail("m=: a payload type is no number up to {}", kPayloadTypeMax);
    section.payload_types.push_back(static_cast<std::uint8_t>(*type));
  }
  if (section.payload_types.empty()) return fail("m=: no payload type");
  section_ = std::move(section);
  return {};
}

// c=<nettype> <addrtype> <address>["/"<ttl>]["/"<number>] (5.7)
Status Parser::connection(std::string_view value) {
  if (skipping_) return {};
  take_word(value);
  take_word(value);
  const auto address = take_until(value, '/');
  if (address.empty()) return fail("c=: no address");
  (section_ ? section_->media.connection : session_connection_) = std::string(address);
  return {};
}

Status Parser::attribute(std::string_view value) {
  if (skipping_) return {};
  const auto name = lower_case(trim(take_until(value, ':')));
  value = trim(value);
  if (name == "lang") {
    (section_ ? section_->media.language : session_language_) = std::string(value);
    return {};
  }
  if (!section_) return {};
  if (name == "rtpmap") return rtpmap(value);
  if (name == "fmtp") return fmtp(value);
  if (name == "rtcp") return rtcp(value);
  if (name == "rtcp-mux") section_->media.rtcp_port = section_->media.port;  // RFC 5761, 5.1.1
  return {};
}

// a=rtpmap:<payload type> <encoding name>/<clock rate>["/"<channels>] (6.6)
Status Parser::rtpmap(std::string_view value) {
  const auto type = number(take_word(value), kPayloadTypeMax);
  if (!type) return fail("a=rtpmap: the payload type is no number up to {}", kPayloadTypeMax);
  Format& format = section_->formats[static_cast<std::uint8_t>(*type)];
  format.encoding = lower_case(trim(take_until(value, '/')));
  const auto rate = number(trim(take_until(value, '/')), 1'000'000'000);
  if (format.encoding.empty() || !rate || *rate == 0) {
    return fail("a=rtpmap: an encoding and its clock rate are needed, as in H265/90000");
  }
  format.clock_rate = *rate;
  format.channels = 1;
  if (value.empty()) return {};
  const auto channels = number(trim(value), 255);
  if (!channels || *channels == 0) return fail("a=rtpmap: the channels are no number up to 255");
  format.channels = static_cast<std::uint16_t>(*channels);
  return {};
}

// a=fmtp:<payload type> <name>=<value>;… (6.15 and the payload formats' own RFCs)
Status Parser::fmtp(std::string_view value) {
  const auto type = number(take_word(value), kPayloadTypeMax);
  if (!type) return fail("a=fmtp: the payload type is no number up to {}", kPayloadTypeMax);
  auto& parameters = section_->formats[static_cast<std::uint8_t>(*type)].parameters;
  while (!value.empty()) {
    auto parameter = trim(take_until(value, ';'));
    const auto name = lower_case(trim(take_until(parameter, '=')));
    if (!name.empty()) parameters[name] = std::string(trim(parameter));
  }
  return {};
}

// a=rtcp:<port> [<nettype> <addrtype> <address>] (RFC 3605, 2.1)
Status Parser::rtcp(std::string_view value) {
  const auto port = number(take_word(value), 65'535);
  if (!port || *port == 0) return fail("a=rtcp: the port is no number from 1 to 65535");
  section_->media.rtcp_port = static_cast<std::uint16_t>(*port);
  return {};
}

Status Parser::finish_section() {
  if (!section_) return {};
  Section section = *std::exchange(section_, std::nullopt);
  SdpMedia& media = section.media;
  for (const std::uint8_t type : section.payload_types) {
    const auto found = section.formats.find(type);
    const auto* fixed = std::ranges::find(kStaticTypes, type, &StaticType::payload_type);
    const bool mapped = found != section.formats.end() && !found->second.encoding.empty();
    if (!mapped && fixed == kStaticTypes.end()) continue;
    media.payload_type = type;
    if (found != section.formats.end()) media.parameters = std::move(found->second.parameters);
    media.encoding = mapped ? found->second.encoding : std::string(fixed->encoding);
    media.clock_rate = mapped ? found->second.clock_rate : fixed->clock_rate;
    if (media.kind == "audio") media.channels = mapped ? found->second.channels : 1;
    break;
  }
  if (media.encoding.empty()) {
    line_ = section.line;
    return fail("m=: payload type {} has no a=rtpmap", section.payload_types.front());
  }
  if (media.rtcp_port == 0 && media.port != 0 && media.port != 65'535) {
    media.rtcp_port = static_cast<std::uint16_t>(media.port + 1);
  }
  if (media.connection.empty()) media.connection = session_connection_;
  if (media.language.empty()) media.language = session_language_;
  description_.media.push_back(std::move(media));
  return {};
}

Result<SessionDescription> Parser::finish() {
  if (auto status = finish_section(); !status) return std::unexpected(std::move(status.error()));
  return std::move(description_);
}

}  // namespace

Result<SessionDescription> parse_sdp(std::string_view text) {
  if (text.size() > kSdpBytesMax) {
    return fail("session description of {} bytes; {} are allowed", text.size(), kSdpBytesMax);
  }
  Parser parser;
  const auto at_line = [&](Error error) {
    return std::unexpected(std::move(error).within(fmt::format("line {}", parser.line_number())));
  };
  while (!text.empty()) {
    if (auto status = parser.line(take_until(text, '\n')); !status) {
      return at_line(std::move(status.error()));
    }
  }
  auto description = parser.finish();
  if (!description) return at_line(std::move(description.error()));
  if (description->media.empty()) return fail("no m= line with RTP/AVP in it");
  return description;
}

}  // namespace mirror::rtp
