#include "ingest/stream_id.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace mirror::ingest {
namespace {

using Kind = BadStreamId::Kind;

std::string key_of(std::string_view text) {
  const auto id = parse_stream_id(text);
  return id ? id->key.text() : "refused: " + id.error().why;
}

Kind refusal_of(std::string_view text) {
  const auto id = parse_stream_id(text);
  EXPECT_FALSE(id.has_value()) << text;
  return id ? Kind{-1} : id.error().kind;
}

TEST(StreamId, Plain) {
  EXPECT_EQ(key_of("cam1"), "cam1");
  EXPECT_EQ(key_of("Studio-2.main_feed"), "Studio-2.main_feed");
}

TEST(StreamId, AccessControlForm) {
  EXPECT_EQ(key_of("#!::r=cam1,m=publish"), "cam1");
  EXPECT_EQ(key_of("#!::m=publish,r=cam1"), "cam1");
  EXPECT_EQ(key_of("#!::r=cam1"), "cam1");
  EXPECT_EQ(key_of("#!::u=haivision,r=cam1,m=publish,t=stream,h=host,s=0815,x=y"), "cam1");
}

TEST(StreamId, UserAndToken) {
  const auto id = parse_stream_id("#!::u=studio 1,r=cam1,s=a%2C=b/c,m=publish");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->key.text(), "cam1");
  EXPECT_EQ(id->user, "studio 1");
  EXPECT_EQ(id->token, "a%2C=b/c") << "the guidelines know no escapes: as it came";
  const auto plain = parse_stream_id("cam1");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->user + plain->token, "");
}

// Some encoders pass on the text of an SRT URL as it stands.
TEST(StreamId, StandardFormAsAUrlHasIt) {
  const auto id = parse_stream_id("%23!::r%3Dcam1%2cm%3Dpublish,s%3D50%25");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->key.text(), "cam1");
  EXPECT_EQ(id->token, "50%");
  for (const char* text : {"%23!::r=cam1,s=%", "%23!::r=cam1,s=%4", "%23!::r=cam1,s=%zz",
                           "%23!::r=cam1,s=%00", "cam%31", "%23!"}) {
    EXPECT_EQ(refusal_of(text), Kind::kSyntax) << text;
  }
}

TEST(StreamId, WrongSyntax) {
  for (const char* text : {"",
                           "#!::",
                           "#!::m=publish",
                           "#!::r=",
                           "#!::r=cam1,r=cam2",
                           "#!::r=cam1,nonsense",
                           "#!::=x,r=cam1",
                           "#!:{r=cam1}",
                           "#!R",
                           "live/cam1",
                           "-cam",
                           "cam 1",
                           "../etc/passwd",
                           "#!::r=../x",
                           "c\x01m",
                           "c\xc3\xa4m",
                           "#!::r=cam1,u=a,u=b",
                           "#!::r=cam1,s=a,s=b",
                           "#!::r=cam1,u=a\nb",
                           "#!::r=cam1,s=\x7f"}) {
    EXPECT_EQ(refusal_of(text), Kind::kSyntax) << text;
  }
  EXPECT_EQ(refusal_of(std::string(65, 'a')), Kind::kSyntax);
  EXPECT_EQ(refusal_of(std::string(513, 'a')), Kind::kSyntax);
  EXPECT_EQ(refusal_of("#!::r=cam1," + std::string(600, 'x')), Kind::kSyntax);
}

TEST(StreamId, WrongModeOrType) {
  EXPECT_EQ(refusal_of("#!::r=cam1,m=request"), Kind::kMode);
  EXPECT_EQ(refusal_of("#!::r=cam1,m=bidirectional"), Kind::kMode);
  EXPECT_EQ(refusal_of("#!::r=cam1,m="), Kind::kMode);
  EXPECT_EQ(refusal_of("#!::r=cam1,t=file"), Kind::kType);
}

// What the fuzzer found worth keeping: nothing of it may be taken for a key that is none.
TEST(StreamId, ReplaysTheFuzzCorpus) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/stream_id")) {
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    const auto id = parse_stream_id(text);
    EXPECT_TRUE(!id || media::StreamKey::parse(id->key.text()).has_value());
    ++inputs;
  }
  EXPECT_GT(inputs, 5);
}

TEST(StreamId, IsShownWithoutItsToken) {
  EXPECT_EQ(without_token("cam1"), "cam1");
  EXPECT_EQ(without_token(""), "");
  EXPECT_EQ(without_token("#!::r=cam1,s=secret,m=publish"), "#!::r=cam1,s=…,m=publish");
  EXPECT_EQ(without_token("#!::s=secret"), "#!::s=…");
  EXPECT_EQ(without_token("#!::r=cam1,s=one,s=two,"), "#!::r=cam1,s=…,s=…,");
  EXPECT_EQ(without_token("%23!::r%3Dcam1%2Cs%3Dsecret"), "#!::r=cam1,s=…");
  EXPECT_EQ(without_token("%23!::s%3Dsecret%2"), "(badly percent-encoded)");
  EXPECT_EQ(without_token("s=secret"), "s=…");
}

}  // namespace
}  // namespace mirror::ingest
