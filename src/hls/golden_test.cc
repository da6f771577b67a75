// Scripted samples in, playlists out, as readable files.
#include <gtest/gtest.h>

#include "base/golden.h"
#include "hls/presentation.h"
#include "hls/scripted_feed.h"

namespace mirror::hls {
namespace {

// One video and one audio rendition, as a stream has them.
class Scenario {
 public:
  explicit Scenario(media::FrameRate rate, const std::string& language = "deu")
      : video_(feed_video(rate), 1'600), audio_(feed_audio(language), 170) {
    auto made = Presentation::create(
        {.epoch = "e1"}, {{"v360", feed_video(rate)}, {"audio", feed_audio(language)}}, wake_);
    EXPECT_TRUE(made);
    presentation_ = std::move(*made);
  }

  Scenario& video(int samples) {
    for (int i = 0; i < samples; ++i) presentation_->push(0, video_.next());
    return *this;
  }
  Scenario& audio(int samples) {
    for (int i = 0; i < samples; ++i) presentation_->push(1, audio_.next());
    return *this;
  }
  Scenario& video_break(std::int64_t slots) {
    presentation_->push(0, video_.next_after_break(slots));
    return *this;
  }
  Scenario& audio_break(std::int64_t slots) {
    presentation_->push(1, audio_.next_after_break(slots));
    return *this;
  }
  Presentation& presentation() { return *presentation_; }
  std::string playlist(std::string_view name) const {
    const auto view = presentation_->find(name)->window->view();
    return view->playlists.empty() ? "" : view->playlists.full.plain->text();
  }
  Playlists forms(std::string_view name) const {
    return presentation_->find(name)->window->view()->playlists;
  }
  // `samples` slots pass whose pictures were lost.
  Scenario& video_lost(int samples) {
    for (int i = 0; i < samples; ++i) video_.next();
    return *this;
  }
  std::string multivariant() const {
    const auto made = presentation_->multivariant();
    return made ? made->low_latency->text() : "";
  }

 private:
  const WakeList wake_{{}};
  ScriptedFeed video_;
  ScriptedFeed audio_;
  std::unique_ptr<Presentation> presentation_;
};

TEST(Golden, StartupWithOnePart) {
  Scenario scenario({30, 1});
  EXPECT_EQ(scenario.playlist("v360"), "");
  scenario.video(4);
  expect_golden("startup_with_one_part.m3u8", scenario.playlist("v360"));
}

TEST(Golden, TwoSegmentsAndAPartWithItsSibling) {
  Scenario scenario({30'000, 1'001}, "");
  scenario.audio(27).video(33);
  expect_golden("two_segments_and_a_part.m3u8", scenario.playlist("v360"));
}

TEST(Golden, CompleteSegmentHintsAtTheNextOne) {
  Scenario scenario({25, 1});
  scenario.video(12);
  expect_golden("complete_segment.m3u8", scenario.playlist("v360"));
}

TEST(Golden, Audio) {
  Scenario scenario({30, 1});
  scenario.video(18).audio(36);
  expect_golden("audio.m3u8", scenario.playlist("audio"));
}

// A publisher leaves in mid-segment, viewers get what there was, and another returns later
// (user case 21: stale parts after the publisher resumes).
TEST(Golden, PublisherLeaves) {
  Scenario scenario({30, 1});
  scenario.video(15 + 7);
  scenario.presentation().suspend();
  expect_golden("publisher_leaves.m3u8", scenario.playlist("v360"));
}

TEST(Golden, PublisherReturns) {
  Scenario scenario({30, 1});
  scenario.video(15 + 7);
  scenario.presentation().suspend();
  scenario.video_break(300).video(5);
  expect_golden("publisher_returns.m3u8", scenario.playlist("v360"));
}

// The playlist slides: the discontinuity leaves it and is counted, parts are listed only near the
// end.
TEST(Golden, WindowSlides) {
  Scenario scenario({30, 1});
  scenario.video(7).video_break(23).video(15 * 64);
  expect_golden("window_slides.m3u8", scenario.playlist("v360"));
}

// What a player that has the playlist already is sent instead: the last six seconds.
TEST(Golden, WindowSlidesWithDelta) {
  Scenario scenario({30, 1});
  scenario.video(15 * 64 + 4);
  expect_golden("window_slides_delta.m3u8", scenario.forms("v360").delta.plain->text());
}

// User case 38: a discontinuity behind the skip boundary, and one before it.
TEST(Golden, DeltaAcrossDiscontinuities) {
  Scenario scenario({30, 1});
  scenario.video(15 * 10).video_break(100).video(15 * 20).video_break(50).video(15 * 4);
  expect_golden("delta_discontinuities.m3u8", scenario.forms("v360").delta.plain->text());
}

// An interruption that is over is skipped, the one that lasts is not.
TEST(Golden, DeltaSkipsDateRanges) {
  Scenario scenario({30, 1});
  scenario.video(15 * 4);
  scenario.presentation().suspend();
  scenario.video_break(60).video(15 * 16);
  scenario.presentation().suspend();
  const Playlists forms = scenario.forms("v360");
  expect_golden("delta_keeps_date_ranges.m3u8", forms.delta.plain->text());
  expect_golden("delta_skips_date_ranges.m3u8", forms.delta_date_ranges.plain->text());
}

TEST(Golden, DateRangeLeavesThePlaylist) {
  Scenario scenario({30, 1});
  scenario.video(15);
  scenario.presentation().suspend();
  scenario.video_break(60).video(15 * 64 + 1);
  expect_golden("date_range_removed.m3u8", scenario.forms("v360").delta_date_ranges.plain->text());
}

TEST(Golden, Legacy) {
  Scenario scenario({30, 1});
  scenario.video(15 * 2 + 7).video_lost(3).video(15 * 2);
  expect_golden("legacy.m3u8", scenario.forms("v360").legacy.plain->text());
}

// The encoder lost pictures: their parts are gaps until the next key frame.
TEST(Golden, GapParts) {
  Scenario scenario({30, 1});
  scenario.video(15 + 4).video_lost(20).video(15);
  expect_golden("gap_parts.m3u8", scenario.playlist("v360"));
}

// Video stops, sound goes on: each rendition lists what it has, and tells of the other.
TEST(Golden, VideoStopsBeforeAudio) {
  Scenario scenario({30, 1});
  scenario.video(15).audio(60);
  scenario.presentation().finish();
  expect_golden("video_stops_first_video.m3u8", scenario.playlist("v360"));
  expect_golden("video_stops_first_audio.m3u8", scenario.playlist("audio"));
}

TEST(Golden, StreamEnds) {
  Scenario scenario({30, 1});
  scenario.audio(5).video(20);
  scenario.presentation().finish();
  expect_golden("stream_ends.m3u8", scenario.playlist("v360"));
}

TEST(Golden, Multivariant) {
  Scenario scenario({30'000, 1'001});
  scenario.video(30);
  EXPECT_EQ(scenario.multivariant(), "") << "there is no audio segment yet";
  scenario.audio(25);
  expect_golden("multivariant.m3u8", scenario.multivariant());
}

}  // namespace
}  // namespace mirror::hls
