// Transport and Application: a QUIC connection as what speaks over it sees it, and the other way
// round. The seam between `quic`, which knows packets, and HTTP/3, which knows frames.
//
// Both live on one network loop and never leave it. A Transport never calls its Application from
// within a call of its own: what a call causes comes later in the same turn. The other way round is
// free: any Transport call may be made from within any Application call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"

namespace mirror::quic {

using StreamId = std::int64_t;  // RFC 9000, 2.1

// RFC 9000, 2.1: the two low bits of a stream id.
constexpr bool is_unidirectional(StreamId id) { return (id & 0x2) != 0; }
constexpr bool is_client_initiated(StreamId id) { return (id & 0x1) == 0; }

// What a stream's bytes are worth against those of other streams (RFC 9218, 4). Streams of equal
// urgency take turns packet by packet when incremental, and go one after the other, oldest first,
// when not.
struct Priority {
  std::uint8_t urgency = 3;  // 0 (first) to 7 (last)
  bool incremental = false;
  friend bool operator==(const Priority&, const Priority&) = default;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // --- Streams. A call for a stream that is gone, or whose sending side is over, does nothing.

  // Empty while the peer's limit is reached; Application::on_streams_available() tells when to try
  // again.
  virtual std::optional<StreamId> open_unidirectional() = 0;
  virtual std::optional<StreamId> open_bidirectional() = 0;

  // Queued by reference and kept until the peer has acknowledged them.
  virtual void send(StreamId stream, Bytes bytes) = 0;
  // For heads and frame headers: few bytes, copied into a buffer of the stream's own.
  virtual void send_copy(StreamId stream, std::span<const std::uint8_t> bytes) = 0;
  // FIN behind what is queued.
  virtual void finish(StreamId stream) = 0;
  // RESET_STREAM: what is queued and not yet sent is forgotten. `error` is the application's.
  virtual void reset(StreamId stream, std::uint64_t error) = 0;
  // STOP_SENDING: what the peer still sends is thrown away.
  virtual void stop_sending(StreamId stream, std::uint64_t error) = 0;
  virtual void set_priority(StreamId stream, Priority priority) = 0;

  // Bytes that were given to send() and have not been put into a packet for the first time. What is
  // kept for retransmission counts in `unacknowledged_bytes`.
  virtual std::size_t queued_bytes(StreamId stream) const = 0;
  virtual std::size_t queued_bytes() const = 0;          // of all streams
  virtual std::size_t unacknowledged_bytes() const = 0;  // sent, and still kept
  // Application::on_writable(stream) is due once, as soon as queued_bytes(stream) is below `bytes`;
  // in this turn when it is so already.
  virtual void tell_below(StreamId stream, std::size_t bytes) = 0;
  // When the first byte of what is queued was given to send(); empty when nothing is queued.
  virtual std::optional<SteadyTime> queued_since(StreamId stream) const = 0;

  // The application is done with so many bytes of on_stream_data(): the peer may send as many more.
  // What is never released here bounds what a peer can make us keep.
  virtual void consumed(StreamId stream, std::size_t bytes) = 0;

  // --- Datagrams (RFC 9221). False: too long, not negotiated, or the queue is full; counted.
  virtual bool send_datagram(std::span<const std::uint8_t> bytes) = 0;
  virtual std::size_t datagram_bytes_max() const = 0;  // 0: the peer takes none

  // --- The connection.

  // CONNECTION_CLOSE with the application's error code (RFC 9000, 10.2). on_closed() follows.
  virtual void close(std::uint64_t error, std::string_view reason) = 0;
  // True until the handshake is confirmed on data that came as 0-RTT (RFC 8470): only safe requests
  // may be answered.
  virtual bool early_data() const = 0;
  virtual const std::string& remote() const = 0;  // "192.0.2.1:40000"; changes with migration
  virtual std::string_view alpn() const = 0;      // "h3"
  virtual SteadyTime now() const = 0;             // of this turn
};

class Application {
 public:
  virtual ~Application() = default;

  // Streams can be opened and bytes sent (1-RTT keys for sending exist). Once, before all else.
  virtual void on_open() = 0;

  // In order, without holes; `fin` with the last ones, which may be empty. A stream that the peer
  // opened begins here.
  virtual void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) = 0;
  // The peer's RESET_STREAM: nothing more comes on it.
  virtual void on_stream_reset(StreamId stream, std::uint64_t error) = 0;
  // The peer's STOP_SENDING; the transport has answered with RESET_STREAM. `error` is 0 where the
  // transport does not know it (it learns of a STOP_SENDING when it wants to send more).
  virtual void on_stop_sending(StreamId stream, std::uint64_t error) = 0;
  // queued_bytes(stream) fell below half of kQueuedBytesHigh after it had reached it, or below what
  // tell_below() asked for.
  virtual void on_writable(StreamId stream) = 0;
  // Both sides of it are over and everything is acknowledged: its id is never heard of again.
  virtual void on_stream_closed(StreamId stream) = 0;
  virtual void on_streams_available() = 0;
  virtual void on_datagram(std::span<const std::uint8_t> bytes) = 0;
  // The endpoint takes no new connections and waits for this one to end: time to say GOAWAY.
  virtual void on_drain() {}

  // The connection is over; the Transport may not be used any more and the Application is destroyed
  // soon after. `reason` is for the log.
  virtual void on_closed(std::string_view reason) = 0;

  static constexpr std::size_t kQueuedBytesHigh = 256 * 1024;
};

}  // namespace mirror::quic
