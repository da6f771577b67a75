#include "ingest/stream_id.h"

#include <gtest/gtest.h>

#include <string>

namespace mirror::ingest {
namespace {

using Kind = BadStreamId::Kind;

std::string key_of(std::string_view text) {
  const auto key = parse_stream_id(text);
  return key ? key->text() : "refused: " + key.error().why;
}

Kind refusal_of(std::string_view text) {
  const auto key = parse_stream_id(text);
  EXPECT_FALSE(key.has_value()) << text;
  return key ? Kind{-1} : key.error().kind;
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

TEST(StreamId, WrongSyntax) {
  for (const char* text :
       {"", "#!::", "#!::m=publish", "#!::r=", "#!::r=cam1,r=cam2", "#!::r=cam1,nonsense",
        "#!::=x,r=cam1", "#!:{r=cam1}", "#!R", "live/cam1", "-cam", "cam 1", "../etc/passwd",
        "#!::r=../x", "c\x01m", "c\xc3\xa4m"}) {
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

}  // namespace
}  // namespace mirror::ingest
