// What the admission webhook is sent, and what its answer means. Pure: no socket, no clock.
//
// A request is signed so that its receiver can tell who sent it, when, and that nobody else has
// sent it before: `Mirror-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 (RFC 2104) of
// "SECONDS.BODY" under the shared secret. A receiver refuses a t that is minutes old, and an `id`
// of the body that it has seen since then.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admission/judge.h"
#include "base/clock.h"

namespace mirror::admission {

// The body: a JSON object. `id` is the request's own, never used before.
std::string notice_body(const Question& question, std::string_view id, WallTime now);

// Lower-case hexadecimal HMAC-SHA256 of "SECONDS.BODY".
std::string signature(std::string_view secret, std::int64_t unix_seconds, std::string_view body);

// The value of the signature header.
std::string signature_header(std::string_view secret, WallTime now, std::string_view body);

// Why an answer refuses; nothing where it allows (2xx). The reason is the answer's own, from
// {"reason": "…"}, cut to kReasonBytesMax and without control characters, if it has one.
inline constexpr std::size_t kReasonBytesMax = 200;
std::optional<std::string> refusal_of(long http_status, std::string_view body);

}  // namespace mirror::admission
