#include "ingest/srt_listener.h"

#include <netinet/in.h>
#include <srt/access_control.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_name.h"
#include "ingest/kernel_drops.h"
#include "ingest/refusals.h"
#include "ingest/srt_address.h"
#include "ingest/srt_options.h"
#include "ingest/srt_publishers.h"
#include "ingest/srt_socket.h"
#include "ingest/stream_id.h"

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Without publishers only a new caller ends the wait early, so this is how long stop() may take.
// (srt_epoll_uwait of libsrt 1.5.1 takes no system descriptors, so an eventfd cannot wake it.)
constexpr milliseconds kIdleWait{50};
constexpr int kBacklog = 32;
constexpr milliseconds kLookInterval{500};
// libsrt compares the passphrase right after the callback, so this is ample.
constexpr milliseconds kHandshakeWithin{200};
constexpr seconds kAdmittedFor{60};
constexpr std::size_t kAdmittedMax = 256;  // of whom we would tell what became of them

struct RejectCode {
  RefusalReason reason;
  int code;
};

RejectCode reject_code(BadStreamId::Kind kind) {
  switch (kind) {
    case BadStreamId::Kind::kMode:
      return {RefusalReason::kBadMode, SRT_REJX_BAD_MODE};
    case BadStreamId::Kind::kType:
      return {RefusalReason::kBadMode, SRT_REJX_NOTSUP_MEDIA};
    case BadStreamId::Kind::kSyntax:
      break;
  }
  return {RefusalReason::kBadStreamId, SRT_REJX_BAD_REQUEST};
}

RejectCode reject_code(media::PublishRefusal::Reason reason) {
  switch (reason) {
    case media::PublishRefusal::Reason::kConflict:
      return {RefusalReason::kConflict, SRT_REJX_CONFLICT};
    case media::PublishRefusal::Reason::kShuttingDown:
      return {RefusalReason::kShuttingDown, SRT_REJX_DOWN};
    case media::PublishRefusal::Reason::kUnauthorized:
      return {RefusalReason::kUnauthorized, SRT_REJX_UNAUTHORIZED};
    case media::PublishRefusal::Reason::kOverload:
      break;
  }
  return {RefusalReason::kOverload, SRT_REJX_OVERLOAD};
}

SrtTransport transport_of(const SrtSettings& settings) {
  return {.latency = settings.latency,
          .passphrase = settings.passphrase,
          .peer_idle_timeout = settings.peer_idle_timeout,
          .bitrate_bps_max = settings.bitrate_bps_max,
          .udp_receive_buffer_bytes = settings.udp_receive_buffer_bytes};
}

// The callback gives each socket the passphrase of its stream, so the listener itself has none.
Status check(const SrtSettings& settings) {
  if (!settings.passphrase.empty()) {
    if (Status status = check_passphrase(settings.passphrase); !status) return status;
  }
  for (const auto& [key, rule] : settings.rules) {
    if (rule.passphrase.empty()) continue;
    if (Status status = check_passphrase(rule.passphrase); !status) {
      return std::unexpected(std::move(status.error()).within(fmt::format("stream {}", key)));
    }
  }
  return {};
}

struct Listening {
  SrtSocket socket;
  int buffer_bytes = 0;  // of the UDP port, as granted
};

Result<Listening> listen_on(const SrtSettings& settings, const std::string& text, bool v6_only,
                            srt_listen_callback_fn* callback, void* opaque) {
  const Result<Address> address = numeric_address(text, settings.port);
  if (!address) return std::unexpected(address.error());
  SrtSocket socket(srt_create_socket());
  if (Status status = set_transport(socket, transport_of(settings)); !status) {
    return std::unexpected(std::move(status.error()));
  }
  const auto granted = bind_to(socket, *address, v6_only, settings.udp_receive_buffer_bytes);
  if (!granted) return std::unexpected(granted.error());
  if (srt_listen_callback(socket.id(), callback, opaque) == SRT_ERROR ||
      srt_listen(socket.id(), kBacklog) == SRT_ERROR) {
    return fail("{}", srt_getlasterror_str());
  }
  return Listening{std::move(socket), *granted};
}

// One socket for both families; IPv4 alone where the machine has no IPv6.
Result<Listening> listen_on(const SrtSettings& settings, srt_listen_callback_fn* callback,
                            void* opaque) {
  if (settings.address != "*") {
    return listen_on(settings, settings.address, true, callback, opaque);
  }
  Result<Listening> both = listen_on(settings, "::", false, callback, opaque);
  if (both) return both;
  return listen_on(settings, "0.0.0.0", false, callback, opaque);
}

// One caller whom we let pass in the handshake, and whom libsrt may still refuse, without a word to
// us, over its passphrase.
struct Admitted {
  SRTSOCKET socket;
  SteadyTime at;
  std::string remote;
  std::string stream_id;
  bool encrypted;  // a passphrase is asked for
};

}  // namespace

struct SrtListener::Impl {
  Impl(SrtSettings s, media::PublisherGate& g, const Log& l, Metrics& m, const Clock& c)
      : settings(std::move(s)),
        gate(g),
        clock(c),
        refusals(l, m),
        kernel_drops(m),
        publishers(l, m, c) {}

  struct Refused {
    RejectCode reject;
    std::string why;
  };

  // On libsrt's thread, inside the handshake.
  static int on_handshake(void* opaque, SRTSOCKET socket, int version, const sockaddr* peer,
                          const char* stream_id);
  std::optional<Refused> admit(SRTSOCKET socket, const std::string& remote,
                               std::string_view stream_id);
  std::optional<Refused> prepare(SRTSOCKET socket, const std::string& remote,
                                 std::string_view stream_id, const media::StreamKey& key);

  // On "ingest-srt".
  void run();
  void accept_all();
  void accept(SrtSocket socket, const sockaddr* peer);
  void forget(SRTSOCKET socket);
  void look_after_admitted(Instant now);

  const SrtLibrary library;
  const SrtSettings settings;
  media::PublisherGate& gate;
  const Clock& clock;
  Refusals refusals;
  std::uint16_t port = 0;
  int epoll = -1;  // the listening socket, nothing else

  std::atomic<bool> stopping{false};
  std::atomic<int> connected{0};  // written by "ingest-srt", read in handshakes

  std::mutex admitted_mutex;
  std::vector<Admitted> admitted;  // guarded by it; at most kAdmittedMax

  KernelDrops kernel_drops;  // "ingest-srt" only, as all below
  SrtPublishers publishers;
  SteadyTime look_at{};

  SrtSocket listener;  // closed first: it calls back into all above
  std::jthread thread;
};

int SrtListener::Impl::on_handshake(void* opaque, SRTSOCKET socket, int /*version*/,
                                    const sockaddr* peer, const char* stream_id) {
  auto& self = *static_cast<Impl*>(opaque);
  const std::string remote = text_of(peer);
  const std::string_view text = stream_id == nullptr ? "" : stream_id;
  const std::optional<Refused> refused = self.admit(socket, remote, text);
  if (!refused) return 0;
  srt_setrejectreason(socket, refused->reject.code);
  self.refusals.tell(refused->reject.reason, refused->why, remote, text, self.clock.now());
  return -1;
}

std::optional<SrtListener::Impl::Refused> SrtListener::Impl::admit(SRTSOCKET socket,
                                                                   const std::string& remote,
                                                                   std::string_view stream_id) {
  if (stopping) return Refused{{RefusalReason::kShuttingDown, SRT_REJX_DOWN}, "shutting down"};
  auto id = parse_stream_id(stream_id);
  if (!id) return Refused{reject_code(id.error().kind), std::move(id.error().why)};
  if (connected >= settings.publishers_max) {
    return Refused{{RefusalReason::kOverload, SRT_REJX_OVERLOAD},
                   "as many publishers are connected as srt.max_publishers allows"};
  }
  const media::PublishRequest request{id->key, "srt", remote, id->user, id->token};
  if (auto refusal = gate.admit(request)) {
    return Refused{reject_code(refusal->reason), std::move(refusal->message)};
  }
  return prepare(socket, remote, stream_id, id->key);
}

// The socket takes what its stream asks for; libsrt then compares the passphrase, and refuses by
// itself who has another one or none.
std::optional<SrtListener::Impl::Refused> SrtListener::Impl::prepare(SRTSOCKET socket,
                                                                     const std::string& remote,
                                                                     std::string_view stream_id,
                                                                     const media::StreamKey& key) {
  static const SrtRule kNone;
  const auto found = settings.rules.find(key.text());
  const SrtRule& rule = found == settings.rules.end() ? kNone : found->second;
  const std::string& passphrase = rule.passphrase.empty() ? settings.passphrase : rule.passphrase;
  const bool ok =
      (passphrase.empty() || set_passphrase(socket, passphrase)) &&
      (rule.latency.count() == 0 || set_latency(socket, rule.latency, settings.bitrate_bps_max));
  if (!ok) {
    return Refused{{RefusalReason::kHandshake, SRT_REJX_ISE},
                   "libsrt would not take the settings of the stream"};
  }
  const std::lock_guard lock(admitted_mutex);
  if (admitted.size() < kAdmittedMax) {
    admitted.push_back(
        {socket, clock.now().steady, remote, std::string(stream_id), !passphrase.empty()});
  }
  return std::nullopt;
}

void SrtListener::Impl::run() {
  name_this_thread("ingest-srt");
  std::array<SRT_EPOLL_EVENT, 1> events{};
  while (!stopping) {
    const SteadyTime next = std::chrono::steady_clock::now() + SrtPublishers::kTurn;
    if (publishers.empty()) {
      srt_epoll_uwait(epoll, events.data(), 1, kIdleWait.count());
    }
    accept_all();
    const bool more_waits = publishers.turn();
    connected = static_cast<int>(publishers.size());
    if (const Instant now = clock.now(); now.steady >= look_at) {
      look_at = now.steady + kLookInterval;
      look_after_admitted(now);
      kernel_drops.look();
    }
    if (!more_waits && !publishers.empty()) std::this_thread::sleep_until(next);
  }
  publishers.hang_up_all("shutting down");
}

void SrtListener::Impl::accept_all() {
  for (int i = 0; i < kBacklog; ++i) {
    sockaddr_storage peer{};
    int size = sizeof peer;
    auto* address = reinterpret_cast<sockaddr*>(&peer);
    SrtSocket socket(srt_accept(listener.id(), address, &size));
    if (socket.id() == SRT_INVALID_SOCK) return;
    accept(std::move(socket), address);
  }
}

// The handshake is over, so a refusal here can only hang up: it comes when two callers with one
// key, or more callers than there is room for, were let through at the same time.
void SrtListener::Impl::accept(SrtSocket socket, const sockaddr* peer) {
  forget(socket.id());
  const std::string remote = text_of(peer);
  const std::string stream_id = socket.get_text(SRTO_STREAMID);
  const auto refuse = [&](RefusalReason reason, std::string_view why) {
    refusals.tell(reason, why, remote, stream_id, clock.now());
  };
  auto id = parse_stream_id(stream_id);
  if (!id) return refuse(RefusalReason::kBadStreamId, id.error().why);
  if (std::ssize(publishers) >= settings.publishers_max) {
    return refuse(RefusalReason::kOverload, "too many publishers");
  }
  media::PublishRequest request{std::move(id->key), "srt", remote, std::move(id->user),
                                std::move(id->token)};
  auto publication = gate.open(request);
  if (!publication) {
    return refuse(reject_code(publication.error().reason).reason, publication.error().message);
  }
  publishers.add(std::move(socket), std::move(request), *std::move(publication));
  connected = static_cast<int>(publishers.size());
}

void SrtListener::Impl::forget(SRTSOCKET socket) {
  const std::lock_guard lock(admitted_mutex);
  std::erase_if(admitted, [&](const Admitted& caller) { return caller.socket == socket; });
}

// Who was let pass and is neither connected nor on the way any more was refused by libsrt.
void SrtListener::Impl::look_after_admitted(Instant now) {
  std::vector<Admitted> refused;
  {
    const std::lock_guard lock(admitted_mutex);
    std::erase_if(admitted, [&](Admitted& caller) {
      if (now.steady - caller.at < kHandshakeWithin) return false;
      const SRT_SOCKSTATUS state = srt_getsockstate(caller.socket);
      if (state < SRTS_BROKEN && now.steady - caller.at < kAdmittedFor) return false;
      if (state >= SRTS_BROKEN) refused.push_back(std::move(caller));
      return true;
    });
  }
  for (const Admitted& caller : refused) {
    refusals.tell(RefusalReason::kHandshake,
                  caller.encrypted
                      ? "the passphrase is missing or wrong"
                      : "encrypted, while the stream has no passphrase, or not in live mode",
                  caller.remote, caller.stream_id, now);
  }
}

SrtListener::SrtListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SrtListener::~SrtListener() {
  stop();
  if (impl_->epoll >= 0) srt_epoll_release(impl_->epoll);
}

Result<std::unique_ptr<SrtListener>> SrtListener::create(SrtSettings settings,
                                                         media::PublisherGate& gate, const Log& log,
                                                         Metrics& metrics, const Clock& clock) {
  const int wanted = settings.udp_receive_buffer_bytes;
  const std::string where = fmt::format("SRT listener {}:{}", settings.address, settings.port);
  if (Status status = check(settings); !status) {
    return std::unexpected(std::move(status.error()).within(where));
  }
  auto impl = std::make_unique<Impl>(std::move(settings), gate, log, metrics, clock);
  Result<Listening> listening = listen_on(impl->settings, &Impl::on_handshake, impl.get());
  if (!listening) return std::unexpected(std::move(listening.error()).within(where));
  impl->listener = std::move(listening->socket);

  sockaddr_storage bound{};
  int size = sizeof bound;
  srt_getsockname(impl->listener.id(), reinterpret_cast<sockaddr*>(&bound), &size);
  // The port stands at the same place in both families' addresses.
  impl->port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);

  const int interest = SRT_EPOLL_IN | SRT_EPOLL_ERR;
  impl->epoll = srt_epoll_create();
  srt_epoll_add_usock(impl->epoll, impl->listener.id(), &interest);
  if (const int granted = listening->buffer_bytes; granted < wanted) {
    log.warning("ingest",
                "the kernel limits the UDP receive buffer; many feeds at once may lose packets",
                {{"granted_bytes", granted},
                 {"wanted_bytes", wanted},
                 {"remedy", fmt::format("sysctl -w net.core.rmem_max={}", wanted)}});
  }
  Impl* self = impl.get();
  impl->thread = std::jthread([self] { self->run(); });
  return std::unique_ptr<SrtListener>(new SrtListener(std::move(impl)));
}

std::uint16_t SrtListener::port() const { return impl_->port; }

std::vector<media::TurnedAway> SrtListener::turned_away() const { return impl_->refusals.recent(); }

void SrtListener::stop() {
  impl_->stopping = true;
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->listener = SrtSocket();  // libsrt frees the port some seconds later
}

}  // namespace mirror::ingest
