#include "http/http1_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "http/scripted_carrier.h"

namespace mirror::http {
namespace {

using testing::HasSubstr;
using Event = Http1Parser::Event;

Limits small_limits() {
  Limits limits;
  limits.header_bytes_max = 1024;
  limits.header_count_max = 10;
  limits.target_bytes_max = 200;
  limits.body_bytes_max = 100;
  return limits;
}
const Limits kLimits = small_limits();

// A request line and Host, then `rest`.
std::string get(const std::string& target, const std::string& rest = "\r\n") {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + rest;
}

struct Evil {
  std::string name;
  std::string input;
  int status;
  std::string words;
};

class EvilRequests : public testing::TestWithParam<Evil> {};

TEST_P(EvilRequests, AreRefusedWithWords) {
  // Whole, and byte by byte.
  for (const std::size_t piece : {std::size_t{100'000}, std::size_t{1}}) {
    Http1Parser parser(kLimits);
    Event event = Event::kNeedMore;
    std::string_view left = GetParam().input;
    while (!left.empty() && event == Event::kNeedMore) {
      parser.append(bytes_of(left.substr(0, piece)));
      left.remove_prefix(std::min(piece, left.size()));
      event = parser.next();
    }
    ASSERT_EQ(event, Event::kFault);
    EXPECT_EQ(parser.fault().status, GetParam().status);
    EXPECT_THAT(std::string(parser.fault().what), HasSubstr(GetParam().words));
  }
}

const std::string kPost = "POST / HTTP/1.1\r\nHost: h\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Table, EvilRequests,
    testing::Values(
        Evil{"TlsHello", "\x16\x03\x01\x02", 400, "does not look like"},
        Evil{"BareLf", "GET / HTTP/1.1\nHost: h\n\n", 400, "LF without CR"},
        Evil{"BareCr", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400, "control"},
        Evil{"OneWord", "GET\r\n\r\n", 400, "request line"},
        Evil{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "must be encoded"},
        Evil{"NoVersion", "GET /\r\n\r\n", 400, "request line"},
        Evil{"LowerVersion", "GET / http/1.1\r\nHost: h\r\n\r\n", 400, "version"},
        Evil{"Version3", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"},
        Evil{"Connect", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501, "not implemented"},
        Evil{"LowerMethod", "get / HTTP/1.1\r\nHost: h\r\n\r\n", 501, "not implemented"},
        Evil{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "no Host"},
        Evil{"TwoHosts", get("/", "Host: i\r\n\r\n"), 400, "two Host"},
        Evil{"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad Host"},
        Evil{"Fold", get("/", "A: b\r\n c\r\n\r\n"), 400, "folded"},
        Evil{"SpaceBeforeColon", get("/", "A : b\r\n\r\n"), 400, "name"},
        Evil{"NoColon", get("/", "A\r\n\r\n"), 400, "colon"},
        Evil{"EmptyName", get("/", ": b\r\n\r\n"), 400, "name"},
        Evil{"NulInValue", get("/", std::string("A: b\0c\r\n\r\n", 11)), 400, "control"},
        Evil{"BothLengths", kPost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
             "both"},
        Evil{"TwoLengths", kPost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400, "two"},
        Evil{"LengthList", kPost + "Content-Length: 3, 3\r\n\r\n", 400, "bad Content-Length"},
        Evil{"SignedLength", kPost + "Content-Length: +3\r\n\r\n", 400, "bad Content-Length"},
        Evil{"EmptyLength", kPost + "Content-Length:\r\n\r\n", 400, "bad Content-Length"},
        Evil{"HugeLength", kPost + "Content-Length: 99999999999999999999\r\n\r\n", 400, "bad"},
        Evil{"LargeBody", kPost + "Content-Length: 101\r\n\r\n", 413, "too large"},
        Evil{"Gzip", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "chunked"},
        Evil{"TwoCodings", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
             400, "two"},
        Evil{"ChunkedHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "1.0"},
        Evil{"LengthlessHttp10", "POST / HTTP/1.0\r\n\r\n", 411, "Content-Length"},
        Evil{"Expectation", kPost + "Expect: miracles\r\n\r\n", 417, "100-continue"},
        Evil{"ChunkSizeEmpty", kChunked + "\r\n", 400, "chunk size"},
        Evil{"ChunkSizeHex", kChunked + "0x3\r\nabc\r\n", 400, "chunk size"},
        Evil{"ChunkSizeSpace", kChunked + " 3\r\nabc\r\n", 400, "chunk size"},
        Evil{"ChunkSizeTail", kChunked + "3 \r\nabc\r\n", 400, "chunk size"},
        Evil{"ChunkLong", kChunked + "3\r\nabcd\r\n", 400, "longer than its size"},
        Evil{"ChunkLf", kChunked + "3\nabc\r\n", 400, "LF without CR"},
        Evil{"ChunksTooLarge", kChunked + "64\r\n" + std::string(100, 'a') + "\r\n1\r\n", 413,
             "too large"},
        Evil{"ChunkExtensionLong", kChunked + "3;" + std::string(300, 'a') + "\r\n", 400,
             "too long"},
        Evil{"TrailerBad", kChunked + "0\r\nno colon\r\n\r\n", 400, "trailer"},
        Evil{"TrailerLong", kChunked + "0\r\nA: " + std::string(2000, 'a') + "\r\n\r\n", 400,
             "too long"},
        Evil{"ManyFields",
             get("/",
                 [] {
                   std::string fields;
                   for (int i = 0; i < 10; ++i) fields += "A: b\r\n";
                   return fields + "\r\n";
                 }()),
             431, "too many"},
        Evil{"LongField", get("/", "A: " + std::string(2000, 'a')), 431, "too long"},
        Evil{"LongLine", "GET /" + std::string(2000, 'a'), 414, "too long"},
        Evil{"LongTarget", get("/" + std::string(300, 'a')), 414, "too long"},
        Evil{"Asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400, "begin with /"},
        Evil{"BadScheme", get("ftp://h/"), 400, "begin with /"},
        Evil{"BadAuthority", get("http://a@b/"), 400, "authority"},
        Evil{"Fragment", get("/a#b"), 400, "fragment"},
        Evil{"Percent", get("/a%2"), 400, "percent"},
        Evil{"PercentHex", get("/a%g0"), 400, "percent"},
        Evil{"PercentNul", get("/a%00b"), 400, "control"},
        Evil{"PercentCrLf", get("/a%0d%0aSet-Cookie:x"), 400, "control"},
        Evil{"HighByte", get("/\xc3\xa4"), 400, "encoded"}),
    [](const auto& one) { return one.param.name; });

Request parsed(const std::string& input) {
  Http1Parser parser(kLimits);
  parser.append(bytes_of(input));
  EXPECT_EQ(parser.next(), Event::kRequest) << parser.fault().what;
  return parser.request();
}

TEST(Http1Parser, PathsAreDecodedAndFreedOfDots) {
  const std::pair<std::string, std::string> table[] = {{"/", "/"},
                                                       {"/a/b", "/a/b"},
                                                       {"/a%20b", "/a b"},
                                                       {"/a/./b", "/a/b"},
                                                       {"/a/../b", "/b"},
                                                       {"/../../a", "/a"},
                                                       {"/a/..", "/"},
                                                       {"/a/.", "/a/"},
                                                       {"/a/b/..", "/a/"},
                                                       {"/%2e%2e/%2E./x", "/x"},
                                                       {"/a%2f..%2fb", "/b"},
                                                       {"/a//b", "/a//b"},
                                                       {"/..a/.b", "/..a/.b"},
                                                       {"http://h/x/../y", "/y"},
                                                       {"http://h?q", "/"}};
  for (const auto& [target, path] : table) EXPECT_EQ(parsed(get(target)).path, path) << target;
}

TEST(Http1Parser, ReadsTheParts) {
  const Request request = parsed(
      "\r\nPOST /a?b=%20c HTTP/1.1\r\nHOST: h:1\r\nX-Y:  z \t\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(request.method, Method::kPost);
  EXPECT_EQ(request.query, "b=%20c");
  EXPECT_EQ(request.authority, "h:1");
  EXPECT_EQ(request.header("x-y"), "z");
  EXPECT_EQ(request.header("none"), std::nullopt);
  EXPECT_EQ(request.body, "abc");
  EXPECT_EQ(parsed("GET http://win/ HTTP/1.1\r\nHost: lose\r\n\r\n").authority, "win");
}

TEST(Http1Parser, ChunkedBodiesInPiecesOfAnySize) {
  const std::string input = kPost +
                            "transfer-encoding: Chunked\r\n\r\n5 ;x=\"y\"\r\nhello\r\n"
                            "A\r\n, world !!\r\n0\r\nTrailer: dropped\r\n\r\n" +
                            get("/next");
  for (std::size_t piece = 1; piece < input.size(); ++piece) {
    Http1Parser parser(kLimits);
    std::vector<Request> requests;
    for (std::string_view left = input; !left.empty();
         left.remove_prefix(std::min(piece, left.size()))) {
      parser.append(bytes_of(left.substr(0, piece)));
      while (parser.next() == Event::kRequest) requests.push_back(std::move(parser.request()));
    }
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[0].body, "hello, world !!");
    EXPECT_FALSE(requests[0].header("trailer"));
    EXPECT_EQ(requests[1].path, "/next");
    EXPECT_EQ(parser.unread(), 0u);
  }
}

TEST(Http1Parser, KeepAlive) {
  const auto keeps = [](const std::string& input) {
    Http1Parser parser(kLimits);
    parser.append(bytes_of(input));
    EXPECT_EQ(parser.next(), Event::kRequest);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps(get("/")));
  EXPECT_FALSE(keeps(get("/", "Connection: foo, Close\r\n\r\n")));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

}  // namespace
}  // namespace mirror::http
