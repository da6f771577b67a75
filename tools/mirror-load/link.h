// Link: one TCP connection to the server, with TLS or without, and what all links of a thread
// share.
//
// Belongs to its loop's thread. Closed until open(); may be opened again when it is closed. What
// the socket does not take at once waits, at most kPendingBytesMax. On a slow path it reads no
// faster than that path's rate and keeps the kernel from reading ahead, so that the server feels
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"
#include "path_model.h"
#include "quic/tls.h"
#include "stats.h"
#include "tls_client.h"
#include "url.h"

namespace mirror::load {

class QuicDoor;

// Where the load goes. Immutable; shared by every thread.
struct Destination {
  Url url;
  std::vector<Endpoint> endpoints;
  std::shared_ptr<const TlsTrust> trust;              // null for http
  std::shared_ptr<const quic::ClientTls> quic_trust;  // null unless QUIC is spoken
  std::string authority;                              // url.authority()
};

// What the links of one thread share.
struct Workplace {
  Workplace(net::EventLoop& the_loop, const Destination& the_destination,
            const PathQuality& the_path = {})
      : loop(the_loop),
        destination(the_destination),
        path(the_path),
        received(kReceiveBytes),
        plain(TlsClient::kRecordBytesMax) {}

  static constexpr std::size_t kReceiveBytes = 64 * 1024;

  net::EventLoop& loop;
  const Destination& destination;
  const PathQuality path;        // of each of its connections
  Stats* stats = nullptr;        // of the interval; set by the crew
  std::uint64_t paths_made = 0;  // bad ones, of QUIC
  QuicDoor* door = nullptr;      // where QUIC is spoken; the crew's
  // Of the call in progress; nothing stays in them.
  std::vector<std::uint8_t> received;
  std::vector<std::uint8_t> plain;
  std::vector<std::uint8_t> sealed;
};

class Link final : private net::EventLoop::Watcher {
 public:
  static constexpr std::size_t kPendingBytesMax = 1024 * 1024;
  static constexpr std::size_t kSlowReadBytes = 4 * 1024;    // at once, on a slow path
  static constexpr int kSlowReceiveBufferBytes = 16 * 1024;  // of the kernel, on a slow path

  // None of these is called from within open(), write() or close(); each of them may call those.
  class User {
   public:
    virtual ~User() = default;
    virtual void on_open() = 0;
    virtual void on_bytes(std::span<const std::uint8_t> bytes) = 0;
    // The link is closed; kClosed when the peer ended it in order.
    virtual void on_closed(Fault fault, std::string_view why) = 0;
  };

  Link(Workplace& workplace, User& user, std::string_view alpn);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void open();
  void write(std::span<const std::uint8_t> bytes);
  void close();
  bool is_open() const { return state_ == State::kOpen; }
  bool is_closed() const { return state_ == State::kClosed; }

 private:
  enum class State { kClosed, kConnecting, kHandshake, kOpen };

  void on_events(std::uint32_t events) override;
  Status connect();
  void connected();
  void opened();
  void receive();
  void take(std::span<const std::uint8_t> bytes);
  void decrypt(std::span<const std::uint8_t> input);
  // False when the handshake is not complete, or has failed.
  bool shake_hands(std::span<const std::uint8_t>& input);
  void send(std::span<const std::uint8_t> bytes);
  void send_pending();
  void watch_for(std::uint32_t events);
  bool is_slow() const { return workplace_.path.bytes_per_second > 0; }
  void rest(std::size_t bytes);
  void end(Fault fault, std::string_view why);

  Workplace& workplace_;
  User& user_;
  const std::string alpn_;

  State state_ = State::kClosed;
  net::UniqueFd fd_;
  std::unique_ptr<TlsClient> tls_;
  std::vector<std::uint8_t> pending_;
  std::size_t pending_sent_ = 0;
  std::uint32_t watched_ = 0;
  bool resting_ = false;          // reads nothing for now
  net::EventLoop::Timer resume_;  // on a slow path
  std::size_t attempts_ = 0;      // chooses the address
  std::uint64_t lifetime_ = 0;    // counts opens and closes: a callback may cause either
  // Keeps deferred tasks from reaching a link that is gone.
  std::shared_ptr<Link*> self_;
};

}  // namespace mirror::load
