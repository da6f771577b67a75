// Conditional and range requests: RFC 9110 13 and 14, for answers that are Prepared.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "http/http.h"
#include "http/prepared.h"

namespace mirror::http {

// What a GET or HEAD request says in If-Match, If-None-Match, Range and If-Range. Usually it says
// nothing, and this is a null pointer. A request that is held keeps its Conditions.
class Conditions {
 public:
  Conditions() = default;
  // Of other methods than GET and HEAD: empty. HEAD has no ranges (RFC 9110 14.2).
  static Conditions of(const Request& request);

  bool empty() const { return fields_ == nullptr; }

 private:
  friend void respond(Exchange& exchange, const Conditions& conditions,
                      std::shared_ptr<const Prepared> answer, std::span<const Header> extra);

  // Lists that came in several fields are joined by commas (RFC 9110 5.3).
  struct Fields {
    std::string if_match;
    std::string if_none_match;
    std::string range;
    std::string if_range;
  };
  std::shared_ptr<const Fields> fields_;
};

// Sends `answer` whole, or, if it is a 200 and `conditions` say so: 206 (one range; a request for
// several ranges is answered with the whole, as RFC 9110 14.2 allows), 304, 412 or 416. `extra`
// fields (CORS by origin) go with all of these. Whether ranges are offered (accept-ranges) is for
// the answer's maker to say.
void respond(Exchange& exchange, const Conditions& conditions,
             std::shared_ptr<const Prepared> answer, std::span<const Header> extra = {});

}  // namespace mirror::http
