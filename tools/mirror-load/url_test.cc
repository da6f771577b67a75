#include "url.h"

#include <gtest/gtest.h>

#include "endpoint.h"

namespace mirror::load {
namespace {

TEST(ParseUrl, KnowsHttpAndHttps) {
  const auto url = parse_url("https://localhost:8443/live/cam/index.m3u8?a=b#fragment");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->secure);
  EXPECT_EQ(url->host, "localhost");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/live/cam/index.m3u8?a=b");
  EXPECT_EQ(url->authority(), "localhost:8443");

  const auto plain = parse_url("http://[::1]");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "::1");
  EXPECT_EQ(plain->port, 80);
  EXPECT_EQ(plain->target, "/");
  EXPECT_EQ(plain->authority(), "[::1]");
  EXPECT_EQ(parse_url("http://[::1]:8080/").value().authority(), "[::1]:8080");
  EXPECT_EQ(parse_url("https://host?q").value().target, "/?q");
}

TEST(ParseUrl, RefusesTheRest) {
  for (const std::string_view text :
       {"", "localhost", "ftp://localhost/", "http://", "http:///path", "http://user@host/",
        "http://host:0/", "http://host:65536/", "http://host:80a/", "http://[::1/",
        "http://[::1]80", "http://host/a b", "http://host/\r\nHost: other"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(ResolveReference, FollowsRfc3986) {
  const Url server = parse_url("https://host:8443/live/cam/index.m3u8").value();
  const std::string_view base = "/live/cam/v360/media.m3u8?x=1";
  const auto resolved = [&](std::string_view reference) {
    return resolve_reference(server, base, reference).value_or("refused");
  };
  EXPECT_EQ(resolved("e1/2.1.m4s"), "/live/cam/v360/e1/2.1.m4s");
  EXPECT_EQ(resolved("./a"), "/live/cam/v360/a");
  EXPECT_EQ(resolved("../audio/media.m3u8?y"), "/live/cam/audio/media.m3u8?y");
  EXPECT_EQ(resolved("../../../../../up"), "/up");
  EXPECT_EQ(resolved(".."), "/live/cam/");
  EXPECT_EQ(resolved("/root/./a/../b"), "/root/b");
  EXPECT_EQ(resolved("?z"), "/live/cam/v360/media.m3u8?z");
  EXPECT_EQ(resolved(""), base);
  EXPECT_EQ(resolved("a?b=../c"), "/live/cam/v360/a?b=../c");
  EXPECT_EQ(resolved("https://host:8443/x/../y"), "/y");
  EXPECT_EQ(resolved("//host:8443/y"), "/y");
}

TEST(ResolveReference, StaysOnTheServer) {
  const Url server = parse_url("https://host:8443/").value();
  for (const std::string_view reference :
       {"https://host/a", "http://host:8443/a", "https://other:8443/a", "//other/a", "data:text,a",
        "a b", "a\r\nb"}) {
    EXPECT_FALSE(resolve_reference(server, "/", reference)) << reference;
  }
}

Status judge(const std::string& host) {
  auto endpoints = resolve(host, 80);
  if (!endpoints) return std::unexpected(endpoints.error());
  return check_loopback(host, *endpoints);
}

TEST(CheckLoopback, LetsThisMachineThrough) {
  for (const char* host : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost"}) {
    const auto status = judge(host);
    EXPECT_TRUE(status) << host << ": " << (status ? "" : status.error().message);
  }
}

TEST(CheckLoopback, RefusesEveryOtherHost) {
  for (const char* host : {"192.0.2.1", "128.0.0.1", "0.0.0.0", "2001:db8::1", "::", "fe80::1",
                           "::ffff:192.0.2.1", "10.0.0.1"}) {
    const auto status = judge(host);
    ASSERT_FALSE(status) << host;
    EXPECT_NE(status.error().message.find("--i-own-this-host"), std::string::npos);
  }
}

// A name may have several addresses, and any of them would be connected to.
TEST(CheckLoopback, OneForeignAddressIsEnough) {
  auto endpoints = resolve("127.0.0.1", 80).value();
  const auto foreign = resolve("192.0.2.7", 80).value();
  endpoints.insert(endpoints.end(), foreign.begin(), foreign.end());
  const auto status = check_loopback("name", endpoints);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("192.0.2.7"), std::string::npos);
}

}  // namespace
}  // namespace mirror::load
