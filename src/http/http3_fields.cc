#include "http/http3_fields.h"

#include <fmt/format.h>
#include <nghttp3/nghttp3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace mirror::http::h3 {

namespace {

const std::uint8_t* octets(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

using Pseudo = SectionRules::Pseudo;

constexpr std::array<std::pair<std::string_view, Pseudo>, 6> kPseudo = {{
    {":method", Pseudo::kMethod},
    {":scheme", Pseudo::kScheme},
    {":path", Pseudo::kPath},
    {":authority", Pseudo::kAuthority},
    {":protocol", Pseudo::kProtocol},
    {":status", Pseudo::kStatus},
}};

// nghttp3_check_header_name() lets capital letters through.
bool is_lower_token(std::string_view name) {
  return is_token(name) &&
         std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool SectionRules::check(std::string_view name, std::string_view value, Pseudo& pseudo) {
  pseudo = Pseudo::kNone;
  if (!name.starts_with(':')) return check_field(name, value);
  const auto* known = std::find_if(kPseudo.begin(), kPseudo.end(),
                                   [&](const auto& entry) { return entry.first == name; });
  if (known == kPseudo.end() || fields_begun_) return false;
  pseudo = known->second;
  const bool fits = section_ == Section::kRequest    ? pseudo != Pseudo::kStatus
                    : section_ == Section::kResponse ? pseudo == Pseudo::kStatus
                                                     : false;
  if (!fits || seen(pseudo)) return false;
  seen_ |= 1u << static_cast<unsigned>(pseudo);
  return is_field_value(value) && trim_whitespace(value) == value;
}

bool SectionRules::check_field(std::string_view name, std::string_view value) {
  fields_begun_ = true;
  if (!is_lower_token(name)) return false;
  if (nghttp3_check_header_value(octets(value), value.size()) == 0) return false;
  if (is_connection_field(name)) return false;
  if (name == "te") return equal_ignoring_case(value, "trailers");
  if (name != "content-length" || section_ == Section::kTrailers) return true;
  const auto length = parse_length(value);
  if (!length || (content_length_ && *content_length_ != *length)) return false;
  content_length_ = length;
  return true;
}

bool RequestSection::add(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + kFieldOverhead;
  if (size_ > limits_.header_bytes_max || request_.headers.size() >= limits_.header_count_max) {
    fault_ = name == ":path" ? Fault{414, "the target is too long"}
                             : Fault{431, "the header fields are too long or too many"};
    return false;
  }
  Pseudo pseudo = Pseudo::kNone;
  malformed_ = !rules_.check(name, value, pseudo);
  if (malformed_) return false;
  switch (pseudo) {
    case Pseudo::kMethod:
      method_ = value;
      return true;
    case Pseudo::kPath:
      target_ = value;
      return true;
    case Pseudo::kAuthority:
      request_.authority = value;
      return true;
    case Pseudo::kProtocol:
      protocol_ = value;
      return true;
    case Pseudo::kScheme:
    case Pseudo::kStatus:
      return true;
    case Pseudo::kNone:
      break;
  }
  if (name == "host") {
    malformed_ = std::exchange(host_seen_, true);
    if (malformed_) return false;
    host_ = value;
  } else if (name == "priority") {
    // RFC 9218 5: what cannot be parsed says nothing.
    if (const auto priority = parse_priority(value)) priority_ = *priority;
    has_priority_ = true;
  }
  store_.add(request_.headers, name, value);
  return true;
}

void RequestSection::end() {
  if (malformed_ || fault_) return;
  if (!rules_.seen(Pseudo::kMethod) || !is_token(method_)) {
    malformed_ = true;
    return;
  }
  const bool connect = method_ == "CONNECT";
  if (!connect && rules_.seen(Pseudo::kProtocol)) malformed_ = true;  // RFC 8441 4
  if (connect && !rules_.seen(Pseudo::kProtocol)) {
    // RFC 9114 4.4: only the authority; and then we are no proxy.
    malformed_ =
        rules_.seen(Pseudo::kScheme) || rules_.seen(Pseudo::kPath) || request_.authority.empty();
    if (!malformed_) fault_ = Fault{501, "this server is no proxy"};
    return;
  }
  // RFC 9114 4.3.1: an authority is due, and where it stands twice it is one.
  if (!rules_.seen(Pseudo::kScheme) || !rules_.seen(Pseudo::kPath) || target_.empty()) {
    malformed_ = true;
  }
  if (rules_.seen(Pseudo::kAuthority) && host_seen_ && host_ != request_.authority) {
    malformed_ = true;
  }
  if (!rules_.seen(Pseudo::kAuthority)) request_.authority = host_;
  if (request_.authority.empty()) malformed_ = true;
  if (malformed_) return;

  if (connect) {
    end_connect();
  } else if (const auto method = parse_method(method_)) {
    request_.method = *method;
  } else {
    fault_ = Fault{501, "this method is not implemented"};
  }
  if (!fault_ && !is_authority(request_.authority)) fault_ = Fault{400, "bad authority"};
  if (!fault_ && !target_.starts_with('/')) {
    fault_ = Fault{400, "the target must begin with /"};
  }
  if (!fault_) fault_ = parse_target(target_, limits_, request_);
}

void RequestSection::end_connect() {
  request_.method = Method::kConnect;
  if (protocol_ != "webtransport" || limits_.webtransport_sessions_max == 0) {
    fault_ = Fault{501, "this protocol is not implemented"};  // RFC 9220 3
    return;
  }
  webtransport_ = true;
}

std::optional<quic::Priority> parse_priority(std::string_view value) {
  nghttp3_pri parsed{NGHTTP3_DEFAULT_URGENCY, 0};
  if (nghttp3_pri_parse_priority(&parsed, octets(value), value.size()) != 0) return std::nullopt;
  return quic::Priority{static_cast<std::uint8_t>(parsed.urgency), parsed.inc != 0};
}

std::string encode_target(const Request& request) {
  constexpr std::string_view kPlain = "-._~!$&'()*+,;=:@/";
  std::string target;
  for (const char c : request.path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       kPlain.find(c) != std::string_view::npos;
    if (plain) {
      target.push_back(c);
    } else {
      target += fmt::format("%{:02X}", byte);
    }
  }
  if (!request.query.empty()) target += "?" + request.query;
  return target;
}

}  // namespace mirror::http::h3
