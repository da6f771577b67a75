// GrowingPart: the answer to a request for the part that the playlist hints at, which is still
// being made: the head at once, then each chunk as it is encoded (RFC 8216bis, 6.2.6).
//
// A move-only task for HeldRequests; lives on one loop. When the part never comes (the segment was
// cut short, the part became a gap, nothing was published in time) the answer is broken off, since
// its head has gone out already.
#pragma once

#include <memory>

#include "api/held_requests.h"
#include "hls/window.h"
#include "http/http.h"

namespace mirror::api {

class GrowingPart {
 public:
  GrowingPart(std::shared_ptr<const hls::Window> window, hls::PartPosition position);

  // Grows with the part, and changes when the part is published.
  static HeldRequests::Source source(const std::shared_ptr<const hls::Window>& window);

  // Sends what there is; true when the answer is complete or broken off. The exchange was started.
  bool operator()(http::Exchange& exchange, HeldRequests::Occasion occasion);

 private:
  bool send_rest(http::Exchange& exchange, const hls::Part& part);
  void send_pieces(http::Exchange& exchange);

  std::shared_ptr<const hls::Window> window_;
  hls::PartPosition position_;
  std::size_t sent_ = 0;  // bytes of the part
  hls::Growth::Waiter waiter_;
};

}  // namespace mirror::api
