#include "api/push_routes.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "api/push_doors.h"
#include "api/push_response.h"
#include "api/push_webtransport.h"

namespace mirror::api {
namespace {

constexpr std::size_t kErrandsMax = 256;
// Another loop answers within a turn, unless it drowns.
constexpr auto kErrandMax = std::chrono::seconds(3);
constexpr std::string_view kControlAllowed = "POST, OPTIONS";
constexpr std::size_t kSecretBytes = 16;

push::StreamState state_of(stream::State state) {
  switch (state) {
    case stream::State::kConnecting:
    case stream::State::kLive:
      return push::StreamState::kLive;
    case stream::State::kReconnecting:
    case stream::State::kFailed:
      return push::StreamState::kReconnecting;
    case stream::State::kEnded:
      break;
  }
  return push::StreamState::kEnded;
}

// "3-8f0e…": the number of the loop that the session lives on.
std::optional<std::size_t> door_of(std::string_view session) {
  std::size_t door = 0;
  const auto [end, error] = std::from_chars(session.data(), session.data() + session.size(), door);
  const bool whole = error == std::errc() && end != session.data() + session.size() && *end == '-';
  return whole ? std::optional(door) : std::nullopt;
}

// Brings a counter up to a total.
void follow(Counter& counter, std::uint64_t& last, std::uint64_t total) {
  counter.Increment(static_cast<double>(total - last));
  last = total;
}

}  // namespace

// The registry as push sees it.
class PushRoutes::StreamCatalogue final : public push::Catalogue {
 public:
  explicit StreamCatalogue(const stream::Registry& registry) : registry_(registry) {}

  std::optional<Entry> find(std::string_view key) const override {
    const auto stream = registry_.find(key);
    if (!stream) return std::nullopt;
    auto presentation = stream->presentation();
    const auto state =
        presentation ? state_of(stream->status()->state) : push::StreamState::kAbsent;
    return Entry{std::move(presentation), state};
  }

  void count_glass_to_glass(std::string_view key, std::chrono::microseconds delay) override {
    if (const auto stream = registry_.find(key)) stream->audience().count_glass_to_glass(delay);
  }

 private:
  const stream::Registry& registry_;
};

class PushRoutes::Errand final : public http::Exchange::Attachment {
 public:
  Errand(PushRoutes& owner, std::uint64_t number, http::Exchange& waiting, http::Headers fields,
         SteadyTime give_up)
      : exchange(waiting),
        headers(std::move(fields)),
        deadline(give_up),
        owner_(&owner),
        number_(number) {
    owner.errands_[number] = this;
  }
  ~Errand() override {
    if (owner_ != nullptr) owner_->errands_.erase(number_);
  }
  void forget_owner() { owner_ = nullptr; }

  http::Exchange& exchange;
  const http::Headers headers;
  const SteadyTime deadline;
  bool answered = false;

 private:
  PushRoutes* owner_;  // null when that went first
  const std::uint64_t number_;
};

struct PushRoutes::PushMetrics {
  PushMetrics(Metrics& metrics, const Metrics::Labels& loop)
      : sessions(metrics.gauge("mirror_push_sessions", "Push sessions.", loop)),
        subscriptions(metrics.gauge("mirror_push_subscriptions",
                                    "Subscriptions of all push sessions.", loop)),
        feeds(metrics.gauge("mirror_push_feeds", "Renditions that push sessions subscribe to.",
                            loop)),
        queue_age(metrics.gauge("mirror_push_queue_age_seconds",
                                "How long what has waited longest for a viewer has.", loop)),
        opened(metrics.counter("mirror_push_sessions_opened_total", "Push sessions begun.", loop)),
        frames(metrics.counter("mirror_push_frames_total", "Frames sent, of all kinds.", loop)),
        media(metrics.counter("mirror_push_media_frames_total", "Parts and chunks sent.", loop)),
        bytes(metrics.counter("mirror_push_bytes_total", "Bytes of frames sent.", loop)),
        control(
            metrics.counter("mirror_push_control_messages_total", "Control messages taken.", loop)),
        refused(metrics.counter("mirror_push_control_refused_total",
                                "Control messages that had no effect.", loop)),
        limited(metrics.counter("mirror_push_control_limited_total",
                                "Control messages that came too often.", loop)),
        reports(metrics.counter("mirror_push_reports_total",
                                "Reports of glass-to-glass that were taken.", loop)),
        reports_refused(metrics.counter("mirror_push_reports_refused_total",
                                        "Reports of glass-to-glass that make no sense.", loop)),
        waited(metrics.histogram(
            "mirror_push_wait_seconds", "How long parts and chunks waited for their viewer.", loop,
            {push::WaitTotals::kBoundsSeconds.begin(), push::WaitTotals::kBoundsSeconds.end()})) {
    constexpr std::array<const char*, 4> kReasons = {nullptr, "bytes", "age", "overtaken"};
    for (std::size_t i = 1; i < kReasons.size(); ++i) {
      Metrics::Labels labels = loop;
      labels["reason"] = kReasons[i];
      dropped[i] = &metrics.counter("mirror_push_dropped_parts_total",
                                    "Parts that viewers who lag did not get.", labels);
    }
  }

  void update(push::Hub& hub) {
    sessions.Set(static_cast<double>(hub.sessions()));
    subscriptions.Set(static_cast<double>(hub.subscriptions()));
    feeds.Set(static_cast<double>(hub.feeds()));
    queue_age.Set(std::chrono::duration<double>(hub.queue_age_max()).count());
    const push::Totals& now = hub.totals();
    follow(opened, last.sessions, now.sessions);
    follow(frames, last.frames, now.frames);
    follow(media, last.media_frames, now.media_frames);
    follow(bytes, last.bytes, now.bytes);
    follow(control, last.control, now.control);
    follow(refused, last.control_refused, now.control_refused);
    follow(limited, last.control_limited, now.control_limited);
    follow(reports, last.reports, now.reports);
    follow(reports_refused, last.reports_refused, now.reports_refused);
    for (std::size_t i = 1; i < dropped.size(); ++i) {
      follow(*dropped[i], last.dropped[i], now.dropped[i]);
    }
    std::vector<double> more(now.waited.counts.size());
    for (std::size_t i = 0; i < now.waited.counts.size(); ++i) {
      more[i] = static_cast<double>(now.waited.counts[i] - last.waited.counts[i]);
    }
    waited.ObserveMultiple(more, now.waited.seconds - last.waited.seconds);
    last.waited = now.waited;
  }

  Gauge& sessions;
  Gauge& subscriptions;
  Gauge& feeds;
  Gauge& queue_age;
  Counter& opened;
  Counter& frames;
  Counter& media;
  Counter& bytes;
  Counter& control;
  Counter& refused;
  Counter& limited;
  Counter& reports;
  Counter& reports_refused;
  Histogram& waited;
  std::array<Counter*, 4> dropped{};
  push::Totals last;
};

PushRoutes::PushRoutes(const push::HubSettings& settings, const ApiEnvironment& environment,
                       const Cors& cors, net::EventLoop& loop)
    : environment_(environment),
      cors_(cors),
      loop_(loop),
      door_(environment.push_doors.add(
          loop,
          [this](const std::string& session, const std::vector<push::ControlMessage>& messages) {
            const auto result = hub_->control(session, messages, now());
            loop_.wake();
            return result;
          })),
      catalogue_(std::make_unique<StreamCatalogue>(environment.registry)),
      hub_(std::make_shared<push::Hub>(settings, *catalogue_)),
      metrics_(std::make_unique<PushMetrics>(
          environment.metrics, Metrics::Labels{{"loop", fmt::format("{}", door_)}})) {}

PushRoutes::~PushRoutes() {
  // The exchanges may outlive us (the server closes them later); they must not call back.
  for (const auto& [number, errand] : errands_) errand->forget_owner();
}

Instant PushRoutes::now() const { return {loop_.now(), environment_.clock.now().wall}; }

// 128 bits that nobody can guess, behind the number of the loop. Empty: the system has none.
std::string PushRoutes::new_session_id() const {
  std::array<unsigned char, kSecretBytes> secret{};
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()))
    return {};
  std::string id = fmt::format("{}-", door_);
  for (const unsigned char byte : secret) id += fmt::format("{:02x}", byte);
  return id;
}

void PushRoutes::refuse(const http::Request& request, http::Exchange& exchange, int status,
                        std::string_view why) const {
  auto response = http::Response::text(status, fmt::format("{}\n", why));
  cors_.allow(request, response.headers);
  if (status == 503 || status == 429) response.headers.push_back({"retry-after", "1"});
  if (status == 405) response.headers.push_back({"allow", std::string(kControlAllowed)});
  exchange.respond(std::move(response));
}

void PushRoutes::open(const http::Request& request, http::Exchange& exchange) {
  const auto subscriptions = push::parse_subscribe_query(request.query);
  if (!subscriptions) return refuse(request, exchange, 400, subscriptions.error().message);
  if (hub_->full() || environment_.draining.load(std::memory_order_acquire)) {
    return refuse(request, exchange, 503, "no further push session can be had here");
  }
  std::string id = new_session_id();
  if (id.empty()) return refuse(request, exchange, 503, "the system has no random numbers");
  if (http::WebTransportSession* transport = exchange.webtransport()) {
    return accept(*transport, std::move(id), *subscriptions);
  }
  http::Headers headers = {{"content-type", std::string(push::kContentType)},
                           {"cache-control", "no-store"},
                           {"x-content-type-options", "nosniff"},
                           {"x-accel-buffering", "no"}};  // nginx would wait for more
  cors_.allow(request, headers);
  if (request.method == http::Method::kHead) {
    return exchange.respond({.headers = std::move(headers)});
  }
  exchange.start(200, std::move(headers));
  auto carrier = std::make_unique<ResponseCarrier>(exchange, hub_, [this] { return now(); });
  carrier->set_session(hub_->open(std::move(id), *carrier, *subscriptions, now()));
  exchange.attach(std::move(carrier));
  loop_.wake();  // the first frames go out with this turn
}

void PushRoutes::accept(http::WebTransportSession& transport, std::string id,
                        const std::vector<push::Subscribe>& subscriptions) {
  auto carrier = std::make_unique<WebTransportCarrier>(
      transport, hub_, [this] { return now(); },
      [this](push::Session& session, std::string_view lines) {
        return control_line(session, lines);
      });
  WebTransportCarrier& made = *carrier;
  transport.accept(std::move(carrier));
  made.set_session(hub_->open(std::move(id), made, subscriptions, now()));
  loop_.wake();
}

// What a POST would be answered, as one line.
std::string PushRoutes::control_line(push::Session& session, std::string_view lines) {
  const auto error = [](std::string_view why) {
    return nlohmann::json{{"error", why}}.dump() + "\n";
  };
  const auto messages = push::parse_control(lines);
  if (!messages) return error(messages.error().message);
  const auto result = hub_->control(session.id(), *messages, now());
  loop_.wake();
  return result == push::Hub::Answer::kDone ? clock_line()
                                            : error("control messages come too often");
}

std::string PushRoutes::clock_line() const {
  return fmt::format("{{\"now_us\": {}}}\n",
                     environment_.clock.now().wall.time_since_epoch().count());
}

void PushRoutes::control(std::string_view session, const http::Request& request,
                         http::Exchange& exchange) {
  if (request.method == http::Method::kOptions) {
    return exchange.respond(cors_.preflight(request, kControlAllowed));
  }
  if (request.method != http::Method::kPost) {
    return refuse(request, exchange, 405, "a push session is changed with POST");
  }
  auto messages = push::parse_control(request.body);
  if (!messages) return refuse(request, exchange, 400, messages.error().message);
  const auto door = door_of(session);
  if (!door || *door >= environment_.push_doors.size()) {
    return refuse(request, exchange, 404, "no such push session");
  }
  http::Headers headers;
  cors_.allow(request, headers);
  if (*door == door_) {
    const auto result = hub_->control(session, *messages, now());
    loop_.wake();
    return answer(result, headers, exchange);
  }
  if (errands_.size() >= kErrandsMax) return refuse(request, exchange, 503, "too much is asked");
  const std::uint64_t number = ++last_errand_;
  const bool sent = environment_.push_doors.knock(
      *door, std::string(session), std::move(*messages), loop_,
      [this, number](push::Hub::Answer result) {
        const auto errand = errands_.find(number);
        if (errand == errands_.end()) return;  // who asked has left
        if (std::exchange(errand->second->answered, true)) return;
        answer(result, errand->second->headers, errand->second->exchange);
      });
  if (!sent) return refuse(request, exchange, 503, "too much is asked");
  exchange.attach(std::make_unique<Errand>(*this, number, exchange, std::move(headers),
                                           loop_.now() + kErrandMax));
}

// The body tells the server's clock, so that a player can measure its own against it.
void PushRoutes::answer(push::Hub::Answer answer, const http::Headers& headers,
                        http::Exchange& exchange) const {
  http::Response response;
  switch (answer) {
    case push::Hub::Answer::kDone:
      response.status = 202;
      response.headers = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
      response.body = {Bytes::take(clock_line())};
      break;
    case push::Hub::Answer::kNoSuchSession:
      response = http::Response::text(404, "no such push session\n");
      break;
    case push::Hub::Answer::kTooOften:
      response = http::Response::text(429, "control messages come too often\n");
      response.headers.push_back({"retry-after", "1"});
      break;
  }
  response.headers.insert(response.headers.end(), headers.begin(), headers.end());
  exchange.respond(std::move(response));
}

void PushRoutes::on_wake() {
  if (hub_->turn(now())) loop_.wake();
}

void PushRoutes::on_tick() {
  if (environment_.draining.load(std::memory_order_acquire)) hub_->drain();
  hub_->tick(now());
  if (hub_->turn(now())) loop_.wake();
  metrics_->update(*hub_);
  give_up_errands();
  count_viewers();
}

// Each answer takes its errand off the list, but not from within.
void PushRoutes::give_up_errands() {
  for (const auto& [number, errand] : errands_) {
    if (errand->deadline > loop_.now() || std::exchange(errand->answered, true)) continue;
    auto response = http::Response::text(503, "the session's loop does not answer\n");
    response.headers.insert(response.headers.end(), errand->headers.begin(), errand->headers.end());
    errand->exchange.respond(std::move(response));
  }
}

// Tells each stream by how many its pushed viewers of this loop have changed.
void PushRoutes::count_viewers() {
  for (const auto& [key, viewers] : hub_->viewers()) {
    if (viewers > 0) counted_.try_emplace(key);
  }
  for (auto it = counted_.begin(); it != counted_.end();) {
    auto& [key, counted] = *it;
    const auto stream = environment_.registry.find(key);
    if (counted.stream.lock() != stream) counted = {stream, 0};
    const auto found = hub_->viewers().find(key);
    const std::int64_t viewers = found == hub_->viewers().end() ? 0 : found->second;
    if (stream) stream->audience().add_pushed(viewers - counted.viewers);
    counted.viewers = viewers;
    it = viewers == 0 ? counted_.erase(it) : std::next(it);
  }
}

}  // namespace mirror::api
