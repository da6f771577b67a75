#include "media/stream_key.h"

#include <gtest/gtest.h>

namespace mirror::media {
namespace {

TEST(StreamKeyTest, TakesWhatIsSafeEverywhere) {
  for (const char* text : {"a", "cam1", "Studio-2.main_feed", "0"}) {
    const auto key = StreamKey::parse(text);
    ASSERT_TRUE(key) << text;
    EXPECT_EQ(key->text(), text);
  }
  EXPECT_TRUE(StreamKey::parse(std::string(64, 'x')));
}

TEST(StreamKeyTest, RefusesTheRest) {
  for (const char* text : {"", ".hidden", "-x", "_x", "a/b", "a b", "a\n", "caf\xc3\xa9", "a%2e"}) {
    EXPECT_FALSE(StreamKey::parse(text)) << text;
  }
  EXPECT_FALSE(StreamKey::parse(std::string(65, 'x')));
  EXPECT_FALSE(StreamKey::parse(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace mirror::media
