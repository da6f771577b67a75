#include "http/conditional.h"

#include <gtest/gtest.h>

#include <string>

namespace mirror::http {
namespace {

// What was sent, as text.
struct Sent final : Exchange {
  void respond(Response response) override {
    status = response.status;
    headers = std::move(response.headers);
    body = join(response.body);
  }
  void respond(std::shared_ptr<const Prepared> answer, std::span<const Header> extra) override {
    status = answer->status();
    headers = answer->headers();
    headers.insert(headers.end(), extra.begin(), extra.end());
    body = join(answer->body());
    whole = true;
  }
  void start(int, Headers) override { FAIL(); }
  void write(Bytes) override { FAIL(); }
  void finish() override { FAIL(); }
  void abort() override { FAIL(); }
  std::size_t queued_bytes() const override { return 0; }
  void tell_below(std::size_t) override {}
  void attach(std::unique_ptr<Attachment>) override { FAIL(); }

  static std::string join(const std::vector<Bytes>& pieces) {
    std::string text;
    for (const Bytes& piece : pieces) text += piece.text();
    return text;
  }
  std::string header(std::string_view name) const {
    for (const Header& one : headers) {
      if (one.name == name) return one.value;
    }
    return {};
  }

  int status = 0;
  Headers headers;
  std::string body;
  bool whole = false;  // the Prepared itself
};

class Conditional : public testing::Test {
 protected:
  Sent ask(Headers asked, Method method = Method::kGet) {
    Request request;
    request.method = method;
    request.headers = std::move(asked);
    Sent sent;
    const Header cors{"access-control-allow-origin", "https://a"};
    const Conditions conditions = Conditions::of(request);
    mirror::http::respond(sent, conditions, answer, {&cors, 1});
    EXPECT_EQ(sent.header("access-control-allow-origin"), "https://a");
    return sent;
  }
  Sent ask_range(const std::string& range) { return ask({{"range", range}}); }

  std::shared_ptr<const Prepared> answer = std::make_shared<const Prepared>(
      200,
      Headers{{"etag", "\"one\""},
              {"content-type", "video/mp4"},
              {"cache-control", "max-age=6"},
              {"vary", "accept-encoding"},
              {"timing-allow-origin", "*"},
              {"accept-ranges", "bytes"}},
      std::vector{Bytes::take(std::string("0123")), Bytes::take(std::string("456789"))});
};

TEST_F(Conditional, NothingAskedIsTheWhole) {
  EXPECT_TRUE(Conditions::of({}).empty());
  const Sent sent = ask({{"accept", "*/*"}});
  EXPECT_TRUE(sent.whole);
  EXPECT_EQ(sent.body, "0123456789");
}

TEST_F(Conditional, IfNoneMatch) {
  const std::pair<const char*, int> table[] = {
      {"\"one\"", 304},
      {"W/\"one\"", 304},
      {"*", 304},
      {"\"two\", \"one\"", 304},
      {"\"two\",W/\"one\"", 304},
      {"\"a,b\" , \"one\"", 304},
      {"\"two\"", 200},
      {"one", 200},
      {"\"one", 200},
      {"\"on\", e\"", 200},
      {"", 200},
      {"\"ONE\"", 200},
      {"W/", 200},
      {",,, \"one\"", 304},
  };
  for (const auto& [value, status] : table) {
    EXPECT_EQ(ask({{"if-none-match", value}}).status, status) << value;
    EXPECT_EQ(ask({{"if-none-match", value}}, Method::kHead).status, status) << value;
  }
  EXPECT_EQ(ask({{"if-none-match", "\"two\""}, {"if-none-match", "\"one\""}}).status, 304);
  EXPECT_TRUE(ask({{"if-none-match", "\"one\""}}, Method::kPost).whole);
}

TEST_F(Conditional, A304SaysWhatACacheNeeds) {
  const Sent sent = ask({{"if-none-match", "\"one\""}, {"range", "bytes=0-1"}});
  EXPECT_EQ(sent.status, 304);
  EXPECT_EQ(sent.body, "");
  EXPECT_EQ(sent.header("etag"), "\"one\"");
  EXPECT_EQ(sent.header("cache-control"), "max-age=6");
  EXPECT_EQ(sent.header("vary"), "accept-encoding");
  EXPECT_EQ(sent.header("timing-allow-origin"), "*");
  EXPECT_EQ(sent.header("content-type"), "");
}

TEST_F(Conditional, IfMatch) {
  EXPECT_EQ(ask({{"if-match", "\"one\""}}).status, 200);
  EXPECT_EQ(ask({{"if-match", "*"}}).status, 200);
  EXPECT_EQ(ask({{"if-match", "\"two\""}}).status, 412);
  EXPECT_EQ(ask({{"if-match", "W/\"one\""}}).status, 412);
}

TEST_F(Conditional, OneRange) {
  const struct {
    const char* range;
    const char* body;
    const char* content_range;
  } table[] = {
      {"bytes=0-0", "0", "bytes 0-0/10"},
      {"bytes=2-5", "2345", "bytes 2-5/10"},
      {"bytes=4-", "456789", "bytes 4-9/10"},
      {"bytes=3-3", "3", "bytes 3-3/10"},
      {"bytes=9-9", "9", "bytes 9-9/10"},
      {"bytes=-3", "789", "bytes 7-9/10"},
      {"bytes=-10", "0123456789", "bytes 0-9/10"},
      {"bytes=-11", "0123456789", "bytes 0-9/10"},
      {"bytes=5-99999999999999999999999", "56789", "bytes 5-9/10"},
      {"bytes=-99999999999999999999999", "0123456789", "bytes 0-9/10"},
      {"BYTES= 1-2 ", "12", "bytes 1-2/10"},
      {"bytes=00001-00002", "12", "bytes 1-2/10"},
  };
  for (const auto& [range, body, content_range] : table) {
    const Sent sent = ask_range(range);
    EXPECT_EQ(sent.status, 206) << range;
    EXPECT_EQ(sent.body, body) << range;
    EXPECT_EQ(sent.header("content-range"), content_range) << range;
    EXPECT_EQ(sent.header("content-type"), "video/mp4");
    EXPECT_EQ(sent.header("etag"), "\"one\"");
  }
}

TEST_F(Conditional, ARangeBeyondTheEnd) {
  for (const char* range : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=18446744073709551616-",
                            "bytes=18446744073709551615-18446744073709551615"}) {
    const Sent sent = ask_range(range);
    EXPECT_EQ(sent.status, 416) << range;
    EXPECT_EQ(sent.header("content-range"), "bytes */10");
    EXPECT_EQ(sent.header("etag"), "");
    EXPECT_EQ(sent.header("cache-control"), "no-store");
  }
}

TEST_F(Conditional, WhatIsNoSingleRangeIsIgnored) {
  for (const char* range :
       {"bytes=0-1,4-5", "bytes=0-1, 2-3", "bytes=5-2", "bytes=", "bytes=-", "bytes", "", "0-1",
        "items=0-1", "bytes=a-b", "bytes=1-b", "bytes=--1", "bytes=1-2-3", "bytes=+1-2",
        "bytes=0x1-2", "bytes=1 - 2", "bytes=- 2"}) {
    const Sent sent = ask_range(range);
    EXPECT_TRUE(sent.whole) << range;
  }
  EXPECT_TRUE(ask({{"range", "bytes=0-1"}, {"range", "bytes=2-3"}}).whole);
  // RFC 9110 14.2: ranges are defined for GET.
  EXPECT_TRUE(ask({{"range", "bytes=0-1"}}, Method::kHead).whole);
}

TEST_F(Conditional, AnEmptyBodyHasNoRanges) {
  answer = std::make_shared<const Prepared>(200, Headers{}, std::vector<Bytes>{});
  for (const char* range : {"bytes=0-", "bytes=-1", "bytes=-0", "bytes=1-2"}) {
    EXPECT_TRUE(ask_range(range).whole) << range;
  }
}

TEST_F(Conditional, IfRange) {
  const std::pair<const char*, int> table[] = {
      {"\"one\"", 206}, {"W/\"one\"", 200},
      {"\"two\"", 200}, {"Sun, 22 Nov 2026 12:00:00 GMT", 200},
      {"one", 200},
  };
  for (const auto& [value, status] : table) {
    EXPECT_EQ(ask({{"range", "bytes=1-2"}, {"if-range", value}}).status, status) << value;
    EXPECT_EQ(ask({{"range", "bytes=99-"}, {"if-range", value}}).status, status == 206 ? 416 : 200);
  }
  EXPECT_TRUE(ask({{"if-range", "\"one\""}}).whole);
}

TEST_F(Conditional, AWeakTagOfTheAnswerIsNeverStronglyEqual) {
  answer = std::make_shared<const Prepared>(200, Headers{{"etag", "W/\"one\""}},
                                            std::vector{Bytes::take(std::string("0123"))});
  EXPECT_EQ(ask({{"if-none-match", "\"one\""}}).status, 304);
  EXPECT_EQ(ask({{"if-match", "W/\"one\""}}).status, 412);
  EXPECT_EQ(ask({{"range", "bytes=1-2"}, {"if-range", "W/\"one\""}}).status, 200);
}

TEST_F(Conditional, WithoutATagOnlyTheStarMatches) {
  answer = std::make_shared<const Prepared>(200, Headers{},
                                            std::vector{Bytes::take(std::string("0123"))});
  EXPECT_EQ(ask({{"if-none-match", "\"one\""}}).status, 200);
  EXPECT_EQ(ask({{"if-none-match", "*"}}).status, 304);
  EXPECT_EQ(ask({{"if-match", "\"one\""}}).status, 412);
}

TEST_F(Conditional, OtherAnswersAreLeftAsTheyAre) {
  answer = std::make_shared<const Prepared>(404, Headers{{"etag", "\"one\""}},
                                            std::vector{Bytes::take(std::string("none"))});
  const Sent sent = ask({{"if-none-match", "*"}, {"range", "bytes=0-1"}, {"if-match", "\"x\""}});
  EXPECT_TRUE(sent.whole);
  EXPECT_EQ(sent.status, 404);
}

}  // namespace
}  // namespace mirror::http
