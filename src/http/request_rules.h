// The rules of RFC 9110 that a request must obey whatever version carries it, shared by the codecs.
// Stateless.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/http.h"
#include "http/limits.h"

namespace mirror::http {

// Why a request is refused: what the client is told.
struct Fault {
  int status = 400;
  std::string_view what;  // a sentence without its full stop; static
};
using MaybeFault = std::optional<Fault>;

// "400 Bad Request: two Host fields\n" as text/plain.
Response response_to(const Fault& fault);

// RFC 9110 6.4.1, 8.6: an answer of this status has neither body nor Content-Length.
bool is_bodiless(int status);
// RFC 9112 9, RFC 9113 8.2.2: fields that steer one connection, and have no place in HTTP/2.
bool is_connection_field(std::string_view name);

bool is_token(std::string_view text);        // RFC 9110 5.6.2
bool is_field_value(std::string_view text);  // RFC 9110 5.5: no CR, LF, NUL or other control
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim_whitespace(std::string_view text);  // OWS: SP and HTAB

std::optional<Method> parse_method(std::string_view name);  // none: a method we do not implement
bool is_authority(std::string_view text);

// Fills path, query and, for the absolute form, authority (RFC 9112 3.2). The path is
// percent-decoded first and then freed of dot segments, so that an encoded ".." climbs no further
// than a plain one.
MaybeFault parse_target(std::string_view target, const Limits& limits, Request& request);

}  // namespace mirror::http
