// The Prometheus handles of one stream, and what they are called.
//
// Belongs to the media thread; totals that other threads count reach it through their snapshots.
// Destruction removes the stream's series.
#pragma once

#include <string>

#include "base/metrics.h"
#include "stream/status.h"

namespace mirror::stream {

class StreamMetrics {
 public:
  StreamMetrics(Metrics& metrics, std::string key);
  ~StreamMetrics();
  StreamMetrics(const StreamMetrics&) = delete;
  StreamMetrics& operator=(const StreamMetrics&) = delete;

  // Brings counters up to the totals of `status` and gauges to its values.
  void update(const StreamStatus& status);
  // mirror_transcode_seconds: one for the process, all streams together.
  Histogram& transcode_seconds() { return transcode_; }
  // One part became fetchable this long after the last access unit in it was complete.
  void observe_publish_delay(double seconds) { publish_delay_.Observe(seconds); }

 private:
  // A counter that follows a total. A total that went back began anew (another publisher's
  // connection, another demuxer), and counts from zero again.
  class Following {
   public:
    explicit Following(Counter& counter, double unit = 1) : counter_(counter), unit_(unit) {}
    void to(std::uint64_t total);

   private:
    Counter& counter_;
    const double unit_;  // what one of the total is in the counter's unit
    std::uint64_t last_ = 0;
  };

  Metrics& metrics_;
  const std::string key_;

  Gauge& live_;
  Gauge& source_rate_;
  Gauge& rtt_;
  Following received_bytes_;
  Following packets_lost_;
  Following packets_dropped_;
  Following packets_retransmitted_;
  Following packets_belated_;
  Following packets_undecrypted_;
  Following packets_reordered_;
  Following packets_duplicate_;
  Following packets_recovered_;
  Following packets_strange_;
  Gauge& latency_;
  Gauge& buffered_;
  Following access_units_;
  Following damaged_;
  Following continuity_errors_;
  Following ts_sync_losses_;
  Following ts_sync_byte_errors_;
  Following ts_pat_errors_;
  Following ts_pmt_errors_;
  Following ts_pid_errors_;
  Following ts_crc_errors_;
  Following ts_dropped_bytes_;
  Gauge& pcr_jitter_;
  Following queue_dropped_;
  Gauge& overload_level_;
  Following overload_skipped_;
  Following overload_catch_ups_;
  Following decode_errors_;
  Following pictures_held_;
  Following slots_duplicated_;
  Following pictures_dropped_;
  Following samples_;
  Following discontinuities_;
  Following pairing_moves_;
  Following stills_;
  Following still_failures_;
  Gauge& viewers_;
  Following client_reports_;
  Following client_starvations_;
  Following client_buffer_reports_;
  Following client_buffer_;
  Following client_throughput_reports_;
  Following client_throughput_;
  Histogram& publish_delay_;
  Histogram& transcode_;
  Histogram& glass_to_glass_;
  GlassToGlass glass_to_glass_last_;
};

}  // namespace mirror::stream
