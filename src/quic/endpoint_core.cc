#include "quic/endpoint_core.h"

#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mirror::quic {

namespace {

constexpr std::size_t kAnswersMax = 256;     // waiting to be sent
constexpr std::size_t kRemnantsMax = 2'048;  // closed connections remembered
// 3 PTO of a connection whose round trips we no longer know (RFC 9000, 10.2; RFC 9002, 6.2.2).
constexpr auto kRemnantTime = std::chrono::milliseconds(3'000);
constexpr ngtcp2_duration kRetryTokenLife = 10 * NGTCP2_SECONDS;
constexpr ngtcp2_duration kAddressTokenLife = 24 * 3600 * NGTCP2_SECONDS;
// RFC 9000, 10.3: a reset looks like a packet, so it is no shorter than the shortest ones are...
constexpr std::size_t kResetBytesMin = 5 + NGTCP2_STATELESS_RESET_TOKENLEN;
constexpr std::size_t kResetBytesMax = 43;
// RFC 9000, 14.1: what begins a connection is at least so long, so what answers it is not longer.
constexpr std::size_t kInitialDatagramMin = NGTCP2_MAX_UDP_PAYLOAD_SIZE;

// Tokens are for the process that comes next, too, and the monotonic clock begins anew with each
// start of the machine.
ngtcp2_tstamp timestamp(WallTime time) {
  return static_cast<ngtcp2_tstamp>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

ConnectionIdHash seeded(Random& random) {
  ConnectionIdHash hash;
  std::array<std::uint8_t, sizeof hash.seed> bytes{};
  random.fill(bytes);
  std::memcpy(&hash.seed, bytes.data(), bytes.size());
  return hash;
}

}  // namespace

EndpointCore::EndpointCore(Host& host, const Limits& limits, const Secret& secret,
                           std::uint8_t worker, const EndpointMetrics& metrics, Random& random)
    : host_(host),
      limits_(limits),
      secret_(secret),
      metrics_(metrics),
      random_(random),
      ids_(secret, worker, random),
      worker_(worker),
      table_(0, seeded(random)),
      tokens_(0, seeded(random)),
      negotiation_limit_(limits.stateless_answers_per_second, limits.stateless_answers_per_second),
      retry_limit_(limits.stateless_answers_per_second, limits.stateless_answers_per_second),
      reset_limit_(limits.stateless_answers_per_second, limits.stateless_answers_per_second),
      refusal_limit_(limits.stateless_answers_per_second, limits.stateless_answers_per_second) {}

EndpointCore::~EndpointCore() {
  for (auto& connection : connections_) {
    connection->end_silently(End::kApplication, "the endpoint is gone");
    ended_applications_.push_back(connection->take_application());
  }
  ended_applications_.clear();
}

// --- Owner.

void EndpointCore::own(const ConnectionId& id, Connection& connection) {
  table_[id] = {&connection, nullptr};
}

void EndpointCore::disown(const ConnectionId& id) { table_.erase(id); }

// A token is the peer's to choose, and two connections could be told the same one: the first keeps
// it.
void EndpointCore::own_token(const ConnectionId& token, Connection& connection) {
  tokens_.try_emplace(token, &connection);
}

void EndpointCore::disown_token(const ConnectionId& token, const Connection& connection) {
  const auto found = tokens_.find(token);
  if (found != tokens_.end() && found->second == &connection) tokens_.erase(found);
}

void EndpointCore::due(Connection& connection) {
  if (std::exchange(connection.marked_due, true)) return;
  due_.push_back(&connection);
  signal();
}

void EndpointCore::signal() {
  if (!std::exchange(signalled_, true)) host_.something_due();
}

void EndpointCore::handshake_over(Connection& connection) {
  if (!std::exchange(connection.counts_as_handshake, false)) return;
  --handshakes_;
  metrics_.handshakes.Decrement();
  if (connection.handshake_completed()) metrics_.handshakes_completed.Increment();
}

std::vector<std::uint8_t> EndpointCore::address_token(const Address& remote) {
  std::vector<std::uint8_t> token(NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN);
  const auto size = ngtcp2_crypto_generate_regular_token(
      token.data(), secret_.data(), secret_.size(), remote.get(), remote.size(),
      timestamp(host_.wall_time()));
  token.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return token;
}

std::unique_ptr<Application> EndpointCore::application(Connection& connection) {
  return serving_.make_application(connection);
}

// --- In.

void EndpointCore::receive(std::span<const std::uint8_t> datagram, const Path& path,
                           std::uint8_t ecn, Origin origin) {
  metrics_.received_packets.Increment();
  metrics_.received_bytes.Increment(static_cast<double>(datagram.size()));
  if (datagram.empty()) return metrics_.dropped_packets.Increment();  // the library asserts
  ngtcp2_version_cid names{};
  const int rc = ngtcp2_pkt_decode_version_cid(&names, datagram.data(), datagram.size(),
                                               ConnectionIds::kBytes);
  if (rc == NGTCP2_ERR_VERSION_NEGOTIATION) return negotiate_version(names, datagram.size(), path);
  if (rc != 0 || names.dcidlen == 0 || names.dcidlen > NGTCP2_MAX_CIDLEN) {
    metrics_.dropped_packets.Increment();
    return;
  }
  const auto found = table_.find(ConnectionId({names.dcid, names.dcidlen}));
  if (found == table_.end()) return nobodys(names, datagram, path, ecn, origin);
  if (found->second.connection == nullptr) {
    return answer_closed(*found->second.remnant, datagram.size(), path);
  }
  deliver(*found->second.connection, datagram, path, ecn);
}

void EndpointCore::deliver(Connection& connection, std::span<const std::uint8_t> datagram,
                           const Path& path, std::uint8_t ecn) {
  const auto received = connection.receive(datagram, path, ecn);
  if (received == Connection::Received::kOk) return connection.tell();
  ngtcp2_pkt_hd header{};
  if (received == Connection::Received::kRetry &&
      ngtcp2_accept(&header, datagram.data(), datagram.size()) == 0) {
    retry(header, datagram.size(), path);
  }
  connection.end_silently(End::kRefused, "the first packet was not enough");
}

// The more often it is asked, the more seldom it answers: at the 1st, 2nd, 4th, 8th packet.
void EndpointCore::answer_closed(Remnant& remnant, std::size_t received, const Path& path) {
  ++remnant.received;
  if ((remnant.received & (remnant.received - 1)) != 0) return;
  answer(refusal_limit_, remnant.packet, std::max(received, remnant.packet.size()), path);
}

void EndpointCore::nobodys(const ngtcp2_version_cid& names, std::span<const std::uint8_t> datagram,
                           const Path& path, std::uint8_t ecn, Origin origin) {
  const std::span id(names.dcid, names.dcidlen);
  if (ids_.ours(id)) {
    const std::uint8_t worker = ConnectionIds::worker_of(id);
    if (worker != worker_ && origin == Origin::kSocket && host_.has_worker(worker)) {
      const bool handed = host_.stray(worker, datagram, path, ecn);
      (handed ? metrics_.strays_handed_on : metrics_.strays_dropped).Increment();
      return;
    }
    // A short header: of a connection that we lost, or that another process of ours had.
    if (names.version == 0) return reset(ConnectionId(id), datagram.size(), path);
  }
  if (names.version == 0 && datagram.size() >= kResetBytesMin) {
    const auto owner = tokens_.find(ConnectionId(datagram.last(NGTCP2_STATELESS_RESET_TOKENLEN)));
    if (owner != tokens_.end()) return deliver(*owner->second, datagram, path, ecn);
  }
  if (names.version == 0 || !serving_.tls) {
    metrics_.dropped_packets.Increment();
    return;
  }
  accept(datagram, path, ecn);
}

void EndpointCore::accept(std::span<const std::uint8_t> datagram, const Path& path,
                          std::uint8_t ecn) {
  Connection::Initial initial;
  if (datagram.size() < kInitialDatagramMin ||
      ngtcp2_accept(&initial.header, datagram.data(), datagram.size()) != 0) {
    metrics_.dropped_packets.Increment();
    return;
  }
  if (draining_ || connections_.size() >= limits_.connections_max) {
    return refuse(initial.header, NGTCP2_CONNECTION_REFUSED, datagram.size(), path);
  }
  initial.original = ConnectionId(initial.header.dcid);
  if (!judge_token(initial, path)) {
    return refuse(initial.header, NGTCP2_INVALID_TOKEN, datagram.size(), path);
  }
  if (initial.token == NGTCP2_TOKEN_TYPE_UNKNOWN &&
      handshakes_ >= limits_.handshakes_unproven_max) {
    return retry(initial.header, datagram.size(), path);
  }
  if (handshakes_ >= limits_.handshakes_max) {
    metrics_.ended(End::kRefused).Increment();
    return;
  }
  auto made = Connection::accept(*this, path, initial, *serving_.tls, serving_.credentials);
  if (!made) {
    metrics_.ended(End::kInternal).Increment();
    return;
  }
  Connection& connection = **made;
  connection.counts_as_handshake = true;
  ++handshakes_;
  metrics_.handshakes.Increment();
  metrics_.handshakes_begun.Increment();
  keep(std::move(*made));
  deliver(connection, datagram, path, ecn);
}

// False: a Retry token that we did not give to this client, or too long ago (RFC 9000, 8.1.3).
bool EndpointCore::judge_token(Connection::Initial& initial, const Path& path) {
  const ngtcp2_pkt_hd& header = initial.header;
  if (header.tokenlen == 0) return true;
  const Address& remote = path.remote;
  if (header.token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
    ngtcp2_cid original{};
    if (ngtcp2_crypto_verify_retry_token(&original, header.token, header.tokenlen, secret_.data(),
                                         secret_.size(), header.version, remote.get(),
                                         remote.size(), &header.dcid, kRetryTokenLife,
                                         timestamp(host_.wall_time())) != 0) {
      return false;
    }
    initial.original = ConnectionId(original);
    initial.token = NGTCP2_TOKEN_TYPE_RETRY;
  } else if (ngtcp2_crypto_verify_regular_token(
                 header.token, header.tokenlen, secret_.data(), secret_.size(), remote.get(),
                 remote.size(), kAddressTokenLife, timestamp(host_.wall_time())) == 0) {
    initial.token = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
  return true;  // any other token is as good as none
}

// --- Answers that keep nothing.

bool EndpointCore::answer(RateLimit& limit, std::span<const std::uint8_t> packet,
                          std::size_t received, const Path& path) {
  // Never more than what was asked with: we are nobody's amplifier.
  if (packet.empty() || packet.size() > received) return false;
  if (answers_.size() >= kAnswersMax || !limit.take(now())) {
    metrics_.answers_withheld.Increment();
    return false;
  }
  answers_.push_back({{packet.begin(), packet.end()}, path});
  signal();
  return true;
}

void EndpointCore::negotiate_version(const ngtcp2_version_cid& names, std::size_t received,
                                     const Path& path) {
  if (!serving_.tls || received < kInitialDatagramMin) {
    metrics_.dropped_packets.Increment();
    return;
  }
  // The first is a reserved one, so that clients go on ignoring what they do not know (RFC 9000,
  // 15).
  constexpr std::array<std::uint32_t, 2> versions = {0x1a2a3a4a, NGTCP2_PROTO_VER_V1};
  std::array<std::uint8_t, 1> unused{};
  random_.fill(unused);
  std::array<std::uint8_t, kInitialDatagramMin> packet;
  const auto size = ngtcp2_pkt_write_version_negotiation(
      packet.data(), packet.size(), unused[0], names.scid, names.scidlen, names.dcid, names.dcidlen,
      versions.data(), versions.size());
  if (size <= 0) return;
  if (answer(negotiation_limit_, std::span(packet).first(static_cast<std::size_t>(size)), received,
             path)) {
    metrics_.version_negotiations.Increment();
  }
}

void EndpointCore::retry(const ngtcp2_pkt_hd& header, std::size_t received, const Path& path) {
  const ConnectionId id = ids_.make();
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
  const auto token_size = ngtcp2_crypto_generate_retry_token(
      token.data(), secret_.data(), secret_.size(), header.version, path.remote.get(),
      path.remote.size(), &id.get(), &header.dcid, timestamp(host_.wall_time()));
  if (token_size < 0) return;
  std::array<std::uint8_t, kInitialDatagramMin> packet;
  const auto size = ngtcp2_crypto_write_retry(packet.data(), packet.size(), header.version,
                                              &header.scid, &id.get(), &header.dcid, token.data(),
                                              static_cast<std::size_t>(token_size));
  if (size <= 0) return;
  if (answer(retry_limit_, std::span(packet).first(static_cast<std::size_t>(size)), received,
             path)) {
    metrics_.retries.Increment();
  }
}

void EndpointCore::refuse(const ngtcp2_pkt_hd& header, std::uint64_t error, std::size_t received,
                          const Path& path) {
  metrics_.ended(End::kRefused).Increment();
  std::array<std::uint8_t, kInitialDatagramMin> packet;
  const auto size = ngtcp2_crypto_write_connection_close(
      packet.data(), packet.size(), header.version, &header.scid, &header.dcid, error, nullptr, 0);
  if (size <= 0) return;
  answer(refusal_limit_, std::span(packet).first(static_cast<std::size_t>(size)), received, path);
}

void EndpointCore::reset(const ConnectionId& id, std::size_t received, const Path& path) {
  metrics_.dropped_packets.Increment();
  if (received <= kResetBytesMin)
    return;  // ...and shorter than its cause: two never play ping-pong
  const std::size_t size = std::min(received - 1, kResetBytesMax);
  std::array<std::uint8_t, kResetBytesMax> noise{};
  random_.fill(noise);
  const auto token = ids_.reset_token(id);
  std::array<std::uint8_t, kResetBytesMax> packet;
  const auto written = ngtcp2_pkt_write_stateless_reset(
      packet.data(), size, token.data(), noise.data(), size - NGTCP2_STATELESS_RESET_TOKENLEN);
  if (written <= 0) return;
  if (answer(reset_limit_, std::span(packet).first(static_cast<std::size_t>(written)), received,
             path)) {
    metrics_.resets.Increment();
  }
}

// --- Out.

Result<Connection*> EndpointCore::connect(const Path& path, const Connection::Server& server,
                                          std::unique_ptr<Application> application) {
  if (connections_.size() >= limits_.connections_max) return fail("too many connections");
  auto made = Connection::connect(*this, path, server, std::move(application));
  if (!made) return std::unexpected(std::move(made.error()));
  Connection* connection = made->get();
  connection->counts_as_handshake = true;
  ++handshakes_;
  metrics_.handshakes.Increment();
  metrics_.handshakes_begun.Increment();
  keep(std::move(*made));
  due(*connection);
  return connection;
}

bool EndpointCore::write_answers(SendBuffer& out) {
  while (!answers_.empty()) {
    if (out.full()) return false;
    const Answer& next = answers_.front();
    std::ranges::copy(next.packet, out.room().begin());
    out.add(next.packet.size(), next.path, 0);
    answers_.pop_front();
  }
  return true;
}

bool EndpointCore::write(SendBuffer& out) {
  signalled_ = true;  // whoever becomes due meanwhile is seen here
  bool all = write_answers(out);
  std::vector<Connection*> round;
  round.swap(due_);
  std::size_t i = 0;
  for (; i < round.size() && all; ++i) {
    Connection& connection = *round[i];
    connection.marked_due = false;
    const auto written = connection.write(out);
    connection.tell();
    if (connection.over()) {
      remove(connection);
      continue;
    }
    if (written != Connection::Written::kAll) due(connection);
    if (written == Connection::Written::kFull) all = false;
    deadlines_.set(connection, connection.expiry());
  }
  // Who had no turn goes first next time.
  due_.insert(due_.begin(), round.begin() + static_cast<std::ptrdiff_t>(i), round.end());
  round.clear();
  if (due_.empty()) due_.swap(round);  // keeps the capacity
  signalled_ = false;
  return all && due_.empty();
}

void EndpointCore::expire() {
  const SteadyTime time = now();
  // Each connection once: one that sets itself a deadline in the past waits for the next turn.
  for (std::size_t left = connections_.size(); left > 0; --left) {
    Connection* connection = deadlines_.take(time);
    if (connection == nullptr) break;
    if (connection->expiry() <= time) {
      connection->expire();
      connection->tell();
    } else {
      deadlines_.set(*connection, connection->expiry());
    }
  }
  forget_remnants();
}

SteadyTime EndpointCore::next_expiry() const {
  const SteadyTime remnants = remnants_.empty() ? SteadyTime::max() : remnants_.front()->until;
  return std::min(deadlines_.first(), remnants);
}

// --- Lives and ends.

void EndpointCore::keep(std::unique_ptr<Connection> connection) {
  metrics_.connections.Increment();
  connection->slot = connections_.size();
  connections_.push_back(std::move(connection));
}

// Not due: write() has taken it from the list.
void EndpointCore::remove(Connection& connection) {
  metrics_.connections.Decrement();
  handshake_over(connection);
  deadlines_.remove(connection);
  const auto packet = connection.close_packet();
  std::shared_ptr<Remnant> remnant;
  if (!packet.empty()) {
    remnant = std::make_shared<Remnant>();
    remnant->packet.assign(packet.begin(), packet.end());
    remnant->ids = connection.own_ids();
    remnant->until = now() + kRemnantTime;
    remnants_.push_back(remnant);
  }
  for (const ConnectionId& id : connection.own_ids()) {
    if (remnant) {
      table_[id] = {nullptr, remnant};
    } else {
      table_.erase(id);
    }
  }
  for (const ConnectionId& token : connection.peer_tokens()) disown_token(token, connection);
  ended_applications_.push_back(connection.take_application());
  // on_closed() may have called the transport; that is the last time.
  if (std::exchange(connection.marked_due, false)) std::erase(due_, &connection);
  const std::size_t slot = connection.slot;
  ended_.push_back(std::move(connections_[slot]));
  if (slot + 1 < connections_.size()) {
    connections_[slot] = std::move(connections_.back());
    connections_[slot]->slot = slot;
  }
  connections_.pop_back();
  while (remnants_.size() > kRemnantsMax) {
    remnants_.front()->until = now();
    forget_remnants();
  }
}

void EndpointCore::forget_remnants() {
  while (!remnants_.empty() && remnants_.front()->until <= now()) {
    for (const ConnectionId& id : remnants_.front()->ids) table_.erase(id);
    remnants_.pop_front();
  }
}

void EndpointCore::bury() {
  ended_applications_.clear();
  ended_.clear();
}

void EndpointCore::drain() {
  draining_ = true;
  for (auto& connection : connections_) {
    if (Application* application = connection->application()) application->on_drain();
  }
}

void EndpointCore::close_all(std::uint64_t error, std::string_view reason) {
  for (auto& connection : connections_) connection->close(error, reason);
}

}  // namespace mirror::quic
