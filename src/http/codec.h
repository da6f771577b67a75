// Codec: one HTTP version on one connection, sans-IO. Bytes from the peer go in, bytes for the peer
// come out into output(); requests go to the Carrier's handler. No socket, no clock, no thread.
//
// Owned by its connection, on the connection's loop. Never calls back into the carrier in a way
// that could destroy it: schedule() only notes that pump() is due.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/http.h"
#include "http/limits.h"
#include "http/output_queue.h"

namespace mirror::http {

// What a codec needs from the connection that carries it.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual void handle(const Request& request, Exchange& exchange) = 0;
  virtual const Limits& limits() const = 0;
  virtual SteadyTime now() const = 0;
  virtual std::string_view date() const = 0;  // RFC 9110 5.6.7, of the current second
  virtual const std::string& remote() const = 0;
  virtual bool secure() const = 0;
  // There is output or work: call pump() before this turn ends.
  virtual void schedule() = 0;
  // For the metrics.
  virtual void answered(Version version, int status) = 0;
  virtual void broke_protocol() = 0;

  // What is let fall, each counted.
  enum class Dropped { kDatagram, kWebTransportStream, kPush, kPriorityUpdate };
  virtual void dropped(Dropped) {}
  // Handler::admits_origin().
  virtual bool admits_origin(const Request&) const { return true; }
  // Limits::alt_svc for the first answer over TLS; else empty. Said once it holds for the whole
  // origin (RFC 7838, 2.1), and 20 times a second it would cost more than it tells.
  virtual std::string_view take_alt_svc() { return {}; }
};

class Codec {
 public:
  // What the connection waits for the peer to do; each has a time-out.
  enum class Phase {
    kIdle,     // no request in progress
    kHead,     // a request head has begun, or the first one is due
    kBody,     // a request body has begun
    kPending,  // the next move is ours
  };

  virtual ~Codec() = default;

  virtual void receive(std::span<const std::uint8_t> bytes) = 0;
  // False while the codec has enough from the peer: the connection stops reading.
  virtual bool wants_input() const = 0;
  // The peer will send nothing more. False: whoever waits for an answer is taken to have left, and
  // the connection ends at once; true: what is queued is still to be sent.
  virtual bool input_ended() = 0;
  // Makes output while the queue is short; goes on with what waited for room.
  virtual void pump() = 0;
  // Nothing follows what is in output(): once that is sent the connection ends.
  virtual bool finished() const = 0;
  // An answer was broken off: the connection must not look properly closed.
  bool aborted() const { return aborted_; }

  virtual Phase phase() const = 0;
  virtual SteadyTime phase_since() const = 0;
  // The time of this phase is up: say so to the peer where the version can, and finish.
  virtual void time_out() = 0;
  // Breaks off each answer of which the peer has taken nothing for Limits::write_timeout although
  // the connection itself goes on (HTTP/2 flow control); returns how many.
  virtual std::size_t end_stalled() { return 0; }
  // Finish as soon as the requests in progress are answered.
  virtual void drain() = 0;

  OutputQueue& output() { return output_; }

 protected:
  OutputQueue output_;
  bool aborted_ = false;
};

}  // namespace mirror::http
