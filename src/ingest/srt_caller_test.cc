// Real SRT over loopback: a far end of our own, which the caller dials.
#include "ingest/srt_caller.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <srt/access_control.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "ingest/fake_gate.h"
#include "ingest/srt_options.h"
#include "ingest/srt_redial.h"
#include "ingest/srt_socket.h"

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;
using State = media::FeedState::State;
using test::FakeGate;
using test::kDeadline;
using test::Seen;

// Listens, and sends null packets to whoever calls.
class FarEnd {
 public:
  explicit FarEnd(std::uint16_t port = 0, const std::string& passphrase = "", int reject = 0)
      : reject_(reject), listener_(srt_create_socket()) {
    listener_.set(SRTO_RCVSYN, false);
    if (!passphrase.empty()) listener_.set(SRTO_PASSPHRASE, passphrase);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // libsrt frees a port on a thread of its own, a moment after it was closed.
    for (int i = 0; i < 300; ++i) {
      if (srt_bind(listener_.id(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
          SRT_ERROR) {
        break;
      }
      std::this_thread::sleep_for(100ms);
    }
    srt_listen_callback(listener_.id(), &FarEnd::on_caller, this);
    srt_listen(listener_.id(), 8);
    int size = sizeof address;
    srt_getsockname(listener_.id(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~FarEnd() {
    thread_.request_stop();
    thread_.join();
  }
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  std::uint16_t port() const { return port_; }
  std::string stream_id() const {
    const std::lock_guard lock(mutex_);
    return stream_id_;
  }

 private:
  static int on_caller(void* self, SRTSOCKET socket, int, const sockaddr*, const char* stream_id) {
    auto& far_end = *static_cast<FarEnd*>(self);
    const std::lock_guard lock(far_end.mutex_);
    far_end.stream_id_ = stream_id;
    if (far_end.reject_ == 0) return 0;
    srt_setrejectreason(socket, far_end.reject_);
    return -1;
  }

  void run(const std::stop_token& stop) {
    std::vector<SrtSocket> callers;
    std::array<char, 1316> message{};
    for (std::size_t i = 0; i < message.size(); i += 188) {
      message[i] = 0x47;
      message[i + 1] = 0x1F;
      message[i + 2] = static_cast<char>(0xFF);
      message[i + 3] = 0x10;
    }
    while (!stop.stop_requested()) {
      SrtSocket caller(srt_accept(listener_.id(), nullptr, nullptr));
      if (caller.id() != SRT_INVALID_SOCK) callers.push_back(std::move(caller));
      for (const SrtSocket& each : callers) {
        srt_sendmsg2(each.id(), message.data(), static_cast<int>(message.size()), nullptr);
      }
      std::this_thread::sleep_for(10ms);
    }
  }

  const int reject_;
  mutable std::mutex mutex_;
  std::string stream_id_;  // guarded by mutex_
  SrtSocket listener_;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

class SrtCallerTest : public testing::Test {
 protected:
  static media::StreamKey key(const std::string& text) { return *media::StreamKey::parse(text); }

  Result<std::unique_ptr<SrtCaller>> create(SrtCallerSettings settings,
                                            Lookup::Resolve resolve = &Lookup::system) {
    return SrtCaller::create(std::move(settings), gate_, log_, metrics_, clock_,
                             std::move(resolve));
  }
  void start(SrtCallerSettings settings, Lookup::Resolve resolve = &Lookup::system) {
    auto caller = create(std::move(settings), std::move(resolve));
    ASSERT_TRUE(caller.has_value()) << caller.error().message;
    caller_ = *std::move(caller);
  }
  void dial(const std::string& url, const std::string& passphrase = "") {
    start({.sources = {{.stream = key("cam1"), .url = url, .passphrase = passphrase}},
           .peer_idle_timeout = 1000ms,
           .private_addresses = true});
  }
  static std::string url(const FarEnd& far_end) {
    return fmt::format("srt://127.0.0.1:{}?streamid=feed%201", far_end.port());
  }
  media::FeedState status() const { return caller_->feeds().at(0); }
  // The status once it is as `condition` wants it; as it is at the deadline.
  media::FeedState status_when(
      const std::function<bool(const media::FeedState&)>& condition) const {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    media::FeedState now = status();
    while (!condition(now) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(5ms);
      now = status();
    }
    return now;
  }
  media::FeedState status_in(State state) const {
    return status_when([&](const media::FeedState& now) { return now.state == state; });
  }

  SrtLibrary library_;
  FakeGate gate_;
  int null_ = open("/dev/null", O_WRONLY | O_CLOEXEC);
  Log log_{LogLevel::kDebug, LogFormat::kReadable, null_};
  Metrics metrics_;
  SystemClock clock_;
  std::unique_ptr<SrtCaller> caller_;
};

TEST_F(SrtCallerTest, FetchesAFeed) {
  const FarEnd far_end;
  dial(url(far_end));
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.packets > 0; }));
  EXPECT_EQ(far_end.stream_id(), "feed 1");
  EXPECT_TRUE(gate_.seen("cam1").configured) << "nobody asks it for a token";
  const media::FeedState live = status();
  EXPECT_EQ(live.state, State::kLive);
  EXPECT_EQ(live.why, "");
  EXPECT_EQ(live.attempts, 1U);
  caller_->stop();
  EXPECT_EQ(gate_.seen("cam1").closed, 1);
  caller_->stop();
}

TEST_F(SrtCallerTest, StreamIdBesideTheUrl) {
  const FarEnd far_end;
  start({.sources = {{.stream = key("cam1"),
                      .url = fmt::format("srt://127.0.0.1:{}", far_end.port()),
                      .stream_id = "#!::r=feed,s=secret"}},
         .private_addresses = true});
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  EXPECT_EQ(far_end.stream_id(), "#!::r=feed,s=secret");
}

TEST_F(SrtCallerTest, EncryptedFeed) {
  const FarEnd far_end(0, "correct horse");
  dial(url(far_end), "correct horse");
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.packets > 0; }));
}

TEST_F(SrtCallerTest, WrongPassphraseIsARefusal) {
  const FarEnd far_end(0, "correct horse");
  dial(url(far_end), "battery staple");
  EXPECT_THAT(status_in(State::kRefused).why, testing::HasSubstr("passphrase is wrong"));
}

TEST_F(SrtCallerTest, TheFarEndsRefusalIsTold) {
  const FarEnd far_end(0, "", SRT_REJX_NOTFOUND);
  dial(url(far_end));
  EXPECT_EQ(status_in(State::kRefused).why, "the far end says: not found (1404)");
  EXPECT_EQ(gate_.seen("cam1").opened, 0);
}

TEST_F(SrtCallerTest, DialsAgainUntilSomebodyIsThere) {
  std::uint16_t port = 0;
  {
    const FarEnd far_end;
    port = far_end.port();
  }
  dial(fmt::format("srt://127.0.0.1:{}", port));
  EXPECT_EQ(status_when([](const media::FeedState& now) { return !now.why.empty(); }).state,
            State::kConnecting);
  const FarEnd far_end(port);
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.packets > 0; }));
  EXPECT_EQ(status().state, State::kLive);
}

TEST_F(SrtCallerTest, ReconnectsWhenTheFarEndComesBack) {
  auto far_end = std::make_optional<FarEnd>();
  const std::uint16_t port = far_end->port();
  dial(url(*far_end));
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  far_end.reset();
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.closed == 1; }));
  EXPECT_EQ(status_in(State::kReconnecting).state, State::kReconnecting);
  far_end.emplace(port);
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 2; }));
  EXPECT_EQ(status_in(State::kLive).state, State::kLive);
}

TEST_F(SrtCallerTest, TheGatesRefusalIsTold) {
  const FarEnd far_end;
  gate_.refuse_all(media::PublishRefusal::Reason::kOverload);
  dial(url(far_end));
  EXPECT_EQ(status_in(State::kRefused).why, "as the test says");
  EXPECT_EQ(far_end.stream_id(), "") << "it is not even dialled";
}

TEST_F(SrtCallerTest, DisplacedItDoesNotComeBackAtOnce) {
  const FarEnd far_end;
  dial(url(far_end));
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  gate_.displace("cam1");
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.closed == 1; }));
  EXPECT_EQ(status_in(State::kRefused).why, "another publisher took its place");
}

TEST_F(SrtCallerTest, PrivateAddressesNeedAWord) {
  const FarEnd far_end;
  for (const std::string& host : {std::string("127.0.0.1"), std::string("inside.example")}) {
    start({.sources = {{.stream = key("cam1"),
                        .url = fmt::format("srt://{}:{}", host, far_end.port())}}},
          [](const std::string&, std::uint16_t port) {
            return Result<std::vector<Address>>(
                std::vector<Address>{*numeric_address("127.0.0.1", port)});
          });
    EXPECT_THAT(status_in(State::kRefused).why, testing::HasSubstr("address is private")) << host;
    EXPECT_EQ(gate_.seen("cam1").opened, 0);
  }
}

TEST_F(SrtCallerTest, NamesAreLookedUp) {
  const FarEnd far_end;
  start({.sources = {{.stream = key("cam1"),
                      .url = fmt::format("srt://feeds.example:{}", far_end.port())}},
         .private_addresses = true},
        [](const std::string& host, std::uint16_t port) {
          EXPECT_EQ(host, "feeds.example");
          return Result<std::vector<Address>>(
              std::vector<Address>{*numeric_address("127.0.0.1", port)});
        });
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.packets > 0; }));
}

// A resolver that hangs stops no other feed, nor the end.
TEST_F(SrtCallerTest, AHangingLookupHoldsNobodyUp) {
  const FarEnd far_end;
  const auto release = std::make_shared<std::atomic<bool>>(false);
  start({.sources = {{.stream = key("cam1"),
                      .url = fmt::format("srt://hangs.example:{}", far_end.port())},
                     {.stream = key("cam2"),
                      .url = fmt::format("srt://127.0.0.1:{}", far_end.port())}},
         .private_addresses = true},
        [release](const std::string&, std::uint16_t) {
          release->wait(false);
          return Result<std::vector<Address>>(fail("no such name"));
        });
  EXPECT_TRUE(gate_.wait_for("cam2", [](const Seen& seen) { return seen.packets > 0; }));
  caller_->stop();
  EXPECT_EQ(gate_.seen("cam2").closed, 1);
  *release = true;
  release->notify_all();
}

TEST_F(SrtCallerTest, ANameThatIsNotThereIsDialledAgain) {
  start({.sources = {{.stream = key("cam1"), .url = "srt://nowhere.example:6000"}}},
        [](const std::string&, std::uint16_t) {
          return Result<std::vector<Address>>(fail("no such name"));
        });
  const media::FeedState failed =
      status_when([](const media::FeedState& now) { return !now.why.empty(); });
  EXPECT_EQ(failed.why, "the name cannot be looked up: no such name");
  EXPECT_EQ(failed.state, State::kConnecting);
}

TEST_F(SrtCallerTest, SaysWhyItCannotStart) {
  const auto why = [&](SrtCallerSettings settings) {
    const auto caller = create(std::move(settings));
    return caller ? "it started" : caller.error().message;
  };
  EXPECT_THAT(why({.sources = {{.stream = key("cam1"), .url = "http://a:1"}}}),
              testing::HasSubstr("source cam1: it does not begin with srt://"));
  EXPECT_THAT(why({.sources = {{.stream = key("cam1"), .url = "srt://a:1", .passphrase = "x"}}}),
              testing::HasSubstr("10 to 79 characters"));
  EXPECT_THAT(why({.sources = {{.stream = key("cam1"), .url = "srt://a:1"},
                               {.stream = key("cam1"), .url = "srt://b:1"}}}),
              testing::HasSubstr("named twice"));
  std::vector<SrtSource> many;
  for (std::size_t i = 0; i <= SrtCaller::kSourcesMax; ++i) {
    many.push_back({.stream = key(fmt::format("cam{}", i)), .url = "srt://a:1"});
  }
  EXPECT_THAT(why({.sources = many}), testing::HasSubstr("more than 64 sources"));
}

}  // namespace
}  // namespace mirror::ingest
