#include "http/connection.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "http/http1_codec.h"
#include "http/http2_codec.h"
#include "http/shard.h"

namespace mirror::http {

namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4
constexpr std::size_t kGatherMax = 64;
constexpr std::size_t kRecordBatchBytes = 64 * 1024;
// Fairness: so many batches per turn, then the others have theirs.
constexpr int kBatchesPerTurn = 4;
constexpr auto kLingerMax = std::chrono::seconds(2);
constexpr std::size_t kLingerBytesMax = 256 * 1024;

}  // namespace

Connection::Connection(Shard& shard, net::UniqueFd fd, std::string remote,
                       std::unique_ptr<net::TlsSession> tls)
    : shard_(shard),
      fd_(std::move(fd)),
      remote_(std::move(remote)),
      tls_(std::move(tls)),
      state_(tls_ ? State::kHandshake : State::kSniff),
      state_since_(shard.loop().now()) {}

Connection::~Connection() {
  codec_.reset();  // ends its exchanges
  if (fd_) shard_.loop().unwatch(fd_.get());
}

Status Connection::watch() {
  interest_ = EPOLLIN | EPOLLRDHUP;
  return shard_.loop().watch(fd_.get(), interest_, *this);
}

void Connection::on_events(std::uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close();
  if ((events & EPOLLIN) != 0) {
    read();
  } else if ((events & EPOLLRDHUP) != 0) {
    input_ended();
  }
  if (state_ == State::kClosed) return;
  schedule();  // the end of the turn sends, and sets what to wait for
}

void Connection::read() {
  if (state_ == State::kLingering) return discard_input();
  auto& buffer = shard_.read_buffer();
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) close();
    return;
  }
  if (n == 0) return input_ended();
  shard_.metrics().received_bytes.Increment(static_cast<double>(n));
  const std::span<const std::uint8_t> bytes(buffer.data(), static_cast<std::size_t>(n));
  if (tls_) {
    take_tls(bytes);
  } else {
    take_plain(bytes);
  }
}

void Connection::take_tls(std::span<const std::uint8_t> records) {
  if (state_ == State::kHandshake && !continue_handshake(records)) return;
  auto& plain = shard_.plain_buffer();
  while (state_ == State::kOpen) {
    const auto read = tls_->read(records, plain, unsent_records_);
    switch (read.outcome) {
      case net::TlsSession::Outcome::kWantsInput:
        return;
      case net::TlsSession::Outcome::kDone:
        codec_->receive({plain.data(), read.bytes});
        break;
      case net::TlsSession::Outcome::kClosed:
        return input_ended();
      case net::TlsSession::Outcome::kFailed:
        broke_protocol();
        send_queued();  // the alert
        return close();
    }
  }
}

bool Connection::continue_handshake(std::span<const std::uint8_t>& records) {
  switch (tls_->handshake(records, unsent_records_)) {
    case net::TlsSession::Outcome::kWantsInput:
      return false;
    case net::TlsSession::Outcome::kDone:
      break;
    case net::TlsSession::Outcome::kClosed:
    case net::TlsSession::Outcome::kFailed:
      shard_.metrics().tls_failures.Increment();
      send_records({});  // the alert
      close();
      return false;
  }
  state_ = State::kOpen;
  state_since_ = now();
  if (tls_->alpn() == "h2") {
    use_http2();
  } else {
    use_http1();
  }
  return state_ == State::kOpen;
}

void Connection::take_plain(std::span<const std::uint8_t> bytes) {
  if (state_ == State::kSniff) return choose_codec(bytes);
  codec_->receive(bytes);
}

// HTTP/2 with prior knowledge (RFC 9113 3.3) shows in its first bytes.
void Connection::choose_codec(std::span<const std::uint8_t> bytes) {
  sniffed_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view start = std::string_view(sniffed_).substr(0, kHttp2Preface.size());
  if (start.size() < kHttp2Preface.size() && kHttp2Preface.starts_with(start)) return;
  state_ = State::kOpen;
  if (start == kHttp2Preface) {
    use_http2();
  } else {
    use_http1();
  }
  if (state_ != State::kOpen) return;
  const std::string first = std::exchange(sniffed_, {});
  codec_->receive({reinterpret_cast<const std::uint8_t*>(first.data()), first.size()});
}

void Connection::use_http1() {
  codec_ = std::make_unique<Http1Codec>(static_cast<Carrier&>(*this));
  if (draining_) codec_->drain();
}

void Connection::use_http2() {
  auto codec = Http2Codec::create(*this);
  if (!codec) return close();
  codec_ = std::move(*codec);
  if (draining_) codec_->drain();
}

void Connection::input_ended() {
  if (std::exchange(input_over_, true)) return;
  if (state_ != State::kOpen || !codec_->input_ended()) return close();
}

void Connection::discard_input() {
  auto& buffer = shard_.read_buffer();
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) discarded_ += static_cast<std::size_t>(n);
  if (n <= 0 || discarded_ > kLingerBytesMax) close();
}

void Connection::pump_and_flush() {
  scheduled_ = false;
  if (state_ == State::kClosed) return;
  for (int batch = 0;; ++batch) {
    if (codec_ && state_ == State::kOpen) codec_->pump();
    // At the limit, what was just made waits for the socket, in the next turn.
    if (!has_output() || batch == kBatchesPerTurn) break;
    const Sent result = send_queued();
    if (result == Sent::kFailed) return close();
    if (result == Sent::kBlocked) break;
  }
  if (state_ == State::kOpen && codec_->finished()) {
    if (codec_->aborted()) return reset();
    if (!has_output()) linger();
  }
  if (state_ == State::kClosed) return;
  if (!has_output()) {
    stalled_since_ = {};
  } else if (stalled_since_ == SteadyTime{}) {
    stalled_since_ = now();
  }
  update_interest();
}

bool Connection::has_output() const {
  return !unsent_records_.empty() || (codec_ && !codec_->output().empty());
}

Connection::Sent Connection::send_queued() { return tls_ ? send_tls() : send_plain(); }

Connection::Sent Connection::send_plain() {
  std::array<iovec, kGatherMax> entries;
  msghdr message{};
  message.msg_iov = entries.data();
  message.msg_iovlen = codec_->output().gather(entries);
  const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? Sent::kBlocked : Sent::kFailed;
  codec_->output().drop(static_cast<std::size_t>(n));
  sent(static_cast<std::size_t>(n));
  return codec_->output().empty() ? Sent::kAll : Sent::kBlocked;
}

Connection::Sent Connection::send_tls() {
  if (!unsent_records_.empty()) {
    const Sent result = send_records({});
    if (result != Sent::kAll) return result;
  }
  auto& records = shard_.record_buffer();
  records.clear();
  if (!make_records(records)) return Sent::kFailed;
  return records.empty() ? Sent::kAll : send_records(records);
}

// Encrypts from the front of the queue: straight from a large piece, else gathered into one record.
bool Connection::make_records(std::vector<std::uint8_t>& records) {
  if (!codec_) return true;
  OutputQueue& queue = codec_->output();
  auto& plain = shard_.plain_buffer();
  while (!queue.empty() && records.size() < kRecordBatchBytes) {
    std::span<const std::uint8_t> chunk = queue.front();
    if (chunk.size() >= net::TlsSession::kRecordBytesMax) {
      chunk = chunk.first(net::TlsSession::kRecordBytesMax);
    } else if (chunk.size() < queue.size()) {
      const std::size_t n = queue.peek({plain.data(), net::TlsSession::kRecordBytesMax});
      chunk = {plain.data(), n};
    }
    if (!tls_->write(chunk, records)) return false;
    queue.drop(chunk.size());
  }
  return true;
}

// `records`, or what an earlier call left when it is empty. Keeps what the socket does not take.
Connection::Sent Connection::send_records(std::span<const std::uint8_t> records) {
  const bool fresh = !records.empty();
  if (!fresh) records = std::span<const std::uint8_t>(unsent_records_).subspan(unsent_offset_);
  if (records.empty()) return Sent::kAll;
  const ssize_t n = ::send(fd_.get(), records.data(), records.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return Sent::kFailed;
  const std::size_t done = n > 0 ? static_cast<std::size_t>(n) : 0;
  sent(done);
  if (fresh && done < records.size()) {
    unsent_records_.assign(records.begin() + static_cast<std::ptrdiff_t>(done), records.end());
    unsent_offset_ = 0;
  } else if (!fresh) {
    unsent_offset_ += done;
    if (done == records.size()) {
      unsent_records_ = {};
      unsent_offset_ = 0;
    }
  }
  return done == records.size() ? Sent::kAll : Sent::kBlocked;
}

void Connection::sent(std::size_t bytes) {
  if (bytes == 0) return;
  shard_.metrics().sent_bytes.Increment(static_cast<double>(bytes));
  stalled_since_ = {};  // the caller starts it again when something is left
}

// Closing while unread input is in the kernel would send an RST, which can destroy the answer on
// its way (RFC 9112 9.6): close our half and wait for the peer's, a while.
void Connection::linger() {
  if (tls_) {
    auto& records = shard_.record_buffer();
    records.clear();
    tls_->close(records);
    ::send(fd_.get(), records.data(), records.size(), MSG_NOSIGNAL);
  }
  codec_.reset();
  if (input_over_) return close();
  ::shutdown(fd_.get(), SHUT_WR);
  state_ = State::kLingering;
  state_since_ = now();
}

void Connection::reset() {
  const ::linger none{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  shard_.loop().unwatch(fd_.get());
  codec_.reset();
  fd_.reset();
  shard_.remove(*this);
}

void Connection::update_interest() {
  std::uint32_t wanted = 0;
  const bool reads = state_ != State::kOpen || codec_->wants_input();
  if (!input_over_) wanted |= EPOLLRDHUP;
  if (reads && !input_over_) wanted |= EPOLLIN;
  if (has_output()) wanted |= EPOLLOUT;
  // A peer whose FIN has come and is noted would wake a lingering socket for ever; it does not get
  // here, as reading 0 bytes closes it.
  if (wanted == interest_) return;
  interest_ = wanted;
  if (!shard_.loop().rewatch(fd_.get(), wanted, *this)) close();
}

void Connection::check_timeouts() {
  const SteadyTime time = now();
  const Limits& l = limits();
  if (stalled_since_ != SteadyTime{} && time - stalled_since_ > l.write_timeout) {
    return expire(Timeout::kWrite);
  }
  if (state_ == State::kHandshake && time - state_since_ > l.header_timeout) {
    return expire(Timeout::kHandshake);
  }
  if (state_ == State::kSniff && time - state_since_ > l.header_timeout) {
    return expire(Timeout::kHead);
  }
  if (state_ == State::kLingering && time - state_since_ > kLingerMax) {
    return expire(Timeout::kLinger);
  }
  if (state_ != State::kOpen || codec_->finished()) return;
  if (const std::size_t ended = codec_->end_stalled(); ended > 0) {
    shard_.metrics().timeouts(Timeout::kWrite).Increment(static_cast<double>(ended));
  }
  const auto waited = time - std::min(time, codec_->phase_since());
  switch (codec_->phase()) {
    case Codec::Phase::kHead:
      if (waited > l.header_timeout) expire(Timeout::kHead);
      break;
    case Codec::Phase::kBody:
      if (waited > l.body_timeout) expire(Timeout::kBody);
      break;
    case Codec::Phase::kIdle:
      if (waited > l.idle_timeout) expire(Timeout::kIdle);
      break;
    case Codec::Phase::kPending:
      break;
  }
}

void Connection::expire(Timeout kind) {
  shard_.metrics().timeouts(kind).Increment();
  const bool can_say_so =
      state_ == State::kOpen && kind != Timeout::kWrite && kind != Timeout::kLinger;
  if (!can_say_so) return close();
  codec_->time_out();
}

void Connection::drain() {
  draining_ = true;
  if (state_ == State::kSniff && sniffed_.empty()) return close();
  if (state_ == State::kOpen) codec_->drain();
}

void Connection::handle(const Request& request, Exchange& exchange) {
  shard_.handler().handle(request, exchange);
}
const Limits& Connection::limits() const { return shard_.limits(); }
SteadyTime Connection::now() const { return shard_.loop().now(); }
std::string_view Connection::date() const { return shard_.date(); }
void Connection::answered(Version version, int status) {
  shard_.metrics().requests(version, status).Increment();
}
std::string_view Connection::take_alt_svc() {
  if (!tls_ || std::exchange(alt_svc_told_, true)) return {};
  return limits().alt_svc;
}
void Connection::broke_protocol() { shard_.metrics().protocol_errors.Increment(); }

void Connection::schedule() {
  if (std::exchange(scheduled_, true)) return;
  shard_.schedule(*this);
}

}  // namespace mirror::http
