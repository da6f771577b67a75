#include "ingest/srt_url.h"

#include <gtest/gtest.h>

namespace mirror::ingest {
namespace {

TEST(SrtUrl, HostPortAndStreamId) {
  const auto plain = parse_srt_url("srt://feeds.example.com:6000");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->host, "feeds.example.com");
  EXPECT_EQ(plain->port, 6000);
  EXPECT_EQ(plain->stream_id, "");
  const auto full =
      parse_srt_url("srt://192.0.2.7:9000/?mode=caller&streamid=%23!::r=cam1%2Cm=request");
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(full->host, "192.0.2.7");
  EXPECT_EQ(full->stream_id, "#!::r=cam1,m=request");
  const auto v6 = parse_srt_url("srt://[2001:db8::1]:6000?streamid=cam1");
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->host, "2001:db8::1");
  EXPECT_EQ(v6->stream_id, "cam1");
}

TEST(SrtUrl, SaysWhatIsWrong) {
  for (const auto& [text, why] : std::initializer_list<std::pair<std::string, std::string>>{
           {"http://a:1", "it does not begin with srt://"},
           {"srt://:6000", "there is no host"},
           {"srt://a", "there is no port; srt://HOST:PORT is needed"},
           {"srt://a:0", "the port is not a number from 1 to 65535"},
           {"srt://a:65536", "the port is not a number from 1 to 65535"},
           {"srt://a:-1", "the port is not a number from 1 to 65535"},
           {"srt://[::1:6000", "the address has no closing bracket"},
           {"srt://[fe80::1%eth0]:1", "what stands in brackets is no IPv6 address"},
           {"srt://a b:1", "the host holds characters that no host name has"},
           {"srt://user@a:1", "the host holds characters that no host name has"},
           {"srt://a:1/live", "after the port only ?streamid=… may follow"},
           {"srt://a:1?mode=listener", "only mode=caller can be dialled"},
           {"srt://a:1?streamid=%4", "a parameter is badly percent-encoded"},
           {"srt://a:1?passphrase=0123456789",
            "the source has a setting of its own for this: passphrase"},
           {"srt://a:1?x=y", "only the parameters streamid and mode are known"},
           {"srt://a:1?streamid=" + std::string(513, 'x'),
            "the stream id is longer than 512 bytes"},
           {"srt://" + std::string(254, 'a') + ":1", "the host name is too long"},
           {"srt://" + std::string(3000, 'a') + ":1", "the URL is too long"}}) {
    const auto url = parse_srt_url(text);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(url.error().message, why) << text;
  }
}

}  // namespace
}  // namespace mirror::ingest
