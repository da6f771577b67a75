// The server over real loopback sockets, against curl, h2load and hand-made clients.
#include "http/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include <array>
#include <functional>

#include "http/test_server.h"
#include "net/tcp.h"
#include "net/unique_fd.h"

namespace mirror::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> block;
  for (std::size_t n = 0; (n = ::fread(block.data(), 1, block.size(), pipe)) > 0;) {
    text.append(block.data(), n);
  }
  ::pclose(pipe);
  return text;
}

// "version status bytes"
std::string curl(const std::string& arguments) {
  return output_of(
      "curl -sk --max-time 60 -o /dev/null -w '%{http_version} %{http_code} %{size_download}' " +
      arguments);
}

bool have(const std::string& program) {
  return output_of("command -v " + program).starts_with('/');
}

// Until it is true; the deadline is only for a test that fails.
bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void close() { fd_.reset(); }
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  // Until the server ends the connection, or `enough` bytes.
  std::string receive(std::size_t enough = SIZE_MAX) {
    std::string text;
    std::array<char, 4096> block;
    while (text.size() < enough) {
      const ssize_t n = ::recv(fd_.get(), block.data(), block.size(), 0);
      if (n <= 0) break;
      text.append(block.data(), static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  net::UniqueFd fd_;
};

std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

TEST(Server, CurlOverEveryVersion) {
  TestServer server;
  const std::pair<std::string, std::string> ways[] = {
      {"1.1", "--http1.1 " + server.plain_url()},
      {"2", "--http2-prior-knowledge " + server.plain_url()},
      {"1.1", "--http1.1 " + server.tls_url()},
      {"2", "--http2 " + server.tls_url()},
      {"1.1", "--http1.1 --tls-max 1.2 " + server.tls_url()},
      {"2", "--http2 --tls-max 1.2 " + server.tls_url()},
      {"2", "--http2 --tlsv1.3 " + server.tls_url()},
  };
  for (const auto& [version, way] : ways) {
    EXPECT_EQ(curl(way + "/hello"), version + " 200 6") << way;
    EXPECT_EQ(curl(way + "/nope"), version + " 404 29") << way;
    EXPECT_EQ(curl(way + "/size/5000000"), version + " 200 5000000") << way;
    EXPECT_EQ(curl(way + "/grow/5000000"), version + " 200 5000000") << way;
    EXPECT_EQ(curl("-I " + way + "/size/777"), version + " 200 0") << way;
    EXPECT_EQ(curl("-d abc " + way + "/echo"), version + " 200 3") << way;
    EXPECT_EQ(curl("--path-as-is " + way + "/%zz"), version + " 400 50") << way;
  }
  EXPECT_EQ(curl("--http1.0 " + server.plain_url() + "/grow/100000"), "1.1 200 100000");
  EXPECT_EQ(curl("--tls-max 1.1 " + server.tls_url() + "/hello"), "0 000 0");
}

TEST(Server, ABrokenOffAnswerIsNoShortAnswer) {
  TestServer server;
  for (const std::string& way :
       {server.plain_url(), "--http1.1 " + server.tls_url(), "--http2 " + server.tls_url(),
        "--http1.0 " + server.plain_url()}) {
    EXPECT_THAT(output_of("curl -sSk " + way + "/abort -o /dev/null; echo \" rc=$?\""),
                testing::Not(HasSubstr("rc=0")))
        << way;
  }
}

TEST(Server, H2load) {
  if (!have("h2load")) GTEST_SKIP() << "h2load is not installed";
  TestServer server({}, 2);
  for (const std::string way : {"--h1 ", "-m 10 "}) {
    EXPECT_THAT(output_of("h2load -n 10000 -c 20 " + way + server.tls_url() + "/size/3000"),
                HasSubstr("10000 succeeded, 0 failed, 0 errored"));
  }
}

TEST(Server, PipelinedRequestsOverASocket) {
  TestServer server;
  Socket socket(server.plain_port());
  std::string all;
  for (int i = 0; i < 50; ++i) all += get("/hello");
  socket.send(all + get("/size/1", "Connection: close\r\n"));
  const std::string answers = socket.receive();
  std::size_t count = 0;
  for (std::size_t at = 0; (at = answers.find("HTTP/1.1 200", at)) != std::string::npos; ++at) {
    ++count;
  }
  EXPECT_EQ(count, 51u);
  EXPECT_THAT(answers, EndsWith("\r\n\r\nx"));
}

TEST(Server, AHalfClosedClientGetsWhatIsAnsweredAtOnce) {
  TestServer server;
  Socket socket(server.plain_port());
  socket.send(get("/size/300000"));
  socket.end_sending();
  EXPECT_GT(socket.receive().size(), 300'000u);
}

TEST(Server, SlowlorisIsCutOff) {
  Limits limits;
  limits.header_timeout = milliseconds(50);
  limits.body_timeout = milliseconds(50);
  TestServer server(limits);
  Socket silent(server.plain_port());
  Socket silent_tls(server.tls_port());
  Socket head(server.plain_port());
  head.send("GET / HTTP/1.1\r\nHost: h\r\n");
  Socket body(server.plain_port());
  body.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(silent.receive(), "");
  EXPECT_EQ(silent_tls.receive(), "");
  EXPECT_THAT(head.receive(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(body.receive(), EndsWith("the request body took too long\n"));
  EXPECT_EQ(server.counter("mirror_http_timeouts_total", {{"kind", "body"}}), 1);
  EXPECT_EQ(server.counter("mirror_http_timeouts_total", {{"kind", "handshake"}}), 1);
  EXPECT_EQ(server.counter("mirror_http_timeouts_total", {{"kind", "head"}}), 2);
}

TEST(Server, AClientThatTakesNothingIsCutOff) {
  Limits limits;
  limits.write_timeout = milliseconds(100);
  TestServer server(limits);
  Socket socket(server.plain_port());
  socket.send(get("/size/50000000"));
  EXPECT_TRUE(eventually(
      [&] { return server.counter("mirror_http_timeouts_total", {{"kind", "write"}}) == 1; }));
}

TEST(Server, IdleConnectionsAreClosed) {
  Limits limits;
  limits.idle_timeout = milliseconds(50);
  TestServer server(limits);
  Socket socket(server.plain_port());
  socket.send(get("/hello"));
  EXPECT_THAT(socket.receive(), EndsWith("hello\n"));
  EXPECT_EQ(server.counter("mirror_http_timeouts_total", {{"kind", "idle"}}), 1);
}

TEST(Server, AClientThatLeavesAHeldRequestLeavesNothing) {
  TestServer server;
  {
    Socket plain(server.plain_port());
    plain.send(get("/held") + get("/hello"));
    ASSERT_TRUE(eventually([&] { return server.held.now == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return server.held.now == 0; }));
  // curl gives up by itself: a close under TLS, HTTP/1.1 and 2.
  for (const std::string way : {"--http1.1 ", "--http2 "}) {
    const std::string command =
        "curl -sk --max-time 0.5 " + way + server.tls_url() + "/held; echo rc=$?";
    EXPECT_THAT(output_of(command), HasSubstr("rc=28"));
    EXPECT_TRUE(eventually([&] { return server.held.now == 0; }));
  }
  EXPECT_EQ(server.held.most, 1);
  EXPECT_TRUE(eventually([&] { return server.connections() == 0; }));
}

TEST(Server, ThousandsOfHeldRequestsAreReleasedByOneWake) {
  TestServer server;
  // One HTTP/1.1 connection each for some, a hundred streams a connection for the rest.
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 200; ++i) {
    sockets.push_back(std::make_unique<Socket>(server.plain_port()));
    sockets.back()->send(get("/held", "Connection: close\r\n"));
  }
  int expected = 200;
  std::string load;
  std::jthread loader;
  if (have("h2load")) {
    expected += 2000;
    loader = std::jthread(
        [&] { load = output_of("h2load -n 2000 -c 20 -m 100 " + server.tls_url() + "/held"); });
  }
  ASSERT_TRUE(eventually([&] { return server.held.now == expected; }));
  server.wake();
  for (auto& socket : sockets) EXPECT_THAT(socket->receive(), EndsWith("released\n"));
  if (loader.joinable()) {
    loader.join();
    EXPECT_THAT(load, HasSubstr("2000 succeeded, 0 failed, 0 errored"));
  }
  EXPECT_TRUE(eventually([&] { return server.held.now == 0; }));
}

TEST(Server, DrainAnswersWhatIsHeldThenIsDone) {
  TestServer server({}, 2);
  Socket idle(server.plain_port());
  idle.send(get("/hello"));
  idle.receive(10);
  Socket held(server.plain_port());
  held.send(get("/held"));
  std::string h2;
  std::jthread client([&] { h2 = output_of("curl -sk --http2 " + server.tls_url() + "/held"); });
  ASSERT_TRUE(eventually([&] { return server.held.now == 2; }));
  std::promise<void> done;
  server.server().drain([&] { done.set_value(); });
  EXPECT_THAT(idle.receive(), testing::Not(HasSubstr("408")));  // ended by the server
  server.wake();
  // Either way it is answered and closed; "connection: close" only if its loop drained before it
  // woke, which nobody orders.
  EXPECT_THAT(held.receive(), EndsWith("released\n"));
  client.join();
  EXPECT_EQ(h2, "released\n");
  idle.close();
  held.close();
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_NE(curl(server.plain_url() + "/hello").substr(2, 3), "200");
}

TEST(Server, ConnectionsOverTheLimitAreClosedAndCounted) {
  Limits limits;
  limits.connections_per_loop_max = 2;
  TestServer server(limits);
  Socket first(server.plain_port());
  Socket second(server.plain_port());
  EXPECT_TRUE(eventually([&] { return server.connections() == 2; }));
  Socket third(server.plain_port());
  EXPECT_EQ(third.receive(), "");
  EXPECT_EQ(server.counter("mirror_http_connections_refused_total", {}), 1);
  first.send(get("/hello"));
  EXPECT_THAT(first.receive(10), StartsWith("HTTP/1.1 200"));
}

TEST(Server, APortInUseIsAnErrorThatNamesIt) {
  TestServer server;
  auto loop = net::EventLoop::create("other").value();
  net::EventLoop* const loops[] = {loop.get()};
  Metrics metrics;
  const Log log(LogLevel::kError, LogFormat::kReadable);
  HeldCount held;
  const auto second = Server::create(
      loops, {{"127.0.0.1", server.plain_port(), nullptr}}, {},
      [&](net::EventLoop& l) { return std::make_unique<TestHandler>(l, held); }, metrics, log);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(server.plain_port())));
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

TEST(Server, GarbageOnTheTlsPortIsCounted) {
  TestServer server;
  Socket socket(server.tls_port());
  socket.send(get("/hello"));
  socket.receive();
  EXPECT_TRUE(eventually(
      [&] { return server.counter("mirror_http_tls_handshake_failures_total", {}) == 1; }));
}

}  // namespace
}  // namespace mirror::http
