// What happens to a feed, told as a readable dump of what viewers were offered: one file in
// testdata per scenario. The pictures are real, encoded here; the time is made up.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/golden.h"
#include "hls/playlist.h"
#include "stream/line.h"
#include "transcode/test_feed.h"

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;
using media::MediaTime;
using transcode::test::AudioSpec;
using transcode::test::Feed;
using transcode::test::make_audio;
using transcode::test::make_video;
using transcode::test::merged;
using transcode::test::shifted;
using transcode::test::VideoSpec;

constexpr std::uint16_t kVideoId = 256;
constexpr std::uint16_t kAudioId = 257;

class Scenario {
 public:
  Scenario()
      : line_(
            {.video = {.width = 64, .height = 36, .bitrate_bps = 50'000},
             .audio = {},
             .window = 8s,
             .epoch = "e"},
            [this](auto presentation) { presentations_.push_back(std::move(presentation)); },
            wake_) {}

  // Three seconds of picture and sound whose first frame arrives `at` this long after the start,
  // and says that it is `says` later than the first feed's.
  static Feed video(std::chrono::milliseconds at, MediaTime says, VideoSpec spec = {}) {
    spec.codec = media::Codec::kH264;
    spec.width = 64;
    spec.height = 36;
    spec.b_frames = 0;
    return marked(shifted(make_video(spec), says, at), kVideoId);
  }
  static Feed audio(std::chrono::milliseconds at, MediaTime says, AudioSpec spec = {}) {
    return marked(shifted(make_audio(spec), says, at), kAudioId);
  }

  Scenario& begin(media::Codec video = media::Codec::kH264, bool sound = true) {
    std::vector<media::Track> tracks = {{.id = kVideoId, .codec = video}};
    if (sound) tracks.push_back({.id = kAudioId, .codec = media::Codec::kAac});
    line_.begin_turn(tracks);
    return *this;
  }
  Scenario& push(const Feed& feed) {
    for (const auto& unit : feed) line_.push(unit);
    return *this;
  }
  Scenario& leave() {
    line_.end_turn();
    return *this;
  }
  Scenario& finish() {
    line_.finish();
    return *this;
  }

  // A reload of the video playlist that asks for the part `ahead` of the next one.
  Scenario& ask(std::string_view what, hls::PartIndex ahead) {
    const auto view = presentations_.back()->renditions().front().window->view();
    const hls::PlaylistQuestion question{.msn = view->next.segment,
                                         .part = view->next.part + ahead};
    static constexpr std::array kAnswers = {"answered", "held", "refused", "not found"};
    asked_ += fmt::format("{}: part {}.{} is {}{}\n", what, *question.msn - base(), *question.part,
                          kAnswers.at(static_cast<std::size_t>(readiness_of(*view, question))),
                          view->ended ? " with ENDLIST" : "");
    return *this;
  }

  std::string dump() const {
    std::string text = line_.error().empty() ? "" : fmt::format("error: {}\n", line_.error());
    for (const auto& presentation : presentations_) {
      text += fmt::format("presentation {}\n", presentation->epoch());
      for (const auto& rendition : presentation->renditions()) dump(rendition, text);
    }
    return text + asked_;
  }

 private:
  static Feed marked(Feed feed, std::uint16_t id) {
    for (auto& unit : feed) unit.track = id;
    return feed;
  }

  hls::MediaSequence base() const {
    const auto& first = presentations_.front()->renditions().front();
    return first.window->settings().first_segment;
  }

  // A line per segment: number, break, when it begins on the timeline and by the clock (seconds
  // after the start), and the slots of its parts: "*" independent, "-" a gap.
  void dump(const hls::Presentation::Rendition& rendition, std::string& text) const {
    const auto view = rendition.window->view();
    const auto& grid = media::grid_of(rendition.track);
    text += fmt::format("  {}: media sequence {}, discontinuity sequence {}{}\n", rendition.name,
                        view->first_listed - base(), view->discontinuity_sequence,
                        view->ended ? ", ended" : "");
    for (const auto& segment : view->segments) {
      if (segment->number < view->first_listed) continue;
      const auto clock = std::chrono::duration<double>(segment->date - transcode::test::kEpoch);
      text +=
          fmt::format("    {:3}{} at {:7.3f} dated {:7.3f} parts", segment->number - base(),
                      segment->discontinuity ? " !" : "  ",
                      static_cast<double>(segment->decode_time) / grid.timescale, clock.count());
      for (const auto& part : segment->parts) {
        text += fmt::format(" {}{}", part.samples, part.gap ? "-" : part.independent ? "*" : "");
      }
      text += segment->complete ? "\n" : " ...\n";
    }
  }

  const WakeList wake_{{}};
  std::vector<std::shared_ptr<const hls::Presentation>> presentations_;
  std::string asked_;
  Line line_;
};

Feed three_seconds(std::chrono::milliseconds at, MediaTime says) {
  return merged(Scenario::video(at, says), Scenario::audio(at, says));
}

constexpr MediaTime kSecond{90'000};

TEST(ScenarioTest, ChannelEnd) {
  Scenario scenario;
  scenario.begin().push(three_seconds(0ms, {})).ask("before", 0).leave().ask("left", 0);
  scenario.finish().ask("over", 0);
  expect_golden("channel_end.txt", scenario.dump());
}

TEST(ScenarioTest, Continuation) {
  Scenario scenario;
  scenario.begin().push(three_seconds(0ms, {})).leave().ask("away", 0).ask("away", 40);
  scenario.begin().push(three_seconds(9s, kSecond * 50));
  expect_golden("continuation.txt", scenario.dump());
}

TEST(ScenarioTest, TimeJumpsForward) {
  Scenario scenario;
  scenario.begin().push(three_seconds(0ms, {})).push(three_seconds(3s, kSecond * 3'603));
  expect_golden("time_jumps_forward.txt", scenario.dump());
}

// User case 4.
TEST(ScenarioTest, TimeJumpsBackward) {
  Scenario scenario;
  scenario.begin().push(three_seconds(0ms, kSecond * 10)).push(three_seconds(3s, -kSecond * 1));
  expect_golden("time_jumps_backward.txt", scenario.dump());
}

// One picture says that it is an hour away, the next ones are where they should be.
TEST(ScenarioTest, OnePictureJumps) {
  Feed feed = three_seconds(0ms, {});
  int pictures = 0;
  for (auto& unit : feed) {
    if (unit.track != kVideoId) continue;
    ++pictures;
    if (pictures == 50) unit.pts = unit.dts = unit.pts + kSecond * 3'600;
  }
  Scenario scenario;
  scenario.begin().push(feed);
  expect_golden("one_picture_jumps.txt", scenario.dump());
}

// The source's key frames fall where they like: the proxy's are its own.
TEST(ScenarioTest, MisalignedKeyFrames) {
  Scenario scenario;
  scenario.begin(media::Codec::kH264, false).push(Scenario::video(0ms, {}, {.gop = 37}));
  expect_golden("misaligned_key_frames.txt", scenario.dump());
}

// Frames are missing at the source for longer than they are repeated.
TEST(ScenarioTest, HoleInThePictures) {
  Feed feed = three_seconds(0ms, {});
  int pictures = 0;
  std::erase_if(feed, [&](const auto& unit) {
    if (unit.track != kVideoId) return false;
    ++pictures;
    return pictures > 30 && pictures <= 55;
  });
  Scenario scenario;
  scenario.begin().push(feed);
  expect_golden("hole_in_the_pictures.txt", scenario.dump());
}

// Another frame rate: the playlists end, and others begin under another epoch and higher numbers.
TEST(ScenarioTest, MediaInformationChanges) {
  Scenario scenario;
  scenario.begin().push(three_seconds(0ms, {})).leave();
  scenario.begin().push(merged(Scenario::video(5s, kSecond * 5, {.rate = {25, 1}}),
                               Scenario::audio(5s, kSecond * 5)));
  expect_golden("media_information_changes.txt", scenario.dump());
}

TEST(ScenarioTest, VideoStopsBeforeAudio) {
  Scenario scenario;
  scenario.begin().push(merged(Scenario::video(0ms, {}, {.frames = 40}), Scenario::audio(0ms, {})));
  scenario.leave().finish();
  expect_golden("video_stops_before_audio.txt", scenario.dump());
}

TEST(ScenarioTest, AudioStopsBeforeVideo) {
  Scenario scenario;
  scenario.begin().push(merged(Scenario::video(0ms, {}), Scenario::audio(0ms, {}, {.seconds = 1})));
  scenario.leave().finish();
  expect_golden("audio_stops_before_video.txt", scenario.dump());
}

// The sound begins later than the picture: silence is put in front, so that both begin together.
TEST(ScenarioTest, StartPadding) {
  Scenario scenario;
  scenario.begin().push(
      merged(Scenario::video(0ms, {}), Scenario::audio(700ms, MediaTime(63'000))));
  expect_golden("start_padding.txt", scenario.dump());
}

TEST(ScenarioTest, WindowSlides) {
  Scenario scenario;
  scenario.begin();
  for (int i = 0; i < 4; ++i) {
    scenario.push(three_seconds(std::chrono::seconds(3 * i), kSecond * 3 * i));
  }
  scenario.leave().begin().push(three_seconds(20s, kSecond * 20));
  expect_golden("window_slides.txt", scenario.dump());
}

}  // namespace
}  // namespace mirror::stream
