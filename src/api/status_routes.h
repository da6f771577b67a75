// /api/v1/streams: what is live, as JSON; times in ISO 8601 UTC, rates in bit/s, delays in ms.
#pragma once

#include <string>

#include "base/clock.h"
#include "stream/registry.h"

namespace mirror::api {

// {"now": …, "streams": [ … ]}, ordered by key.
std::string streams_json(const stream::Registry& registry, WallTime now);
// One stream's object, or empty if there is none of that name.
std::string stream_json(const stream::Registry& registry, std::string_view key, WallTime now);

// "2026-11-22T16:20:00.123Z"
std::string iso8601(WallTime time);

}  // namespace mirror::api
