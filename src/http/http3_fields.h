// The rules that the field sections of HTTP/3 obey (RFC 9114 4.2, 4.3; RFC 9220): names,
// pseudo-header fields and their order, and what makes a message malformed.
//
// Stateless but for the one section that is being read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/header_store.h"
#include "http/http.h"
#include "http/limits.h"
#include "http/request_rules.h"
#include "quic/transport.h"

namespace mirror::http::h3 {

// RFC 9114 4.2.2: what a field costs beyond its name and value.
inline constexpr std::size_t kFieldOverhead = 32;

enum class Section { kRequest, kResponse, kTrailers };

// What every section must obey. Fed field by field.
class SectionRules {
 public:
  explicit SectionRules(Section section) : section_(section) {}

  // False: the message is malformed (H3_MESSAGE_ERROR). `*pseudo` is told what the field is.
  enum class Pseudo { kNone, kMethod, kScheme, kPath, kAuthority, kProtocol, kStatus };
  bool check(std::string_view name, std::string_view value, Pseudo& pseudo);

  bool seen(Pseudo pseudo) const { return (seen_ & (1u << static_cast<unsigned>(pseudo))) != 0; }
  // The first content-length; all that came were alike.
  const std::optional<std::uint64_t>& content_length() const { return content_length_; }

 private:
  bool check_field(std::string_view name, std::string_view value);

  const Section section_;
  bool fields_begun_ = false;  // pseudo-header fields come first
  unsigned seen_ = 0;
  std::optional<std::uint64_t> content_length_;
};

// One request's section on its way to becoming a Request.
class RequestSection {
 public:
  RequestSection(const Limits& limits, HeaderStore& store, Request& request)
      : limits_(limits), store_(store), request_(request) {}

  // False: nothing more is of interest, because of malformed() or fault().
  bool add(std::string_view name, std::string_view value);
  // After the last field: checks what must be there and fills the request's method, path, query and
  // authority.
  void end();

  bool malformed() const { return malformed_; }
  const MaybeFault& fault() const { return fault_; }
  const std::optional<std::uint64_t>& content_length() const { return rules_.content_length(); }
  bool webtransport() const { return webtransport_; }
  quic::Priority priority() const { return priority_; }
  bool has_priority() const { return has_priority_; }

 private:
  void end_connect();

  const Limits& limits_;
  HeaderStore& store_;
  Request& request_;
  SectionRules rules_{Section::kRequest};
  std::string method_;
  std::string target_;
  std::string protocol_;
  std::string host_;
  bool host_seen_ = false;
  std::size_t size_ = 0;
  bool malformed_ = false;
  MaybeFault fault_;
  bool webtransport_ = false;
  quic::Priority priority_;
  bool has_priority_ = false;
};

// RFC 9218 4: the value of a Priority field; empty when it is no structured field.
std::optional<quic::Priority> parse_priority(std::string_view value);

// ":path" of a request that is promised: percent-encodes what may not stand there.
std::string encode_target(const Request& request);

}  // namespace mirror::http::h3
