// RFC 8216bis, 6.2.5.2, one test per rule.
#include <gtest/gtest.h>

#include "hls/scripted_feed.h"
#include "hls/segmenter.h"
#include "hls/window.h"

namespace mirror::hls {
namespace {

// 30 fps: 3 samples a part, 5 parts a segment.
class ReadinessTest : public testing::Test {
 protected:
  void push(int samples) {
    for (int i = 0; i < samples; ++i) segmenter_.push(feed_.next());
  }
  void push_parts(int parts) { push(3 * parts); }
  Readiness playlist(std::optional<MediaSequence> msn = {}, std::optional<PartIndex> part = {}) {
    return readiness_of(*window_.view(), {msn, part});
  }
  Readiness segment(MediaSequence number) { return readiness_of_segment(*window_.view(), number); }
  Readiness part(MediaSequence number, PartIndex index) {
    return readiness_of_part(*window_.view(), number, index);
  }

  const media::TrackDescription track_ = feed_video({30, 1});
  ScriptedFeed feed_{track_};
  Window window_{{.epoch = "e", .grid = media::grid_of(track_)}};
  Segmenter segmenter_{track_, window_};
};

TEST_F(ReadinessTest, BeforeTheFirstPartEverythingReasonableWaits) {
  EXPECT_EQ(playlist(), Readiness::kNotYet);
  EXPECT_EQ(playlist(0), Readiness::kNotYet);
  EXPECT_EQ(playlist(2, 0), Readiness::kNotYet);
  EXPECT_EQ(playlist(3), Readiness::kTooFar);
  EXPECT_EQ(segment(0), Readiness::kNotYet);
  EXPECT_EQ(segment(1), Readiness::kNotFound);
  EXPECT_EQ(part(0, 0), Readiness::kNotYet);
  EXPECT_EQ(part(0, 1), Readiness::kNotFound);
}

TEST_F(ReadinessTest, WithoutDirectivesAnswersAtOnce) {
  push_parts(1);
  EXPECT_EQ(playlist(), Readiness::kReady);
}

TEST_F(ReadinessTest, PartOfTheOpenSegment) {
  push_parts(5 + 2);
  EXPECT_EQ(playlist(1, 0), Readiness::kReady);
  EXPECT_EQ(playlist(1, 1), Readiness::kReady);
  EXPECT_EQ(playlist(1, 2), Readiness::kNotYet);
  push_parts(1);
  EXPECT_EQ(playlist(1, 2), Readiness::kReady);
}

// User case 10: OvenMediaEngine #2207 answers this at once.
TEST_F(ReadinessTest, SegmentWithoutPartWaitsForTheWholeSegment) {
  push_parts(5 + 4);
  EXPECT_EQ(playlist(1), Readiness::kNotYet);
  push_parts(1);
  EXPECT_EQ(playlist(1), Readiness::kReady);
  EXPECT_EQ(playlist(2), Readiness::kNotYet);
}

TEST_F(ReadinessTest, PartPastTheEndOfACompleteSegmentIsTheNextSegmentsFirst) {
  push_parts(10);
  EXPECT_EQ(playlist(0, 5), Readiness::kReady);
  EXPECT_EQ(playlist(0, 4'000'000'000), Readiness::kReady);
  EXPECT_EQ(playlist(1, 5), Readiness::kNotYet);
  push_parts(1);
  EXPECT_EQ(playlist(1, 5), Readiness::kReady);
  EXPECT_EQ(playlist(1, 999), Readiness::kReady);
}

TEST_F(ReadinessTest, TwoSegmentsAheadWaitsAndThreeIsRefused) {
  push_parts(6);  // segment 1 is open
  EXPECT_EQ(playlist(3), Readiness::kNotYet);
  EXPECT_EQ(playlist(3, 0), Readiness::kNotYet);
  EXPECT_EQ(playlist(4), Readiness::kTooFar);
  EXPECT_EQ(playlist(4, 0), Readiness::kTooFar);
  push_parts(4);  // segment 1 is complete: still the newest
  EXPECT_EQ(playlist(3), Readiness::kNotYet);
  EXPECT_EQ(playlist(4), Readiness::kTooFar);
  EXPECT_EQ(playlist(~MediaSequence{0}), Readiness::kTooFar);
  EXPECT_EQ(playlist(~MediaSequence{0}, ~PartIndex{0}), Readiness::kTooFar);
}

TEST_F(ReadinessTest, PartBeyondTheAdvancePartLimitIsRefused) {
  push_parts(6);  // the next is 1.1, and the limit is 3 s / 0.1 s
  EXPECT_EQ(window_.view()->advance_part_limit, 30u);
  EXPECT_EQ(playlist(1, 30), Readiness::kNotYet);
  EXPECT_EQ(playlist(1, 31), Readiness::kTooFar);
}

TEST_F(ReadinessTest, TooOldIsAnsweredAtOnce) {
  for (int i = 0; i < 300; ++i) push_parts(5);
  EXPECT_GT(window_.view()->first_listed, 100u);
  EXPECT_EQ(playlist(0), Readiness::kReady);
  EXPECT_EQ(playlist(0, 99), Readiness::kReady);
  EXPECT_EQ(segment(0), Readiness::kNotFound);
  EXPECT_EQ(part(0, 0), Readiness::kNotFound);
}

TEST_F(ReadinessTest, TheHintedPartIsHeldAndNoOther) {
  push_parts(2);
  EXPECT_EQ(part(0, 1), Readiness::kReady);
  EXPECT_EQ(part(0, 2), Readiness::kNotYet);
  EXPECT_EQ(part(0, 3), Readiness::kNotFound);
  EXPECT_EQ(part(1, 0), Readiness::kNotFound);
  EXPECT_EQ(segment(0), Readiness::kNotYet);
  push_parts(3);  // the segment is complete; the hint is 1.0
  EXPECT_EQ(segment(0), Readiness::kReady);
  EXPECT_EQ(part(0, 5), Readiness::kNotFound);
  EXPECT_EQ(part(1, 0), Readiness::kNotYet);
  EXPECT_EQ(part(1, 1), Readiness::kNotFound);
  EXPECT_EQ(segment(1), Readiness::kNotYet);
  EXPECT_EQ(segment(2), Readiness::kNotFound);
}

// The publisher leaves: the hinted part comes short, then the hint moves on and stays.
TEST_F(ReadinessTest, SuspendedStreamHoldsTheNextSegment) {
  push(3 + 1);
  EXPECT_EQ(part(0, 1), Readiness::kNotYet);
  segmenter_.suspend();
  EXPECT_EQ(part(0, 1), Readiness::kReady);
  EXPECT_EQ(playlist(0), Readiness::kReady);
  EXPECT_EQ(part(1, 0), Readiness::kNotYet);
  EXPECT_EQ(playlist(1, 0), Readiness::kNotYet);
  segmenter_.push(feed_.next_after_break(30));
  segmenter_.push(feed_.next());
  segmenter_.push(feed_.next());
  EXPECT_EQ(part(1, 0), Readiness::kReady);
}

TEST_F(ReadinessTest, EndAnswersEverything) {
  push_parts(3);
  segmenter_.finish();
  EXPECT_EQ(playlist(0), Readiness::kReady);
  EXPECT_EQ(playlist(0, 9), Readiness::kReady);
  EXPECT_EQ(playlist(77, 9), Readiness::kReady);
  EXPECT_EQ(segment(0), Readiness::kReady);
  EXPECT_EQ(segment(1), Readiness::kNotFound);
  EXPECT_EQ(part(0, 3), Readiness::kNotFound);
  EXPECT_EQ(part(1, 0), Readiness::kNotFound);
}

}  // namespace
}  // namespace mirror::hls
