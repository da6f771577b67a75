// A Webhook against a small HTTP server on this machine. What depends on its timing is left to
// tests/line/admission.test.mjs; here no answer's moment matters.
#include "admission/webhook.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "admission/notice.h"

namespace mirror::admission {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Outcome = Verdict::Outcome;

constexpr const char* kSecret = "0123456789abcdef";

// Answers one request a connection, in their order.
class SmallServer {
 public:
  using Answer = std::function<std::string(const std::string& request)>;

  explicit SmallServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~SmallServer() {
    ::shutdown(listener_, SHUT_RDWR);  // wakes accept()
    thread_.join();
    ::close(listener_);
  }
  SmallServer(const SmallServer&) = delete;
  SmallServer& operator=(const SmallServer&) = delete;

  std::string url() const { return fmt::format("http://127.0.0.1:{}/hook?x=1", port_); }

 private:
  void run() {
    for (int client = 0; (client = ::accept(listener_, nullptr, nullptr)) >= 0;) {
      const std::string answer = answer_(read_request(client));
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }

  static std::string read_request(int client) {
    std::string text;
    std::array<char, 4096> some{};
    for (;;) {
      const std::size_t head = text.find("\r\n\r\n");
      const std::size_t length_at = text.find("Content-Length: ");
      if (head != std::string::npos && length_at != std::string::npos &&
          text.size() >= head + 4 + std::stoul(text.substr(length_at + 16))) {
        return text;
      }
      const ssize_t got = ::recv(client, some.data(), some.size(), 0);
      if (got <= 0) return text;
      text.append(some.data(), static_cast<std::size_t>(got));
    }
  }

  const Answer answer_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

std::string answer(int status, const std::string& body) {
  return fmt::format("HTTP/1.1 {} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                     status, body.size(), body);
}

class WebhookTest : public ::testing::Test {
 protected:
  std::unique_ptr<Webhook> webhook(const std::string& url, std::chrono::milliseconds timeout) {
    return *Webhook::create({.url = url, .secret = kSecret, .timeout = timeout}, log_, metrics_,
                            clock_);
  }
  static Question question(const std::string& key) {
    return {.request = {
                .key = *media::StreamKey::parse(key), .protocol = "srt", .remote = "192.0.2.1:1"}};
  }
  static Outcome outcome_of(const Verdict& verdict) {
    while (verdict.outcome() == Outcome::kPending) std::this_thread::yield();
    return verdict.outcome();
  }
  std::string metrics() { return metrics_.render(); }

  SystemClock clock_;
  Metrics metrics_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
};

TEST_F(WebhookTest, AsksSignedAndIsAnswered) {
  std::mutex mutex;
  std::vector<std::string> requests;
  SmallServer server([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    requests.push_back(request);
    return request.find("\"cam1\"") != std::string::npos
               ? answer(200, "")
               : answer(403, R"({"reason": "unknown camera"})");
  });
  const auto hook = webhook(server.url(), 20s);
  const auto one = std::make_shared<Verdict>();
  const auto two = std::make_shared<Verdict>();
  ASSERT_TRUE(hook->ask(question("cam1"), one));
  EXPECT_EQ(outcome_of(*one), Outcome::kAllowed);
  ASSERT_TRUE(hook->ask(question("cam2"), two));
  EXPECT_EQ(outcome_of(*two), Outcome::kDenied);
  EXPECT_EQ(two->why(), "the webhook refuses it: unknown camera");
  EXPECT_THAT(metrics(), HasSubstr("mirror_admission_webhook_total{result=\"allowed\"} 1"));
  EXPECT_THAT(metrics(), HasSubstr("mirror_admission_webhook_total{result=\"denied\"} 1"));

  const std::lock_guard lock(mutex);
  ASSERT_EQ(requests.size(), 2u);
  const std::string& request = requests[0];
  EXPECT_THAT(request, HasSubstr("POST /hook?x=1 HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("Content-Type: application/json\r\n"));
  const std::string body = request.substr(request.find("\r\n\r\n") + 4);
  const std::size_t at = request.find("Mirror-Signature: t=") + 20;
  const std::size_t comma = request.find(",v1=", at);
  const std::int64_t seconds = std::stoll(request.substr(at, comma - at));
  EXPECT_EQ(request.substr(comma + 4, 64), signature(kSecret, seconds, body));
  EXPECT_NE(body, requests[1].substr(requests[1].find("\r\n\r\n") + 4));
}

TEST_F(WebhookTest, AnAnswerWithoutEndIsNotKept) {
  SmallServer server([](const std::string&) { return answer(403, std::string(1'000'000, 'x')); });
  const auto hook = webhook(server.url(), 20s);
  const auto verdict = std::make_shared<Verdict>();
  ASSERT_TRUE(hook->ask(question("cam1"), verdict));
  EXPECT_EQ(outcome_of(*verdict), Outcome::kDenied);
  EXPECT_EQ(verdict->why(), "the webhook refuses it");
}

TEST_F(WebhookTest, WhoCannotBeReachedDenies) {
  std::string url;
  {
    SmallServer gone([](const std::string&) { return std::string(); });
    url = gone.url();
  }
  const auto hook = webhook(url, 20s);
  const auto verdict = std::make_shared<Verdict>();
  ASSERT_TRUE(hook->ask(question("cam1"), verdict));
  EXPECT_EQ(outcome_of(*verdict), Outcome::kDenied);
  EXPECT_THAT(verdict->why(), HasSubstr("cannot be asked"));
  EXPECT_THAT(metrics(), HasSubstr("mirror_admission_webhook_total{result=\"failed\"} 1"));
}

// A server that is silent until the test lets it go: the time-out alone ends the questions.
class SilentServer {
 public:
  SilentServer()
      : server_([this](const std::string&) {
          const std::lock_guard wait(silence_);
          return std::string();
        }) {}
  ~SilentServer() { hold_.unlock(); }
  std::string url() const { return server_.url(); }

 private:
  std::mutex silence_;
  std::unique_lock<std::mutex> hold_{silence_};
  SmallServer server_;
};

TEST_F(WebhookTest, SilenceDenies) {
  const SilentServer server;
  const auto hook = webhook(server.url(), 200ms);
  std::vector<std::shared_ptr<Verdict>> verdicts;
  // More than are asked at once: whoever waits its turn is answered in time as well.
  for (std::size_t i = 0; i < 2 * Webhook::kAtOnceMax; ++i) {
    verdicts.push_back(std::make_shared<Verdict>());
    ASSERT_TRUE(hook->ask(question("cam1"), verdicts.back()));
  }
  for (const auto& verdict : verdicts) {
    EXPECT_EQ(outcome_of(*verdict), Outcome::kDenied);
    EXPECT_THAT(verdict->why(), HasSubstr("time"));
  }
}

TEST_F(WebhookTest, ItsEndIsAnAnswerToo) {
  const SilentServer server;
  std::vector<std::shared_ptr<Verdict>> verdicts;
  {
    const auto hook = webhook(server.url(), 60s);
    while (verdicts.size() < 1000) {
      auto verdict = std::make_shared<Verdict>();
      if (!hook->ask(question("cam1"), verdict)) break;
      verdicts.push_back(std::move(verdict));
    }
    EXPECT_LE(verdicts.size(), Webhook::kWaitingMax + Webhook::kAtOnceMax);
  }
  for (const auto& verdict : verdicts) {
    EXPECT_EQ(verdict->outcome(), Outcome::kDenied);
    EXPECT_EQ(verdict->why(), "the server is shutting down");
  }
}

}  // namespace
}  // namespace mirror::admission
