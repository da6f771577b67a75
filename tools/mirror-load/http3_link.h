// Http3Link: one HTTP/3 connection to the server, and QuicDoor: the UDP sockets that those of a
// thread share.
//
// Belongs to its loop's thread. Closed until open(); may be opened again when it is closed. A door
// has a socket for each kConnectionsPerSocket connections, so that the kernel's buffer of one does
// not overflow when everybody is sent to at once. Receive windows are a browser's: nothing here
// waits for MAX_DATA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "http/http3_client.h"
#include "link.h"
#include "quic/endpoint.h"

namespace mirror::load {

class QuicDoor {
 public:
  static constexpr std::size_t kConnectionsPerSocket = 50;

  // `connections`: how many there will be at once, at most.
  static Result<std::unique_ptr<QuicDoor>> create(net::EventLoop& loop,
                                                  const Destination& destination,
                                                  std::size_t connections);

  quic::Endpoint& endpoint() { return endpoint_; }

 private:
  QuicDoor(net::EventLoop& loop, const quic::Limits& limits);

  Metrics metrics_;
  quic::Endpoint endpoint_;
};

class Http3Link {
 public:
  using StreamId = quic::StreamId;

  // What is told comes from the connection, never from within a call of the link's; each of these
  // may call the link and destroy it.
  class User {
   public:
    virtual ~User() = default;
    virtual void on_open() {}      // requests may be sent
    virtual void on_settings() {}  // the server's are known: so may WebTransport's
    virtual void on_room() {}      // a stream can be opened that could not be before
    virtual void on_head(StreamId stream, int status, const http::Headers& headers) = 0;
    virtual void on_body(StreamId stream, std::span<const std::uint8_t> bytes) = 0;
    virtual void on_end(StreamId stream) = 0;
    virtual void on_failed(StreamId stream, std::uint64_t error) = 0;
    virtual void on_goaway() {}
    virtual void on_closed(Fault fault, std::string_view why) = 0;  // the link is closed
  };

  Http3Link(Workplace& workplace, User& user);
  ~Http3Link();
  Http3Link(const Http3Link&) = delete;
  Http3Link& operator=(const Http3Link&) = delete;

  void open();
  void close();
  bool is_closed() const { return connection_ == nullptr && !opening_; }
  bool is_open() const { return open_; }

  // Empty: not open, or no stream can be opened now.
  std::optional<StreamId> get(std::string_view target);
  std::optional<StreamId> connect(std::string_view target,
                                  std::unique_ptr<http::WebTransportSession::Observer> observer);
  bool offers_webtransport() const;  // as far as the server's settings are known
  void cancel(StreamId stream);

 private:
  class Connection;

  Status try_open();
  void end(Fault fault, std::string_view why);

  Workplace& workplace_;
  User& user_;
  Connection* connection_ = nullptr;  // belongs to the endpoint
  bool opening_ = false;              // open() failed, which is told at the end of this turn
  bool open_ = false;
  std::size_t attempts_ = 0;  // chooses the address
  // Keeps deferred tasks from reaching a link that is gone.
  std::shared_ptr<Http3Link*> self_;
};

}  // namespace mirror::load
