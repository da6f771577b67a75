#include "hls/segmenter.h"

#include <gtest/gtest.h>

#include <thread>

#include "cmaf/box_dump.h"
#include "hls/playlist.h"
#include "hls/scripted_feed.h"

namespace mirror::hls {
namespace {

class SegmenterTest : public testing::Test {
 protected:
  void push(int samples) {
    for (int i = 0; i < samples; ++i) segmenter_.push(feed_.next());
  }
  std::shared_ptr<const WindowView> view() const { return window_.view(); }
  // "3+3g+1." per segment: slots of its parts, "g" behind a gap, and a dot when complete.
  std::string shape() const {
    std::string text;
    const auto now = view();
    for (const auto& segment : now->segments) {
      if (!text.empty()) text += ' ';
      if (segment->discontinuity) text += '!';
      for (std::size_t i = 0; i < segment->parts.size(); ++i) {
        text += (i == 0 ? "" : "+") + std::to_string(segment->parts[i].samples);
        if (segment->parts[i].gap) text += 'g';
      }
      if (segment->complete) text += '.';
    }
    return text;
  }

  const media::TrackDescription track_ = feed_video({30, 1});
  ScriptedFeed feed_{track_};
  Window window_{{.epoch = "e", .grid = media::grid_of(track_)}};
  Segmenter segmenter_{track_, window_};
};

TEST_F(SegmenterTest, PublishesAPartWithItsLastSample) {
  push(2);
  EXPECT_EQ(window_.version(), 0u);
  push(1);
  EXPECT_EQ(window_.version(), 1u);
  EXPECT_EQ(shape(), "3");
  push(12);
  EXPECT_EQ(window_.version(), 5u);
  EXPECT_EQ(shape(), "3+3+3+3+3.");
}

TEST_F(SegmenterTest, OnlyTheFirstPartIsIndependent) {
  push(15);
  const auto now = view();
  const auto& parts = now->segments.front()->parts;
  EXPECT_TRUE(parts[0].independent);
  for (std::size_t i = 1; i < parts.size(); ++i) EXPECT_FALSE(parts[i].independent);
}

TEST_F(SegmenterTest, EarlySyncSampleCutsEarly) {
  push(7);
  media::Sample sync = feed_.next();
  sync.sync = true;
  segmenter_.push(sync);
  push(2);
  EXPECT_EQ(shape(), "3+3+1. 3");
  EXPECT_EQ(segmenter_.samples_dropped(), 0u);
}

TEST_F(SegmenterTest, EarlySyncSampleOnAPartBoundaryLeavesNoEmptyPart) {
  push(6);
  media::Sample sync = feed_.next();
  sync.sync = true;
  segmenter_.push(sync);
  EXPECT_EQ(shape(), "3+3.");
}

TEST_F(SegmenterTest, DropsUntilTheFirstSyncSample) {
  media::Sample late = feed_.next();
  late.sync = false;
  segmenter_.push(late);
  push(14);  // the script's next sync sample is number 15
  EXPECT_EQ(window_.version(), 0u);
  EXPECT_EQ(segmenter_.samples_dropped(), 15u);
  push(3);
  EXPECT_EQ(shape(), "3");
}

// The encoder missed an IDR: a segment that cannot be decoded alone is worse than a hole, and a
// discontinuity that the other renditions do not have would be worse still.
TEST_F(SegmenterTest, MissingSyncSampleAtASegmentStartBecomesAGap) {
  push(15);
  media::Sample missed = feed_.next();
  missed.sync = false;
  segmenter_.push(missed);
  push(14 + 3);
  EXPECT_EQ(shape(), "3+3+3+3+3. 3g+3g+3g+3g+3g. 3");
  EXPECT_EQ(segmenter_.samples_dropped(), 15u);
}

// A part that has a sample is no gap, and what follows waits for a sync sample.
TEST_F(SegmenterTest, AHoleInTheSamplesBecomesAGap) {
  push(4);
  for (int i = 0; i < 2; ++i) feed_.next();
  push(9 + 3);
  EXPECT_EQ(shape(), "3+3+3g+3g+3g. 3");
  EXPECT_EQ(segmenter_.samples_dropped(), 9u);
  EXPECT_EQ(view()->find(1)->decode_time, 15 * media::grid_of(track_).sample_duration);
}

TEST_F(SegmenterTest, AudioGoesOnBehindAGapAtOnce) {
  const media::TrackDescription track = feed_audio();
  Window window({.epoch = "e", .grid = media::grid_of(track)});
  Segmenter segmenter(track, window);
  ScriptedFeed feed(track);
  for (int i = 0; i < 5; ++i) segmenter.push(feed.next());
  for (int i = 0; i < 6; ++i) feed.next();
  for (int i = 0; i < 4; ++i) segmenter.push(feed.next());
  const auto now = window.view();
  const auto& parts = now->segments.front()->parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(parts[1].gap);
  EXPECT_FALSE(parts[2].gap) << "one of five slots is missing, which is no reason to hide it";
  EXPECT_EQ(parts[2].samples, 5u);
}

TEST_F(SegmenterTest, ChunksOfOneSampleCanBeReadWhileThePartGrows) {
  Window window({.epoch = "e", .grid = media::grid_of(track_)});
  Segmenter segmenter(track_, window, Segmenter::Chunking::kSample);
  segmenter.push(feed_.next());
  segmenter.push(feed_.next());
  EXPECT_EQ(window.version(), 0u);
  const auto coming = window.growth()->coming();
  ASSERT_NE(coming, nullptr);
  EXPECT_EQ(coming->at, (PartPosition{0, 0}));
  ASSERT_EQ(coming->pieces.size(), 2u);
  segmenter.push(feed_.next());
  EXPECT_EQ(window.growth()->coming(), nullptr);
  const std::string part(window.view()->find(0)->parts[0].bytes.text());
  const std::string grown =
      std::string(coming->pieces[0].bytes.text()) + std::string(coming->pieces[1].bytes.text());
  EXPECT_TRUE(part.starts_with(grown));
  EXPECT_GT(part.size(), grown.size());
}

TEST_F(SegmenterTest, DiscontinuityCutsPartAndSegment) {
  push(4);
  segmenter_.push(feed_.next_after_break(13));
  push(2);
  EXPECT_EQ(shape(), "3+1. !3");
}

TEST_F(SegmenterTest, AGapWithoutAFlagIsADiscontinuityToo) {
  push(4);
  media::Sample jump = feed_.next_after_break(103);
  jump.discontinuity = false;
  segmenter_.push(jump);
  push(2);
  EXPECT_EQ(shape(), "3+1. !3");
}

// User case 4: backward jumps never reach a playlist.
TEST_F(SegmenterTest, TimeNeverGoesBackward) {
  push(4);
  media::Sample old = feed_.next();
  old.decode_time = 0;
  segmenter_.push(old);
  old.decode_time = -5;
  old.discontinuity = true;
  old.sync = true;
  segmenter_.push(old);
  EXPECT_EQ(segmenter_.samples_dropped(), 2u);
  segmenter_.push(feed_.next_after_break(0));
  push(2);
  EXPECT_EQ(shape(), "3+1. !3");
}

// Renditions of a stream must count the same breaks (RFC 8216bis, 6.2.4), so one that has its first
// sample behind a break that another saw keeps it.
TEST_F(SegmenterTest, TheFirstSegmentKeepsItsDiscontinuity) {
  segmenter_.push(feed_.next_after_break(0));
  push(2);
  EXPECT_EQ(shape(), "!3");
}

// A break before a sample that has to be dropped stands before the next one that is taken.
TEST_F(SegmenterTest, DiscontinuitySurvivesADroppedSample) {
  push(4);
  media::Sample lost = feed_.next_after_break(10);
  lost.sync = false;
  segmenter_.push(lost);
  push(3);
  EXPECT_EQ(shape(), "3+1. !3");
}

TEST_F(SegmenterTest, OversizeSampleIsDropped) {
  push(3);
  media::Sample huge = feed_.next();
  huge.data = Bytes::take(std::string(Segmenter::kSampleBytesMax + 1, 'x'));
  segmenter_.push(huge);
  EXPECT_EQ(segmenter_.samples_dropped(), 1u);
}

TEST_F(SegmenterTest, SuspendClosesAndContinuesTheNumbers) {
  push(15 + 4);
  segmenter_.suspend();
  segmenter_.suspend();
  EXPECT_EQ(shape(), "3+3+3+3+3. 3+1.");
  EXPECT_EQ(view()->next, (PartPosition{2, 0}));
  EXPECT_FALSE(view()->ended);
  segmenter_.push(feed_.next_after_break(300));
  push(2);
  EXPECT_EQ(view()->segments.back()->number, 2u);
  EXPECT_TRUE(view()->segments.back()->discontinuity);
}

TEST_F(SegmenterTest, FinishEndsOnce) {
  push(4);
  segmenter_.finish();
  const auto version = window_.version();
  segmenter_.finish();
  EXPECT_EQ(window_.version(), version);
  EXPECT_TRUE(view()->ended);
  EXPECT_EQ(shape(), "3+1.");
}

TEST_F(SegmenterTest, FinishBeforeAnySampleEnds) {
  segmenter_.finish();
  EXPECT_TRUE(view()->ended);
}

// Older views stay as they were while newer ones are published.
TEST_F(SegmenterTest, ViewsAreImmutable) {
  push(3);
  const auto old = view();
  const std::string text = old->playlists.full.plain->text();
  push(60);
  EXPECT_EQ(old->segments.size(), 1u);
  EXPECT_EQ(old->segments.front()->parts.size(), 1u);
  EXPECT_EQ(old->playlists.full.plain->text(), text);
}

// One media thread writes, loops read: what a version promises can be read, and numbers only grow.
TEST_F(SegmenterTest, ReadersOnOtherThreads) {
  std::atomic<bool> done{false};
  std::vector<std::jthread> readers;
  std::atomic<int> faults{0};
  readers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      PartPosition last;
      while (!done) {
        const auto now = window_.view();
        if (now->next < last) ++faults;
        last = now->next;
        if (!now->segments.empty() && now->playlists.empty()) ++faults;
      }
    });
  }
  push(15 * 100);
  done = true;
  readers.clear();
  EXPECT_EQ(faults, 0);
}

}  // namespace
}  // namespace mirror::hls
