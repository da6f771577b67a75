// Connection: one accepted socket, its TLS session if any, and its codec. On one loop for life.
//
// Owned by its Shard, which destroys it at the end of a turn, never while it is on the stack.
// Bounded: one read of kReadBytes beyond what the codec wants, the codec's own limits, and at most
// one batch of TLS records that the socket did not take.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/codec.h"
#include "http/scheduled.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "net/unique_fd.h"

namespace mirror::http {

class Shard;

class Connection final : public net::EventLoop::Watcher, public Scheduled, private Carrier {
 public:
  // Which time-out ran out; labels of a metric.
  enum class Timeout { kHandshake, kHead, kBody, kIdle, kWrite, kLinger };

  static constexpr std::size_t kReadBytes = 64 * 1024;

  Connection(Shard& shard, net::UniqueFd fd, std::string remote,
             std::unique_ptr<net::TlsSession> tls);
  ~Connection() override;

  Status watch();  // once, after construction
  void on_events(std::uint32_t events) override;
  void pump_and_flush() override;
  void check_timeouts();
  void drain();
  bool closed() const override { return !fd_; }

  std::size_t slot = 0;  // the shard's: index in its table

 private:
  enum class State {
    kHandshake,
    kSniff,  // plain: HTTP/1.1, or the HTTP/2 preface
    kOpen,
    kLingering,  // all is sent and our half closed; wait for the peer's FIN
    kClosed,
  };
  enum class Sent { kAll, kBlocked, kFailed };

  // Carrier
  void handle(const Request& request, Exchange& exchange) override;
  const Limits& limits() const override;
  SteadyTime now() const override;
  std::string_view date() const override;
  const std::string& remote() const override { return remote_; }
  bool secure() const override { return tls_ != nullptr; }
  void schedule() override;
  void answered(Version version, int status) override;
  void broke_protocol() override;
  std::string_view take_alt_svc() override;

  void read();
  void take_tls(std::span<const std::uint8_t> records);
  bool continue_handshake(std::span<const std::uint8_t>& records);
  void take_plain(std::span<const std::uint8_t> bytes);
  void choose_codec(std::span<const std::uint8_t> bytes);
  void use_http1();
  void use_http2();
  void input_ended();
  void discard_input();

  Sent send_queued();
  Sent send_plain();
  Sent send_tls();
  Sent send_records(std::span<const std::uint8_t> records);
  bool make_records(std::vector<std::uint8_t>& records);
  void sent(std::size_t bytes);
  bool has_output() const;

  void linger();
  void reset();  // with an RST: the peer must not take what it has for the whole
  void close();
  void expire(Timeout kind);
  void update_interest();

  Shard& shard_;
  net::UniqueFd fd_;
  const std::string remote_;
  std::unique_ptr<net::TlsSession> tls_;
  std::unique_ptr<Codec> codec_;
  State state_;
  std::vector<std::uint8_t> unsent_records_;
  std::size_t unsent_offset_ = 0;
  std::string sniffed_;
  std::uint32_t interest_ = 0;
  bool scheduled_ = false;
  bool draining_ = false;
  bool alt_svc_told_ = false;
  bool input_over_ = false;
  SteadyTime state_since_;
  SteadyTime stalled_since_{};  // when output began to wait; zero when none waits
  std::size_t discarded_ = 0;
};

}  // namespace mirror::http
