// CMCD: what a player says of itself with a request (CTA-5004), in an argument of the query or in
// header fields.
//
// Pure functions over bytes from strangers: no allocation, time linear in the input, whose length
// the HTTP server limits. What cannot be understood is skipped.
#pragma once

#include <optional>
#include <string_view>

#include "http/http.h"
#include "stream/audience.h"

namespace mirror::api {

// Adds the pairs of one CMCD payload ("bl=300,bs,mtp=5000") to `report`.
void parse_cmcd(std::string_view payload, stream::ClientReport& report);

// Nothing when the request carries no CMCD.
std::optional<stream::ClientReport> client_report(const http::Request& request);

}  // namespace mirror::api
