#include "stream/stream_metrics.h"

#include <vector>

namespace mirror::stream {

void StreamMetrics::Following::to(std::uint64_t total) {
  counter_.Increment(unit_ * static_cast<double>(total >= last_ ? total - last_ : total));
  last_ = total;
}

StreamMetrics::StreamMetrics(Metrics& metrics, std::string key)
    : metrics_(metrics),
      key_(std::move(key)),
      live_(metrics.gauge("mirror_stream_live", "1 while parts are being published.",
                          {{"stream", key_}})),
      source_rate_(metrics.gauge("mirror_stream_source_bytes_per_second",
                                 "What the publisher sends, over the last second.",
                                 {{"stream", key_}})),
      rtt_(metrics.gauge("mirror_stream_rtt_seconds", "Round trip to the publisher.",
                         {{"stream", key_}})),
      received_bytes_(metrics.counter("mirror_stream_received_bytes_total",
                                      "Bytes received from publishers.", {{"stream", key_}})),
      packets_lost_(metrics.counter("mirror_stream_packets_lost_total",
                                    "Packets seen missing, before repair.", {{"stream", key_}})),
      packets_dropped_(metrics.counter("mirror_stream_packets_dropped_total",
                                       "Packets given up as too late.", {{"stream", key_}})),
      packets_retransmitted_(metrics.counter("mirror_stream_packets_retransmitted_total",
                                             "Packets that came by retransmission.",
                                             {{"stream", key_}})),
      packets_belated_(metrics.counter("mirror_stream_packets_belated_total",
                                       "Packets that came after they had been given up.",
                                       {{"stream", key_}})),
      packets_undecrypted_(metrics.counter("mirror_stream_packets_undecrypted_total",
                                           "Packets that could not be decrypted.",
                                           {{"stream", key_}})),
      packets_reordered_(metrics.counter("mirror_stream_packets_reordered_total",
                                         "Packets that came behind a later one, in time.",
                                         {{"stream", key_}})),
      packets_duplicate_(metrics.counter("mirror_stream_packets_duplicate_total",
                                         "Packets that came more than once.", {{"stream", key_}})),
      packets_recovered_(metrics.counter("mirror_stream_packets_recovered_total",
                                         "Packets made again by forward error correction.",
                                         {{"stream", key_}})),
      packets_strange_(metrics.counter("mirror_stream_packets_strange_total",
                                       "Packets that were malformed or of another sender.",
                                       {{"stream", key_}})),
      latency_(metrics.gauge("mirror_stream_transport_latency_seconds",
                             "The transport's receive delay, as negotiated.", {{"stream", key_}})),
      buffered_(metrics.gauge("mirror_stream_transport_buffered_seconds",
                              "What the transport's receive buffer holds.", {{"stream", key_}})),
      access_units_(metrics.counter("mirror_stream_access_units_total",
                                    "Access units demultiplexed.", {{"stream", key_}})),
      damaged_(metrics.counter("mirror_stream_access_units_damaged_total",
                               "Access units with bytes missing.", {{"stream", key_}})),
      continuity_errors_(metrics.counter("mirror_stream_ts_continuity_errors_total",
                                         "Breaks in MPEG-TS continuity counters.",
                                         {{"stream", key_}})),
      ts_sync_losses_(metrics.counter("mirror_stream_ts_sync_losses_total",
                                      "MPEG-TS synchronisation lost (TR 101 290, 1.1).",
                                      {{"stream", key_}})),
      ts_sync_byte_errors_(metrics.counter("mirror_stream_ts_sync_byte_errors_total",
                                           "MPEG-TS packets without their sync byte (1.2).",
                                           {{"stream", key_}})),
      ts_pat_errors_(metrics.counter("mirror_stream_ts_pat_errors_total",
                                     "PAT missing or wrong (1.3).", {{"stream", key_}})),
      ts_pmt_errors_(metrics.counter("mirror_stream_ts_pmt_errors_total",
                                     "PMT missing or wrong (1.5).", {{"stream", key_}})),
      ts_pid_errors_(metrics.counter("mirror_stream_ts_pid_errors_total",
                                     "A PID of the PMT silent for 5 s (1.6).", {{"stream", key_}})),
      ts_crc_errors_(metrics.counter("mirror_stream_ts_section_crc_errors_total",
                                     "PSI sections with a wrong CRC (2.2).", {{"stream", key_}})),
      ts_dropped_bytes_(metrics.counter("mirror_stream_ts_dropped_bytes_total",
                                        "Bytes over a limit, or belonging to nothing.",
                                        {{"stream", key_}})),
      pcr_jitter_(metrics.gauge("mirror_stream_ts_pcr_jitter_seconds",
                                "Largest offset of the clock references from their mean.",
                                {{"stream", key_}})),
      queue_dropped_(metrics.counter("mirror_stream_queue_dropped_units_total",
                                     "Access units dropped because transcoding fell behind.",
                                     {{"stream", key_}})),
      overload_level_(metrics.gauge("mirror_stream_overload_level",
                                    "Pictures given up to keep up: 0 none, 1 those that no other "
                                    "refers to, 2 all but key frames.",
                                    {{"stream", key_}})),
      overload_skipped_(metrics.counter("mirror_stream_overload_skipped_units_total",
                                        "Video access units not decoded, to catch up.",
                                        {{"stream", key_}})),
      overload_catch_ups_(metrics.counter("mirror_stream_overload_catch_ups_total",
                                          "Drops to the next random access point, to catch up.",
                                          {{"stream", key_}})),
      decode_errors_(metrics.counter("mirror_stream_decode_errors_total",
                                     "Access units that a decoder refused.", {{"stream", key_}})),
      pictures_held_(metrics.counter("mirror_stream_frames_held_total",
                                     "Damaged pictures for which the last good one stood.",
                                     {{"stream", key_}})),
      slots_duplicated_(metrics.counter("mirror_stream_frames_duplicated_total",
                                        "Frame slots filled with the picture before.",
                                        {{"stream", key_}})),
      pictures_dropped_(metrics.counter("mirror_stream_frames_dropped_total",
                                        "Decoded pictures that had no slot.", {{"stream", key_}})),
      samples_(metrics.counter("mirror_stream_frames_encoded_total", "Proxy frames encoded.",
                               {{"stream", key_}})),
      discontinuities_(metrics.counter("mirror_stream_discontinuities_total",
                                       "Breaks in the presentation's timeline.",
                                       {{"stream", key_}})),
      pairing_moves_(metrics.counter("mirror_stream_pairing_moves_total",
                                     "Moves to another way of transcoding because one failed.",
                                     {{"stream", key_}})),
      stills_(metrics.counter("mirror_stream_stills_total", "Still pictures made.",
                              {{"stream", key_}})),
      still_failures_(metrics.counter("mirror_stream_still_failures_total",
                                      "Still pictures that could not be made.",
                                      {{"stream", key_}})),
      viewers_(metrics.gauge("mirror_stream_viewers",
                             "Viewers, estimated from the playlists they ask for.",
                             {{"stream", key_}})),
      client_reports_(metrics.counter("mirror_cmcd_reports_total",
                                      "Requests with Common Media Client Data (CTA-5004).",
                                      {{"stream", key_}})),
      client_starvations_(metrics.counter("mirror_cmcd_starvations_total",
                                          "Reports of a buffer that ran dry (bs).",
                                          {{"stream", key_}})),
      client_buffer_reports_(metrics.counter("mirror_cmcd_buffer_reports_total",
                                             "Reports of a buffer's length (bl).",
                                             {{"stream", key_}})),
      client_buffer_(metrics.counter("mirror_cmcd_buffer_seconds_total",
                                     "Sum of the reported buffer lengths.", {{"stream", key_}}),
                     0.001),
      client_throughput_reports_(metrics.counter("mirror_cmcd_throughput_reports_total",
                                                 "Reports of a measured throughput (mtp).",
                                                 {{"stream", key_}})),
      client_throughput_(
          metrics.counter("mirror_cmcd_throughput_bytes_total",
                          "Sum of the reported throughputs, a second each.", {{"stream", key_}}),
          125),
      publish_delay_(metrics.histogram(
          "mirror_stream_publish_delay_seconds",
          "From an access unit's last byte to its part being fetchable.", {{"stream", key_}},
          {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1})),
      transcode_(metrics.histogram(
          "mirror_transcode_seconds",
          "From a video access unit's last byte to the coded picture made of it, of all streams.",
          {},
          // Frame intervals are among them: 60, 50, 30, 25 and 24 frames a second.
          {0.002, 0.005, 0.01, 0.0167, 0.02, 0.0334, 0.04, 0.0418, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5,
           1})),
      glass_to_glass_(metrics.histogram(
          "mirror_stream_glass_to_glass_seconds",
          "From capture to a viewer's screen, as players with a push session measured it.",
          {{"stream", key_}},
          {GlassToGlass::kBoundsSeconds.begin(), GlassToGlass::kBoundsSeconds.end()})) {}

StreamMetrics::~StreamMetrics() { metrics_.remove_stream(key_); }

void StreamMetrics::update(const StreamStatus& status) {
  live_.Set(status.state == State::kLive ? 1 : 0);
  source_rate_.Set(status.source_bitrate_bps / 8);
  rtt_.Set(status.transport.rtt_ms / 1'000);
  received_bytes_.to(status.transport.bytes);
  packets_lost_.to(status.transport.packets_lost);
  packets_dropped_.to(status.transport.packets_dropped);
  packets_retransmitted_.to(status.transport.packets_retransmitted);
  packets_belated_.to(status.transport.packets_belated);
  packets_undecrypted_.to(status.transport.packets_undecrypted);
  packets_reordered_.to(status.transport.packets_reordered);
  packets_duplicate_.to(status.transport.packets_duplicate);
  packets_recovered_.to(status.transport.packets_recovered);
  packets_strange_.to(status.transport.packets_strange);
  latency_.Set(status.transport.latency_ms / 1'000.0);
  buffered_.Set(status.transport.buffered_ms / 1'000.0);
  access_units_.to(status.demux.access_units);
  damaged_.to(status.demux.damaged_access_units);
  continuity_errors_.to(status.demux.continuity_errors);
  ts_sync_losses_.to(status.demux.sync_losses);
  ts_sync_byte_errors_.to(status.demux.sync_byte_errors);
  ts_pat_errors_.to(status.demux.pat_errors);
  ts_pmt_errors_.to(status.demux.pmt_errors);
  ts_pid_errors_.to(status.demux.pid_errors);
  ts_crc_errors_.to(status.demux.section_crc_errors);
  ts_dropped_bytes_.to(status.demux.dropped_bytes);
  pcr_jitter_.Set(status.demux.pcr_jitter_ms / 1'000);
  queue_dropped_.to(status.queue_dropped_units);
  overload_level_.Set(static_cast<double>(status.overload.level));
  overload_skipped_.to(status.overload.skipped_units);
  overload_catch_ups_.to(status.overload.catch_ups);
  decode_errors_.to(status.video.decode_errors + status.audio.decode_errors);
  pictures_held_.to(status.video.pictures_held);
  slots_duplicated_.to(status.video.slots_duplicated);
  pictures_dropped_.to(status.video.pictures_dropped);
  samples_.to(status.video.samples);
  discontinuities_.to(status.video.discontinuities);
  pairing_moves_.to(status.pairing.moves);
  stills_.to(status.video.stills);
  still_failures_.to(status.video.still_failures);
  viewers_.Set(status.viewers);
  client_reports_.to(status.client_reports.reports);
  client_starvations_.to(status.client_reports.starvations);
  client_buffer_reports_.to(status.client_reports.buffer_reports);
  client_buffer_.to(status.client_reports.buffer_ms);
  client_throughput_reports_.to(status.client_reports.throughput_reports);
  client_throughput_.to(status.client_reports.throughput_kbps);
  const GlassToGlass& delays = status.glass_to_glass;
  std::vector<double> more(delays.counts.size());
  for (std::size_t i = 0; i < delays.counts.size(); ++i) {
    more[i] = static_cast<double>(delays.counts[i] - glass_to_glass_last_.counts[i]);
  }
  glass_to_glass_.ObserveMultiple(more, delays.seconds - glass_to_glass_last_.seconds);
  glass_to_glass_last_ = delays;
}

}  // namespace mirror::stream
