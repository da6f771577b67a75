// EndpointCore: an endpoint of QUIC (RFC 9000) without its sockets: which datagram belongs to which
// connection, what is answered to the rest, whose time has come, who has something to write.
//
// One thread, no clock but its host's. Server, client, or both. Everything a stranger can make it
// keep is limited: connections, handshakes, remembered closed connections, stateless answers. A
// turn of its owner is: receive() for what came, expire(), write() until it says that all is
// written, and once at its end bury().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/rate_limit.h"
#include "base/result.h"
#include "quic/address.h"
#include "quic/connection.h"
#include "quic/connection_id.h"
#include "quic/deadlines.h"
#include "quic/limits.h"
#include "quic/metrics.h"
#include "quic/random.h"
#include "quic/send_buffer.h"
#include "quic/tls.h"

namespace mirror::quic {

class EndpointCore final : private Connection::Owner {
 public:
  // Makes the application of a connection that a client opened, once its protocol is agreed.
  using MakeApplication = std::function<std::unique_ptr<Application>(Transport&)>;

  // What the core needs of who drives it.
  class Host {
   public:
    virtual ~Host() = default;
    virtual SteadyTime turn_time() const = 0;
    virtual WallTime wall_time() const = 0;
    virtual void something_due() = 0;  // there is something to write, and there was not before
    // Whether there is a worker of this index. The process before this one may have had more.
    virtual bool has_worker(std::uint8_t worker) const = 0;
    // A datagram of the worker that owns its connection. False: it could not be handed on.
    virtual bool stray(std::uint8_t worker, std::span<const std::uint8_t> datagram,
                       const Path& path, std::uint8_t ecn) = 0;
  };

  struct Serving {
    std::shared_ptr<const ServerTls> tls;
    std::shared_ptr<const net::TlsCredentials> credentials;
    MakeApplication make_application;
  };

  // `secret` keys connection ids, tokens and stateless resets: the same for all workers, and for
  // the process that comes after this one if its resets are to be believed.
  EndpointCore(Host& host, const Limits& limits, const Secret& secret, std::uint8_t worker,
               const EndpointMetrics& metrics, Random& random);
  ~EndpointCore() override;
  EndpointCore(const EndpointCore&) = delete;
  EndpointCore& operator=(const EndpointCore&) = delete;

  void serve(Serving serving) { serving_ = std::move(serving); }
  // For the handshakes that begin from now on.
  void set_credentials(std::shared_ptr<const net::TlsCredentials> credentials) {
    serving_.credentials = std::move(credentials);
  }

  // A connection to path.remote. The transport lives until Application::on_closed(). Errors: the
  // limit on connections, TLS.
  Result<Connection*> connect(const Path& path, const Connection::Server& server,
                              std::unique_ptr<Application> application);

  enum class Origin { kSocket, kOtherWorker };
  void receive(std::span<const std::uint8_t> datagram, const Path& path, std::uint8_t ecn,
               Origin origin = Origin::kSocket);
  void expire();
  SteadyTime next_expiry() const;  // SteadyTime::max(): never

  // Packets of those who are due, each at most a quantum. False: there is more to write, because
  // `out` is full or because everybody had a turn and somebody wants another.
  bool write(SendBuffer& out);
  void bury();  // destroys what ended in this turn

  // No new connections; those that are there are told (Application::on_drain()).
  void drain();
  void close_all(std::uint64_t error, std::string_view reason);
  std::size_t connections() const { return connections_.size(); }

 private:
  // What is left of a connection that we closed: its last packet, for a peer that missed it (RFC
  // 9000, 10.2.1).
  struct Remnant {
    std::vector<std::uint8_t> packet;
    std::vector<ConnectionId> ids;
    SteadyTime until;
    std::uint32_t received = 0;
  };
  struct Entry {
    Connection* connection = nullptr;
    std::shared_ptr<Remnant> remnant;
  };
  struct Answer {
    std::vector<std::uint8_t> packet;
    Path path;
  };

  // Connection::Owner
  SteadyTime now() const override { return host_.turn_time(); }
  const Limits& limits() const override { return limits_; }
  const EndpointMetrics& metrics() const override { return metrics_; }
  Random& random() override { return random_; }
  const ConnectionIds& ids() const override { return ids_; }
  void own(const ConnectionId& id, Connection& connection) override;
  void disown(const ConnectionId& id) override;
  void own_token(const ConnectionId& token, Connection& connection) override;
  void disown_token(const ConnectionId& token, const Connection& connection) override;
  void due(Connection& connection) override;
  void handshake_over(Connection& connection) override;
  std::vector<std::uint8_t> address_token(const Address& remote) override;
  std::unique_ptr<Application> application(Connection& connection) override;

  void deliver(Connection& connection, std::span<const std::uint8_t> datagram, const Path& path,
               std::uint8_t ecn);
  void answer_closed(Remnant& remnant, std::size_t received, const Path& path);
  void nobodys(const ngtcp2_version_cid& names, std::span<const std::uint8_t> datagram,
               const Path& path, std::uint8_t ecn, Origin origin);
  void accept(std::span<const std::uint8_t> datagram, const Path& path, std::uint8_t ecn);
  bool judge_token(Connection::Initial& initial, const Path& path);
  void negotiate_version(const ngtcp2_version_cid& names, std::size_t received, const Path& path);
  void retry(const ngtcp2_pkt_hd& header, std::size_t received, const Path& path);
  void refuse(const ngtcp2_pkt_hd& header, std::uint64_t error, std::size_t received,
              const Path& path);
  void reset(const ConnectionId& id, std::size_t received, const Path& path);
  bool answer(RateLimit& limit, std::span<const std::uint8_t> packet, std::size_t received,
              const Path& path);
  void keep(std::unique_ptr<Connection> connection);
  void remove(Connection& connection);
  void forget_remnants();
  bool write_answers(SendBuffer& out);
  void signal();

  Host& host_;
  const Limits limits_;
  const Secret secret_;
  const EndpointMetrics& metrics_;
  Random& random_;
  const ConnectionIds ids_;
  const std::uint8_t worker_;
  Serving serving_;
  bool draining_ = false;

  std::vector<std::unique_ptr<Connection>> connections_;
  std::unordered_map<ConnectionId, Entry, ConnectionIdHash> table_;
  std::unordered_map<ConnectionId, Connection*, ConnectionIdHash> tokens_;
  Deadlines deadlines_;
  std::vector<Connection*> due_;
  bool signalled_ = false;
  std::size_t handshakes_ = 0;

  std::deque<std::shared_ptr<Remnant>> remnants_;  // oldest first
  std::vector<std::unique_ptr<Connection>> ended_;
  std::vector<std::unique_ptr<Application>> ended_applications_;
  std::deque<Answer> answers_;
  RateLimit negotiation_limit_;
  RateLimit retry_limit_;
  RateLimit reset_limit_;
  RateLimit refusal_limit_;
};

}  // namespace mirror::quic
