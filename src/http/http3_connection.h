// Http3Connection: one QUIC connection that speaks HTTP/3, as its Shard counts, times and drains
// it.
//
// Made by Shard::accept(), owned by the QUIC endpoint of the same loop, which must let go of it
// before the Shard dies.
#pragma once

#include <string>
#include <string_view>

#include "http/codec.h"
#include "http/http3_session.h"
#include "http/scheduled.h"
#include "quic/transport.h"

namespace mirror::http {

class Shard;

class Http3Connection final : public quic::Application, public Scheduled, private Carrier {
 public:
  Http3Connection(Shard& shard, quic::Transport& transport);
  ~Http3Connection() override;

  void pump_and_flush() override;
  bool closed() const override { return closed_; }
  void check_timeouts();
  void drain();

  std::size_t slot = 0;  // the shard's: index in its table

  // quic::Application
  void on_open() override { session_.on_open(); }
  void on_stream_data(quic::StreamId stream, std::span<const std::uint8_t> bytes,
                      bool fin) override {
    session_.on_stream_data(stream, bytes, fin);
  }
  void on_stream_reset(quic::StreamId stream, std::uint64_t error) override {
    session_.on_stream_reset(stream, error);
  }
  void on_stop_sending(quic::StreamId stream, std::uint64_t error) override {
    session_.on_stop_sending(stream, error);
  }
  void on_writable(quic::StreamId stream) override { session_.on_writable(stream); }
  void on_stream_closed(quic::StreamId stream) override { session_.on_stream_closed(stream); }
  void on_streams_available() override { session_.on_streams_available(); }
  void on_datagram(std::span<const std::uint8_t> bytes) override { session_.on_datagram(bytes); }
  void on_closed(std::string_view reason) override;

 private:
  // Carrier
  void handle(const Request& request, Exchange& exchange) override;
  const Limits& limits() const override;
  SteadyTime now() const override;
  std::string_view date() const override;
  const std::string& remote() const override { return transport_.remote(); }
  bool secure() const override { return true; }
  void schedule() override;
  void answered(Version version, int status) override;
  void broke_protocol() override;
  void dropped(Dropped what) override;
  bool admits_origin(const Request& request) const override;

  Shard& shard_;
  quic::Transport& transport_;
  bool scheduled_ = false;
  bool closed_ = false;
  Http3Session session_;
};

}  // namespace mirror::http
