#include "api/cmcd.h"

#include <gtest/gtest.h>

namespace mirror::api {
namespace {

stream::ClientReport parse(std::string_view payload) {
  stream::ClientReport report;
  parse_cmcd(payload, report);
  return report;
}

TEST(Cmcd, ReadsWhatItKnows) {
  const auto report = parse("bl=300,bs,mtp=25400,sid=\"a,bl=9,b\",st=l");
  EXPECT_EQ(report.buffer_ms, 300u);
  EXPECT_EQ(report.throughput_kbps, 25'400u);
  EXPECT_TRUE(report.starved);
}

TEST(Cmcd, SkipsWhatMakesNoSense) {
  for (const char* payload : {"", ",", "=", "bl", "bl=", "bl=x", "bl=-5", "bl=99999999999", "\"",
                              "bs=false", "bl=1.5", ",,,=,=,"}) {
    const auto report = parse(payload);
    EXPECT_EQ(report.buffer_ms, 0u) << payload;
    EXPECT_FALSE(report.starved) << payload;
  }
}

TEST(Cmcd, ComesInTheQuery) {
  http::Request request;
  request.query = "_HLS_msn=4&CMCD=bl%3D400%2Cbs%2Csid%3D%22x%22&x=1";
  const auto report = client_report(request);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->buffer_ms, 400u);
  EXPECT_TRUE(report->starved);
}

TEST(Cmcd, ComesInHeaderFields) {
  http::Request request;
  request.headers = {{"cmcd-request", "bl=200, mtp=900"}, {"cmcd-status", "bs"}};
  const auto report = client_report(request);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->buffer_ms, 200u);
  EXPECT_EQ(report->throughput_kbps, 900u);
  EXPECT_TRUE(report->starved);
}

TEST(Cmcd, IsUsuallyNotThere) {
  http::Request request;
  request.query = "_HLS_msn=4&_HLS_part=2";
  EXPECT_FALSE(client_report(request));
  request.query = "xCMCD=bl";
  EXPECT_FALSE(client_report(request));
}

TEST(Cmcd, BrokenEscapesAndLongPayloadsAreHarmless) {
  http::Request request;
  request.query = "CMCD=bl%3D40%2Cbs%2";
  EXPECT_EQ(client_report(request)->buffer_ms, 40u);
  request.query = "CMCD=" + std::string(10'000, '%');
  EXPECT_TRUE(client_report(request));
}

}  // namespace
}  // namespace mirror::api
