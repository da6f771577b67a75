#include "ingest/srt_publishers.h"

#include <utility>

namespace mirror::ingest {
namespace {

constexpr std::chrono::seconds kReportInterval{1};

}  // namespace

SrtPublishers::Totals::Totals(Metrics& metrics)
    : connections(metrics.gauge("mirror_srt_connections", "Publishers connected over SRT")),
      accepted(metrics.counter("mirror_srt_accepted_total", "Publishers accepted over SRT")),
      bytes(metrics.counter("mirror_srt_received_bytes_total", "Bytes received over SRT")),
      packets(metrics.counter("mirror_srt_received_packets_total", "Packets received over SRT")),
      lost(metrics.counter("mirror_srt_lost_packets_total", "Packets seen missing, before repair")),
      retransmitted(metrics.counter("mirror_srt_retransmitted_packets_total",
                                    "Packets that arrived by retransmission")),
      dropped(metrics.counter("mirror_srt_dropped_packets_total", "Packets given up as too late")),
      belated(metrics.counter("mirror_srt_belated_packets_total",
                              "Packets that came after they had been given up")),
      undecrypted(metrics.counter("mirror_srt_undecrypted_packets_total",
                                  "Packets that could not be decrypted")) {}

void SrtPublishers::Totals::add(const media::TransportStats& before,
                                const media::TransportStats& now) {
  grow(bytes, before.bytes, now.bytes);
  grow(packets, before.packets, now.packets);
  grow(lost, before.packets_lost, now.packets_lost);
  grow(retransmitted, before.packets_retransmitted, now.packets_retransmitted);
  grow(dropped, before.packets_dropped, now.packets_dropped);
  grow(belated, before.packets_belated, now.packets_belated);
  grow(undecrypted, before.packets_undecrypted, now.packets_undecrypted);
}

SrtPublishers::SrtPublishers(const Log& log, Metrics& metrics, const Clock& clock, Gone gone)
    : log_(log), clock_(clock), gone_(std::move(gone)), totals_(metrics) {}

void SrtPublishers::add(SrtSocket socket, media::PublishRequest request,
                        std::unique_ptr<media::Publication> publication) {
  const Instant now = clock_.now();
  const SRTSOCKET id = socket.id();
  log_.info("ingest", "publisher connected",
            {{"stream", request.key.text()}, {"remote", request.remote}, {"user", request.user}});
  auto connection = std::make_unique<SrtConnection>(std::move(socket), std::move(request),
                                                    std::move(publication), now);
  publishers_.emplace(id, Publisher{std::move(connection), now.steady + kReportInterval});
  totals_.connections.Increment();
  totals_.accepted.Increment();
}

bool SrtPublishers::turn() {
  bool more_waits = false;
  ended_.clear();
  for (auto& [id, publisher] : publishers_) {
    const std::string_view why = tend(publisher, clock_.now(), more_waits);
    if (!why.empty()) ended_.push_back({id, why});
  }
  for (const Ended& ended : ended_) hang_up(ended.id, ended.why);
  return more_waits;
}

std::string_view SrtPublishers::tend(Publisher& publisher, Instant now, bool& more_waits) {
  SrtConnection& connection = *publisher.connection;
  if (connection.displaced()) return connection.displaced_by();
  // What broke is drained to its end first, and seen there.
  switch (connection.drain(clock_)) {
    case SrtConnection::Drained::kAll:
      break;
    case SrtConnection::Drained::kMoreWaits:
      more_waits = true;
      break;
    case SrtConnection::Drained::kBroken:
      return kEnded;
  }
  connection.idle(now);
  if (now.steady < publisher.report_at) return {};
  publisher.report_at = now.steady + kReportInterval;
  report(publisher, now);
  return connection.broken() ? kEnded : std::string_view();
}

void SrtPublishers::report(Publisher& publisher, Instant now) {
  const media::TransportStats stats = publisher.connection->report(now, log_);
  totals_.add(publisher.reported, stats);
  publisher.reported = stats;
}

void SrtPublishers::hang_up(SRTSOCKET id, std::string_view why) {
  const auto found = publishers_.find(id);
  report(found->second, clock_.now());
  const media::PublishRequest& request = found->second.connection->request();
  log_.info("ingest", "publisher gone",
            {{"stream", request.key.text()},
             {"remote", request.remote},
             {"why", why},
             {"bytes", found->second.reported.bytes}});
  if (gone_) gone_(id, why);
  publishers_.erase(found);
  totals_.connections.Decrement();
}

void SrtPublishers::hang_up_all(std::string_view why) {
  while (!publishers_.empty()) hang_up(publishers_.begin()->first, why);
}

}  // namespace mirror::ingest
