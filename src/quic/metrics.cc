#include "quic/metrics.h"

namespace mirror::quic {

EndpointMetrics::EndpointMetrics(Metrics& metrics, const std::string& loop)
    : connections(
          metrics.gauge("mirror_quic_connections", "Open QUIC connections.", {{"loop", loop}})),
      handshakes(metrics.gauge("mirror_quic_handshakes", "QUIC handshakes in progress.",
                               {{"loop", loop}})),
      handshakes_begun(metrics.counter("mirror_quic_handshakes_begun_total",
                                       "QUIC handshakes begun.", {{"loop", loop}})),
      handshakes_completed(metrics.counter("mirror_quic_handshakes_completed_total",
                                           "QUIC handshakes completed.", {{"loop", loop}})),
      early_data(metrics.counter("mirror_quic_early_data_total",
                                 "QUIC connections that began with early data.", {{"loop", loop}})),
      received_packets(metrics.counter("mirror_quic_received_datagrams_total",
                                       "UDP datagrams received.", {{"loop", loop}})),
      received_bytes(metrics.counter("mirror_quic_received_bytes_total",
                                     "Bytes of UDP payload received.", {{"loop", loop}})),
      sent_packets(metrics.counter("mirror_quic_sent_datagrams_total", "UDP datagrams sent.",
                                   {{"loop", loop}})),
      sent_bytes(metrics.counter("mirror_quic_sent_bytes_total", "Bytes of UDP payload sent.",
                                 {{"loop", loop}})),
      dropped_packets(metrics.counter("mirror_quic_dropped_datagrams_total",
                                      "UDP datagrams received that belong to no connection.",
                                      {{"loop", loop}})),
      strays_handed_on(metrics.counter("mirror_quic_strays_handed_on_total",
                                       "Datagrams handed to the loop that owns their connection.",
                                       {{"loop", loop}})),
      strays_taken(metrics.counter("mirror_quic_strays_taken_total",
                                   "Datagrams that came by way of another loop.",
                                   {{"loop", loop}})),
      strays_dropped(metrics.counter("mirror_quic_strays_dropped_total",
                                     "Datagrams of other loops dropped, their owner being behind.",
                                     {{"loop", loop}})),
      version_negotiations(metrics.counter("mirror_quic_version_negotiations_total",
                                           "Version Negotiation packets sent.", {{"loop", loop}})),
      retries(
          metrics.counter("mirror_quic_retries_total", "Retry packets sent.", {{"loop", loop}})),
      resets(metrics.counter("mirror_quic_stateless_resets_total", "Stateless resets sent.",
                             {{"loop", loop}})),
      answers_withheld(metrics.counter("mirror_quic_stateless_answers_withheld_total",
                                       "Stateless answers not given, over their rate limit.",
                                       {{"loop", loop}})),
      migrations(metrics.counter("mirror_quic_migrations_total",
                                 "Times that a peer's address changed.", {{"loop", loop}})),
      key_updates(metrics.counter("mirror_quic_key_updates_total", "Key updates, by either side.",
                                  {{"loop", loop}})),
      datagrams_dropped(metrics.counter("mirror_quic_datagram_frames_dropped_total",
                                        "DATAGRAM frames that were not sent.", {{"loop", loop}})),
      send_blocked(metrics.counter("mirror_quic_send_blocked_total",
                                   "Times that a UDP socket took no more for now.",
                                   {{"loop", loop}})),
      send_errors(metrics.counter("mirror_quic_send_errors_total",
                                  "Batches of datagrams that could not be sent.",
                                  {{"loop", loop}})) {
  constexpr std::array<const char*, kEnds> words = {
      "peer",     "application", "idle",  "handshake_timeout", "tls",
      "protocol", "reset",       "flood", "refused",           "internal"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    ended_[i] =
        &metrics.counter("mirror_quic_connections_ended_total", "QUIC connections ended, by why.",
                         {{"loop", loop}, {"why", words[i]}});
  }
}

}  // namespace mirror::quic
