#include "http/http1_parser.h"

#include <algorithm>
#include <utility>

namespace mirror::http {

namespace {

constexpr std::size_t kChunkLineBytesMax = 256;
constexpr std::size_t kCompactAt = 16 * 1024;
constexpr std::size_t kKeptCapacityMax = 32 * 1024;

bool parse_decimal(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 18) return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

bool parse_hexadecimal(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 12) return false;
  value = 0;
  for (const char c : text) {
    const char l = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<std::uint64_t>(c - '0');
    } else if (l >= 'a' && l <= 'f') {
      value = value * 16 + static_cast<std::uint64_t>(l - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

template <class F>
void for_each_list_item(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    f(trim_whitespace(list.substr(0, comma)));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

bool is_http_version(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
         digit(text[7]);
}

}  // namespace

void Http1Parser::append(std::span<const std::uint8_t> bytes) {
  if (state_ == State::kFault) return;
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Http1Parser::consume(std::size_t bytes) {
  position_ += bytes;
  if (position_ == buffer_.size()) {
    buffer_.clear();
    if (buffer_.capacity() > kKeptCapacityMax) buffer_.shrink_to_fit();
    position_ = 0;
  } else if (position_ >= kCompactAt) {
    buffer_.erase(0, position_);
    position_ = 0;
  }
}

Http1Parser::Step Http1Parser::fail_with(int status, std::string_view what) {
  state_ = State::kFault;
  fault_ = {status, what};
  keep_alive_ = false;
  buffer_.clear();
  position_ = 0;
  return Step::kAgain;
}

Http1Parser::Event Http1Parser::next() {
  for (;;) {
    if (state_ == State::kFault) return Event::kFault;
    switch (step()) {
      case Step::kAgain:
        break;
      case Step::kNeedMore:
        return Event::kNeedMore;
      case Step::kContinue:
        return Event::kContinue;
      case Step::kRequest:
        return Event::kRequest;
    }
  }
}

Http1Parser::Step Http1Parser::step() {
  switch (state_) {
    case State::kHead:
      return read_head();
    case State::kBody:
      return read_body();
    case State::kChunkSize:
      return read_chunk_size();
    case State::kChunkData:
      return read_chunk_data();
    case State::kChunkEnd:
      return read_chunk_end();
    case State::kTrailer:
      return read_trailer();
    case State::kComplete:
      state_ = State::kHead;
      return Step::kRequest;
    case State::kFault:
      break;
  }
  return Step::kNeedMore;
}

Http1Parser::Step Http1Parser::read_head() {
  if (scanned_ == 0) {
    // RFC 9112 2.2: an empty line before the request line is forgiven.
    if (rest() == "\r") return Step::kNeedMore;
    if (rest().starts_with("\r\n")) consume(2);
  }
  const std::string_view text = rest();
  if (text.empty()) return Step::kNeedMore;
  if (scanned_ == 0 && !is_token(text.substr(0, 1))) {
    return fail_with(400, "this does not look like an HTTP request");
  }
  while (scanned_ < text.size()) {
    const std::size_t end = text.find('\n', scanned_);
    if (end == std::string_view::npos) break;
    if (end == 0 || text[end - 1] != '\r') return fail_with(400, "a line ends in LF without CR");
    if (end > limits_.header_bytes_max) break;
    scanned_ = end + 1;
    if (std::exchange(line_start_, scanned_) == end - 1)
      return parse_head(text.substr(0, scanned_));
  }
  scanned_ = text.size();
  if (scanned_ <= limits_.header_bytes_max) return Step::kNeedMore;
  if (line_start_ == 0) return fail_with(414, "the request line is too long");
  return fail_with(431, "the header fields are too long");
}

// Its strings keep their room, except for that of a large body.
void Http1Parser::begin_request() {
  request_.method = Method::kGet;
  request_.version = Version::kHttp11;
  request_.path.clear();
  request_.query.clear();
  request_.authority.clear();
  header_store_.take_back(request_.headers);
  request_.body = {};
  has_host_ = has_length_ = chunked_ = expects_continue_ = false;
  close_ = keep_alive_asked_ = false;
  length_ = 0;
  trailer_bytes_ = 0;
}

Http1Parser::Step Http1Parser::parse_head(std::string_view head) {
  const std::size_t size = head.size();
  begin_request();
  head.remove_suffix(2);  // the empty line
  std::size_t end = head.find("\r\n");
  if (auto fault = parse_request_line(head.substr(0, end))) return fail_with(*fault);
  head.remove_prefix(end + 2);
  while (!head.empty()) {
    end = head.find("\r\n");
    if (request_.headers.size() >= limits_.header_count_max) {
      return fail_with(431, "too many header fields");
    }
    if (auto fault = parse_field(head.substr(0, end))) return fail_with(*fault);
    head.remove_prefix(end + 2);
  }
  if (auto fault = check_head()) return fail_with(*fault);
  consume(size);
  scanned_ = 0;
  line_start_ = 0;
  return begin_body();
}

// RFC 9112 3: method SP request-target SP HTTP-version, with exactly one space each.
MaybeFault Http1Parser::parse_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Fault{400, "the request line must be: method, target, version"};
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return Fault{400, "bad character in the method"};
  if (!is_http_version(version)) return Fault{400, "bad HTTP version"};
  if (version[5] != '1') return Fault{505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here"};
  request_.version = version[7] == '0' ? Version::kHttp10 : Version::kHttp11;
  const auto known = parse_method(method);
  if (!known) return Fault{501, "this method is not implemented"};
  request_.method = *known;
  return parse_target(target, limits_, request_);
}

MaybeFault Http1Parser::parse_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return Fault{400, "folded header field"};
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Fault{400, "header field without a colon"};
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim_whitespace(line.substr(colon + 1));
  if (!is_token(name)) return Fault{400, "bad character in the name of a header field"};
  if (!is_field_value(value)) return Fault{400, "control character in a header field"};
  Header& header = header_store_.add(request_.headers, name, value);
  for (char& c : header.name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return note_field(header);
}

// The fields that frame the message or steer the connection.
MaybeFault Http1Parser::note_field(const Header& header) {
  const auto& [name, value] = header;
  if (name == "host") {
    if (std::exchange(has_host_, true)) return Fault{400, "two Host fields"};
    if (!is_authority(value)) return Fault{400, "bad Host field"};
    // RFC 9112 3.2.2: the absolute form wins over Host.
    if (request_.authority.empty()) request_.authority = value;
  } else if (name == "content-length") {
    // Two equal ones could be merged (RFC 9110 8.6), but an intermediary may have seen others.
    if (std::exchange(has_length_, true)) return Fault{400, "two Content-Length fields"};
    if (!parse_decimal(value, length_)) return Fault{400, "bad Content-Length"};
  } else if (name == "transfer-encoding") {
    if (std::exchange(chunked_, true)) return Fault{400, "two Transfer-Encoding fields"};
    if (!equal_ignoring_case(value, "chunked")) {
      return Fault{501, "only the transfer coding chunked is implemented"};
    }
  } else if (name == "connection") {
    for_each_list_item(value, [this](std::string_view option) {
      close_ = close_ || equal_ignoring_case(option, "close");
      keep_alive_asked_ = keep_alive_asked_ || equal_ignoring_case(option, "keep-alive");
    });
  } else if (name == "expect") {
    if (!equal_ignoring_case(value, "100-continue")) {
      return Fault{417, "the only expectation met is 100-continue"};
    }
    expects_continue_ = true;
  }
  return std::nullopt;
}

MaybeFault Http1Parser::check_head() {
  const bool http11 = request_.version == Version::kHttp11;
  if (http11 && !has_host_) return Fault{400, "no Host field"};
  // RFC 9112 6.1: the classic ways to smuggle a request.
  if (chunked_ && has_length_) {
    return Fault{400, "both Content-Length and Transfer-Encoding"};
  }
  if (chunked_ && !http11) return Fault{400, "Transfer-Encoding in HTTP/1.0"};
  const bool wants_body = request_.method == Method::kPost || request_.method == Method::kPut ||
                          request_.method == Method::kPatch;
  if (!http11 && wants_body && !has_length_) {
    return Fault{411, "an HTTP/1.0 request with a body needs Content-Length"};
  }
  if (length_ > limits_.body_bytes_max) return Fault{413, "the request body is too large"};
  keep_alive_ = !close_ && (http11 || keep_alive_asked_);
  return std::nullopt;
}

Http1Parser::Step Http1Parser::begin_body() {
  if (chunked_) {
    state_ = State::kChunkSize;
  } else if (length_ > 0) {
    state_ = State::kBody;
  } else {
    return Step::kRequest;
  }
  // RFC 9110 10.1.1: not to HTTP/1.0, and not needed once the body has begun to arrive.
  const bool http11 = request_.version == Version::kHttp11;
  return expects_continue_ && http11 && unread() == 0 ? Step::kContinue : Step::kAgain;
}

Http1Parser::Step Http1Parser::read_body() {
  const auto n = std::min<std::uint64_t>(length_, unread());
  request_.body.append(rest().substr(0, n));
  consume(n);
  length_ -= n;
  if (length_ > 0) return Step::kNeedMore;
  state_ = State::kComplete;
  return Step::kAgain;
}

Http1Parser::Step Http1Parser::take_line(std::size_t bytes_max, std::string_view& line) {
  const std::string_view text = rest();
  const std::size_t end = text.substr(0, bytes_max).find('\n');
  if (end == std::string_view::npos) {
    if (text.size() < bytes_max) return Step::kNeedMore;
    return fail_with(400, "line in the chunked body is too long");
  }
  if (end == 0 || text[end - 1] != '\r') return fail_with(400, "a line ends in LF without CR");
  line = text.substr(0, end - 1);
  return Step::kRequest;
}

// RFC 9112 7.1; extensions are skipped (7.1.1).
Http1Parser::Step Http1Parser::read_chunk_size() {
  std::string_view line;
  if (const Step step = take_line(kChunkLineBytesMax, line); step != Step::kRequest) return step;
  const std::size_t line_bytes = line.size() + 2;
  const std::size_t end = std::min(line.find(';'), line.size());
  const bool extension_ok = is_field_value(line.substr(end));
  std::string_view digits = line.substr(0, end);
  // BWS before an extension only.
  if (end < line.size()) digits = digits.substr(0, digits.find_last_not_of(" \t") + 1);
  if (!extension_ok || !parse_hexadecimal(digits, length_)) {
    return fail_with(400, "bad chunk size");
  }
  if (length_ > limits_.body_bytes_max - request_.body.size()) {
    return fail_with(413, "the request body is too large");
  }
  consume(line_bytes);
  state_ = length_ > 0 ? State::kChunkData : State::kTrailer;
  return Step::kAgain;
}

Http1Parser::Step Http1Parser::read_chunk_data() {
  const auto n = std::min<std::uint64_t>(length_, unread());
  request_.body.append(rest().substr(0, n));
  consume(n);
  length_ -= n;
  if (length_ > 0) return Step::kNeedMore;
  state_ = State::kChunkEnd;
  return Step::kAgain;
}

Http1Parser::Step Http1Parser::read_chunk_end() {
  const std::string_view text = rest();
  if (!std::string_view("\r\n").starts_with(text.substr(0, 2))) {
    return fail_with(400, "a chunk is longer than its size");
  }
  if (text.size() < 2) return Step::kNeedMore;
  consume(2);
  state_ = State::kChunkSize;
  return Step::kAgain;
}

// RFC 9112 7.1.2: trailer fields are checked and dropped; merging them would let them override.
Http1Parser::Step Http1Parser::read_trailer() {
  const std::size_t left = limits_.header_bytes_max - trailer_bytes_;
  std::string_view line;
  if (const Step step = take_line(left, line); step != Step::kRequest) return step;
  if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
        !is_field_value(line.substr(colon + 1))) {
      return fail_with(400, "bad trailer field");
    }
  }
  trailer_bytes_ += line.size() + 2;
  if (line.empty()) state_ = State::kComplete;
  consume(line.size() + 2);
  return Step::kAgain;
}

}  // namespace mirror::http
