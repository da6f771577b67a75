// Real SRT over loopback, with a gate of our own behind it.
#include "ingest/srt_listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <srt/access_control.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "ingest/srt_socket.h"

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;
using media::PublishRefusal;
using media::PublishRequest;

constexpr auto kDeadline = 30s;  // for a busy machine; nothing waits so long when all is well

// What the line behind the gate would have seen.
struct Seen {
  int opened = 0;
  int closed = 0;
  std::vector<media::Track> tracks;
  int units = 0;
  std::uint64_t packets = 0;  // of the last report, as all below
  std::uint64_t transport_packets = 0;
  int latency_ms = 0;
  std::chrono::microseconds age{};  // of the last unit: now less its capture time
  bool displaced = false;
};

// Lets everybody in but who is told off in advance; tells what it sees under a lock.
class FakeGate final : public media::PublisherGate {
 public:
  std::optional<PublishRefusal> admit(const PublishRequest& request) const override {
    const std::lock_guard lock(mutex_);
    if (refusal_) return refusal_;
    if (live_.contains(request.key)) {
      return PublishRefusal{PublishRefusal::Reason::kConflict, "already live"};
    }
    return std::nullopt;
  }

  std::expected<std::unique_ptr<media::Publication>, PublishRefusal> open(
      const PublishRequest& request) override {
    const std::lock_guard lock(mutex_);
    if (!live_.insert(request.key).second) {
      return std::unexpected(PublishRefusal{PublishRefusal::Reason::kConflict, "already live"});
    }
    ++seen_[request.key.text()].opened;
    changed_.notify_all();
    return std::make_unique<Turn>(*this, request.key);
  }

  void refuse_all(PublishRefusal::Reason reason) {
    const std::lock_guard lock(mutex_);
    refusal_ = PublishRefusal{reason, "as the test says"};
  }

  // The stream's publisher of now is unheard from here on.
  void displace(const std::string& key) {
    const std::lock_guard lock(mutex_);
    seen_[key].displaced = true;
  }

  Seen seen(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = seen_.find(key);
    return found == seen_.end() ? Seen{} : found->second;
  }

  // True as soon as `condition` holds for what was seen of `key`; false at the deadline.
  bool wait_for(const std::string& key, const std::function<bool(const Seen&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] { return condition(seen_[key]); });
  }

 private:
  class Turn final : public media::Publication {
   public:
    Turn(FakeGate& gate, media::StreamKey key) : gate_(gate), key_(std::move(key)) {}
    ~Turn() override {
      const std::lock_guard lock(gate_.mutex_);
      gate_.live_.erase(key_);
      ++gate_.seen_[key_.text()].closed;
      gate_.changed_.notify_all();
    }
    void on_tracks(const std::vector<media::Track>& tracks) override {
      change([&](Seen& seen) { seen.tracks = tracks; });
    }
    void on_access_unit(media::AccessUnit unit) override {
      change([&](Seen& seen) {
        ++seen.units;
        seen.age = SystemClock().now().wall - unit.received.wall;
      });
    }
    void on_stats(const media::TransportStats& transport, const media::DemuxStats& demux) override {
      change([&](Seen& seen) {
        seen.packets = demux.packets;
        seen.transport_packets = transport.packets;
        seen.latency_ms = transport.latency_ms;
      });
    }

    bool displaced() const override { return gate_.seen(key_.text()).displaced; }

   private:
    template <class F>
    void change(F&& f) {
      const std::lock_guard lock(gate_.mutex_);
      f(gate_.seen_[key_.text()]);
      gate_.changed_.notify_all();
    }
    FakeGate& gate_;
    const media::StreamKey key_;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<PublishRefusal> refusal_;  // guarded by mutex_, as all below
  std::set<media::StreamKey> live_;
  std::map<std::string, Seen> seen_;
};

// A publisher in this process.
struct Call {
  SrtSocket socket;
  int reject = 0;  // 0: connected
};

Call call(std::uint16_t port, const std::string& stream_id, const std::string& passphrase = "",
          int family = AF_INET) {
  Call result{SrtSocket(srt_create_socket())};
  result.socket.set(SRTO_SENDER, 1);
  result.socket.set(SRTO_LATENCY, 40);
  result.socket.set(SRTO_CONNTIMEO, 10'000);
  if (!stream_id.empty()) result.socket.set(SRTO_STREAMID, stream_id);
  if (!passphrase.empty()) result.socket.set(SRTO_PASSPHRASE, passphrase);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = in6addr_loopback;
  const auto* address = family == AF_INET ? reinterpret_cast<const sockaddr*>(&v4)
                                          : reinterpret_cast<const sockaddr*>(&v6);
  const int size = family == AF_INET ? sizeof v4 : sizeof v6;
  if (srt_connect(result.socket.id(), address, size) == SRT_ERROR) {
    result.reject = srt_getrejectreason(result.socket.id());
  }
  return result;
}

// One SRT message of seven null packets (ISO/IEC 13818-1, 2.4.1): synchronised, and nothing in it.
bool send_null_packets(const Call& call) {
  std::array<char, 1316> message{};
  for (std::size_t i = 0; i < message.size(); i += 188) {
    message[i] = 0x47;
    message[i + 1] = 0x1F;
    message[i + 2] = static_cast<char>(0xFF);
    message[i + 3] = 0x10;
  }
  return srt_sendmsg2(call.socket.id(), message.data(), static_cast<int>(message.size()),
                      nullptr) == static_cast<int>(message.size());
}

class Child {
 public:
  explicit Child(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    setpgid(0, 0);  // so that a pipeline ends as a whole
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  ~Child() { end(SIGKILL); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void end(int signal) {
    if (pid_ <= 0) return;
    if (kill(-pid_, signal) != 0) kill(pid_, signal);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

class SrtListenerTest : public testing::Test {
 protected:
  void start(SrtSettings settings = {}) {
    settings.port = 0;
    if (settings.address == "*") settings.address = "127.0.0.1";
    auto listener = SrtListener::create(std::move(settings), gate_, log_, metrics_, clock_);
    ASSERT_TRUE(listener.has_value()) << listener.error().message;
    listener_ = *std::move(listener);
  }
  Call publish(const std::string& stream_id, const std::string& passphrase = "") {
    return call(listener_->port(), stream_id, passphrase);
  }
  std::string url(const std::string& stream_id) const {
    return fmt::format("srt://127.0.0.1:{}?streamid={}", listener_->port(), stream_id);
  }
  Child ffmpeg(const std::string& stream_id) const {
    return Child({"ffmpeg",      "-v",          "error",   "-re",
                  "-f",          "lavfi",       "-i",      "testsrc=s=320x180:r=25",
                  "-f",          "lavfi",       "-i",      "sine=r=48000",
                  "-c:v",        "libx264",     "-preset", "ultrafast",
                  "-tune",       "zerolatency", "-g",      "25",
                  "-c:a",        "aac",         "-f",      "mpegts",
                  url(stream_id)});
  }

  SrtLibrary library_;
  FakeGate gate_;
  int null_ = open("/dev/null", O_WRONLY | O_CLOEXEC);
  Log log_{LogLevel::kDebug, LogFormat::kReadable, null_};
  Metrics metrics_;
  SystemClock clock_;
  std::unique_ptr<SrtListener> listener_;
};

TEST_F(SrtListenerTest, PublishesByPlainAndStandardStreamId) {
  start();
  const Call plain = publish("cam1");
  const Call standard = publish("#!::r=cam2,m=publish");
  ASSERT_EQ(plain.reject, 0);
  ASSERT_EQ(standard.reject, 0);
  for (const auto& [caller, key] : {std::pair(&plain, "cam1"), std::pair(&standard, "cam2")}) {
    ASSERT_TRUE(gate_.wait_for(key, [](const Seen& seen) { return seen.opened == 1; }));
    ASSERT_TRUE(send_null_packets(*caller));
    // Reported at the latest a second after: seven packets demuxed, one received.
    EXPECT_TRUE(gate_.wait_for(key, [](const Seen& seen) { return seen.packets == 7; }));
    EXPECT_EQ(gate_.seen(key).transport_packets, 1U);
    EXPECT_EQ(gate_.seen(key).latency_ms, 120) << "the greater of both ends' latencies";
  }
}

TEST_F(SrtListenerTest, RefusesMalformedStreamIdsWithACode) {
  start();
  EXPECT_EQ(publish("").reject, SRT_REJX_BAD_REQUEST);
  EXPECT_EQ(publish("../etc/passwd").reject, SRT_REJX_BAD_REQUEST);
  EXPECT_EQ(publish("#!::m=publish").reject, SRT_REJX_BAD_REQUEST);
  EXPECT_EQ(publish("#!::r=cam1,m=request").reject, SRT_REJX_BAD_MODE);
  EXPECT_EQ(publish("#!::r=cam1,t=file").reject, SRT_REJX_NOTSUP_MEDIA);
  EXPECT_THAT(metrics_.render(),
              testing::HasSubstr("mirror_srt_refusals_total{reason=\"bad_stream_id\"} 3"));
  EXPECT_THAT(metrics_.render(),
              testing::HasSubstr("mirror_srt_refusals_total{reason=\"bad_mode\"} 2"));
}

TEST_F(SrtListenerTest, RefusesWhatTheGateRefuses) {
  start();
  gate_.refuse_all(PublishRefusal::Reason::kOverload);
  EXPECT_EQ(publish("cam1").reject, SRT_REJX_OVERLOAD);
  gate_.refuse_all(PublishRefusal::Reason::kShuttingDown);
  EXPECT_EQ(publish("cam1").reject, SRT_REJX_DOWN);
}

// OvenMediaEngine 1811: a second publisher of a key must neither displace nor disturb the first.
TEST_F(SrtListenerTest, RefusesASecondPublisherOfAKey) {
  start();
  const Call first = publish("cam1");
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  EXPECT_EQ(publish("cam1").reject, SRT_REJX_CONFLICT);
  ASSERT_TRUE(send_null_packets(first));
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.packets == 7; }));
  EXPECT_EQ(gate_.seen("cam1").closed, 0);
}

TEST_F(SrtListenerTest, RefusesMoreThanItsLimit) {
  start({.publishers_max = 1});
  const Call first = publish("cam1");
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  // `opened` is seen a moment before the count of connections; a caller in between is hung up on.
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.latency_ms > 0; }));
  EXPECT_EQ(publish("cam2").reject, SRT_REJX_OVERLOAD);
}

TEST_F(SrtListenerTest, KeyIsFreeAgainWhenItsPublisherLeaves) {
  start();
  for (int turn = 1; turn <= 3; ++turn) {
    const Call caller = publish("cam1");
    ASSERT_EQ(caller.reject, 0) << "turn " << turn;
    ASSERT_TRUE(gate_.wait_for("cam1", [&](const Seen& seen) { return seen.opened == turn; }));
    srt_close(caller.socket.id());
    ASSERT_TRUE(gate_.wait_for("cam1", [&](const Seen& seen) { return seen.closed == turn; }));
  }
}

// An encoder that paused, and whose stream another one took over, learns that nobody hears it.
TEST_F(SrtListenerTest, HangsUpOnAPublisherThatWasDisplaced) {
  start();
  const Call caller = publish("cam1");
  ASSERT_EQ(caller.reject, 0);
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  gate_.displace("cam1");
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.closed == 1; }));
}

TEST_F(SrtListenerTest, PassphraseIsEnforced) {
  start({.passphrase = "correct horse"});
  EXPECT_EQ(publish("cam1", "wrong horse").reject, SRT_REJ_BADSECRET);
  EXPECT_EQ(publish("cam2").reject, SRT_REJ_UNSECURE);
  const Call right = publish("cam3", "correct horse");
  ASSERT_EQ(right.reject, 0);
  ASSERT_TRUE(send_null_packets(right));
  EXPECT_TRUE(gate_.wait_for("cam3", [](const Seen& seen) { return seen.packets == 7; }));
  EXPECT_EQ(gate_.seen("cam1").opened, 0);
  EXPECT_EQ(gate_.seen("cam2").opened, 0);
}

TEST_F(SrtListenerTest, EncryptedCallerIsRefusedWherePlainIsExpected) {
  start();
  EXPECT_EQ(publish("cam1", "correct horse").reject, SRT_REJ_UNSECURE);
}

TEST_F(SrtListenerTest, GarbageDisturbsNobody) {
  start();
  const Call good = publish("good");
  const Call bad = publish("bad");
  std::mt19937 random(7);
  std::array<char, 1316> message{};
  for (int i = 0; i < 500; ++i) {
    for (char& byte : message) byte = static_cast<char>(random());
    const int size = 1 + static_cast<int>(random() % message.size());
    ASSERT_EQ(srt_sendmsg2(bad.socket.id(), message.data(), size, nullptr), size);
  }
  ASSERT_TRUE(send_null_packets(good));
  EXPECT_TRUE(gate_.wait_for("good", [](const Seen& seen) { return seen.packets == 7; }));
  EXPECT_TRUE(
      gate_.wait_for("bad", [](const Seen& seen) { return seen.transport_packets == 500; }));
  EXPECT_EQ(gate_.seen("bad").closed, 0);
  EXPECT_TRUE(gate_.seen("bad").tracks.empty());
}

TEST_F(SrtListenerTest, StarHearsBothFamilies) {
  auto listener = SrtListener::create({.address = "*", .port = 0}, gate_, log_, metrics_, clock_);
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  EXPECT_EQ(call((*listener)->port(), "cam4").reject, 0);
  if (access("/proc/net/if_inet6", R_OK) != 0) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(call((*listener)->port(), "cam6", "", AF_INET6).reject, 0);
  EXPECT_TRUE(gate_.wait_for("cam4", [](const Seen& seen) { return seen.opened == 1; }));
  EXPECT_TRUE(gate_.wait_for("cam6", [](const Seen& seen) { return seen.opened == 1; }));
}

TEST_F(SrtListenerTest, SaysWhyItCannotStart) {
  start();
  const auto same = SrtListener::create({.address = "127.0.0.1", .port = listener_->port()}, gate_,
                                        log_, metrics_, clock_);
  ASSERT_FALSE(same.has_value());
  EXPECT_THAT(same.error().message, testing::HasSubstr(std::to_string(listener_->port())));
  const auto name = SrtListener::create({.address = "nowhere"}, gate_, log_, metrics_, clock_);
  ASSERT_FALSE(name.has_value());
  EXPECT_THAT(name.error().message, testing::HasSubstr("nowhere is not a numeric address"));
  const auto shortest = SrtListener::create({.address = "127.0.0.1", .port = 0, .passphrase = "x"},
                                            gate_, log_, metrics_, clock_);
  ASSERT_FALSE(shortest.has_value());
  EXPECT_THAT(shortest.error().message, testing::HasSubstr("10 to 79 characters"));
}

TEST_F(SrtListenerTest, StopHangsUpAndFreesThePort) {
  start();
  const std::uint16_t port = listener_->port();
  const Call caller = publish("cam1");
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  listener_->stop();
  EXPECT_EQ(gate_.seen("cam1").closed, 1);
  listener_->stop();
  auto next =
      SrtListener::create({.address = "127.0.0.1", .port = port}, gate_, log_, metrics_, clock_);
  // libsrt closes the UDP socket on a thread of its own, a moment later.
  for (int i = 0; i < 300 && !next; ++i) {
    std::this_thread::sleep_for(100ms);
    next =
        SrtListener::create({.address = "127.0.0.1", .port = port}, gate_, log_, metrics_, clock_);
  }
  EXPECT_TRUE(next.has_value()) << next.error().message;
}

// OvenMediaEngine 2160: a publisher killed with -9 must not stay as a zombie.
TEST_F(SrtListenerTest, RealEncoderPublishesAndItsDeathIsNoticed) {
  start({.peer_idle_timeout = 1000ms});
  Child encoder = ffmpeg("cam1");
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.units >= 25; }));
  const Seen live = gate_.seen("cam1");
  ASSERT_EQ(live.tracks.size(), 2U);
  EXPECT_EQ(live.tracks[0].codec, media::Codec::kH264);
  EXPECT_EQ(live.tracks[1].codec, media::Codec::kAac);
  // Captured before it was received: by the latency and no less.
  EXPECT_GE(live.age, 115ms);
  encoder.end(SIGKILL);
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.closed == 1; }));
  const Child again = ffmpeg("#!::r=cam1,m=publish");
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 2; }));
}

TEST_F(SrtListenerTest, SrtLiveTransmitPublishes) {
  start();
  const std::string sound = "ffmpeg -v error -re -f lavfi -i sine=r=48000 -c:a aac -f mpegts -";
  const Child child(
      {"sh", "-c", sound + " | srt-live-transmit -q file://con '" + url("cam1") + "'"});
  EXPECT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.units >= 10; }));
}

}  // namespace
}  // namespace mirror::ingest
