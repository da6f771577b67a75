#include "http/prepared.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http1_codec.h"
#include "http/http2_codec.h"
#include "http/qpack.h"
#include "http/scripted_carrier.h"

namespace mirror::http {
namespace {

using testing::HasSubstr;
using testing::Not;

Bytes text(std::string_view what) { return Bytes::take(std::string(what)); }

std::shared_ptr<const Prepared> prepare(int status, Headers headers, std::vector<Bytes> body) {
  return std::make_shared<const Prepared>(status, std::move(headers), std::move(body));
}

TEST(Prepared, KnowsWhatItSays) {
  const Prepared answer(200, {{"etag", "\"a\""}, {"vary", "origin"}}, {text("abc"), text("de")});
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body_size(), 5u);
  EXPECT_EQ(answer.etag(), "\"a\"");
  EXPECT_EQ(answer.header("vary"), "origin");
  EXPECT_EQ(answer.header("age"), std::nullopt);
  EXPECT_EQ(answer.http1_head(),
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"a\"\r\nvary: origin\r\n");
  ASSERT_EQ(answer.http2_fields().size(), 4u);
  EXPECT_EQ(answer.http2_fields()[0].name, ":status");
  EXPECT_EQ(answer.http2_fields()[1].value, "5");
}

TEST(Prepared, AStatusWithoutABodyHasNoLength) {
  const Prepared answer(304, {{"etag", "\"a\""}}, {});
  EXPECT_EQ(answer.http1_head(), "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n");
  EXPECT_EQ(answer.http2_fields().size(), 2u);
}

TEST(Prepared, WhatCannotBeSentIsLeftOut) {
  const Prepared answer(200,
                        {{"location", "/a\r\nset-cookie: x"},
                         {"bad name", "x"},
                         {"", "x"},
                         {"connection", "close"},
                         {"transfer-encoding", "chunked"},
                         {"content-length", "7"},
                         {"date", "today"},
                         {"ok", "y"}},
                        {});
  EXPECT_EQ(answer.http1_head(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nok: y\r\n");
  ASSERT_EQ(answer.headers().size(), 1u);
  EXPECT_EQ(answer.headers()[0].name, "ok");
}

TEST(Prepared, HasOneSectionForHttp3) {
  const Prepared answer(200, {{"etag", "\"a\""}, {"x-other", "y"}}, {text("abc")});
  const std::string_view section = answer.http3_section();
  EXPECT_EQ(section.data(), answer.http3_section().data());  // encoded once
  Headers read;
  EXPECT_TRUE(QpackDecoder().decode(bytes_of(section), [&](auto name, auto value) {
    read.push_back({std::string(name), std::string(value)});
    return true;
  }));
  ASSERT_EQ(read.size(), 4u);
  EXPECT_EQ(read[0].name + read[0].value, ":status200");
  EXPECT_EQ(read[1].name + read[1].value, "content-length3");
  EXPECT_EQ(read[3].name + read[3].value, "x-othery");
}

class PreparedOverHttp1 : public testing::Test {
 protected:
  // What a request of the path /later gets when `answer` is sent.
  std::string ask(std::string_view head, const std::shared_ptr<const Prepared>& answer,
                  std::vector<Header> extra = {}) {
    codec.receive(bytes_of(head));
    carrier.held.back()->exchange.respond(answer, extra);
    return take_output(codec);
  }

  ScriptedCarrier carrier;
  Http1Codec codec{carrier};
};

TEST_F(PreparedOverHttp1, SendsTheSameManyTimes) {
  const auto answer = prepare(200, {{"etag", "\"a\""}}, {text("abc"), text("de")});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", answer),
              "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"a\"\r\n"
              "date: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\nabcde");
  }
  EXPECT_EQ(answer.use_count(), 1);
}

TEST_F(PreparedOverHttp1, HeadAndCloseAndExtraFields) {
  const auto answer = prepare(200, {}, {text("abc")});
  EXPECT_EQ(ask("HEAD /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", answer,
                {{"access-control-allow-origin", "https://a"}, {"x", "a\r\nb: c"}}),
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
            "access-control-allow-origin: https://a\r\nconnection: close\r\n\r\n");
}

TEST_F(PreparedOverHttp1, AltSvcWhereThereIsHttp3) {
  carrier.limits_.alt_svc = R"(h3=":8443"; ma=86400)";
  EXPECT_EQ(ask("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", prepare(200, {}, {text("abc")})),
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
            "alt-svc: h3=\":8443\"; ma=86400\r\n\r\nabc");
  codec.receive(bytes_of("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(take_output(codec), HasSubstr("\r\nalt-svc: h3=\":8443\"; ma=86400\r\n"));
}

TEST_F(PreparedOverHttp1, AnAnswerIsGivenOnce) {
  const auto answer = prepare(200, {}, {text("abc")});
  codec.receive(bytes_of("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
  Exchange& exchange = carrier.held.back()->exchange;
  exchange.respond(answer);
  exchange.respond(answer);
  EXPECT_EQ(carrier.statuses.size(), 1u);
}

}  // namespace
}  // namespace mirror::http
