#include "net/tls.h"

#include <gmock/gmock.h>
#include <gnutls/gnutls.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace mirror::net {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const WallTime kNow = SystemClock().now().wall;
const std::vector<std::string> kNames = {"localhost", "127.0.0.1", "::1"};

class Tls : public testing::Test {
 protected:
  Tls() {
    std::string name = fs::temp_directory_path() / "mirror_tls.XXXXXX";
    dir = ::mkdtemp(name.data());
  }
  ~Tls() override {
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }

  static std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  fs::path crt() const { return dir / "tls-cert.pem"; }
  fs::path key() const { return dir / "tls-key.pem"; }

  fs::path dir;
};

TEST_F(Tls, GeneratesOnceAndKeeps) {
  const auto first = TlsCredentials::load_or_generate(dir / "state", kNames, kNow);
  ASSERT_TRUE(first) << first.error().message;
  const std::string before = text_of(dir / "state" / "tls-cert.pem");
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir / "state", kNames, kNow));
  EXPECT_EQ(text_of(dir / "state" / "tls-cert.pem"), before);
  struct stat info{};
  ASSERT_EQ(::stat((dir / "state" / "tls-key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir / "state")) ++files;
  EXPECT_EQ(files, 2u) << "no temporary file is left";
}

TEST_F(Tls, RenewsBeforeTheEndAndForANewName) {
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow));
  const std::string first = text_of(crt());
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow + std::chrono::days(334)));
  EXPECT_EQ(text_of(crt()), first);
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow + std::chrono::days(336)));
  const std::string second = text_of(crt());
  EXPECT_NE(second, first);
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, {"wall.example", "localhost"},
                                               kNow + std::chrono::days(336)));
  EXPECT_NE(text_of(crt()), second);
}

TEST_F(Tls, ADamagedPairIsMadeAnew) {
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow));
  write(key(), "half a k");
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow));
  EXPECT_TRUE(TlsCredentials::load(crt(), key(), kNow));
}

TEST_F(Tls, AStateDirectoryThatCannotBeMadeIsNamed) {
  write(dir / "file", "");
  const auto made = TlsCredentials::load_or_generate(dir / "file" / "state", kNames, kNow);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr((dir / "file" / "state").string()));
}

TEST_F(Tls, LoadErrorsNameFileAndFault) {
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow));
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir / "other", kNames, kNow));
  const auto message = [](const fs::path& c, const fs::path& k, WallTime now) {
    const auto loaded = TlsCredentials::load(c, k, now);
    return loaded ? std::string("loaded") : loaded.error().message;
  };
  EXPECT_EQ(message(crt(), key(), kNow), "loaded");
  EXPECT_EQ(message(dir / "none.pem", key(), kNow),
            "certificate: " + (dir / "none.pem").string() + ": No such file or directory");
  EXPECT_EQ(message(crt(), dir, kNow), "private key: " + dir.string() + ": Is a directory");
  EXPECT_THAT(message(crt(), dir / "other" / "tls-key.pem", kNow), HasSubstr("does not belong to"));
  EXPECT_THAT(message(crt(), key(), kNow + std::chrono::days(400)), HasSubstr("expired on"));
  EXPECT_THAT(message(crt(), key(), kNow - std::chrono::days(2)), HasSubstr("not valid before"));
  write(dir / "garbage.pem", "not PEM at all");
  EXPECT_THAT(message(dir / "garbage.pem", key(), kNow), HasSubstr("garbage.pem"));
  EXPECT_THAT(message(crt(), dir / "garbage.pem", kNow), HasSubstr("garbage.pem"));
}

TEST_F(Tls, AFileWithoutPermissionIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  ASSERT_TRUE(TlsCredentials::load_or_generate(dir, kNames, kNow));
  fs::permissions(key(), fs::perms::none);
  EXPECT_THAT(TlsCredentials::load(crt(), key(), kNow).error().message,
              HasSubstr("Permission denied"));
}

TEST_F(Tls, GarbageInsteadOfAHandshakeFailsWithAnAlert) {
  auto credentials = TlsCredentials::load_or_generate(dir, kNames, kNow);
  ASSERT_TRUE(credentials);
  auto session = TlsSession::create(*credentials);
  ASSERT_TRUE(session);
  const std::string_view text = "GET / HTTP/1.1\r\n\r\n";
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(text.data()),
                                      text.size());
  std::vector<std::uint8_t> output;
  EXPECT_EQ((*session)->handshake(input, output), TlsSession::Outcome::kFailed);
  EXPECT_FALSE((*session)->failure().empty());
}

// A GnuTLS client in memory.
struct Client {
  Client() {
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    gnutls_set_default_priority(session);
    gnutls_certificate_allocate_credentials(&trust);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust);
    gnutls_transport_set_ptr(session, this);
    gnutls_transport_set_pull_function(
        session, [](gnutls_transport_ptr_t self, void* data, std::size_t size) -> ssize_t {
          auto& client = *static_cast<Client*>(self);
          if (client.in.empty()) {
            gnutls_transport_set_errno(client.session, EAGAIN);
            return -1;
          }
          size = std::min(size, client.in.size());
          std::copy_n(client.in.begin(), size, static_cast<std::uint8_t*>(data));
          client.in.erase(client.in.begin(), client.in.begin() + static_cast<std::ptrdiff_t>(size));
          return static_cast<ssize_t>(size);
        });
    gnutls_transport_set_push_function(
        session, [](gnutls_transport_ptr_t self, const void* data, std::size_t size) -> ssize_t {
          const auto* bytes = static_cast<const std::uint8_t*>(data);
          auto& sent = static_cast<Client*>(self)->out;
          sent.insert(sent.end(), bytes, bytes + size);
          return static_cast<ssize_t>(size);
        });
  }
  ~Client() {
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(trust);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  gnutls_session_t session = nullptr;
  gnutls_certificate_credentials_t trust = nullptr;
  std::vector<std::uint8_t> in;
  std::vector<std::uint8_t> out;
};

// Lets the two shake hands; whether the server is content.
bool shake_hands(Client& client, TlsSession& server) {
  auto outcome = TlsSession::Outcome::kWantsInput;
  for (int flight = 0; flight < 5 && outcome == TlsSession::Outcome::kWantsInput; ++flight) {
    gnutls_handshake(client.session);
    std::span<const std::uint8_t> input(client.out);
    outcome = server.handshake(input, client.in);
    client.out.clear();
  }
  return outcome == TlsSession::Outcome::kDone;
}

// RFC 8446 4.6.3. Everything comes in one read: nothing behind the key update may be left in it.
TEST_F(Tls, DataBehindAKeyUpdateIsRead) {
  auto credentials = TlsCredentials::load_or_generate(dir, kNames, kNow);
  ASSERT_TRUE(credentials);
  auto server = TlsSession::create(*credentials).value();
  Client client;
  ASSERT_TRUE(shake_hands(client, *server)) << server->failure();
  ASSERT_EQ(gnutls_session_key_update(client.session, 0), 0);
  ASSERT_EQ(gnutls_record_send(client.session, "hello", 5), 5);
  std::span<const std::uint8_t> input(client.out);
  std::vector<std::uint8_t> plain(TlsSession::kRecordBytesMax);
  const auto read = server->read(input, plain, client.in);
  EXPECT_EQ(read.outcome, TlsSession::Outcome::kDone) << server->failure();
  EXPECT_EQ(read.bytes, 5u);
}

TEST_F(Tls, APeerMayAskForSmallRecords) {
  auto credentials = TlsCredentials::load_or_generate(dir, kNames, kNow);
  ASSERT_TRUE(credentials);
  auto server = TlsSession::create(*credentials).value();
  Client client;
  ASSERT_EQ(gnutls_record_set_max_recv_size(client.session, 1024), 0);
  ASSERT_TRUE(shake_hands(client, *server)) << server->failure();

  const std::vector<std::uint8_t> sent(TlsSession::kRecordBytesMax, 7);
  const auto written = server->write(sent, client.in);
  ASSERT_TRUE(written) << written.error().message;
  std::vector<std::uint8_t> received(sent.size());
  std::size_t size = 0;
  for (int record = 0; record < 100 && size < sent.size(); ++record) {
    const auto n =
        gnutls_record_recv(client.session, received.data() + size, received.size() - size);
    if (n > 0) size += static_cast<std::size_t>(n);
  }
  EXPECT_EQ(size, sent.size());
  EXPECT_EQ(received, sent);
}

}  // namespace
}  // namespace mirror::net
