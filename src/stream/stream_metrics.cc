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
      access_units_(metrics.counter("mirror_stream_access_units_total",
                                    "Access units demultiplexed.", {{"stream", key_}})),
      damaged_(metrics.counter("mirror_stream_access_units_damaged_total",
                               "Access units with bytes missing.", {{"stream", key_}})),
      continuity_errors_(metrics.counter("mirror_stream_ts_continuity_errors_total",
                                         "Breaks in MPEG-TS continuity counters.",
                                         {{"stream", key_}})),
      queue_dropped_(metrics.counter("mirror_stream_queue_dropped_units_total",
                                     "Access units dropped because transcoding fell behind.",
                                     {{"stream", key_}})),
      decode_errors_(metrics.counter("mirror_stream_decode_errors_total",
                                     "Access units that a decoder refused.", {{"stream", key_}})),
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
  access_units_.to(status.demux.access_units);
  damaged_.to(status.demux.damaged_access_units);
  continuity_errors_.to(status.demux.continuity_errors);
  queue_dropped_.to(status.queue_dropped_units);
  decode_errors_.to(status.video.decode_errors + status.audio.decode_errors);
  slots_duplicated_.to(status.video.slots_duplicated);
  pictures_dropped_.to(status.video.pictures_dropped);
  samples_.to(status.video.samples);
  discontinuities_.to(status.video.discontinuities);
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
