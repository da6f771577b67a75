// The forms of a playlist say the same: a delta merges to the full one, gzip unpacks to the plain
// one, and a playlist of hours costs no more to render than one of minutes.
#include <gtest/gtest.h>
#include <zlib.h>

#include <map>
#include <sstream>

#include "hls/playlist_renderer.h"
#include "hls/scripted_feed.h"
#include "hls/segmenter.h"

namespace mirror::hls {
namespace {

using namespace std::chrono_literals;

std::string gunzip(const Document& document) {
  std::string packed = document.text();
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + 15), Z_OK);
  std::string text(std::size_t{16} << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END) << "CRC and length are checked with it";
  EXPECT_EQ(stream.avail_in, 0u);
  text.resize(text.size() - stream.avail_out);
  inflateEnd(&stream);
  return text;
}

// A media playlist as a client keeps it: header lines, and each segment's lines by number.
struct Kept {
  std::vector<std::string> head;
  std::map<MediaSequence, std::vector<std::string>> segments;
  std::vector<std::string> tail;
  MediaSequence first = 0;
  MediaSequence skipped = 0;

  explicit Kept(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> pending;
    MediaSequence number = 0;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("#EXT-X-SKIP:SKIPPED-SEGMENTS=")) {
        skipped = std::stoull(line.substr(29));
        number += skipped;
      } else if (line.starts_with("#EXT-X-MEDIA-SEQUENCE:")) {
        number = first = std::stoull(line.substr(22));
        head.push_back(line);
      } else if (!line.starts_with('#')) {
        pending.push_back(line);
        segments[number++] = std::exchange(pending, {});
      } else if (line.starts_with("#EXT-X-DISCONTINUITY\n") || line == "#EXT-X-DISCONTINUITY" ||
                 line.starts_with("#EXT-X-PROGRAM-DATE-TIME") || line.starts_with("#EXT-X-PART:") ||
                 line.starts_with("#EXTINF") || line == "#EXT-X-GAP") {
        pending.push_back(line);
      } else if (segments.empty() && pending.empty() && !line.starts_with("#EXT-X-MAP")) {
        head.push_back(line);
      } else if (!line.starts_with("#EXT-X-MAP")) {
        tail.push_back(line);
      }
    }
    tail.insert(tail.begin(), pending.begin(), pending.end());
  }

  // RFC 8216bis, 6.3.7: what the delta skips is taken from the playlist before it. Parts of old
  // segments leave the playlist meanwhile, so what is kept is compared without them.
  void merge_into(const Kept& old) {
    for (MediaSequence n = first; n < first + skipped; ++n) {
      const auto found = old.segments.find(n);
      ASSERT_NE(found, old.segments.end()) << "skipped " << n << " was never listed";
      segments[n] = found->second;
    }
  }
  void forget_parts_before(MediaSequence number) {
    for (auto& [n, lines] : segments) {
      if (n < number) {
        std::erase_if(lines,
                      [](const std::string& line) { return line.starts_with("#EXT-X-PART:"); });
      }
    }
  }
};

class FormsTest : public testing::Test {
 protected:
  void start(std::chrono::milliseconds listed) {
    window_ = std::make_unique<Window>(WindowSettings{.epoch = "e",
                                                      .grid = media::grid_of(track_),
                                                      .first_segment = 7,
                                                      .listed = listed,
                                                      .kept = listed + 1s});
    window_->want_gzip();
    segmenter_ = std::make_unique<Segmenter>(track_, *window_);
  }
  void segments(int count) {
    for (int i = 0; i < 15 * count; ++i) segmenter_->push(feed_.next());
  }
  void interruption() {
    segmenter_->suspend();
    window_->set_date_range({.id = "i" + std::to_string(++interruptions_),
                             .class_name = "test",
                             .start = feed_start(),
                             .end = feed_start() + std::chrono::seconds(interruptions_)});
    segmenter_->push(feed_.next_after_break(90));
  }
  const Playlists& forms() {
    view_ = window_->view();
    return view_->playlists;
  }

  const media::TrackDescription track_ = feed_video({30, 1});
  ScriptedFeed feed_{track_};
  std::unique_ptr<Window> window_;
  std::unique_ptr<Segmenter> segmenter_;
  std::shared_ptr<const WindowView> view_;
  int interruptions_ = 0;
};

TEST_F(FormsTest, NothingToSkipIsTheFullPlaylist) {
  start(30s);
  segments(12);
  EXPECT_EQ(forms().delta.plain, forms().full.plain);
  segments(1);
  EXPECT_NE(forms().delta.plain, forms().full.plain);
}

TEST_F(FormsTest, DeltaMergesToTheFullPlaylist) {
  start(30s);
  segments(20);
  for (int round = 0; round < 400; ++round) {
    const Kept old(forms().full.plain->text());
    for (int i = 0; i < 1 + round % 7; ++i) segmenter_->push(feed_.next());
    if (round % 37 == 5) interruption();
    Kept full(forms().full.plain->text());
    for (const auto* form : {&forms().delta, &forms().delta_date_ranges}) {
      Kept merged(form->plain->text());
      ASSERT_GT(merged.skipped, 0u);
      ASSERT_NO_FATAL_FAILURE(merged.merge_into(old));
      const MediaSequence listed = full.first + merged.skipped;
      merged.forget_parts_before(listed);
      full.forget_parts_before(listed);
      ASSERT_EQ(merged.segments, full.segments) << "round " << round;
      ASSERT_EQ(merged.tail, full.tail);
    }
  }
}

TEST_F(FormsTest, GzipUnpacksToThePlainForm) {
  start(30s);
  segments(99);
  window_->want_gzip();
  segments(1);
  ASSERT_NE(forms().full.gzip, nullptr);
  EXPECT_EQ(gunzip(*forms().full.gzip), forms().full.plain->text());
  EXPECT_EQ(gunzip(*forms().delta.gzip), forms().delta.plain->text());
  EXPECT_EQ(gunzip(*forms().legacy.gzip), forms().legacy.plain->text());
  EXPECT_LT(forms().full.gzip->size() * 4, forms().full.plain->size());
  EXPECT_NE(forms().full.gzip->etag, forms().full.plain->etag);
}

TEST_F(FormsTest, GzipIsNotMadeForNobody) {
  start(30s);
  segments(40);
  EXPECT_EQ(forms().full.gzip, nullptr) << "200 parts ago somebody wanted it";
  window_->want_gzip();
  segments(1);
  EXPECT_NE(forms().full.gzip, nullptr);
}

TEST_F(FormsTest, LegacyChangesOnceASegment) {
  start(30s);
  segments(4);
  const auto before = forms().legacy.plain;
  for (int i = 0; i < 14; ++i) segmenter_->push(feed_.next());
  EXPECT_EQ(forms().legacy.plain, before);
  segmenter_->push(feed_.next());
  EXPECT_NE(forms().legacy.plain, before);
  EXPECT_EQ(forms().legacy.plain->text().find("PART"), std::string::npos);
  segmenter_->finish();
  EXPECT_NE(forms().legacy.plain->text().find("#EXT-X-ENDLIST"), std::string::npos);
}

// A sanitizer makes each of half a million samples ten times slower.
constexpr bool sanitized() {
#ifdef __has_feature
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
  return false;
#endif
}

// Six hours (user case 3): blocks or not, the playlist is the same, and a delta stays small.
TEST_F(FormsTest, SixHours) {
  constexpr auto kListed = sanitized() ? 1h : 6h;
  start(kListed);
  const auto count = static_cast<int>(kListed / 500ms);
  segments(count / 2);
  segmenter_->push(feed_.next_after_break(1'000));
  for (int i = 0; i < 14; ++i) segmenter_->push(feed_.next());
  segments(count / 2 + 300);
  window_->want_gzip();
  segments(1);
  const Playlists& now = forms();
  const std::string text = now.full.plain->text();
  const Kept kept(text);
  EXPECT_EQ(kept.segments.size(), static_cast<std::size_t>(count + 1))
      << "at least as long as was asked for";
  EXPECT_EQ(kept.first, view_->first_listed);
  EXPECT_EQ(kept.segments.begin()->first, kept.first);
  for (const auto& [number, lines] : kept.segments) {
    ASSERT_EQ(lines.back(), "e/" + std::to_string(number) + ".m4s");
    ASSERT_NE(view_->find(number), nullptr);
    ASSERT_EQ(view_->find(number)->number, number);
  }
  EXPECT_EQ(gunzip(*now.full.gzip), text);
  EXPECT_LT(now.delta.plain->size(), 6'000u);
  EXPECT_LT(now.delta.gzip->size(), 1'500u);
  EXPECT_LT(view_->segments.recent().size(), 2 * kBlockSegments);
}

}  // namespace
}  // namespace mirror::hls
