#include "hls/uri.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace mirror::hls {
namespace {

TEST(MediaName, ParsesTheThreeKinds) {
  EXPECT_EQ(parse_media_name("init.mp4"), MediaName(InitName{}));
  EXPECT_EQ(parse_media_name("0.m4s"), MediaName(SegmentName{0}));
  EXPECT_EQ(parse_media_name("18446744073709551615.m4s"), MediaName(SegmentName{~0ull}));
  EXPECT_EQ(parse_media_name("12.3.m4s"), MediaName(PartName{{12, 3}}));
  EXPECT_EQ(parse_media_name("12.4294967295.m4s"), MediaName(PartName{{12, ~PartIndex{0}}}));
}

TEST(MediaName, RefusesEveryOtherSpelling) {
  for (const std::string_view name : {"",
                                      ".m4s",
                                      "m4s",
                                      "init.m4s",
                                      "init.mp4x",
                                      "1.mp4",
                                      "01.m4s",
                                      "+1.m4s",
                                      "-1.m4s",
                                      " 1.m4s",
                                      "1 .m4s",
                                      "1..m4s",
                                      "1.2.3.m4s",
                                      "1.02.m4s",
                                      ".1.m4s",
                                      "1.m4s.m4s",
                                      "0x1.m4s",
                                      "18446744073709551616.m4s",
                                      "1.4294967296.m4s",
                                      "1e3.m4s",
                                      "1.M4S"}) {
    EXPECT_FALSE(parse_media_name(name)) << name;
  }
}

PlaylistQuestion parsed(std::string_view query) {
  const auto question = parse_playlist_query(query);
  EXPECT_TRUE(question) << query;
  return question.value_or(PlaylistQuestion{});
}

TEST(PlaylistQuery, ReadsTheDirectives) {
  EXPECT_FALSE(parsed("").msn);
  EXPECT_EQ(parsed("_HLS_msn=12").msn, 12u);
  EXPECT_FALSE(parsed("_HLS_msn=12").part);
  const PlaylistQuestion both = parsed("_HLS_part=3&_HLS_msn=12");
  EXPECT_EQ(both.msn, 12u);
  EXPECT_EQ(both.part, 3u);
  EXPECT_EQ(parsed("_HLS_msn=18446744073709551615").msn, ~MediaSequence{0});
}

TEST(PlaylistQuery, IgnoresWhatItDoesNotKnow) {
  const PlaylistQuestion question =
      parsed("&token=a=b&&_HLS_skip=YES&_HLS_legacy=1&x&_HLS_msn=1&_HLS_skip=v2&=&_hls_msn=zz&");
  EXPECT_EQ(question.msn, 1u);
}

TEST(PlaylistQuery, NamesTheFault) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"_HLS_part=1", "_HLS_part without _HLS_msn"},
      {"_HLS_msn=1&_HLS_msn=1", "_HLS_msn is given twice"},
      {"_HLS_msn=1&_HLS_part=1&_HLS_part=2", "_HLS_part is given twice"},
      {"_HLS_msn=", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=-1", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=+1", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=01", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=1.0", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=1%30", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=18446744073709551616", "_HLS_msn is not a decimal number in range"},
      {"_HLS_msn=1&_HLS_part=4294967296", "_HLS_part is not a decimal number in range"},
  };
  for (const auto& [query, fault] : cases) {
    const auto question = parse_playlist_query(query);
    ASSERT_FALSE(question) << query;
    EXPECT_EQ(question.error().message, fault) << query;
  }
}

// What the fuzzer found or was given stays tried: no crash, and each accepted name is canonical.
TEST(Uri, ReplaysTheFuzzCorpus) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/playlist_query")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    (void)parse_playlist_query(text);
    (void)parse_media_name(text);
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace mirror::hls
