#include "http/http3_connection.h"

#include <utility>

#include "http/shard.h"

namespace mirror::http {

Http3Connection::Http3Connection(Shard& shard, quic::Transport& transport)
    : shard_(shard), transport_(transport), session_(static_cast<Carrier&>(*this), transport) {}

Http3Connection::~Http3Connection() {
  closed_ = true;
  shard_.remove(*this);
}

void Http3Connection::pump_and_flush() {
  scheduled_ = false;
  session_.pump();
}

void Http3Connection::check_timeouts() {
  if (closed_) return;
  const auto ended = session_.check_timeouts();
  const auto count = [this](Connection::Timeout kind, std::size_t n) {
    if (n > 0) shard_.metrics().timeouts(kind).Increment(static_cast<double>(n));
  };
  count(Connection::Timeout::kHead, ended.head);
  count(Connection::Timeout::kBody, ended.body);
  count(Connection::Timeout::kWrite, ended.write);
  count(Connection::Timeout::kIdle, ended.idle ? 1 : 0);
}

void Http3Connection::drain() {
  if (!closed_) session_.drain();
}

void Http3Connection::on_closed(std::string_view reason) {
  closed_ = true;
  session_.on_closed(reason);
}

void Http3Connection::handle(const Request& request, Exchange& exchange) {
  shard_.handler().handle(request, exchange);
}
const Limits& Http3Connection::limits() const { return shard_.limits(); }
SteadyTime Http3Connection::now() const { return transport_.now(); }
std::string_view Http3Connection::date() const { return shard_.date(); }
void Http3Connection::answered(Version version, int status) {
  shard_.metrics().requests(version, status).Increment();
}
void Http3Connection::broke_protocol() { shard_.metrics().protocol_errors.Increment(); }
void Http3Connection::dropped(Dropped what) { shard_.metrics().dropped(what).Increment(); }
bool Http3Connection::admits_origin(const Request& request) const {
  return shard_.handler().admits_origin(request);
}

void Http3Connection::schedule() {
  if (closed_ || std::exchange(scheduled_, true)) return;
  shard_.schedule(*this);
}

}  // namespace mirror::http
