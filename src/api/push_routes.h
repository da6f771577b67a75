// /push: push sessions over HTTP (docs/push-protocol.md).
//
//   GET  /push?subscribe=stream/rendition[:priority]&…&chunks=1    one response that streams frames
//   CONNECT /push?…               the same as a WebTransport session
//   POST /push/{session}                                           JSON lines that change a session
//
// One per loop. A session lives on the loop of its GET; a POST that comes to another is brought
// there (PushDoors) and answered when the answer has come back. Limits: sessions per loop
// (push::Hub), control requests on their way to other loops.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/api.h"
#include "api/cors.h"
#include "base/metrics.h"
#include "http/http.h"
#include "http/webtransport.h"
#include "net/event_loop.h"
#include "push/hub.h"
#include "stream/registry.h"

namespace mirror::api {

class PushRoutes {
 public:
  // `cors` and `loop` outlive this.
  PushRoutes(const push::HubSettings& settings, const ApiEnvironment& environment, const Cors& cors,
             net::EventLoop& loop);
  ~PushRoutes();
  PushRoutes(const PushRoutes&) = delete;
  PushRoutes& operator=(const PushRoutes&) = delete;

  // GET and HEAD of /push, and CONNECT where it asks for a WebTransport session.
  void open(const http::Request& request, http::Exchange& exchange);
  // Any method; `session` is the path after "/push/".
  void control(std::string_view session, const http::Request& request, http::Exchange& exchange);

  void on_wake();
  // About twice a second.
  void on_tick();

 private:
  class StreamCatalogue;
  struct PushMetrics;
  // A control request whose answer is on its way from another loop.
  class Errand;
  struct Counted {
    std::weak_ptr<stream::Stream> stream;
    std::int64_t viewers = 0;
  };

  Instant now() const;
  std::string new_session_id() const;
  void accept(http::WebTransportSession& transport, std::string id,
              const std::vector<push::Subscribe>& subscriptions);
  std::string control_line(push::Session& session, std::string_view lines);
  std::string clock_line() const;
  void refuse(const http::Request& request, http::Exchange& exchange, int status,
              std::string_view why) const;
  void answer(push::Hub::Answer answer, const http::Headers& headers,
              http::Exchange& exchange) const;
  void give_up_errands();
  void count_viewers();

  const ApiEnvironment environment_;
  const Cors& cors_;
  net::EventLoop& loop_;
  const std::size_t door_;
  const std::unique_ptr<StreamCatalogue> catalogue_;
  // Shared for the sake of carriers, which ask whether it is still there.
  const std::shared_ptr<push::Hub> hub_;
  const std::unique_ptr<PushMetrics> metrics_;
  std::map<std::string, Counted, std::less<>> counted_;
  std::unordered_map<std::uint64_t, Errand*> errands_;
  std::uint64_t last_errand_ = 0;
};

}  // namespace mirror::api
