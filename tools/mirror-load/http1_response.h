// Http1Response: RFC 9112 responses to GET out of a stream of bytes, sans-IO.
//
// Bodies are handed on as views into what was passed in, never collected. Holds at most
// kHeadBytesMax, of a head or of a line between chunks. Interim (1xx) responses are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mirror::load {

class Http1Response {
 public:
  static constexpr std::size_t kHeadBytesMax = 16 * 1024;
  static constexpr int kInterimMax = 8;

  enum class Event {
    kNeedMore,  // the input is used up
    kHead,      // status() and content_length() are known
    kBody,      // piece() is the next of the body
    kEnd,       // whole; keep_alive() is known, and the next response may follow
    kFault,     // fault() says why; nothing that follows can be understood
  };

  // `input` is advanced past what was used.
  Event next(std::span<const std::uint8_t>& input);
  // The peer closed the connection in order: kEnd for a body that lasts until then, else kFault.
  Event close();

  int status() const { return status_; }
  std::optional<std::uint64_t> content_length() const { return content_length_; }
  std::span<const std::uint8_t> piece() const { return piece_; }
  bool keep_alive() const { return keep_alive_; }
  std::string_view fault() const { return fault_; }
  // Nothing of a response has come.
  bool is_idle() const { return state_ == State::kHead && line_.empty() && interim_ == 0; }

 private:
  enum class State {
    kHead,
    kLength,  // left_ bytes of a body with Content-Length
    kChunkSize,
    kChunkData,  // left_ bytes of a chunk
    kChunkEnd,
    kTrailer,
    kUntilClose,
    kFinished,  // tells kEnd
    kFault,
  };
  enum class Line { kWhole, kNeedMore, kTooLong };

  Event fail_with(std::string_view why);
  // Without an event when the next step can go on at once.
  std::optional<Event> step(std::span<const std::uint8_t>& input);
  std::optional<Event> read_head(std::span<const std::uint8_t>& input);
  std::optional<Event> parse_head(std::string_view head);
  bool parse_status_line(std::string_view line);
  bool parse_field(std::string_view line);
  std::optional<Event> begin_body();
  std::optional<Event> read_chunk_line(std::span<const std::uint8_t>& input);
  Event take_piece(std::span<const std::uint8_t>& input);
  Event finish();
  Line take_line(std::span<const std::uint8_t>& input, std::string_view& line);

  State state_ = State::kHead;
  std::string line_;  // of a head or line that came in pieces
  bool line_used_ = false;
  int interim_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::uint64_t left_ = 0;
  std::span<const std::uint8_t> piece_;
  std::string_view fault_;

  // Of the response being read.
  int status_ = 0;
  std::optional<std::uint64_t> content_length_;
  bool chunked_ = false;
  bool keep_alive_ = true;
};

}  // namespace mirror::load
