// HTTP/3 over real sockets: Server, quic::Server and our own client, on one loop.
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "http/http3_client.h"
#include "http/server.h"
#include "http/test_server.h"
#include "quic/server.h"

namespace mirror::http {
namespace {

using quic::StreamId;

struct PathHandler final : Handler {
  void handle(const Request& request, Exchange& exchange) override {
    exchange.respond(Response::text(200, request.path));
  }
};

// A connection of our client. Told once for each request: "200 /path", or what went wrong.
class Visit final : public quic::Application, private Http3Client::Events {
 public:
  using Told = std::shared_ptr<std::promise<std::string>>;

  std::function<void()> when_open;
  std::unique_ptr<Http3Client> client;
  Http3Client::Events& events() { return *this; }
  Told never_asked;  // told if the connection ends before it opens

  void ask(std::string_view method, std::string_view target, Told told) {
    const auto stream =
        closed_ ? std::nullopt : client->request(method, "localhost", target, {}, {});
    if (!stream) return told->set_value("no stream");
    asked_[*stream] = {std::move(told), {}};
  }

  // quic::Application
  void on_open() override {
    client->on_open();
    if (when_open) when_open();
  }
  void on_stream_data(StreamId id, std::span<const std::uint8_t> bytes, bool fin) override {
    client->on_stream_data(id, bytes, fin);
  }
  void on_stream_reset(StreamId id, std::uint64_t code) override {
    client->on_stream_reset(id, code);
  }
  void on_stop_sending(StreamId id, std::uint64_t code) override {
    client->on_stop_sending(id, code);
  }
  void on_writable(StreamId id) override { client->on_writable(id); }
  void on_stream_closed(StreamId id) override { client->on_stream_closed(id); }
  void on_streams_available() override { client->on_streams_available(); }
  void on_datagram(std::span<const std::uint8_t> bytes) override { client->on_datagram(bytes); }
  void on_closed(std::string_view) override {
    closed_ = true;
    for (auto& [id, asked] : std::exchange(asked_, {})) asked.told->set_value("closed");
    if (never_asked) never_asked->set_value("closed");
  }

 private:
  struct Asked {
    Told told;
    std::string text;
  };
  void on_head(StreamId id, int status, const Headers&) override {
    asked_[id].text = fmt::format("{} ", status);
  }
  void on_body(StreamId id, std::span<const std::uint8_t> bytes) override {
    asked_[id].text.append(bytes.begin(), bytes.end());
  }
  void on_end(StreamId id) override { tell(id, asked_[id].text); }
  void on_failed(StreamId id, std::uint64_t code) override {
    tell(id, fmt::format("failed {:#x}", code));
  }
  void tell(StreamId id, const std::string& text) {
    auto node = asked_.extract(id);
    if (!node.empty() && node.mapped().told) node.mapped().told->set_value(text);
  }

  bool closed_ = false;
  std::map<StreamId, Asked> asked_;
};

class Http3Endpoint : public testing::Test {
 protected:
  ~Http3Endpoint() override {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }

  void start(bool early_data) {
    old_ = net::TlsCredentials::load_or_generate(old_folder_.path(), {"localhost"}, wall_now())
               .value();
    new_ = net::TlsCredentials::load_or_generate(new_folder_.path(), {"localhost"}, wall_now())
               .value();
    const std::vector<net::EventLoop*> loops = {loop_.get()};
    server_ = Server::create(
                  loops, {{"127.0.0.1", 0, old_}}, {},
                  [](net::EventLoop&) { return std::make_unique<PathHandler>(); }, metrics_, log_)
                  .value();
    quic::Server::Options options;
    options.alpn = {"h3"};
    options.limits.early_data = early_data;
    options.limits.datagram_bytes_max = 1'500;  // WebTransport offers them
    quic_ =
        quic::Server::create(
            loops, {{"127.0.0.1", 0}}, old_, options,
            [this](net::EventLoop&) {
              return [this](quic::Transport& transport) { return server_->accept(0, transport); };
            },
            metrics_)
            .value();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(quic_->port(0));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    remote_ = quic::Address::of(reinterpret_cast<const sockaddr*>(&to), sizeof to);
    client_ =
        std::make_unique<quic::Endpoint>(*loop_, quic::Limits{.datagram_bytes_max = 1'500},
                                         quic::Secret{9}, std::uint8_t{0}, metrics_, "client");
    ASSERT_TRUE(client_->add(quic::UdpSocket::client(remote_).value()));
    thread_ = std::thread([this] { loop_->run(); });
  }

  template <class F>
  auto on_loop(F what) {
    std::packaged_task<decltype(what())()> task(std::move(what));
    auto result = task.get_future();
    loop_->post([&task] { task(); });
    return result.get();
  }
  void eventually(const std::function<bool()>& holds) {
    while (!on_loop(holds)) std::this_thread::yield();
  }

  struct Fetched {
    Visit* visit = nullptr;
    std::string answer;
  };
  // On a new connection.
  Fetched fetch(std::string_view method, std::string_view target,
                std::shared_ptr<const quic::ClientTls> tls,
                std::shared_ptr<quic::Resumption> resumption = nullptr, bool early = false) {
    auto told = std::make_shared<std::promise<std::string>>();
    auto result = told->get_future();
    Visit* visit = on_loop([&] {
      auto made = std::make_unique<Visit>();
      Visit& visitor = *made;
      visitor.never_asked = told;
      visitor.when_open = [&visitor, method, target] {
        visitor.ask(method, target, std::exchange(visitor.never_asked, nullptr));
      };
      auto connected = client_->connect(
          remote_, {"localhost", std::move(tls), std::move(resumption), early}, std::move(made));
      visitor.client = std::make_unique<Http3Client>(**connected, Limits{}, visitor.events());
      return &visitor;
    });
    if (result.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      return {visit, "nothing"};
    }
    return {visit, result.get()};
  }
  // On one that is there.
  std::string fetch(Visit& visit, std::string_view method, std::string_view target) {
    auto told = std::make_shared<std::promise<std::string>>();
    auto result = told->get_future();
    on_loop([&] { visit.ask(method, target, told); });
    return result.get();
  }
  double early_data() { return quic_->endpoint(0).metrics().early_data.Value(); }

  TemporaryDirectory old_folder_;
  TemporaryDirectory new_folder_;
  std::shared_ptr<net::TlsCredentials> old_;
  std::shared_ptr<net::TlsCredentials> new_;
  Metrics metrics_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
  std::unique_ptr<net::EventLoop> loop_ = net::EventLoop::create("test").value();
  std::unique_ptr<Server> server_;
  std::unique_ptr<quic::Server> quic_;
  std::unique_ptr<quic::Endpoint> client_;
  quic::Address remote_;
  std::thread thread_;
};

// RFC 8470: what came early may be a replay; only what does no harm is answered.
TEST_F(Http3Endpoint, EarlyDataIsAnsweredWhereItIsSafe) {
  start(true);
  const auto tls = quic::ClientTls::create({"h3"}, quic::ClientTls::Verify::kOff, "").value();
  const auto resumption = std::make_shared<quic::Resumption>();
  ASSERT_EQ(fetch("GET", "/first", tls, resumption).answer, "200 /first");
  eventually([&] { return !resumption->ticket.empty(); });
  EXPECT_EQ(early_data(), 0);

  auto ticket = on_loop([&] { return resumption->ticket; });
  EXPECT_EQ(fetch("GET", "/early", tls, resumption, true).answer, "200 /early");
  EXPECT_EQ(early_data(), 1);

  eventually([&] { return resumption->ticket != ticket; });
  const Fetched posted = fetch("POST", "/early", tls, resumption, true);
  EXPECT_EQ(posted.answer.substr(0, 4), "425 ");
  EXPECT_EQ(early_data(), 2);
  EXPECT_EQ(fetch(*posted.visit, "POST", "/later"), "200 /later");
}

TEST_F(Http3Endpoint, EarlyDataIsNotTakenUnlessItIsAskedFor) {
  start(false);
  const auto tls = quic::ClientTls::create({"h3"}, quic::ClientTls::Verify::kOff, "").value();
  const auto resumption = std::make_shared<quic::Resumption>();
  ASSERT_EQ(fetch("GET", "/first", tls, resumption).answer, "200 /first");
  eventually([&] { return !resumption->ticket.empty(); });
  fetch("GET", "/early", tls, resumption, true);  // whatever the client makes of it
  EXPECT_EQ(early_data(), 0);
}

TEST_F(Http3Endpoint, ANewCertificateIsForNewConnections) {
  start(false);
  const auto trusting = [](const TemporaryDirectory& folder) {
    return quic::ClientTls::create({"h3"}, quic::ClientTls::Verify::kServer,
                                   (folder.path() / "tls-cert.pem").string())
        .value();
  };
  const Fetched before = fetch("GET", "/before", trusting(old_folder_));
  ASSERT_EQ(before.answer, "200 /before");
  EXPECT_TRUE(server_->set_credentials(new_));
  EXPECT_TRUE(quic_->set_credentials(new_));
  on_loop([] {});
  EXPECT_EQ(fetch("GET", "/new", trusting(new_folder_)).answer, "200 /new");
  EXPECT_EQ(fetch("GET", "/old", trusting(old_folder_)).answer, "closed");
  EXPECT_EQ(fetch(*before.visit, "GET", "/goes-on"), "200 /goes-on");
}

}  // namespace
}  // namespace mirror::http
