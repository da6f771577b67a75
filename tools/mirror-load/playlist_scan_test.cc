#include "playlist_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace mirror::load {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kLive =
    "#EXTM3U\n"
    "#EXT-X-VERSION:10\n"
    "#EXT-X-TARGETDURATION:1\n"
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.30030\n"
    "#EXT-X-PART-INF:PART-TARGET=0.10010\n"
    "#EXT-X-MEDIA-SEQUENCE:7\n"
    "#EXT-X-MAP:URI=\"e1/init.mp4\"\n"
    "#EXTINF:0.50050,\n"
    "e1/7.m4s\n"
    "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.678Z\n"
    "#EXT-X-PART:DURATION=0.10010,URI=\"e1/8.0.m4s\",INDEPENDENT=YES\n"
    "#EXT-X-PART:DURATION=0.10010,URI=\"e1/8.1.m4s\"\n"
    "#EXTINF:0.20020,\n"
    "e1/8.m4s\n"
    "#EXT-X-DISCONTINUITY\n"
    "#EXT-X-PART:DURATION=0.10010,URI=\"e1/9.0.m4s\",INDEPENDENT=YES\n"
    "#EXT-X-PART:URI=\"e1/9,1.m4s\",GAP=YES,DURATION=0.05\n"
    "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"e1/9.2.m4s\"\n";

struct Scanned {
  Result<PlaylistScan> scan;
  std::array<ListedPart, kNewPartsMax> parts;
};

Scanned scan(std::string_view text, Position from) {
  Scanned result{fail("not scanned"), {}};
  result.scan = scan_media_playlist(text, from, result.parts);
  return result;
}

TEST(PlaylistScan, SaysWhereThePlaylistEnds) {
  const auto [scanned, parts] = scan(kLive, {100, 0});
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->next, (Position{9, 2}));
  EXPECT_EQ(scanned->map_uri, "e1/init.mp4");
  EXPECT_TRUE(scanned->blocks);
  EXPECT_FALSE(scanned->ended);
  EXPECT_EQ(scanned->new_parts, 0U);
}

TEST(PlaylistScan, GivesThePartsFromAPositionOn) {
  const auto [scanned, parts] = scan(kLive, {8, 1});
  ASSERT_TRUE(scanned);
  ASSERT_EQ(scanned->new_parts, 3U);
  EXPECT_EQ(scanned->expected, (Position{8, 1}));
  EXPECT_EQ(parts[0].at, (Position{8, 1}));
  EXPECT_EQ(parts[0].uri, "e1/8.1.m4s");
  EXPECT_EQ(parts[0].duration, 100'100us);
  EXPECT_FALSE(parts[0].discontinuity);
  EXPECT_EQ(parts[1].at, (Position{9, 0}));
  EXPECT_TRUE(parts[1].discontinuity);
  EXPECT_FALSE(parts[1].gap);
  EXPECT_EQ(parts[2].uri, "e1/9,1.m4s");
  EXPECT_EQ(parts[2].duration, 50ms);
  EXPECT_TRUE(parts[2].gap);
  EXPECT_FALSE(parts[2].discontinuity);
}

// The viewer had all of segment 8 before it knew that it was all.
TEST(PlaylistScan, ThePartBehindTheLastOneIsTheNextSegmentsFirst) {
  const auto [scanned, parts] = scan(kLive, {8, 2});
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->expected, (Position{9, 0}));
  EXPECT_EQ(parts[0].at, (Position{9, 0}));
}

TEST(PlaylistScan, PartsThatSlidOutShowAsAJump) {
  const auto [scanned, parts] = scan(kLive, {7, 3});
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->expected, (Position{7, 3}));
  EXPECT_EQ(parts[0].at, (Position{8, 0}));
}

TEST(PlaylistScan, CountsWhatADeltaUpdateSkips) {
  const auto [scanned, parts] = scan(
      "#EXTM3U\r\n#EXT-X-MEDIA-SEQUENCE:100\r\n#EXT-X-SKIP:SKIPPED-SEGMENTS=20\r\n"
      "#EXTINF:0.5,\r\ns\r\n#EXT-X-PART:DURATION=0.1,URI=\"p\"\r\n#EXT-X-ENDLIST\r\n",
      {121, 0});
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->next, (Position{121, 1}));
  EXPECT_TRUE(scanned->ended);
  EXPECT_EQ(scanned->expected, (Position{121, 0}));
}

TEST(PlaylistScan, KeepsToItsLimitOfParts) {
  std::string text = "#EXTM3U\n";
  for (std::size_t i = 0; i < kNewPartsMax + 3; ++i) {
    text += "#EXT-X-PART:DURATION=0.1,URI=\"p\"\n";
  }
  const auto [scanned, parts] = scan(text, {0, 0});
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->new_parts, kNewPartsMax);
  EXPECT_EQ(scanned->overflow, 3U);
}

TEST(PlaylistScan, RefusesWhatItCannotUnderstand) {
  for (const std::string_view text : {
           "",
           "<html>",
           "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n",
           "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\n",
           "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:-1\n",
           "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n",
           "#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=\n",
           "#EXTM3U\n#EXT-X-PART:DURATION=0.1\n",
           "#EXTM3U\n#EXT-X-PART:URI=\"p\"\n",
           "#EXTM3U\n#EXT-X-PART:DURATION=nan,URI=\"p\"\n",
           "#EXTM3U\n#EXT-X-PART:DURATION=-1,URI=\"p\"\n",
       }) {
    EXPECT_FALSE(scan(text, {0, 0}).scan) << text;
  }
}

constexpr std::string_view kMultivariant =
    "#EXTM3U\n"
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"deutsch\",URI=\"audio/media.m3u8\"\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=471516,CODECS=\"avc1.64001E,mp4a.40.2\",AUDIO=\"audio\"\n"
    "v360/media.m3u8\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=1471516\n"
    "v720/media.m3u8?v360\n";

TEST(ChooseRendition, TakesTheFirstVariantOrTheOneThatIsNamed) {
  EXPECT_TRUE(is_multivariant(kMultivariant));
  EXPECT_FALSE(is_multivariant(kLive));
  EXPECT_EQ(choose_rendition(kMultivariant, "").value_or(""), "v360/media.m3u8");
  EXPECT_EQ(choose_rendition(kMultivariant, "v720").value_or(""), "v720/media.m3u8?v360");
  EXPECT_EQ(choose_rendition(kMultivariant, "audio").value_or(""), "audio/media.m3u8");
  EXPECT_EQ(choose_rendition(kMultivariant, "deutsch").value_or(""), "audio/media.m3u8");
  const auto none = choose_rendition(kMultivariant, "v1080");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("v720"), std::string::npos);
}

}  // namespace
}  // namespace mirror::load
