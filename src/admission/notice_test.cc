#include "admission/notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mirror::admission {
namespace {

using namespace std::chrono_literals;

Question question() {
  return {.request = {.key = *media::StreamKey::parse("cam1"),
                      .protocol = "srt",
                      .remote = "192.0.2.1:40000",
                      .user = "studio",
                      .token = "says-this"}};
}

TEST(NoticeTest, TellsWhoWantsToPublishWhat) {
  const auto json =
      nlohmann::json::parse(notice_body(question(), "abc", WallTime(1'700'000'000'999ms)));
  EXPECT_EQ(json, nlohmann::json({{"id", "abc"},
                                  {"time", 1'700'000'000},
                                  {"action", "publish"},
                                  {"stream", "cam1"},
                                  {"protocol", "srt"},
                                  {"remote", "192.0.2.1:40000"},
                                  {"user", "studio"}}));
}

TEST(NoticeTest, TellsATokenOnlyWhereNobodyHereJudgedIt) {
  Question unjudged = question();
  unjudged.token_unjudged = true;
  EXPECT_EQ(nlohmann::json::parse(notice_body(unjudged, "abc", {}))["token"], "says-this");
}

TEST(NoticeTest, WhatIsNoUtf8IsReplaced) {
  Question strange = question();
  strange.request.user = "a\xff\"b\n";
  const auto json = nlohmann::json::parse(notice_body(strange, "abc", {}));
  EXPECT_EQ(json["user"], "a\xEF\xBF\xBD\"b\n");
}

// From: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
TEST(NoticeTest, IsSignedAsDocumented) {
  EXPECT_EQ(signature("0123456789abcdef", 1'700'000'000, R"({"a":1})"),
            "9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23");
  EXPECT_EQ(signature_header("0123456789abcdef", WallTime(1'700'000'000'500ms), R"({"a":1})"),
            "t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23");
}

TEST(NoticeTest, AnAnswerAllowsOrSaysWhyNot) {
  EXPECT_EQ(refusal_of(200, ""), std::nullopt);
  EXPECT_EQ(refusal_of(204, R"({"reason": "never read"})"), std::nullopt);
  EXPECT_EQ(refusal_of(403, R"({"reason": "not on air today"})"),
            "the webhook refuses it: not on air today");
  EXPECT_EQ(refusal_of(401, ""), "the webhook refuses it");
  EXPECT_EQ(refusal_of(403, R"({"reason": 7})"), "the webhook refuses it");
  EXPECT_EQ(refusal_of(403, R"(["reason"])"), "the webhook refuses it");
  EXPECT_EQ(refusal_of(403, "{"), "the webhook refuses it");
  EXPECT_EQ(refusal_of(302, ""), "the webhook answered with status 302");
  EXPECT_EQ(refusal_of(500, R"({"reason": "x"})"), "the webhook answered with status 500");
  EXPECT_EQ(refusal_of(403, std::string(4096, '[')), "the webhook refuses it");
}

TEST(NoticeTest, AReasonIsCutAndSafeToPrint) {
  const std::string lines = *refusal_of(403, R"({"reason": "one\ntwo\u001b[31m"})");
  EXPECT_EQ(lines, "the webhook refuses it: one two [31m");
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\u00fc";
  const std::string cut = *refusal_of(403, "{\"reason\": \"a" + umlauts + "\"}");
  EXPECT_EQ(cut.size(), std::string("the webhook refuses it: ").size() + 199);
}

}  // namespace
}  // namespace mirror::admission
