#include "api/cors.h"

#include <gtest/gtest.h>

namespace mirror::api {
namespace {

http::Request from(std::string_view origin) {
  http::Request request;
  if (!origin.empty()) request.headers.push_back({"origin", std::string(origin)});
  return request;
}

std::string find(const http::Headers& headers, std::string_view name) {
  for (const auto& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

std::string allowed_origin(const Cors& cors, std::string_view origin) {
  http::Headers headers;
  cors.allow(from(origin), headers);
  return find(headers, "access-control-allow-origin");
}

TEST(CorsTest, AStarAllowsEverybody) {
  EXPECT_EQ(allowed_origin(Cors({"*"}), ""), "*");
  EXPECT_EQ(allowed_origin(Cors({"*"}), "https://player.example"), "*");
}

TEST(CorsTest, AListAllowsWhoIsOnIt) {
  const Cors cors({"https://a.example", "https://b.example"});
  EXPECT_EQ(allowed_origin(cors, "https://b.example"), "https://b.example");
  EXPECT_EQ(allowed_origin(cors, "https://b.example.evil"), "");
  EXPECT_EQ(allowed_origin(cors, ""), "");
}

TEST(CorsTest, CachesKnowThatAListDependsOnTheOrigin) {
  http::Headers headers;
  Cors({"https://a.example"}).allow(from(""), headers);
  EXPECT_EQ(find(headers, "vary"), "origin");
}

TEST(CorsTest, APreflightIsToldTheMethods) {
  auto request = from("https://player.example");
  request.headers.push_back({"access-control-request-method", "GET"});
  const auto response = Cors({"*"}).preflight(request, "GET, HEAD");
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(find(response.headers, "access-control-allow-methods"), "GET, HEAD");
  EXPECT_EQ(find(Cors({"*"}).preflight(from(""), "GET").headers, "access-control-max-age"), "")
      << "a plain OPTIONS is no preflight";
}

}  // namespace
}  // namespace mirror::api
