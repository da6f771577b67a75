// The HTTP interface: viewers' media, status for operators and programs, and the page.
//
// One ApiHandler per network loop. It turns a request into a question ("is this part ready?"), asks
// the published snapshots, and answers, or holds the request until the next publication.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/http.h"
#include "net/event_loop.h"
#include "push/hub.h"
#include "stream/registry.h"

namespace mirror::api {

struct ApiSettings {
  std::vector<std::string> cors_allow_origins{"*"};  // "*", or exact origins
  std::size_t held_per_loop_max = 20'000;
  push::HubSettings push;  // of each loop
};

class PushDoors;      // api/push_doors.h
class FeedDirectory;  // api/feed_directory.h

// What all handlers share; outlives them.
struct ApiEnvironment {
  const stream::Registry& registry;
  PushDoors& push_doors;
  const FeedDirectory& feeds;
  Metrics& metrics;
  const Clock& clock;
  // Set once by the shutdown: /readyz then says 503 so that balancers look elsewhere.
  const std::atomic<bool>& draining;
};

std::unique_ptr<http::Handler> make_handler(net::EventLoop& loop, const ApiSettings& settings,
                                            const ApiEnvironment& environment);

}  // namespace mirror::api
