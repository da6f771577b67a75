// What a client would rather have: RFC 9110 12. Stateless.
#pragma once

#include "http/http.h"

namespace mirror::http {

// Whether gzip is better than nothing for this client: Accept-Encoding (RFC 9110 12.5.3) names it,
// or "*", with a weight that is neither zero nor less than that of "identity". Without the field
// the answer is no, which is always right.
bool accepts_gzip(const Request& request);

}  // namespace mirror::http
