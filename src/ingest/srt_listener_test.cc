// Real SRT over loopback, with a gate of our own behind it.
#include "ingest/srt_listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <srt/access_control.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>
#include <string>
#include <thread>

#include "ingest/fake_gate.h"
#include "ingest/srt_options.h"
#include "ingest/srt_socket.h"

namespace mirror::ingest {
namespace {

using namespace std::chrono_literals;
using media::PublishRefusal;
using testing::ContainsRegex;
using testing::Not;

using test::FakeGate;
using test::kDeadline;
using test::Seen;

// A publisher in this process.
struct Call {
  SrtSocket socket;
  int reject = 0;  // 0: connected
};

struct CallSettings {
  std::string passphrase{};
  int key_bytes = 16;
  int latency_ms = 40;
  int family = AF_INET;
};

Call call(std::uint16_t port, const std::string& stream_id, const CallSettings& settings = {}) {
  const auto& [passphrase, key_bytes, latency_ms, family] = settings;
  Call result{SrtSocket(srt_create_socket())};
  result.socket.set(SRTO_SENDER, 1);
  result.socket.set(SRTO_LATENCY, latency_ms);
  result.socket.set(SRTO_CONNTIMEO, 10'000);
  if (!stream_id.empty()) result.socket.set(SRTO_STREAMID, stream_id);
  if (!passphrase.empty()) result.socket.set(SRTO_PASSPHRASE, passphrase);
  if (!passphrase.empty()) result.socket.set(SRTO_PBKEYLEN, key_bytes);
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
    arguments.reserve(words.size() + 1);
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
    return call(listener_->port(), stream_id, {.passphrase = passphrase});
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
  // What was logged so far.
  std::string logged() const {
    std::string text(static_cast<std::size_t>(lseek(log_file_, 0, SEEK_END)), '\0');
    text.resize(static_cast<std::size_t>(pread(log_file_, text.data(), text.size(), 0)));
    return text;
  }

  int log_file_ = memfd_create("log", MFD_CLOEXEC);
  Log log_{LogLevel::kDebug, LogFormat::kReadable, log_file_};
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

// The callback gives each stream its own passphrase; the key length is the caller's.
TEST_F(SrtListenerTest, PassphraseOfTheStreamComesBeforeTheListeners) {
  start({.passphrase = "correct horse", .rules = {{"cam1", {.passphrase = "battery staple"}}}});
  EXPECT_EQ(publish("cam1", "correct horse").reject, SRT_REJ_BADSECRET);
  EXPECT_EQ(publish("cam1").reject, SRT_REJ_UNSECURE);
  EXPECT_EQ(publish("cam2", "battery staple").reject, SRT_REJ_BADSECRET);
  int key_bytes = 16;
  for (const char* key : {"cam1", "cam2", "#!::r=cam3,m=publish"}) {
    const Call right =
        call(listener_->port(), key,
             {.passphrase = key == std::string("cam1") ? "battery staple" : "correct horse",
              .key_bytes = key_bytes});
    ASSERT_EQ(right.reject, 0) << key << ", AES-" << 8 * key_bytes;
    const std::string name = key[0] == '#' ? "cam3" : key;
    ASSERT_TRUE(gate_.wait_for(name, [](const Seen& seen) { return seen.opened == 1; }));
    ASSERT_TRUE(send_null_packets(right));
    EXPECT_TRUE(gate_.wait_for(name, [](const Seen& seen) { return seen.packets == 7; }));
    EXPECT_EQ(right.socket.get_int(SRTO_PBKEYLEN), key_bytes);
    EXPECT_EQ(right.socket.get_int(SRTO_KMSTATE), SRT_KM_S_SECURED);
    key_bytes += 8;
  }
}

TEST_F(SrtListenerTest, AStreamMayHaveAPassphraseWhereOthersHaveNone) {
  start({.rules = {{"cam1", {.passphrase = "battery staple"}}}});
  EXPECT_EQ(publish("cam1").reject, SRT_REJ_UNSECURE);
  EXPECT_EQ(publish("cam2").reject, 0);
  EXPECT_EQ(publish("cam3", "battery staple").reject, SRT_REJ_UNSECURE);
  EXPECT_EQ(publish("cam1", "battery staple").reject, 0);
}

// libsrt refuses over a passphrase without a word to us; it is found out, told and counted.
TEST_F(SrtListenerTest, TellsOfWhomLibsrtRefused) {
  start({.rules = {{"cam1", {.passphrase = "battery staple"}}}});
  EXPECT_EQ(publish("cam1", "wrong staple").reject, SRT_REJ_BADSECRET);
  EXPECT_EQ(publish("cam2", "battery staple").reject, SRT_REJ_UNSECURE);
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  std::vector<media::TurnedAway> refusals;
  while (refusals.size() < 2 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
    refusals = listener_->turned_away();
  }
  ASSERT_EQ(refusals.size(), 2U);
  for (const auto& refusal : refusals) EXPECT_EQ(refusal.reason, "handshake");
  EXPECT_EQ(refusals[0].asked_for, "cam1");
  EXPECT_THAT(refusals[0].why, testing::HasSubstr("passphrase is missing or wrong"));
  EXPECT_THAT(refusals[1].why, testing::HasSubstr("has no passphrase"));
  EXPECT_THAT(metrics_.render(),
              testing::HasSubstr("mirror_srt_refusals_total{reason=\"handshake\"} 2"));
}

// The greater of both ends' latencies holds, so a rule lowers it only for who asks for less.
TEST_F(SrtListenerTest, LatencyOfTheStream) {
  start({.latency = 200ms, .rules = {{"slow", {.latency = 900ms}}, {"fast", {.latency = 60ms}}}});
  const std::map<std::string, int> expected = {{"slow", 900}, {"fast", 60}, {"cam1", 200}};
  for (const auto& [key, latency_ms] : expected) {
    const Call caller = publish(key);  // asks for 40 ms
    ASSERT_EQ(caller.reject, 0);
    EXPECT_TRUE(gate_.wait_for(key, [](const Seen& seen) { return seen.latency_ms > 0; }));
    EXPECT_EQ(gate_.seen(key).latency_ms, latency_ms) << key;
  }
  const Call patient = call(listener_->port(), "fast", {.latency_ms = 300});
  EXPECT_TRUE(gate_.wait_for("fast", [](const Seen& seen) { return seen.latency_ms == 300; }));
}

TEST_F(SrtListenerTest, UserAndTokenGoToTheGate) {
  start();
  const Call caller = publish("#!::r=cam1,m=publish,u=studio,s=secret");
  ASSERT_EQ(caller.reject, 0);
  ASSERT_TRUE(gate_.wait_for("cam1", [](const Seen& seen) { return seen.opened == 1; }));
  EXPECT_EQ(gate_.seen("cam1").user, "studio");
  EXPECT_EQ(gate_.seen("cam1").token, "secret");
  gate_.refuse_all(PublishRefusal::Reason::kUnauthorized);
  EXPECT_EQ(publish("#!::r=cam2,s=wrong").reject, SRT_REJX_UNAUTHORIZED);
  ASSERT_EQ(listener_->turned_away().size(), 1U);
  EXPECT_EQ(listener_->turned_away()[0].reason, "unauthorized");
  EXPECT_EQ(listener_->turned_away()[0].asked_for, "#!::r=cam2,s=…") << "no token is shown";
}

// SRT 409, 700, 1570 ("no room to store packet"): what 50 Mbps need over latency and round trip.
TEST(SrtOptions, ReceiveBufferHoldsRateTimesLatencyAndRoundTrip) {
  EXPECT_EQ(receive_buffer_packets(120ms, 50'000'000), 25'600) << "libsrt's flight window at least";
  EXPECT_EQ(receive_buffer_packets(4000ms, 50'000'000), 26'713);
  EXPECT_EQ(receive_buffer_packets(8000ms, 50'000'000), 50'460);
  EXPECT_EQ(receive_buffer_packets(8000ms, 1'000'000'000), 1 << 17) << "and not without end";
}

TEST(SrtOptions, BitrateThatFitsIsTheSameTheOtherWayRound) {
  const auto fits = [](std::chrono::milliseconds made_for, std::chrono::milliseconds latency) {
    return bitrate_that_fits(receive_buffer_bytes(made_for, kFeedBitrateMax), latency);
  };
  // A caller may ask for this much beyond our 120 ms, and lose nothing of 50 Mbps.
  EXPECT_GE(fits(120ms, 3800ms), kFeedBitrateMax);
  EXPECT_LT(fits(120ms, 4000ms), kFeedBitrateMax);
  EXPECT_EQ(fits(120ms, 8000ms) / 1'000'000, 25);
  // Rounded down to whole packets by less than one in a thousand.
  EXPECT_GE(fits(8000ms, 8000ms), kFeedBitrateMax * 999 / 1000);
}

TEST_F(SrtListenerTest, WarnsWhenTheCallersLatencyIsMoreThanItsBufferHolds) {
  SrtSettings settings;
  settings.rules["told"] = {.latency = 6000ms};
  start(std::move(settings));
  const Call asked = call(listener_->port(), "asked", {.latency_ms = 6000});
  const Call told = call(listener_->port(), "told", {.latency_ms = 6000});
  ASSERT_EQ(asked.reject, 0);
  ASSERT_EQ(told.reject, 0);
  EXPECT_TRUE(gate_.wait_for("told", [](const Seen& seen) { return seen.latency_ms == 6000; }));
  EXPECT_TRUE(gate_.wait_for("asked", [](const Seen& seen) { return seen.latency_ms == 6000; }));
  listener_->stop();
  EXPECT_THAT(logged(), ContainsRegex("small for the latency[^\n]*asked[^\n]*set the stream's own "
                                      "latency_ms, or srt.latency_ms, to 6000"));
  EXPECT_THAT(logged(), Not(ContainsRegex("small for the latency[^\n]*told")));
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
  EXPECT_EQ(call((*listener)->port(), "cam6", {.family = AF_INET6}).reject, 0);
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
  const auto rule = SrtListener::create(
      {.address = "127.0.0.1", .port = 0, .rules = {{"cam1", {.passphrase = "x"}}}}, gate_, log_,
      metrics_, clock_);
  ASSERT_FALSE(rule.has_value());
  EXPECT_THAT(rule.error().message, testing::HasSubstr("stream cam1: the passphrase"));
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
