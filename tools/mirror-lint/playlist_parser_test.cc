#include "playlist_parser.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "delta.h"
#include "observation.h"
#include "rules.h"

namespace mirror::lint {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PlaylistParser, ReadsALowLatencyPlaylist) {
  const Playlist playlist = parse_playlist(file(MIRROR_LINT_TEST_DATA "/clean.m3u8"));
  EXPECT_THAT(playlist.faults, IsEmpty());
  EXPECT_FALSE(playlist.multivariant);
  EXPECT_EQ(playlist.version, 10U);
  EXPECT_EQ(playlist.target_duration, 1s);
  EXPECT_EQ(playlist.part_target, Seconds(0.5));
  ASSERT_TRUE(playlist.server_control);
  EXPECT_TRUE(playlist.server_control->can_block_reload);
  EXPECT_EQ(playlist.server_control->can_skip_until, 6s);
  ASSERT_THAT(playlist.segments, SizeIs(5));
  EXPECT_EQ(playlist.segments.front().msn, 266U);
  EXPECT_EQ(playlist.segments.front().map->uri, "init.mp4");
  EXPECT_EQ(playlist.segments[3].discontinuity_sequence, 4U);
  EXPECT_FALSE(playlist.segments[4].complete);
  EXPECT_EQ(playlist.segments[4].parts[1].line, 30);
  EXPECT_EQ(next_position(playlist), (Position{270, 2}));
  EXPECT_EQ(playlist.hint("PART")->resource.uri, "270.2.m4s");
  EXPECT_EQ(playlist.reports[0].last_msn, 270U);
}

TEST(PlaylistParser, ReadsAMultivariantPlaylist) {
  const Playlist playlist = parse_playlist(
      "#EXTM3U\r\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",URI=\"a.m3u8\"\r\n"
      "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\",AUDIO=\"g\"\r\nv.m3u8\r\n");
  EXPECT_THAT(playlist.faults, IsEmpty());
  EXPECT_TRUE(playlist.multivariant);
  ASSERT_THAT(playlist.variants, SizeIs(1));
  EXPECT_EQ(playlist.variants[0].uri, "v.m3u8");
  EXPECT_EQ(playlist.variants[0].attributes.text("CODECS"), "a,b");
  EXPECT_EQ(playlist.renditions[0].uri, "a.m3u8");
}

TEST(PlaylistParser, ByteRangesFollowOneAnother) {
  const Playlist playlist = parse_playlist(
      "#EXTM3U\n#EXT-X-PART:DURATION=1,URI=\"s\",BYTERANGE=\"100@0\"\n"
      "#EXT-X-PART:DURATION=1,URI=\"s\",BYTERANGE=\"50\"\n#EXT-X-BYTERANGE:150@0\n#EXTINF:2.0,\ns\n"
      "#EXT-X-BYTERANGE:20\n#EXTINF:2.0,\ns\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s\",BYTERANGE-"
      "START=170\n");
  EXPECT_EQ(playlist.segments[0].parts[1].resource.range, (ByteRange{100, 50}));
  EXPECT_EQ(playlist.segments[1].resource.range, (ByteRange{150, 20}));
  EXPECT_EQ(playlist.hints[0].resource.range, (ByteRange{170, std::nullopt}));
}

TEST(PlaylistParser, ASkipMovesTheNumbers) {
  const Playlist playlist = parse_playlist(
      "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-MEDIA-SEQUENCE:7\n"
      "#EXT-X-SKIP:SKIPPED-SEGMENTS=3,RECENTLY-REMOVED-DATERANGES=\"a\tb\"\n#EXTINF:1.0,\n10\n");
  EXPECT_EQ(playlist.segments[0].msn, 10U);
  EXPECT_THAT(playlist.skip->removed_dateranges, ElementsAre("a", "b"));
  EXPECT_EQ(playlist.version_needed, 10U);
}

TEST(PlaylistParser, EveryFaultNamesARuleOfTheTable) {
  const Playlist playlist = parse_playlist(
      "\xef\xbb\xbf#EXTM3U\n#EXT-X-KEY\n#EXTINF:x\n#EXT-X-PART:A=,B\n#EXT-X-Q\n\x01\n");
  EXPECT_THAT(playlist.faults, testing::Not(IsEmpty()));
  for (const SyntaxFault& fault : playlist.faults)
    EXPECT_NE(find_rule(fault.rule), kNoRule) << fault.rule;
}

TEST(PlaylistParser, TheFuzzCorpusIsReadWithoutHarm) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/lint_playlist")) {
    const Playlist playlist = parse_playlist(file(entry.path()));
    EXPECT_TRUE(merge_delta(playlist, playlist) || playlist.skip) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 4);
}

TEST(Numbers, AreStrict) {
  EXPECT_EQ(parse_integer("18446744073709551615"), ~std::uint64_t{0});
  for (const char* wrong : {"", "-1", "+1", "1.0", "0x1", "18446744073709551616", " 1"})
    EXPECT_FALSE(parse_integer(wrong)) << wrong;
  EXPECT_EQ(parse_decimal("0.10000"), 0.1);
  for (const char* wrong : {"", ".5", "1e3", "1.0.0", "-1", "inf", "nan"})
    EXPECT_FALSE(parse_decimal(wrong)) << wrong;
  EXPECT_EQ(parse_signed_decimal("-0.3"), -0.3);
}

TEST(Dates, AreIso8601WithAZone) {
  const auto noon = parse_date("2026-02-14T12:00:00Z");
  ASSERT_TRUE(noon);
  EXPECT_EQ(parse_date("2026-02-14T13:00:00.000+01:00"), noon);
  EXPECT_EQ(parse_date("2026-02-14T06:30:00-0530"), noon);
  EXPECT_EQ(*parse_date("2026-02-14T12:00:00.106Z") - *noon, 106ms);
  for (const char* wrong :
       {"", "2026-02-14", "2026-02-14T12:00:00", "2026-13-14T12:00:00Z", "2026-02-30T12:00:00Z",
        "2026-02-14T12:60:00Z", "2026-02-14T12:00:00.Z", "2026-02-14T12:00:00Zulu"}) {
    EXPECT_FALSE(parse_date(wrong)) << wrong;
  }
}

TEST(Urls, AreResolvedAgainstThePlaylist) {
  const std::string base = "https://host:8443/live/cam/v/media.m3u8?_HLS_msn=1";
  EXPECT_EQ(resolve(base, "e/1.m4s"), "https://host:8443/live/cam/v/e/1.m4s");
  EXPECT_EQ(resolve(base, "../a/media.m3u8"), "https://host:8443/live/cam/a/media.m3u8");
  EXPECT_EQ(resolve(base, "../../../../../x"), "https://host:8443/x");
  EXPECT_EQ(resolve(base, "/x/./y?z=../1"), "https://host:8443/x/y?z=../1");
  EXPECT_EQ(resolve(base, "//other/x"), "https://other/x");
  EXPECT_EQ(resolve(base, "http://other/x"), "http://other/x");
  EXPECT_EQ(resolve("https://host", "x"), "https://host/x");
}

TEST(Caching, ReadsCacheControl) {
  Exchange exchange;
  EXPECT_FALSE(fresh_for(exchange));
  exchange.headers = {{"cache-control", "public, Max-Age=6, immutable"}};
  EXPECT_EQ(fresh_for(exchange), 6s);
  exchange.headers = {{"cache-control", "max-age=6, s-maxage=2"}};
  EXPECT_EQ(fresh_for(exchange), 2s);
  exchange.headers = {{"cache-control", "no-cache"}};
  EXPECT_EQ(fresh_for(exchange), 0s);
}

}  // namespace
}  // namespace mirror::lint
