// Http1Parser: RFC 9112 requests out of a stream of bytes, sans-IO and strict.
//
// Strict where leniency lets two programs disagree on where a request ends (RFC 9112 11.2): lines
// end in CRLF, no folding, no space before a colon, one Content-Length or one "chunked" and never
// both. Holds at most one request's head (Limits::header_bytes_max) and body (body_bytes_max) and
// what one append() brought beyond them. Owned by an Http1Codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "http/header_store.h"
#include "http/http.h"
#include "http/limits.h"
#include "http/request_rules.h"

namespace mirror::http {

class Http1Parser {
 public:
  enum class Event {
    kNeedMore,
    kContinue,  // the client waits for 100 (Continue) before it sends the body
    kRequest,   // request() is whole
    kFault,     // fault() says why; the parser is done for
  };

  explicit Http1Parser(const Limits& limits) : limits_(limits) {}

  void append(std::span<const std::uint8_t> bytes);
  Event next();

  Request& request() { return request_; }
  const Fault& fault() const { return fault_; }
  bool keep_alive() const { return keep_alive_; }  // of the last request
  // Bytes that belong to requests after the last one returned.
  std::size_t unread() const { return buffer_.size() - position_; }
  bool in_body() const { return state_ != State::kHead; }

 private:
  enum class State { kHead, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailer, kComplete, kFault };
  enum class Step { kAgain, kNeedMore, kContinue, kRequest };

  std::string_view rest() const { return std::string_view(buffer_).substr(position_); }
  void consume(std::size_t bytes);
  Step fail_with(int status, std::string_view what);
  Step fail_with(const Fault& fault) { return fail_with(fault.status, fault.what); }

  Step step();
  Step read_head();
  Step parse_head(std::string_view head);
  void begin_request();
  MaybeFault parse_request_line(std::string_view line);
  MaybeFault parse_field(std::string_view line);
  MaybeFault note_field(const Header& header);
  MaybeFault check_head();
  Step begin_body();
  Step read_body();
  Step read_chunk_size();
  Step read_chunk_data();
  Step read_chunk_end();
  Step read_trailer();
  // The next line without its CRLF; kNeedMore or a fault otherwise.
  Step take_line(std::size_t bytes_max, std::string_view& line);

  const Limits& limits_;
  std::string buffer_;
  std::size_t position_ = 0;  // consumed bytes of buffer_
  std::size_t scanned_ = 0;   // bytes of rest() already searched for the end of the head
  std::size_t line_start_ = 0;

  State state_ = State::kHead;
  Request request_;
  HeaderStore header_store_;
  Fault fault_;
  bool keep_alive_ = true;

  // Of the request being read.
  bool has_host_ = false;
  bool has_length_ = false;
  bool chunked_ = false;
  bool expects_continue_ = false;
  bool close_ = false;
  bool keep_alive_asked_ = false;
  std::uint64_t length_ = 0;  // Content-Length, or what is left of the chunk
  std::size_t trailer_bytes_ = 0;
};

}  // namespace mirror::http
