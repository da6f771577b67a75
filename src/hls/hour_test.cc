// One hour of a rendition in virtual time, for each rate: what holds for the first playlist holds
// for all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "cmaf/box_dump.h"
#include "hls/playlist.h"
#include "hls/scripted_feed.h"
#include "hls/segmenter.h"

namespace mirror::hls {
namespace {

double number_at(std::string_view text, std::size_t at) {
  double value = 0;
  if (at < text.size()) std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value;
}

// The number behind the first `key` in `text`; 0 without one. Header tags stand near the beginning.
double first_number(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at == std::string_view::npos ? 0 : number_at(text, at + key.size());
}

// The number behind the last `key` in `text`; 0 without one. The newest part stands near the end.
double last_number(std::string_view text, std::string_view key) {
  const std::size_t at = text.rfind(key);
  return at == std::string_view::npos ? 0 : number_at(text, at + key.size());
}

std::string_view head_of(std::string_view playlist) {
  return playlist.substr(0, playlist.find("#EXT-X-MEDIA-SEQUENCE"));
}

class Hour {
 public:
  explicit Hour(media::TrackDescription track)
      : track_(std::move(track)),
        grid_(media::grid_of(track_)),
        feed_(track_),
        window_({.epoch = "e", .grid = grid_}),
        segmenter_(track_, window_) {}

  void run() {
    const std::int64_t samples = std::int64_t{3'600} * grid_.timescale / grid_.sample_duration;
    for (std::int64_t i = 0; i < samples && !testing::Test::HasFailure(); ++i) {
      segmenter_.push(feed_.next());
      if (window_.version() != version_) look();
    }
    EXPECT_EQ(segmenter_.samples_dropped(), 0u);
    EXPECT_EQ(next_decode_time_, samples / grid_.samples_per_part * grid_.samples_per_part *
                                     static_cast<std::int64_t>(grid_.sample_duration));
  }

 private:
  void look() {
    version_ = window_.version();
    const auto view = window_.view();
    const Segment& newest = *view->segments.back();
    look_at_playlist(*view);
    look_at_part(newest, newest.parts.back());
    if (newest.complete) look_at_segment(newest);
  }

  void look_at_playlist(const WindowView& view) {
    const std::string text = view.playlists.full.plain->text();
    if (head_.empty()) head_ = head_of(text);
    EXPECT_EQ(head_of(text), head_);
    // 30 s listed, 31 s kept, and at most a segment of each on its way.
    EXPECT_LE(view.segments.size(), 130u);
    EXPECT_LE(text.size(), 16'384u);
    EXPECT_GE(view.first_listed, first_listed_);
    first_listed_ = view.first_listed;
    EXPECT_EQ(static_cast<MediaSequence>(first_number(text, "#EXT-X-MEDIA-SEQUENCE:")),
              first_listed_);
  }

  void look_at_part(const Segment& segment, const Part& part) {
    const auto tfdt = cmaf::BoxDump::find(part.bytes.span(), "tfdt");
    ASSERT_TRUE(tfdt);
    EXPECT_EQ(static_cast<std::int64_t>(cmaf::BoxDump::number(*tfdt, 4, 8)), next_decode_time_);
    next_decode_time_ += static_cast<std::int64_t>(part.samples) * grid_.sample_duration;
    const std::string text = window_.view()->playlists.full.plain->text();
    const double duration = last_number(text, "#EXT-X-PART:DURATION=");
    const double target = first_number(text, "PART-TARGET=");
    EXPECT_LE(duration, target);
    if (!segment.complete) {
      EXPECT_GE(duration, 0.85 * target);
    }
    EXPECT_EQ(part.independent, segment.parts.size() == 1 ||
                                    std::get_if<media::AudioDescription>(&track_) != nullptr);
  }

  void look_at_segment(const Segment& segment) {
    EXPECT_EQ(segment.number, segments_++);
    EXPECT_EQ(segment.samples(), grid_.samples_per_segment);
    // PROGRAM-DATE-TIME and decode time run alike.
    const double media_s = static_cast<double>(segment.decode_time) / grid_.timescale;
    const double date_s = std::chrono::duration<double>(segment.date - feed_start()).count();
    EXPECT_NEAR(date_s, media_s, 1e-5);
    EXPECT_NE(window_.view()->playlists.full.plain->text().rfind(format_date(segment.date)),
              std::string_view::npos);
    const double extinf = last_number(window_.view()->playlists.full.plain->text(), "#EXTINF:");
    EXPECT_NEAR(extinf,
                static_cast<double>(segment.samples()) * grid_.sample_duration / grid_.timescale,
                0.000'010'1);  // a tick, and what printing it loses
    EXPECT_LE(std::lround(extinf), static_cast<long>(kTargetDurationSeconds));
    EXPECT_LT(segment.size(), 4'096u) << "of parts of a few tiny samples each";
  }

  const media::TrackDescription track_;
  const media::SampleGrid grid_;
  ScriptedFeed feed_;
  Window window_;
  Segmenter segmenter_;

  std::uint64_t version_ = 0;
  std::string head_;
  std::int64_t next_decode_time_ = 0;
  MediaSequence segments_ = 0;
  MediaSequence first_listed_ = 0;
};

class HourOfVideo : public testing::TestWithParam<media::FrameRate> {};

TEST_P(HourOfVideo, HoldsEveryRule) { Hour(feed_video(GetParam())).run(); }

INSTANTIATE_TEST_SUITE_P(Rates, HourOfVideo,
                         testing::Values(media::FrameRate{25, 1}, media::FrameRate{30'000, 1'001},
                                         media::FrameRate{30, 1}, media::FrameRate{50, 1},
                                         media::FrameRate{60'000, 1'001}, media::FrameRate{60, 1}),
                         [](const auto& rate) {
                           return fmt::format("hz{}", std::lround(rate.param.hz() * 100));
                         });

TEST(HourOfAudio, HoldsEveryRule) { Hour(feed_audio()).run(); }

}  // namespace
}  // namespace mirror::hls
