#include "ingest/srt_caller.h"

#include <srt/access_control.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <variant>

#include "base/snapshot.h"
#include "base/thread_name.h"
#include "ingest/srt_options.h"
#include "ingest/srt_publishers.h"
#include "ingest/srt_redial.h"
#include "ingest/srt_socket.h"
#include "ingest/srt_url.h"

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = media::FeedState::State;
using Statuses = std::vector<media::FeedState>;

constexpr seconds kLookupWithin{10};
constexpr milliseconds kLookupAgain{200};
constexpr seconds kDialWithin{5};
// While somebody is looked up or dialled and nobody is live; and while all wait.
constexpr milliseconds kWatchfulTurn{10};
constexpr seconds kIdleTurn{1};

// What a source is at. Each has the instant at which it is to go on without more ado.
struct Waiting {
  SteadyTime until;
};
struct LookingUp {
  std::unique_ptr<Lookup> lookup;
  SteadyTime give_up;
};
struct Dialing {
  SrtSocket socket;
  media::PublishRequest request;
  SteadyTime give_up;
};
struct Connected {
  SRTSOCKET socket;
};
using Phase = std::variant<Waiting, LookingUp, Dialing, Connected>;

struct Source {
  Source(SrtSource s, SrtUrl u, std::uint64_t seed)
      : settings(std::move(s)), url(std::move(u)), redial(seed) {}

  SrtSource settings;
  SrtUrl url;
  Redial redial;
  Phase phase = Waiting{};
  bool was_live = false;
  media::FeedState status{};
};

enum class Failure { kUnreachable, kRefused };

Result<std::vector<Source>> sources_of(std::vector<SrtSource> settings) {
  if (settings.size() > SrtCaller::kSourcesMax) {
    return fail("more than {} sources", SrtCaller::kSourcesMax);
  }
  std::random_device entropy;
  std::vector<Source> sources;
  std::set<std::string> seen;
  for (SrtSource& each : settings) {
    const std::string where = fmt::format("source {}", each.stream.text());
    if (!seen.insert(each.stream.text()).second) return fail("{}: it is named twice", where);
    Result<SrtUrl> url = parse_srt_url(each.url);
    if (!url) return std::unexpected(std::move(url.error()).within(where));
    if (!each.passphrase.empty()) {
      if (Status status = check_passphrase(each.passphrase); !status) {
        return std::unexpected(std::move(status.error()).within(where));
      }
    }
    if (!each.stream_id.empty()) url->stream_id = each.stream_id;
    sources.emplace_back(std::move(each), *std::move(url), entropy());
  }
  return sources;
}

}  // namespace

struct SrtCaller::Impl {
  Impl(SrtCallerSettings s, std::vector<Source> all, media::PublisherGate& g, const Log& l,
       Metrics& m, const Clock& c, Lookup::Resolve r)
      : settings(std::move(s)),
        gate(g),
        log(l),
        clock(c),
        resolve(std::move(r)),
        dials(m.counter("mirror_srt_dials_total", "Times that a source was dialled")),
        failures(m.counter("mirror_srt_dial_failures_total",
                           "Dials of sources that did not end in a publication")),
        sources(std::move(all)),
        publishers(l, m, c, [this](SRTSOCKET id, std::string_view why) { on_gone(id, why); }) {}

  void run(const std::stop_token& stop);
  SteadyTime wake_at(Instant now) const;

  void step(Source& source, Instant now);
  void look_up(Source& source, Instant now);
  void take_addresses(Source& source, LookingUp& looking, Instant now);
  void dial(Source& source, const std::vector<Address>& addresses, Instant now);
  Result<SrtSocket> begin_call(const Source& source, const Address& address) const;
  void watch(Source& source, Dialing& dialing, Instant now);
  void connected(Source& source, Dialing dialing, Instant now);
  void on_gone(SRTSOCKET id, std::string_view why);
  void failed(Source& source, Failure failure, std::string why, Instant now);
  void become(Source& source, State state, std::string why, Instant now);
  void publish();

  const SrtLibrary library;
  const SrtCallerSettings settings;
  media::PublisherGate& gate;
  const Log& log;
  const Clock& clock;
  const Lookup::Resolve resolve;
  Counter& dials;
  Counter& failures;
  Snapshot<Statuses> snapshot;

  std::mutex sleep_mutex;
  std::condition_variable_any sleep;

  std::vector<Source> sources;  // "ingest-call" only, as all below
  SrtPublishers publishers;
  bool changed = false;

  std::jthread thread;
};

void SrtCaller::Impl::run(const std::stop_token& stop) {
  name_this_thread("ingest-call");
  while (!stop.stop_requested()) {
    const Instant now = clock.now();
    for (Source& source : sources) step(source, now);
    const bool more_waits = publishers.turn();
    if (changed) publish();
    if (more_waits) continue;
    std::unique_lock lock(sleep_mutex);
    sleep.wait_until(lock, stop, wake_at(now), [] { return false; });
  }
  publishers.hang_up_all("shutting down");
  for (Source& source : sources) source.phase = Waiting{};
}

SteadyTime SrtCaller::Impl::wake_at(Instant now) const {
  if (!publishers.empty()) return now.steady + SrtPublishers::kTurn;
  SteadyTime next = now.steady + kIdleTurn;
  for (const Source& source : sources) {
    if (const auto* waiting = std::get_if<Waiting>(&source.phase)) {
      next = std::min(next, waiting->until);
    } else {
      next = std::min(next, now.steady + kWatchfulTurn);
    }
  }
  return next;
}

void SrtCaller::Impl::step(Source& source, Instant now) {
  if (auto* waiting = std::get_if<Waiting>(&source.phase)) {
    if (now.steady >= waiting->until) look_up(source, now);
  } else if (auto* looking = std::get_if<LookingUp>(&source.phase)) {
    take_addresses(source, *looking, now);
  } else if (auto* dialing = std::get_if<Dialing>(&source.phase)) {
    watch(source, *dialing, now);
  }
}

void SrtCaller::Impl::look_up(Source& source, Instant now) {
  if (const auto numeric = numeric_address(source.url.host, source.url.port)) {
    return dial(source, {*numeric}, now);
  }
  auto lookup = Lookup::begin(source.url.host, source.url.port, resolve);
  if (!lookup) {  // too many are at work
    source.phase = Waiting{now.steady + kLookupAgain};
    return;
  }
  source.phase = LookingUp{std::move(lookup), now.steady + kLookupWithin};
}

void SrtCaller::Impl::take_addresses(Source& source, LookingUp& looking, Instant now) {
  const auto outcome = looking.lookup->take();
  if (!outcome) {
    if (now.steady < looking.give_up) return;
    return failed(source, Failure::kUnreachable, "looking up the name takes too long", now);
  }
  if (!*outcome) {
    return failed(source, Failure::kUnreachable,
                  fmt::format("the name cannot be looked up: {}", outcome->error().message), now);
  }
  dial(source, **outcome, now);
}

// What the name means now is what counts, so addresses are judged at each dial, and the one that
// was judged is the one that is dialled. Several are tried in turn, one a dial.
void SrtCaller::Impl::dial(Source& source, const std::vector<Address>& addresses, Instant now) {
  ++source.status.attempts;
  changed = true;
  dials.Increment();
  std::vector<Address> allowed;
  std::ranges::copy_if(addresses, std::back_inserter(allowed), [&](const Address& address) {
    const Reach reach = reach_of(address);
    return reach == Reach::kPublic || (reach == Reach::kPrivate && settings.private_addresses);
  });
  if (allowed.empty()) {
    return failed(
        source, Failure::kRefused,
        "the address is private or nobody's; srt.call_private_addresses allows private ones", now);
  }
  const Address& address = allowed[(source.status.attempts - 1) % allowed.size()];
  media::PublishRequest request{source.settings.stream, "srt", text_of(address.get())};
  request.configured = true;
  if (const auto refusal = gate.admit(request)) {
    return failed(source, Failure::kRefused, refusal->message, now);
  }
  Result<SrtSocket> socket = begin_call(source, address);
  if (!socket) return failed(source, Failure::kUnreachable, socket.error().message, now);
  source.phase = Dialing{*std::move(socket), std::move(request), now.steady + 2 * kDialWithin};
}

Result<SrtSocket> SrtCaller::Impl::begin_call(const Source& source, const Address& address) const {
  const SrtSource& wanted = source.settings;
  SrtSocket socket(srt_create_socket());
  const SrtTransport transport{
      .latency = wanted.latency.count() > 0 ? wanted.latency : settings.latency,
      .passphrase = wanted.passphrase,
      .peer_idle_timeout = settings.peer_idle_timeout,
      .bitrate_bps_max = settings.bitrate_bps_max,
      .udp_receive_buffer_bytes = settings.udp_receive_buffer_bytes};
  if (Status status = set_transport(socket, transport); !status) {
    return std::unexpected(std::move(status.error()));
  }
  const bool ok =
      socket.set(SRTO_CONNTIMEO, static_cast<int>(milliseconds(kDialWithin).count())) &&
      (source.url.stream_id.empty() || socket.set(SRTO_STREAMID, source.url.stream_id)) &&
      (wanted.passphrase.empty() || set_passphrase(socket.id(), wanted.passphrase));
  // Without SRTO_RCVSYN this only begins; the handshake is libsrt's.
  if (!ok || srt_connect(socket.id(), address.get(), static_cast<int>(address.size)) == SRT_ERROR) {
    return fail("{}", srt_getlasterror_str());
  }
  return socket;
}

void SrtCaller::Impl::watch(Source& source, Dialing& dialing, Instant now) {
  const SRT_SOCKSTATUS state = srt_getsockstate(dialing.socket.id());
  if (state == SRTS_CONNECTED) return connected(source, std::move(dialing), now);
  if (state < SRTS_BROKEN && now.steady < dialing.give_up) return;
  const int code = srt_getrejectreason(dialing.socket.id());
  if (code == SRT_REJ_TIMEOUT || code == SRT_REJ_UNKNOWN || state < SRTS_BROKEN) {
    return failed(source, Failure::kUnreachable, "no answer", now);
  }
  failed(source, Failure::kRefused, fmt::format("the far end says: {}", reject_text(code)), now);
}

void SrtCaller::Impl::connected(Source& source, Dialing dialing, Instant now) {
  auto publication = gate.open(dialing.request);
  if (!publication) {
    return failed(source, Failure::kRefused, publication.error().message, now);
  }
  source.phase = Connected{dialing.socket.id()};
  source.redial.connected(now.steady);
  source.was_live = true;
  become(source, State::kLive, "", now);
  publishers.add(std::move(dialing.socket), std::move(dialing.request), *std::move(publication));
}

void SrtCaller::Impl::on_gone(SRTSOCKET id, std::string_view why) {
  const Instant now = clock.now();
  for (Source& source : sources) {
    const auto* live = std::get_if<Connected>(&source.phase);
    if (live == nullptr || live->socket != id) continue;
    // Who has another publisher's stream back at once would only take turns with it.
    const bool displaced = why != SrtPublishers::kEnded;
    source.phase = Waiting{displaced ? source.redial.next_after_refusal(now.steady)
                                     : source.redial.next(now.steady)};
    return become(source, displaced ? State::kRefused : State::kReconnecting, std::string(why),
                  now);
  }
}

void SrtCaller::Impl::failed(Source& source, Failure failure, std::string why, Instant now) {
  failures.Increment();
  const bool refused = failure == Failure::kRefused;
  source.phase = Waiting{refused ? source.redial.next_after_refusal(now.steady)
                                 : source.redial.next(now.steady)};
  const bool news = why != source.status.why;
  const State state = refused           ? State::kRefused
                      : source.was_live ? State::kReconnecting
                                        : State::kConnecting;
  if (news) {
    log.warning("ingest", "source not reached",
                {{"stream", source.settings.stream.text()},
                 {"url", source.status.endpoint},
                 {"why", why},
                 {"dials", source.status.attempts}});
  }
  become(source, state, std::move(why), now);
}

void SrtCaller::Impl::become(Source& source, State state, std::string why, Instant now) {
  if (state != source.status.state) source.status.since = now.wall;
  source.status.state = state;
  source.status.why = std::move(why);
  changed = true;
}

void SrtCaller::Impl::publish() {
  auto statuses = std::make_shared<Statuses>();
  statuses->reserve(sources.size());
  for (const Source& source : sources) statuses->push_back(source.status);
  snapshot.publish(std::move(statuses));
  changed = false;
}

SrtCaller::SrtCaller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SrtCaller::~SrtCaller() { stop(); }

Result<std::unique_ptr<SrtCaller>> SrtCaller::create(SrtCallerSettings settings,
                                                     media::PublisherGate& gate, const Log& log,
                                                     Metrics& metrics, const Clock& clock,
                                                     Lookup::Resolve resolve) {
  Result<std::vector<Source>> sources = sources_of(std::move(settings.sources));
  if (!sources) return std::unexpected(std::move(sources.error()));
  const Instant now = clock.now();
  for (Source& source : *sources) {
    source.status.stream = source.settings.stream.text();
    source.status.kind = "srt";
    // What follows may be a stream id, and a stream id may hold a token.
    source.status.endpoint = source.settings.url.substr(0, source.settings.url.find('?'));
    source.status.since = now.wall;
  }
  auto impl = std::make_unique<Impl>(std::move(settings), *std::move(sources), gate, log, metrics,
                                     clock, std::move(resolve));
  impl->publish();
  Impl* self = impl.get();
  impl->thread = std::jthread([self](const std::stop_token& stop) { self->run(stop); });
  return std::unique_ptr<SrtCaller>(new SrtCaller(std::move(impl)));
}

std::vector<media::FeedState> SrtCaller::feeds() const { return *impl_->snapshot.read(); }

void SrtCaller::stop() {
  impl_->thread.request_stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace mirror::ingest
