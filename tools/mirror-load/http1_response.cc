#include "http1_response.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace mirror::load {

namespace {

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equals_nocase(std::string_view text, std::string_view lowered) {
  return std::ranges::equal(text, lowered, {}, lower);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a comma-separated list names `token` (RFC 9110, 5.6.1).
bool lists(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (equals_nocase(trimmed(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

}  // namespace

Http1Response::Event Http1Response::fail_with(std::string_view why) {
  state_ = State::kFault;
  fault_ = why;
  return Event::kFault;
}

Http1Response::Event Http1Response::next(std::span<const std::uint8_t>& input) {
  // Ends: every step without an event uses up a line of the input or an interim response.
  for (;;) {
    if (const auto event = step(input)) return *event;
  }
}

std::optional<Http1Response::Event> Http1Response::step(std::span<const std::uint8_t>& input) {
  switch (state_) {
    case State::kHead:
      return read_head(input);
    case State::kLength:
    case State::kChunkData:
    case State::kUntilClose:
      return take_piece(input);
    case State::kChunkSize:
    case State::kChunkEnd:
    case State::kTrailer:
      return read_chunk_line(input);
    case State::kFinished:
      return finish();
    case State::kFault:
      break;
  }
  return Event::kFault;
}

Http1Response::Event Http1Response::close() {
  if (state_ == State::kUntilClose || state_ == State::kFinished) return finish();
  return fail_with("the connection was closed before the response was whole");
}

Http1Response::Event Http1Response::finish() {
  state_ = State::kHead;
  interim_ = 0;
  line_.clear();
  line_used_ = false;
  return Event::kEnd;
}

// A whole head mostly comes at once and is then read where it is.
std::optional<Http1Response::Event> Http1Response::read_head(std::span<const std::uint8_t>& input) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (input.empty()) return Event::kNeedMore;
  if (line_.empty()) {
    const std::string_view text = text_of(input);
    const std::size_t end = text.substr(0, kHeadBytesMax).find(kEnd);
    if (end != std::string_view::npos) {
      input = input.subspan(end + kEnd.size());
      return parse_head(text.substr(0, end));
    }
  }
  const std::size_t before = line_.size();
  const std::size_t taken = std::min(input.size(), kHeadBytesMax - before);
  line_.append(text_of(input.first(taken)));
  const std::size_t end = line_.find(kEnd, before < 3 ? 0 : before - 3);
  if (end == std::string::npos) {
    if (line_.size() == kHeadBytesMax) return fail_with("the head of the response is too long");
    input = input.subspan(taken);
    return Event::kNeedMore;
  }
  input = input.subspan(end + kEnd.size() - before);
  line_.resize(end);
  const std::string head = std::exchange(line_, {});
  return parse_head(head);
}

std::optional<Http1Response::Event> Http1Response::parse_head(std::string_view head) {
  content_length_.reset();
  chunked_ = false;
  const std::size_t first = std::min(head.find("\r\n"), head.size());
  if (!parse_status_line(head.substr(0, first))) return fail_with("this is no HTTP/1.1 response");
  head.remove_prefix(std::min(first + 2, head.size()));
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    if (!parse_field(head.substr(0, end))) return fail_with("a header field is malformed");
    head.remove_prefix(std::min(end + 2, head.size()));
  }
  return begin_body();
}

// "HTTP/1.1 200 OK" (4)
bool Http1Response::parse_status_line(std::string_view line) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  if (!std::ranges::all_of(line.substr(9, 3), is_digit) || line[9] == '0') return false;
  status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  keep_alive_ = line[7] == '1';
  return true;
}

bool Http1Response::parse_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equals_nocase(name, "content-length")) {
    const auto length = parse_number(value, 10);
    if (!length || (content_length_ && *content_length_ != *length)) return false;
    content_length_ = length;
  } else if (equals_nocase(name, "transfer-encoding")) {
    if (!equals_nocase(value, "chunked")) return false;  // we ask for no other (RFC 9112, 7)
    chunked_ = true;
  } else if (equals_nocase(name, "connection")) {
    if (lists(value, "close")) keep_alive_ = false;
  }
  return true;
}

// RFC 9112, 6.3
std::optional<Http1Response::Event> Http1Response::begin_body() {
  if (status_ < 200) {
    if (status_ == 101) return fail_with("the protocol was switched without being asked for");
    if (++interim_ > kInterimMax) return fail_with("too many interim responses");
    return std::nullopt;
  }
  if (status_ == 204 || status_ == 304) {
    state_ = State::kFinished;
  } else if (chunked_) {
    if (content_length_) return fail_with("Content-Length and Transfer-Encoding in one response");
    trailer_bytes_ = 0;
    state_ = State::kChunkSize;
  } else if (content_length_) {
    left_ = *content_length_;
    state_ = left_ == 0 ? State::kFinished : State::kLength;
  } else {
    keep_alive_ = false;
    state_ = State::kUntilClose;
  }
  return Event::kHead;
}

Http1Response::Event Http1Response::take_piece(std::span<const std::uint8_t>& input) {
  if (input.empty()) return Event::kNeedMore;
  if (state_ == State::kUntilClose) {
    piece_ = std::exchange(input, {});
    return Event::kBody;
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  piece_ = input.first(size);
  input = input.subspan(size);
  left_ -= size;
  if (left_ == 0) state_ = state_ == State::kLength ? State::kFinished : State::kChunkEnd;
  return Event::kBody;
}

Http1Response::Line Http1Response::take_line(std::span<const std::uint8_t>& input,
                                             std::string_view& line) {
  if (std::exchange(line_used_, false)) line_.clear();
  const std::string_view text = text_of(input);
  const std::size_t end = text.find('\n');
  const std::size_t size = end == std::string_view::npos ? text.size() : end + 1;
  if (line_.size() + size > kHeadBytesMax) return Line::kTooLong;
  line_.append(text.substr(0, size));
  input = input.subspan(size);
  if (end == std::string_view::npos) return Line::kNeedMore;
  line_used_ = true;
  line = line_;
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return Line::kWhole;
}

// RFC 9112, 7.1. Chunk extensions mean nothing to us.
std::optional<Http1Response::Event> Http1Response::read_chunk_line(
    std::span<const std::uint8_t>& input) {
  std::string_view line;
  const Line taken = take_line(input, line);
  if (taken == Line::kTooLong) return fail_with("a line of the chunked body is too long");
  if (taken == Line::kNeedMore) return Event::kNeedMore;
  if (state_ == State::kChunkEnd) {
    if (!line.empty()) return fail_with("a chunk is longer than its size");
    state_ = State::kChunkSize;
  } else if (state_ == State::kChunkSize) {
    const auto size = parse_number(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size) return fail_with("the size of a chunk is no number");
    left_ = *size;
    state_ = left_ == 0 ? State::kTrailer : State::kChunkData;
  } else if (line.empty()) {
    state_ = State::kFinished;
  } else {
    trailer_bytes_ += line.size();
    if (trailer_bytes_ > kHeadBytesMax) return fail_with("the trailer is too long");
  }
  return std::nullopt;
}

}  // namespace mirror::load
