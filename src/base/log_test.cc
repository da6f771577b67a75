#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace mirror {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// What a log writes, read back through a pipe.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
    read_ = ends[0];
    write_ = ends[1];
    ::fcntl(read_, F_SETPIPE_SZ, 1 << 20);
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    if (read_ >= 0) ::close(read_);
    ::close(write_);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int end() const { return write_; }
  void close_reader() {
    ::close(read_);
    read_ = -1;
  }
  std::string text() const {
    std::string all;
    std::array<char, 65536> bytes;
    for (ssize_t n = 0; (n = ::read(read_, bytes.data(), bytes.size())) > 0;) {
      all.append(bytes.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  int read_ = -1;
  int write_ = -1;
};

std::string logged(LogFormat format, std::string_view message, Log::Fields fields) {
  const Pipe pipe;
  Log(LogLevel::kDebug, format, pipe.end()).info("ingest", message, fields);
  return pipe.text();
}

std::string readable(std::string_view message, Log::Fields fields = {}) {
  return logged(LogFormat::kReadable, message, fields);
}

std::string json(std::string_view message, Log::Fields fields = {}) {
  return logged(LogFormat::kJson, message, fields);
}

TEST(LogReadable, IsOneLineThatAPersonCanRead) {
  EXPECT_THAT(
      readable("publisher connected", {{"stream", "cam1"}, {"remote", "1.2.3.4:5"}}),
      MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z info  "
                   "ingest: publisher connected stream=cam1 remote=\"1\\.2\\.3\\.4:5\"\n"));
}

TEST(LogReadable, AlignsTheLevels) {
  const Pipe pipe;
  const Log log(LogLevel::kDebug, LogFormat::kReadable, pipe.end());
  log.debug("m", "a");
  log.info("m", "b");
  log.warning("m", "c");
  log.error("m", "d");
  EXPECT_THAT(pipe.text(), MatchesRegex(".*Z debug m: a\n.*Z info  m: b\n"
                                        ".*Z warn  m: c\n.*Z error m: d\n"));
}

TEST(LogReadable, WritesEachTypeOfValue) {
  EXPECT_THAT(readable("x", {{"n", -3},
                             {"u", std::uint16_t{7}},
                             {"r", 1.5},
                             {"t", true},
                             {"empty", ""},
                             {"path", "/var/lib"}}),
              EndsWith("x n=-3 u=7 r=1.5 t=true empty=\"\" path=/var/lib\n"));
}

// A stranger who chooses a stream id must not be able to forge a line or drive a terminal.
TEST(LogReadable, EscapesWhatCouldForgeALine) {
  EXPECT_THAT(readable("a\nb", {{"id", "x\"\n2026 error \x1b[31m\x7f\xc2\x9b"}}),
              EndsWith("ingest: a\\nb id=\"x\\\"\\n2026 error \\u001b[31m\\u007f\\u009b\"\n"));
}

TEST(LogReadable, LeavesOutWhatIsBelowTheThreshold) {
  const Pipe pipe;
  const Log log(LogLevel::kWarning, LogFormat::kReadable, pipe.end());
  log.debug("m", "a");
  log.info("m", "b");
  EXPECT_EQ(pipe.text(), "");
  log.warning("m", "c");
  EXPECT_NE(pipe.text(), "");
}

TEST(LogJson, IsOneObject) {
  EXPECT_THAT(json("up", {{"port", 8443}, {"ok", false}, {"ratio", 0.25}}),
              MatchesRegex("\\{\"time\":\"[^\"]*Z\",\"level\":\"info\",\"module\":\"ingest\","
                           "\"message\":\"up\",\"port\":8443,\"ok\":false,\"ratio\":0\\.25\\}\n"));
}

TEST(LogJson, HasNoNumberThatJsonHasNot) {
  EXPECT_THAT(json("x", {{"a", std::nan("")}, {"b", std::numeric_limits<double>::infinity()}}),
              EndsWith("\"a\":null,\"b\":null}\n"));
}

TEST(LogJson, EscapesControlsAndReplacesInvalidUtf8) {
  struct Case {
    std::string_view in;
    std::string_view out;
  };
  const std::array cases{
      Case{std::string_view("a\0b", 3), "a\\u0000b"},
      Case{"\b\f\n\r\t\"\\/", "\\u0008\\u000c\\n\\r\\t\\\"\\\\/"},
      Case{"Zürich 東京 😀", "Zürich 東京 😀"},
      Case{"\xff", "\xEF\xBF\xBD"},
      Case{"\xc3", "\xEF\xBF\xBD"},                                  // cut short
      Case{"\xc3(", "\xEF\xBF\xBD("},                                // no continuation
      Case{"\xc0\xaf", "\xEF\xBF\xBD\xEF\xBF\xBD"},                  // overlong
      Case{"\xed\xa0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // surrogate
      Case{"\xf4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // > 10FFFF
  };
  for (const Case& c : cases) {
    EXPECT_THAT(json("x", {{"v", c.in}}), EndsWith("\"v\":\"" + std::string(c.out) + "\"}\n"));
  }
}

TEST(Log, CutsALongValueAndSaysSo) {
  const std::string value(20'000, 'x');
  const std::string line = json("x", {{"v", value}, {"later", 1}});
  EXPECT_LE(line.size(), Log::kMaxLineBytes);
  EXPECT_GT(line.size(), Log::kMaxLineBytes - 64);
  EXPECT_THAT(line, AllOf(StartsWith("{\"time\""), EndsWith("xxx…\",\"cut\":true}\n"),
                          Not(HasSubstr("later"))));

  for (const std::string& v : {value, value + " "}) {
    const std::string text = readable("x", {{"v", v}, {"later", 1}});
    EXPECT_LE(text.size(), Log::kMaxLineBytes);
    EXPECT_THAT(text, AllOf(EndsWith(" (cut)\n"), Not(HasSubstr("later"))));
  }
}

// Whatever the length at which a line is cut, JSON stays JSON: no half escape, character, key or
// number. The value before the limit moves every later piece over it, byte by byte.
TEST(Log, ACutLineStillParsesWhereverItIsCut) {
  for (std::size_t size = Log::kMaxLineBytes - 260; size < Log::kMaxLineBytes; ++size) {
    const std::string value(size, 'x');
    const std::string line =
        json("m", {{"v", value}, {"text", "\n€\"\\\x01"}, {"number", 1234567}, {"truth", true}});
    ASSERT_LE(line.size(), Log::kMaxLineBytes) << size;
    ASSERT_THAT(line,
                MatchesRegex("\\{.*,\"v\":\"x+(…)?\""
                             "(,\"text\":\"(\\\\n)?(€)?(\\\\\")?(\\\\\\\\)?(\\\\u0001)?(…)?\")?"
                             "(,\"number\":1234567)?(,\"truth\":true)?(,\"cut\":true)?\\}\n"))
        << size;
  }
  EXPECT_THAT(json(std::string(9000, 'm'), {{"k", 1}}), EndsWith("mm…\",\"cut\":true}\n"));
  EXPECT_THAT(json("m", {{std::string(9000, 'k'), 1}}), EndsWith("\"m\",\"cut\":true}\n"));
}

TEST(Log, KeepsLinesOfSeveralThreadsApart) {
  const Pipe pipe;
  const Log log(LogLevel::kDebug, LogFormat::kReadable, pipe.end());
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&log, t] {
        const std::string value(200, static_cast<char>('a' + t));
        for (int i = 0; i < kLines; ++i) log.info("m", "line", {{"v", value}});
      });
    }
  }
  const std::string text = pipe.text();
  int lines = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    const std::string value = text.substr(end - 200, 200);
    EXPECT_EQ(value, std::string(200, value[0]));
    at = end + 1;
  }
  EXPECT_EQ(lines, kThreads * kLines);
}

TEST(Log, SurvivesAReaderThatIsGoneOrNeverReads) {
  Pipe gone;
  gone.close_reader();
  ::signal(SIGPIPE, SIG_IGN);
  errno = 4711;
  Log(LogLevel::kInfo, LogFormat::kJson, gone.end()).info("m", "x");
  EXPECT_EQ(errno, 4711);

  const Pipe full;
  ::fcntl(full.end(), F_SETPIPE_SZ, 4096);
  ::fcntl(full.end(), F_SETFL, O_NONBLOCK);
  const Log log(LogLevel::kInfo, LogFormat::kJson, full.end());
  const std::string value(3000, 'x');
  for (int i = 0; i < 4; ++i) log.info("m", "x", {{"v", value}});

  const Pipe blocking;
  ::fcntl(blocking.end(), F_SETPIPE_SZ, 4096);
  const Log stuck(LogLevel::kInfo, LogFormat::kJson, blocking.end());
  for (int i = 0; i < 4; ++i) stuck.info("m", "x", {{"v", value}});

  Log(LogLevel::kInfo, LogFormat::kJson, -1).info("m", "x");
}

}  // namespace
}  // namespace mirror
