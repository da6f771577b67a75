// Shard: what one loop has of the server: its listening sockets, its handler and its connections.
//
// Owned by the Server; everything but the constructor and destructor runs on the loop. Connections
// are limited (Limits::connections_per_loop_max, HTTP/3's among them); one coarse timer sweeps them
// for time-outs.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "http/connection.h"
#include "http/http.h"
#include "http/http3_connection.h"
#include "http/limits.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "net/unique_fd.h"
#include "quic/transport.h"

namespace mirror::http {

// The metrics of one loop, label `loop`.
struct ShardMetrics {
  ShardMetrics(Metrics& metrics, const std::string& loop);
  Counter& requests(Version version, int status) const;
  Counter& timeouts(Connection::Timeout kind) const;
  Counter& dropped(Carrier::Dropped what) const;

  Gauge& connections;
  Counter& accepted;
  Counter& refused;
  Counter& received_bytes;
  Counter& sent_bytes;
  Counter& tls_failures;
  Counter& protocol_errors;

 private:
  std::array<std::array<Counter*, 5>, 4> requests_{};  // by version, by class of status
  std::array<Counter*, 6> timeouts_{};                 // by Timeout
  std::array<Counter*, 4> dropped_{};                  // by Dropped
};

class Shard {
 public:
  struct Listener {
    net::UniqueFd fd;
    std::shared_ptr<const net::TlsCredentials> tls;
  };

  Shard(net::EventLoop& loop, const Limits& limits, std::unique_ptr<Handler> handler,
        Metrics& metrics, const std::string& name, const Log& log);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Status listen(Listener listener);
  // An HTTP/3 connection over `transport`, for the endpoint that made it to own. Null: there are as
  // many connections as may be, or the shard drains; counted as refused.
  std::unique_ptr<quic::Application> accept(quic::Transport& transport);
  // For the handshakes that begin from now on, where there is TLS.
  void set_credentials(const std::shared_ptr<const net::TlsCredentials>& credentials);
  void drain(std::function<void()> done);

  // For connections.
  net::EventLoop& loop() { return loop_; }
  const Limits& limits() const { return limits_; }
  Handler& handler() { return *handler_; }
  const ShardMetrics& metrics() const { return metrics_; }
  std::string_view date();
  void schedule(Scheduled& connection);
  void remove(Connection& connection);       // destroyed at the end of the turn
  void remove(Http3Connection& connection);  // being destroyed

  // Scratch space that is used within one call only.
  std::vector<std::uint8_t>& read_buffer() { return read_buffer_; }
  std::vector<std::uint8_t>& plain_buffer() { return plain_buffer_; }
  std::vector<std::uint8_t>& record_buffer() { return record_buffer_; }

 private:
  struct Door;

  void accept_from(Door& door);
  void admit(net::UniqueFd fd, const sockaddr_storage& peer, const Door& door);
  void pause_accepting(int error);
  void resume_accepting();
  void sweep();
  void flush_scheduled();
  void check_drained();
  void defer_cleanup();

  net::EventLoop& loop_;
  const Limits limits_;
  const Log& log_;
  ShardMetrics metrics_;
  std::unique_ptr<Handler> handler_;
  net::EventLoop::Timer sweep_timer_;
  const std::chrono::milliseconds sweep_period_;

  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> removed_;
  std::vector<Http3Connection*> http3_;  // not owned
  std::vector<Scheduled*> scheduled_;
  bool cleanup_due_ = false;
  bool draining_ = false;
  bool accepting_paused_ = false;
  bool pause_logged_ = false;
  std::function<void()> drained_;

  std::vector<std::uint8_t> read_buffer_;
  std::vector<std::uint8_t> plain_buffer_;
  std::vector<std::uint8_t> record_buffer_;
  std::time_t date_second_ = -1;
  std::string date_;
};

}  // namespace mirror::http
