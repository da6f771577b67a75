#include "api/growing_part.h"

#include <utility>

namespace mirror::api {

GrowingPart::GrowingPart(std::shared_ptr<const hls::Window> window, hls::PartPosition position)
    : window_(std::move(window)), position_(position), waiter_(window_->growth()) {}

HeldRequests::Source GrowingPart::source(const std::shared_ptr<const hls::Window>& window) {
  return {std::shared_ptr<const void>(window->growth()),
          [](const void* object) { return static_cast<const hls::Growth*>(object)->version(); }};
}

bool GrowingPart::operator()(http::Exchange& exchange, HeldRequests::Occasion occasion) {
  const auto view = window_->view();
  const hls::Segment* segment = view->find(position_.segment);
  if (segment != nullptr && position_.part < segment->parts.size()) {
    return send_rest(exchange, segment->parts[position_.part]);
  }
  const bool promised = !view->ended && view->next == position_;
  if (!promised || occasion == HeldRequests::Occasion::kTimeOut) {
    exchange.abort();
    return true;
  }
  send_pieces(exchange);
  return false;
}

bool GrowingPart::send_rest(http::Exchange& exchange, const hls::Part& part) {
  if (part.gap || part.bytes.size() < sent_) {
    exchange.abort();
    return true;
  }
  exchange.write(part.bytes.slice(sent_));
  exchange.finish();
  return true;
}

// The part is the concatenation of its chunks, so what was sent of the ones is sent of the other.
void GrowingPart::send_pieces(http::Exchange& exchange) {
  const auto coming = window_->growth()->coming();
  if (!coming || coming->at != position_) return;
  std::size_t offset = 0;
  for (const hls::ComingPiece& piece : coming->pieces) {
    if (offset == sent_) {
      exchange.write(piece.bytes);
      sent_ += piece.bytes.size();
    }
    offset += piece.bytes.size();
  }
}

}  // namespace mirror::api
