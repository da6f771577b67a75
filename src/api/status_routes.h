// /api/v1/streams, sources, refusals: what is live, what is to come, who may not; JSON; times in
// ISO 8601 UTC, rates in bit/s, delays in ms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "media/feed_state.h"
#include "stream/registry.h"

namespace mirror::api {

// {"now": …, "streams": [ … ]}, ordered by key.
std::string streams_json(const stream::Registry& registry, WallTime now);
// One stream's object, or empty if there is none of that name.
std::string stream_json(const stream::Registry& registry, std::string_view key, WallTime now);

// The "overload" object of a stream's: docs/overload.md.
std::string overload_json(const stream::OverloadStatus& overload);

// {"now": …, "sources": [ … ]}: the feeds that the configuration names, in its order.
std::string sources_json(const std::vector<media::FeedState>& feeds, WallTime now);
// {"now": …, "refusals": [ … ]}: publishers turned away, the last ones, oldest first.
std::string refusals_json(const std::vector<media::TurnedAway>& turned_away, WallTime now);

// "2026-11-22T16:20:00.123Z"
std::string iso8601(WallTime time);

}  // namespace mirror::api
