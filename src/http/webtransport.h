// WebTransport over HTTP/3 as handlers see it: a session of streams and datagrams, opened by a
// browser (draft-ietf-webtrans-http3, 02 and 07; the peer says which).
//
// Exchange::webtransport() gives the session that a request asks for. A handler accepts it with an
// Observer, or answers the Exchange like any other. Everything happens on the connection's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/http.h"
#include "http/http3_frames.h"
#include "quic/transport.h"

namespace mirror::http {

class WebTransportSession {
 public:
  using StreamId = quic::StreamId;

  // The handler's end of an accepted session, kept until the session ends in any way (closed by
  // either side, peer gone, server stopping), then destroyed on the loop. Never called from within
  // a call of the session, nor after on_closed().
  class Observer {
   public:
    virtual ~Observer() = default;
    // In order; `fin` with the last ones, which may be empty. What a peer opens begins here. The
    // bytes are taken as consumed when this returns: a handler keeps no more of them than it can
    // bound.
    virtual void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) {
      (void)stream, (void)bytes, (void)fin;
    }
    virtual void on_stream_reset(StreamId stream, std::uint32_t code) { (void)stream, (void)code; }
    virtual void on_stop_sending(StreamId stream, std::uint32_t code) { (void)stream, (void)code; }
    // queued_bytes(stream) fell below half of Exchange::kQueuedBytesHigh after it had reached it,
    // or below what tell_below() asked for.
    virtual void on_writable(StreamId stream) { (void)stream; }
    // Both sides of it are over.
    virtual void on_stream_closed(StreamId stream) { (void)stream; }
    // open_…() failed before and may succeed now.
    virtual void on_streams_available() {}
    virtual void on_datagram(std::span<const std::uint8_t> bytes) { (void)bytes; }
    // The peer closed the session (its code and reason, at most kReasonBytesMax), or is gone (0).
    virtual void on_closed(std::uint32_t code, std::string_view reason) {
      (void)code, (void)reason;
    }
  };

  static constexpr std::size_t kReasonBytesMax = 1024;  // draft 5

  virtual ~WebTransportSession() = default;

  // 200, with `extra` fields; the exchange's answer is given with it. Once.
  virtual void accept(std::unique_ptr<Observer> observer, std::span<const Header> extra = {}) = 0;

  // The rest means something between accept() and the end of the session; before and after, and for
  // streams that are gone, it does nothing.

  // Empty while the peer's limit of streams is reached.
  virtual std::optional<StreamId> open_unidirectional() = 0;
  virtual std::optional<StreamId> open_bidirectional() = 0;
  // False: the stream is gone, or goes now, because the connection holds as much as it may
  // (Limits::queued_bytes_per_connection_max): what was sent before may not arrive either.
  virtual bool send(StreamId stream, Bytes bytes) = 0;
  virtual void finish(StreamId stream) = 0;
  virtual void reset(StreamId stream, std::uint32_t code) = 0;
  virtual void stop_sending(StreamId stream, std::uint32_t code) = 0;
  virtual void set_priority(StreamId stream, quic::Priority priority) = 0;
  virtual std::size_t queued_bytes(StreamId stream) const = 0;
  // on_writable(stream) is due once, as soon as queued_bytes(stream) is below `bytes`.
  virtual void tell_below(StreamId stream, std::size_t bytes) = 0;
  // False: too long, not taken by the peer, or the queue is full.
  virtual bool send_datagram(std::span<const std::uint8_t> bytes) = 0;
  virtual std::size_t datagram_bytes_max() const = 0;
  // Ends the session and all its streams; `reason` is cut to kReasonBytesMax.
  virtual void close(std::uint32_t code, std::string_view reason) = 0;
};

namespace h3 {

// Draft 4.3: an application's error code among HTTP/3's and back; draft-02 has codes of 8 bits.
std::uint64_t webtransport_error(std::uint32_t code);
std::optional<std::uint32_t> webtransport_code(std::uint64_t error);  // none: not one of these

// The capsules of a session, from the DATA frames of its CONNECT stream (RFC 9297 3.2, draft 5).
// Sans-IO; keeps at most kKeptBytesMax. Unknown capsules are skipped, up to kSkippedBytesMax in a
// row without a known one: a session has no use for more.
class CapsuleReader {
 public:
  static constexpr std::uint64_t kDatagram = 0x00;
  static constexpr std::uint64_t kClose = 0x2843;
  static constexpr std::uint64_t kDrain = 0x78ae;
  static constexpr std::size_t kKeptBytesMax = 2048;
  static constexpr std::size_t kSkippedBytesMax = 256 * 1024;

  enum class Event {
    kNeedMore,
    kDatagram,   // payload()
    kClose,      // code() and reason(); nothing may follow
    kMalformed,  // H3_MESSAGE_ERROR for the CONNECT stream
    kFlood,      // H3_EXCESSIVE_LOAD for it
  };
  Event next(std::span<const std::uint8_t>& bytes);

  std::span<const std::uint8_t> payload() const { return kept_; }
  std::uint32_t code() const { return code_; }
  std::string_view reason() const {
    return {reinterpret_cast<const char*>(kept_.data()) + 4, kept_.size() - 4};
  }
  bool at_boundary() const { return reader_.at_boundary(); }

 private:
  bool keeps() const;

  FrameReader reader_;
  Wire kept_;
  std::uint64_t skipped_ = 0;
  std::uint32_t code_ = 0;
  bool closed_ = false;
};

void append_close_capsule(Wire& out, std::uint32_t code, std::string_view reason);

}  // namespace h3

}  // namespace mirror::http
