#include "hls/presentation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "hls/bandwidth.h"
#include "hls/playlist.h"
#include "hls/scripted_feed.h"

namespace mirror::hls {
namespace {

class CountingLoop final : public Wakeable {
 public:
  void wake() noexcept override { ++wakes; }
  int wakes = 0;
};

class PresentationTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Presentation::create({.epoch = "e1", .first_segment = 7},
                                     {{"v360", video_}, {"audio", audio_}}, wake_);
    ASSERT_TRUE(made);
    presentation_ = std::move(*made);
  }
  void push_video(int samples) {
    for (int i = 0; i < samples; ++i) presentation_->push(0, video_feed_.next());
  }
  void push_audio(int samples) {
    for (int i = 0; i < samples; ++i) presentation_->push(1, audio_feed_.next());
  }

  CountingLoop loop_;
  const WakeList wake_{{&loop_}};
  const media::TrackDescription video_ = feed_video({30, 1});
  const media::TrackDescription audio_ = feed_audio();
  ScriptedFeed video_feed_{video_, 1'000};
  ScriptedFeed audio_feed_{audio_, 100};
  std::unique_ptr<Presentation> presentation_;
};

TEST_F(PresentationTest, FindsItsRenditions) {
  EXPECT_EQ(presentation_->epoch(), "e1");
  ASSERT_NE(presentation_->find("v360"), nullptr);
  EXPECT_FALSE(presentation_->find("v360")->init.empty());
  EXPECT_EQ(presentation_->find("audio")->name, "audio");
  EXPECT_EQ(presentation_->find("../audio"), nullptr);
}

TEST_F(PresentationTest, WakesOncePerPublication) {
  push_video(2);
  EXPECT_EQ(loop_.wakes, 0);
  push_video(1);
  EXPECT_EQ(loop_.wakes, 1);
  push_video(12);
  EXPECT_EQ(loop_.wakes, 5);
  push_audio(4);
  EXPECT_EQ(loop_.wakes, 5);
  push_audio(1);
  EXPECT_EQ(loop_.wakes, 6);
}

TEST_F(PresentationTest, NumbersBeginWhereTheyAreTold) {
  push_video(3);
  EXPECT_EQ(presentation_->find("v360")->window->view()->segments.front()->number, 7u);
}

TEST_F(PresentationTest, MultivariantWaitsForEveryRendition) {
  push_video(15);
  EXPECT_EQ(presentation_->multivariant(), nullptr);
  push_audio(24);
  EXPECT_EQ(presentation_->multivariant(), nullptr);
  push_audio(1);
  ASSERT_NE(presentation_->multivariant(), nullptr);
}

TEST_F(PresentationTest, MultivariantIsRenderedAnewWithEachSegment) {
  push_audio(25);
  push_video(15);
  const auto first = presentation_->multivariant();
  push_video(14);
  EXPECT_EQ(presentation_->multivariant(), first);
  push_video(1);
  EXPECT_NE(presentation_->multivariant(), first);
}

TEST_F(PresentationTest, BandwidthIsNeverBelowWhatTheEncodersWereTold) {
  media::TrackDescription video = video_;
  std::get<media::VideoDescription>(video).bitrate_bps =
      40'000'000;  // of which this feed has little
  auto made = Presentation::create({.epoch = "e1"}, {{"v360", video}}, wake_);
  ASSERT_TRUE(made);
  for (int i = 0; i < 15; ++i) (*made)->push(0, video_feed_.next());
  const auto multivariant = (*made)->multivariant();
  ASSERT_NE(multivariant, nullptr);
  const std::string text = multivariant->low_latency->text();
  EXPECT_NE(text.find("#EXT-X-STREAM-INF:BANDWIDTH=40000000,"), std::string::npos) << text;
}

TEST_F(PresentationTest, FinishEndsEveryRendition) {
  push_video(4);
  presentation_->finish();
  for (const auto& rendition : presentation_->renditions()) {
    EXPECT_TRUE(rendition.window->view()->ended) << rendition.name;
  }
  EXPECT_EQ(loop_.wakes, 2);
}

TEST_F(PresentationTest, RefusesWhatCannotBeWritten) {
  auto broken = feed_video({30, 1});
  broken.sps.clear();
  const auto made = Presentation::create({.epoch = "e"}, {{"v360", broken}}, wake_);
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().message.starts_with("v360: ")) << made.error().message;
  EXPECT_FALSE(Presentation::create({.epoch = "e"}, {}, wake_));
}

TEST(Multivariant, AudioAloneIsAVariant) {
  const media::TrackDescription audio = feed_audio();
  EXPECT_EQ(render_multivariant_playlist({{.name = "audio",
                                           .track = &audio,
                                           .codec = "mp4a.40.2",
                                           .peak_bps = 64'100,
                                           .average_bps = 64'000}}),
            "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-INDEPENDENT-SEGMENTS\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=64100,AVERAGE-BANDWIDTH=64000,CODECS=\"mp4a.40.2\",STABLE-"
            "VARIANT-ID=\"audio\"\n"
            "audio/media.m3u8\n");
}

// The language comes from the feed: nothing of it may break out of its quotes.
TEST(Multivariant, LeavesOutALanguageThatIsNone) {
  for (const std::string language : {"", "und", "de", "\"\n#", "DEU", "deut"}) {
    const media::TrackDescription video = feed_video({30, 1});
    const media::TrackDescription audio = feed_audio(language);
    const std::string text =
        render_multivariant_playlist({{.name = "v360", .track = &video, .codec = "avc1.64001E"},
                                      {.name = "audio", .track = &audio, .codec = "mp4a.40.2"}});
    EXPECT_EQ(text.find("LANGUAGE"), std::string::npos) << text;
  }
}

TEST(Bandwidth, PeakLooksAtRunsOfHalfToOneAndAHalfSeconds) {
  Bandwidth bandwidth({.timescale = 10, .sample_duration = 1});
  bandwidth.add_segment(100'000, 1);  // 0.1 s: too short to be a peak alone
  EXPECT_EQ(bandwidth.peak_bps(), bandwidth.average_bps());
  bandwidth.add_segment(25'000, 4);  // together 0.5 s
  EXPECT_EQ(bandwidth.peak_bps(), 2'000'001u);
  for (int i = 0; i < 100; ++i) bandwidth.add_segment(25'000, 5);
  EXPECT_EQ(bandwidth.peak_bps(), 2'000'001u) << "the peak is of the stream's whole life";
  EXPECT_LT(bandwidth.average_bps(), 420'000u);
}

TEST(PlaylistNumbers, AreExact) {
  const auto ntsc = media::SampleGrid::for_video({30'000, 1'001});
  EXPECT_EQ(format_seconds(duration_ticks(ntsc, 3, Rounding::kUp)), "0.10010");
  const auto film = media::SampleGrid::for_video({24, 1});
  EXPECT_EQ(format_seconds(duration_ticks(film, 2, Rounding::kUp)), "0.08334");
  EXPECT_EQ(format_seconds(duration_ticks(film, 2, Rounding::kNearest)), "0.08333");
  EXPECT_EQ(format_seconds(1'234'567), "12.34567");
}

// No part's printed duration is above the printed target, whatever the rate.
TEST(PlaylistNumbers, FullPartsNeverExceedPartTarget) {
  for (std::uint32_t tenths = 10; tenths <= 1'200; ++tenths) {
    const auto grid = media::SampleGrid::for_video({tenths, 10});
    const auto target = duration_ticks(grid, grid.samples_per_part, Rounding::kUp);
    const auto length = static_cast<std::int64_t>(grid.samples_per_part * grid.sample_duration);
    for (std::int64_t part = 0; part < 50; ++part) {
      EXPECT_LE(span_ticks(grid, part * length, grid.samples_per_part), target);
    }
  }
}

// A player that adds durations up is where the media is, after a day, too.
TEST(PlaylistNumbers, DurationsAddUpWithoutAnError) {
  const media::SampleGrid aac{.timescale = 48'000, .sample_duration = 1'024};
  std::uint64_t sum = 0;
  std::int64_t time = 0;
  for (int segment = 0; segment < 2 * 86'400; ++segment) {
    const std::uint64_t frames = segment % 3 == 0 ? 24 : 23;
    sum += span_ticks(aac, time, frames);
    time += static_cast<std::int64_t>(frames * aac.sample_duration);
  }
  EXPECT_EQ(sum, static_cast<std::uint64_t>(time) * kTicksPerSecond / 48'000);
  constexpr std::int64_t kCenturies = std::int64_t{48'000} * 100 * 366 * 86'400;
  EXPECT_EQ(span_ticks(aac, kCenturies, 48'000), 1'024 * kTicksPerSecond);
}

// Where Shaka Player 5.2 puts parts whose media lies later than their place in its presentation
// (streaming since before it came): the offset that it set at a segment's first part is 1 ms higher
// than it computed, and it computes it again for each part, in doubles. A millisecond of difference
// and it resets the decoder, in mid-segment.
TEST(PlaylistNumbers, NoPartBehindTheFirstLooksAMillisecondOff) {
  for (const media::FrameRate rate :
       {media::FrameRate{30, 1}, {25, 1}, {24, 1}, {30'000, 1'001}, {24'000, 1'001}}) {
    const WindowSettings settings{.epoch = "e", .grid = media::SampleGrid::for_video(rate)};
    const auto& grid = settings.grid;
    const auto frame = static_cast<std::int64_t>(grid.sample_duration);
    for (std::int64_t number = 1; number < 2'000; ++number) {
      Segment segment;
      segment.decode_time = number * grid.samples_per_segment * frame;
      std::int64_t slot = 0;
      while (slot < grid.samples_per_segment) {
        segment.parts.push_back({.samples = static_cast<std::uint32_t>(grid.samples_per_part),
                                 .decode_time = segment.decode_time + slot * frame});
        slot += grid.samples_per_part;
      }
      const std::string text = render_segment(settings, segment).parts;
      const auto media_seconds = [&](const Part& part) {
        return static_cast<double>(part.decode_time) / static_cast<double>(grid.timescale);
      };
      const double presentation_start = 0.001 * static_cast<double>(number * 37 % 10'000 + 1);
      double start = media_seconds(segment.parts.front()) - presentation_start;
      const double set = start - media_seconds(segment.parts.front()) + 0.001;
      std::size_t at = 0;
      for (const Part& part : segment.parts) {
        if (&part != &segment.parts.front()) {
          ASSERT_LT(std::abs(set - (start - media_seconds(part))), 0.001) << text;
        }
        at = text.find("DURATION=", at) + std::string_view("DURATION=").size();
        start += std::stod(text.substr(at));
      }
    }
  }
}

TEST(PlaylistNumbers, DatesAreUtcWithMilliseconds) {
  EXPECT_EQ(format_date(feed_start()), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(format_date(WallTime(std::chrono::microseconds(-1))), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace mirror::hls
