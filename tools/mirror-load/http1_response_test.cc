#include "http1_response.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "input_exercise.h"

namespace mirror::load {
namespace {

using Event = Http1Response::Event;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct Answer {
  int status = 0;
  std::string body;
  bool keep_alive = false;
};

// The responses in `text`, fed in pieces of `step` bytes; a fault ends the list and is in `fault`.
struct Reader {
  Http1Response response;
  std::vector<Answer> answers;
  std::string body;
  std::string fault;

  void feed(std::string_view text, std::size_t step) {
    while (!text.empty() && fault.empty()) {
      auto input = bytes_of(text.substr(0, step));
      text.remove_prefix(std::min(step, text.size()));
      take(input);
    }
  }

  void take(std::span<const std::uint8_t> input) {
    for (;;) {
      switch (response.next(input)) {
        case Event::kNeedMore:
          EXPECT_TRUE(input.empty());
          return;
        case Event::kHead:
          body.clear();
          break;
        case Event::kBody:
          body.append(reinterpret_cast<const char*>(response.piece().data()),
                      response.piece().size());
          break;
        case Event::kEnd:
          answers.push_back({response.status(), body, response.keep_alive()});
          break;
        case Event::kFault:
          fault = response.fault();
          return;
      }
    }
  }
};

Reader read_all(std::string_view text, std::size_t step) {
  Reader reader;
  reader.feed(text, step);
  return reader;
}

// In one piece, byte by byte, and in between: the same.
class Http1ResponsePieces : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Http1ResponsePieces, testing::Values(1, 2, 3, 7, 64, 10'000));

TEST_P(Http1ResponsePieces, ReadsBodiesWithALengthOneBehindTheOther) {
  const auto reader = read_all(
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
      "HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n"
      "HTTP/1.1 204\r\n\r\n"
      "HTTP/1.1 200 OK\r\nX: y\r\nCONTENT-LENGTH:\t3 \r\nConnection: a, Close\r\n\r\nend",
      GetParam());
  ASSERT_EQ(reader.fault, "");
  ASSERT_EQ(reader.answers.size(), 4U);
  EXPECT_EQ(reader.answers[0].body, "hello");
  EXPECT_TRUE(reader.answers[0].keep_alive);
  EXPECT_EQ(reader.answers[1].status, 404);
  EXPECT_EQ(reader.answers[1].body, "");
  EXPECT_EQ(reader.answers[2].status, 204);
  EXPECT_EQ(reader.answers[3].body, "end");
  EXPECT_FALSE(reader.answers[3].keep_alive);
}

TEST_P(Http1ResponsePieces, ReadsChunks) {
  const auto reader = read_all(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n1;name=value\r\n,\r\n00A\r\n 123456789\r\n0\r\nTrailer: t\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
      GetParam());
  ASSERT_EQ(reader.fault, "");
  ASSERT_EQ(reader.answers.size(), 2U);
  EXPECT_EQ(reader.answers[0].body, "hello, 123456789");
  EXPECT_EQ(reader.answers[1].body, "!");
}

TEST_P(Http1ResponsePieces, PassesOverInterimResponses) {
  const auto reader = read_all(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      GetParam());
  ASSERT_EQ(reader.answers.size(), 1U);
  EXPECT_EQ(reader.answers[0].body, "ok");
}

TEST_P(Http1ResponsePieces, ReadsUntilTheEndWithoutALength) {
  auto reader = read_all("HTTP/1.0 200 OK\r\n\r\nas long as it lasts", GetParam());
  EXPECT_TRUE(reader.answers.empty());
  EXPECT_EQ(reader.body, "as long as it lasts");
  EXPECT_EQ(reader.response.close(), Event::kEnd);
}

TEST_P(Http1ResponsePieces, ABodyCutShortIsAFault) {
  for (const std::string_view text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200"}) {
    auto reader = read_all(text, GetParam());
    EXPECT_TRUE(reader.answers.empty());
    EXPECT_EQ(reader.response.close(), Event::kFault) << text;
  }
}

TEST_P(Http1ResponsePieces, RefusesWhatIsNoResponse) {
  for (const std::string_view text : {
           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
           "HTTP/2 200 OK\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 099 OK\r\n\r\n",
           "HTTP/1.1 2000 OK\r\n\r\n",
           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
       }) {
    EXPECT_NE(read_all(text, GetParam()).fault, "") << text;
  }
}

TEST_P(Http1ResponsePieces, HoldsNoMoreThanItsLimit) {
  const std::string endless(Http1Response::kHeadBytesMax + 100, 'a');
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_NE(read_all("HTTP/1.1 200 OK\r\nA: " + endless, GetParam()).fault, "");
  EXPECT_NE(read_all(chunked + "1;" + endless, GetParam()).fault, "");
  std::string trailers = chunked + "0\r\n";
  for (int i = 0; i < 2000; ++i) trailers += "name: value\r\n";
  EXPECT_NE(read_all(trailers, GetParam()).fault, "");
  std::string interim;
  for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_NE(read_all(interim, GetParam()).fault, "");
}

TEST(Http1Response, IsIdleBetweenResponsesOnly) {
  Http1Response response;
  EXPECT_TRUE(response.is_idle());
  auto input = bytes_of("HTTP/1.1 2");
  EXPECT_EQ(response.next(input), Event::kNeedMore);
  EXPECT_FALSE(response.is_idle());
  input = bytes_of("00 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(response.next(input), Event::kHead);
  EXPECT_EQ(response.next(input), Event::kEnd);
  EXPECT_TRUE(response.is_idle());
}

// Also of the other parsers of this tool: what the fuzzer keeps is tried with every build.
TEST(FuzzCorpus, IsReadWithoutHarm) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/load_input")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    exercise_input(bytes_of({bytes.data(), bytes.size()}));
    ++files;
  }
  EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace mirror::load
