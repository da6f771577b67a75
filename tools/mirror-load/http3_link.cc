#include "http3_link.h"

#include <algorithm>
#include <utility>

#include "quic/udp_socket.h"

namespace mirror::load {

namespace {

// As large as browsers make them; of streams, a second of a large wall's parts.
constexpr std::uint64_t kStreamWindow = 6 * 1024 * 1024;
constexpr std::uint64_t kConnectionWindow = 15 * 1024 * 1024;
constexpr std::uint64_t kPushedStreams = 1000;
constexpr std::size_t kDatagramBytes = 1200;
constexpr std::uint64_t kNoError = 0x100;  // H3_NO_ERROR (RFC 9114, 8.1)
constexpr std::string_view kLeaving = "the viewer leaves";

// Streams of parts may overtake the answer to the CONNECT that they belong to.
constexpr std::size_t kHeldStreams = 256;
constexpr std::size_t kHeldBytes = 4 * 1024 * 1024;

quic::Limits limits_for(std::size_t connections) {
  quic::Limits limits;
  limits.connections_max = connections;
  limits.handshakes_max = connections;
  limits.stream_window_bytes = kStreamWindow;
  limits.connection_window_bytes = kConnectionWindow;
  limits.unidirectional_streams_max = kPushedStreams;
  limits.datagram_bytes_max = kDatagramBytes;
  return limits;
}

http::Limits http_limits() {
  http::Limits limits;
  limits.webtransport_sessions_max = 1;
  limits.webtransport_held_streams_max = kHeldStreams;
  limits.webtransport_held_bytes_max = kHeldBytes;
  return limits;
}

}  // namespace

QuicDoor::QuicDoor(net::EventLoop& loop, const quic::Limits& limits)
    // The secret keys what only servers hand out.
    : endpoint_(loop, limits, quic::Secret{}, 0, metrics_, "load") {}

Result<std::unique_ptr<QuicDoor>> QuicDoor::create(net::EventLoop& loop,
                                                   const Destination& destination,
                                                   std::size_t connections) {
  // Those that were closed stay for three round trips, and a new one may be there already.
  std::unique_ptr<QuicDoor> door(new QuicDoor(loop, limits_for(2 * connections)));
  for (const Endpoint& endpoint : destination.endpoints) {
    const auto remote = quic::Address::of(endpoint.get(), endpoint.size);
    for (std::size_t i = 0; i < connections; i += kConnectionsPerSocket) {
      auto socket = quic::UdpSocket::client(remote);
      if (!socket) return std::unexpected(std::move(socket.error()));
      if (auto status = door->endpoint_.add(std::move(*socket)); !status) {
        return std::unexpected(std::move(status.error()));
      }
    }
  }
  return door;
}

// A connection as the endpoint has it. Outlives its link when that lets go of it.
class Http3Link::Connection final : public quic::Application, private http::Http3Client::Events {
 public:
  explicit Connection(Http3Link& link) : link_(&link) {}
  ~Connection() override {
    if (link_ != nullptr) link_->connection_ = nullptr;
  }

  void bind(quic::Transport& transport) {
    transport_ = &transport;
    http::Http3Client::Events& events = *this;
    client_.emplace(transport, http_limits(), events);
  }
  http::Http3Client& client() { return *client_; }
  // The link hears no more of it.
  void leave() {
    link_ = nullptr;
    if (transport_ != nullptr) transport_->close(kNoError, kLeaving);
  }

 private:
  // quic::Application
  void on_open() override {
    client_->on_open();
    if (link_ == nullptr) return;
    link_->open_ = true;
    ++link_->workplace_.stats->connections;
    link_->user_.on_open();
    tell_settings();
  }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
    client_->on_stream_data(stream, bytes, fin);
    tell_settings();
    client_->pump();
  }
  void on_stream_reset(StreamId stream, std::uint64_t error) override {
    client_->on_stream_reset(stream, error);
  }
  void on_stop_sending(StreamId stream, std::uint64_t error) override {
    client_->on_stop_sending(stream, error);
  }
  void on_writable(StreamId stream) override { client_->on_writable(stream); }
  void on_stream_closed(StreamId stream) override {
    client_->on_stream_closed(stream);
    client_->pump();
  }
  void on_streams_available() override {
    client_->on_streams_available();
    if (link_ != nullptr) link_->user_.on_room();
  }
  void on_datagram(std::span<const std::uint8_t> bytes) override { client_->on_datagram(bytes); }
  // Of both: the transport tells, and then the client, whom that makes call this again.
  void on_closed(std::string_view reason) override {
    if (std::exchange(transport_, nullptr) == nullptr) return;
    client_->on_closed(reason);
    Http3Link* link = std::exchange(link_, nullptr);
    if (link == nullptr) return;
    link->connection_ = nullptr;
    link->end(link->open_ ? Fault::kClosed : Fault::kConnect, reason);
  }

  // http::Http3Client::Events
  void on_head(StreamId stream, int status, const http::Headers& headers) override {
    if (link_ != nullptr) link_->user_.on_head(stream, status, headers);
  }
  void on_body(StreamId stream, std::span<const std::uint8_t> bytes) override {
    if (link_ != nullptr) link_->user_.on_body(stream, bytes);
  }
  void on_end(StreamId stream) override {
    if (link_ != nullptr) link_->user_.on_end(stream);
  }
  void on_failed(StreamId stream, std::uint64_t error) override {
    if (link_ != nullptr) link_->user_.on_failed(stream, error);
  }
  void on_goaway(StreamId /*first_rejected*/) override {
    if (link_ != nullptr) link_->user_.on_goaway();
  }

  void tell_settings() {
    if (link_ == nullptr || !link_->open_ || !client_->settings_seen()) return;
    if (!std::exchange(settings_told_, true)) link_->user_.on_settings();
  }

  Http3Link* link_;
  quic::Transport* transport_ = nullptr;
  std::optional<http::Http3Client> client_;
  bool settings_told_ = false;
};

Http3Link::Http3Link(Workplace& workplace, User& user)
    : workplace_(workplace), user_(user), self_(std::make_shared<Http3Link*>(this)) {}

Http3Link::~Http3Link() {
  close();
  *self_ = nullptr;
}

void Http3Link::open() {
  close();
  auto status = try_open();
  if (status) return;
  // Not from within open(): whoever asked is not ready to be told.
  opening_ = true;
  workplace_.loop.defer([self = self_, why = std::move(status.error().message)] {
    if (*self != nullptr && std::exchange((*self)->opening_, false)) {
      (*self)->end(Fault::kConnect, why);
    }
  });
}

Status Http3Link::try_open() {
  const Destination& destination = workplace_.destination;
  const Endpoint& endpoint = destination.endpoints[attempts_++ % destination.endpoints.size()];
  std::shared_ptr<PathModel> path;
  if (!workplace_.path.is_perfect()) {
    // Each connection has its own luck, and the same in each run.
    path = std::make_shared<PathModel>(workplace_.path, ++workplace_.paths_made);
  }
  auto application = std::make_unique<Connection>(*this);
  Connection* connection = application.get();
  auto transport =
      workplace_.door->endpoint().connect(quic::Address::of(endpoint.get(), endpoint.size),
                                          {.name = destination.url.host,
                                           .tls = destination.quic_trust,
                                           .resumption = nullptr,
                                           .early_data = false,
                                           .impairment = std::move(path)},
                                          std::move(application));
  if (!transport) return std::unexpected(std::move(transport.error()));
  connection->bind(**transport);
  connection_ = connection;
  return {};
}

void Http3Link::close() {
  opening_ = false;
  open_ = false;
  if (Connection* connection = std::exchange(connection_, nullptr)) connection->leave();
}

void Http3Link::end(Fault fault, std::string_view why) {
  const std::string kept(why);
  close();
  user_.on_closed(fault, kept);
}

std::optional<Http3Link::StreamId> Http3Link::get(std::string_view target) {
  if (!open_) return std::nullopt;
  return connection_->client().request("GET", workplace_.destination.authority, target,
                                       {{"user-agent", "mirror-load"}, {"accept", "*/*"}});
}

std::optional<Http3Link::StreamId> Http3Link::connect(
    std::string_view target, std::unique_ptr<http::WebTransportSession::Observer> observer) {
  if (!open_) return std::nullopt;
  return connection_->client().connect(workplace_.destination.authority, target,
                                       std::move(observer));
}

bool Http3Link::offers_webtransport() const {
  return connection_ != nullptr && connection_->client().peer_settings().webtransport();
}

void Http3Link::cancel(StreamId stream) {
  if (connection_ != nullptr) connection_->client().cancel(stream);
}

}  // namespace mirror::load
