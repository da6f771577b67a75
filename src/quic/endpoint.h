// Endpoint: QUIC on one network loop: its UDP sockets, its timer, its connections (EndpointCore).
//
// Built before the loop runs, destroyed after it has stopped; everything else on the loop, unless
// said otherwise. A turn reads about kDatagramsPerTurn at most and writes kRoundsPerTurn rounds, so
// that other work of the loop has its share; it reads more than it writes to, because an
// acknowledgement that waits in the socket until its connection's timer has run out is answered by
// sending again. What a socket does not take waits in the send buffer, and meanwhile connections
// write nothing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "quic/endpoint_core.h"
#include "quic/udp_socket.h"

namespace mirror::quic {

class Endpoint final : private EndpointCore::Host {
 public:
  static constexpr std::size_t kDatagramsPerTurn = 1024;
  static constexpr int kRoundsPerTurn = 2;  // each as many batches as a SendBuffer has
  static constexpr int kStraysWaitingMax = 256;

  Endpoint(net::EventLoop& loop, const Limits& limits, const Secret& secret, std::uint8_t worker,
           Metrics& metrics, const std::string& name);
  ~Endpoint() override;

  Status add(UdpSocket socket);
  void serve(EndpointCore::Serving serving) { core_.serve(std::move(serving)); }
  void set_credentials(std::shared_ptr<const net::TlsCredentials> credentials) {
    core_.set_credentials(std::move(credentials));
  }
  // Every worker's endpoint, by worker: whom strays are handed to. Before the loops run.
  void set_workers(std::vector<Endpoint*> workers) { workers_ = std::move(workers); }

  // From the sockets in turn; one of them must be of the family of `remote`. The transport lives
  // until Application::on_closed().
  Result<Connection*> connect(const Address& remote, const Connection::Server& server,
                              std::unique_ptr<Application> application);

  // Takes no new connections; `done` when the last one is gone.
  void drain(std::function<void()> done);
  void close_all(std::uint64_t error, std::string_view reason);

  std::size_t connections() const { return core_.connections(); }
  const EndpointMetrics& metrics() const { return metrics_; }
  net::EventLoop& loop() { return loop_; }
  const UdpSocket& socket(std::size_t index) const;
  // For tests: as if the datagram had come on socket 0.
  void inject(std::span<const std::uint8_t> datagram, const Path& path);

 private:
  struct Door;

  SteadyTime turn_time() const override { return loop_.now(); }
  WallTime wall_time() const override { return SystemClock().now().wall; }
  void something_due() override { schedule(); }
  bool has_worker(std::uint8_t worker) const override {
    return worker < workers_.size() && workers_[worker] != this;
  }
  bool stray(std::uint8_t worker, std::span<const std::uint8_t> datagram, const Path& path,
             std::uint8_t ecn) override;

  void read(Door& door);
  void schedule();
  void flush();
  bool send();  // false: a socket takes no more for now
  void wait_for_room(Door& door);
  void check_drained();

  net::EventLoop& loop_;
  SystemRandom random_;
  EndpointMetrics metrics_;
  EndpointCore core_;
  net::EventLoop::Timer timer_;
  UdpSocket::Inbox inbox_;
  SendBuffer out_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<Endpoint*> workers_;
  std::size_t next_door_ = 0;
  bool scheduled_ = false;
  bool blocked_ = false;
  std::function<void()> drained_;

  std::atomic<int> strays_waiting_ = 0;  // any thread
};

}  // namespace mirror::quic
