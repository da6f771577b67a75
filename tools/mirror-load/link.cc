#include "link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace mirror::load {

Link::Link(Workplace& workplace, User& user, std::string_view alpn)
    : workplace_(workplace),
      user_(user),
      alpn_(alpn),
      resume_(workplace.loop,
              [this] {
                resting_ = false;
                watch_for(watched_ | EPOLLIN);
              }),
      self_(std::make_shared<Link*>(this)) {}

Link::~Link() {
  close();
  *self_ = nullptr;
}

void Link::open() {
  close();
  ++lifetime_;
  state_ = State::kConnecting;
  auto status = connect();
  if (status) return;
  // Not from within open(): whoever asked is not ready to be told.
  workplace_.loop.defer(
      [self = self_, lifetime = lifetime_, why = std::move(status.error().message)] {
        if (*self != nullptr && (*self)->lifetime_ == lifetime) (*self)->end(Fault::kConnect, why);
      });
}

Status Link::connect() {
  const auto& endpoints = workplace_.destination.endpoints;
  const Endpoint& endpoint = endpoints[attempts_++ % endpoints.size()];
  fd_.reset(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return fail("socket: {}", std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (is_slow()) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kSlowReceiveBufferBytes,
                 sizeof kSlowReceiveBufferBytes);
  }
  if (::connect(fd_.get(), endpoint.get(), endpoint.size) != 0 && errno != EINPROGRESS) {
    return fail("connect: {}", std::strerror(errno));
  }
  watched_ = EPOLLOUT;
  return workplace_.loop.watch(fd_.get(), watched_, *this);
}

void Link::close() {
  if (state_ == State::kClosed) return;
  ++lifetime_;
  state_ = State::kClosed;
  if (fd_) workplace_.loop.unwatch(fd_.get());
  fd_.reset();
  tls_.reset();
  pending_.clear();
  pending_sent_ = 0;
  resting_ = false;
  resume_.disarm();
}

void Link::end(Fault fault, std::string_view why) {
  const std::string kept(why);  // may lie in what close() lets go of
  close();
  user_.on_closed(fault, kept);
}

void Link::on_events(std::uint32_t events) {
  const std::uint64_t lifetime = lifetime_;
  if (state_ == State::kConnecting) {
    connected();
    if (lifetime != lifetime_) return;
  }
  if ((events & EPOLLOUT) != 0 && state_ != State::kConnecting) send_pending();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) receive();
}

void Link::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return end(Fault::kConnect, std::strerror(error));
  watch_for(EPOLLIN);
  const Destination& destination = workplace_.destination;
  if (destination.trust == nullptr) return opened();
  auto tls = TlsClient::create(destination.trust, destination.url.host, alpn_);
  if (!tls) return end(Fault::kTls, tls.error().message);
  tls_ = std::move(*tls);
  state_ = State::kHandshake;
  std::span<const std::uint8_t> nothing;
  shake_hands(nothing);
}

void Link::opened() {
  state_ = State::kOpen;
  ++workplace_.stats->connections;
  user_.on_open();
}

// Once a turn; what is left shows again, because epoll is level-triggered here.
void Link::receive() {
  auto& buffer = workplace_.received;
  const std::size_t room = is_slow() ? kSlowReadBytes : buffer.size();
  const ssize_t n = ::recv(fd_.get(), buffer.data(), room, 0);
  if (n > 0 && is_slow()) rest(static_cast<std::size_t>(n));
  if (n > 0) return take({buffer.data(), static_cast<std::size_t>(n)});
  if (n == 0) return end(Fault::kClosed, "the server closed the connection");
  if (errno == EAGAIN || errno == EINTR) return;
  end(Fault::kClosed, std::strerror(errno));
}

void Link::take(std::span<const std::uint8_t> bytes) {
  if (tls_ == nullptr) return user_.on_bytes(bytes);
  if (state_ == State::kHandshake) {
    const std::uint64_t lifetime = lifetime_;
    if (!shake_hands(bytes) || lifetime != lifetime_) return;
  }
  decrypt(bytes);
}

bool Link::shake_hands(std::span<const std::uint8_t>& input) {
  auto& sealed = workplace_.sealed;
  sealed.clear();
  const auto outcome = tls_->handshake(input, sealed);
  if (!sealed.empty()) send(sealed);
  if (outcome == TlsClient::Outcome::kWantsInput) return false;
  if (outcome != TlsClient::Outcome::kDone) {
    end(Fault::kTls, tls_->failure());
    return false;
  }
  opened();
  return true;
}

void Link::decrypt(std::span<const std::uint8_t> input) {
  const std::uint64_t lifetime = lifetime_;
  auto& sealed = workplace_.sealed;
  auto& plain = workplace_.plain;
  // Each turn uses up input or ends.
  while (lifetime == lifetime_) {
    sealed.clear();
    const auto read = tls_->read(input, plain, sealed);
    if (!sealed.empty()) send(sealed);
    switch (read.outcome) {
      case TlsClient::Outcome::kDone:
        user_.on_bytes({plain.data(), read.bytes});
        break;
      case TlsClient::Outcome::kWantsInput:
        return;
      case TlsClient::Outcome::kClosed:
        return end(Fault::kClosed, "the server closed the connection");
      case TlsClient::Outcome::kFailed:
        return end(Fault::kTls, tls_->failure());
    }
  }
}

void Link::write(std::span<const std::uint8_t> bytes) {
  if (state_ != State::kOpen) return;
  if (tls_ == nullptr) return send(bytes);
  auto& sealed = workplace_.sealed;
  sealed.clear();
  // A session that cannot write any more says so to the next read.
  if (tls_->write(bytes, sealed)) send(sealed);
}

// Errors are not told from here: the socket shows them to receive().
void Link::send(std::span<const std::uint8_t> bytes) {
  if (pending_.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return;
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
    if (bytes.empty()) return;
  }
  if (pending_.size() - pending_sent_ + bytes.size() > kPendingBytesMax) {
    // The peer reads nothing any more; both directions end, which receive() will see.
    ::shutdown(fd_.get(), SHUT_RDWR);
    return;
  }
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  watch_for(EPOLLIN | EPOLLOUT);
}

void Link::send_pending() {
  if (pending_.empty()) return;
  const ssize_t n = ::send(fd_.get(), pending_.data() + pending_sent_,
                           pending_.size() - pending_sent_, MSG_NOSIGNAL);
  if (n > 0) pending_sent_ += static_cast<std::size_t>(n);
  if (pending_sent_ < pending_.size()) return;
  pending_.clear();
  pending_sent_ = 0;
  watch_for(EPOLLIN);
}

// For as long as so many bytes take on this path.
void Link::rest(std::size_t bytes) {
  const std::chrono::duration<double> time(static_cast<double>(bytes) /
                                           static_cast<double>(workplace_.path.bytes_per_second));
  resting_ = true;
  resume_.arm_in(std::chrono::duration_cast<std::chrono::nanoseconds>(time));
  watch_for(watched_);
}

void Link::watch_for(std::uint32_t events) {
  if (resting_) events &= ~static_cast<std::uint32_t>(EPOLLIN);
  if (std::exchange(watched_, events) == events) return;
  // Fails only for a descriptor that is not watched, which this one is.
  [[maybe_unused]] const auto status = workplace_.loop.rewatch(fd_.get(), events, *this);
}

}  // namespace mirror::load
