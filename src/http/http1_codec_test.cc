#include "http/http1_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "http/http1_exercise.h"

namespace mirror::http {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class Http1 : public testing::Test {
 protected:
  Http1Codec& codec() {
    if (!codec_) codec_ = std::make_unique<Http1Codec>(static_cast<Carrier&>(carrier));
    return *codec_;
  }
  std::string ask(const std::string& text) {
    codec().receive(bytes_of(text));
    return take_output(*codec_);
  }
  static std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  }

  ScriptedCarrier carrier;
  std::unique_ptr<Http1Codec> codec_;
};

TEST_F(Http1, AnswersAtOnce) {
  EXPECT_EQ(ask(get("/a")),
            "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\ncontent-length: 3\r\n"
            "content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n\r\n/a|");
  EXPECT_EQ(codec().phase(), Codec::Phase::kIdle);
}

TEST_F(Http1, PipelinedRequestsAreAnsweredInOrderOneAtATime) {
  EXPECT_EQ(ask(get("/later1") + get("/a") + get("/grow") + get("/b")), "");
  EXPECT_EQ(carrier.seen.size(), 1u);
  carrier.answer_held();
  const std::string first = take_output(codec());
  EXPECT_THAT(first, HasSubstr("later"));
  EXPECT_THAT(first, EndsWith("\r\n\r\n6\r\nfirst \r\n"));
  EXPECT_EQ(carrier.seen.size(), 3u);
  carrier.answer_held();
  EXPECT_THAT(take_output(codec()), StartsWith("6\r\nsecond\r\n0\r\n\r\nHTTP/1.1 200 OK"));
  EXPECT_THAT(carrier.statuses, ElementsAre(200, 200, 200, 200));
}

TEST_F(Http1, HeadHasTheLengthAndNoBody) {
  const std::string answer = ask("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("content-length: 5\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(Http1, GrowingToHttp10EndsWithTheConnection) {
  const std::string head = ask("GET /grow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("connection: close"));
  EXPECT_THAT(head, EndsWith("\r\n\r\nfirst "));
  carrier.answer_held();
  EXPECT_EQ(take_output(codec()), "second");
  EXPECT_TRUE(codec().finished());
}

TEST_F(Http1, ExpectContinue) {
  EXPECT_EQ(ask("POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(ask("abc"), EndsWith("/e|abc"));
}

TEST_F(Http1, AFaultIsAnsweredInWordsAndIsTheLast) {
  const std::string answer = ask("GET / HTTP/1.1\r\n\r\n" + get("/"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, EndsWith("400 Bad Request: no Host field\n"));
  EXPECT_TRUE(codec().finished());
  EXPECT_TRUE(carrier.seen.empty());
  EXPECT_EQ(carrier.protocol_errors, 1);
}

TEST_F(Http1, ADripOfBytesDoesNotRestartTheTimeOfTheHead) {
  ask(get("/a"));
  carrier.time += seconds(5);
  for (const char c : std::string("GET / HTT")) {
    ask(std::string(1, c));
    carrier.time += seconds(1);
  }
  EXPECT_EQ(codec().phase(), Codec::Phase::kHead);
  EXPECT_EQ(carrier.time - codec().phase_since(), seconds(9));
  codec().time_out();
  EXPECT_THAT(take_output(codec()), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(codec().finished());
}

TEST_F(Http1, EveryRequestHasItsOwnTime) {
  std::string next = get("/a");
  codec().receive(bytes_of(next.substr(0, 5)));
  for (int i = 0; i < 5; ++i) {
    carrier.time += seconds(4);
    ask(next.substr(5) + next.substr(0, 5));
    EXPECT_EQ(codec().phase_since(), carrier.time);
  }
}

TEST_F(Http1, APeerThatEndsItsSideWhileWeHoldItsRequestHasLeft) {
  ask(get("/leave"));
  EXPECT_EQ(carrier.held.size(), 1u);
  EXPECT_FALSE(codec().input_ended());
  codec_.reset();
  EXPECT_TRUE(carrier.held.empty());
}

TEST_F(Http1, APeerThatEndsItsSideAfterTheAnswerGetsIt) {
  codec().receive(bytes_of(get("/a")));
  EXPECT_TRUE(codec().input_ended());
  EXPECT_THAT(take_output(codec()), EndsWith("/a|"));
  EXPECT_TRUE(codec().finished());
}

TEST_F(Http1, DrainAnswersWhatIsHeldAndCloses) {
  ask(get("/later"));
  codec().drain();
  EXPECT_FALSE(codec().finished());
  carrier.answer_held();
  EXPECT_THAT(take_output(codec()), HasSubstr("connection: close"));
  EXPECT_TRUE(codec().finished());
}

TEST_F(Http1, AWriterThatIgnoresTheLimitIsAborted) {
  carrier.limits_.queued_bytes_per_connection_max = 10'000;
  codec().receive(bytes_of(get("/grow")));
  Exchange& exchange = carrier.held.front()->exchange;
  for (int i = 0; i < 20; ++i) exchange.write(Bytes::take(std::string(1000, 'x')));
  EXPECT_TRUE(codec().aborted());
  EXPECT_TRUE(codec().finished());
  codec().pump();
  EXPECT_TRUE(carrier.held.empty());
}

TEST_F(Http1, AWriterIsToldOnceWhenItsQueueIsShortEnough) {
  codec().receive(bytes_of(get("/grow")));
  take_output(codec());
  Exchange& exchange = carrier.held.front()->exchange;
  exchange.write(Bytes::take(std::string(3'000, 'x')));
  exchange.tell_below(1'000);
  EXPECT_EQ(carrier.times_writable, 0) << "never from within";
  codec().output().drop(1'000);
  codec().pump();
  EXPECT_EQ(carrier.times_writable, 0);
  codec().output().drop(1'500);
  codec().pump();
  codec().pump();
  EXPECT_EQ(carrier.times_writable, 1);
  exchange.tell_below(1'000);
  codec().pump();
  EXPECT_EQ(carrier.times_writable, 2);
}

TEST_F(Http1, AHeaderCannotSplitTheResponse) {
  codec().receive(bytes_of(get("/later")));
  carrier.held.front()->exchange.respond(
      {302, {{"location", "/a\r\nset-cookie: x"}, {"bad name", "x"}, {"ok", "y"}}, {}});
  const std::string answer = take_output(codec());
  EXPECT_THAT(answer, Not(HasSubstr("set-cookie")));
  EXPECT_THAT(answer, HasSubstr("\r\nok: y\r\n"));
}

TEST_F(Http1, ReadingStopsWhileTheAnswerIsHeld) {
  ask(get("/leave"));
  EXPECT_TRUE(codec().wants_input());
  ask(std::string(carrier.limits_.header_bytes_max, 'x'));
  EXPECT_FALSE(codec().wants_input());
}

TEST(Http1Corpus, Replays) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/http1")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    exercise_http1(bytes_of(text));
    ++inputs;
  }
  EXPECT_GT(inputs, 5);
}

}  // namespace
}  // namespace mirror::http
