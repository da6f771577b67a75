// Feeds with faults in their timestamps and tables, from the bytes that a publisher sends to the
// playlists that viewers get. The pictures are real, encoded here; the time is made up.
//
// Each feed either goes on or breaks once; and whatever it does, mirror-lint finds nothing wrong
// with any version of any playlist.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "judging.h"
#include "mpegts/demuxer.h"
#include "mpegts/test_stream.h"
#include "playlist_parser.h"
#include "stream/line.h"
#include "transcode/test_feed.h"

// libx265 forgets some of what it allocates when it is opened; it only makes our sources.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265\n"; }

namespace mirror::stream {
namespace {

using namespace std::chrono_literals;
using media::Codec;
using media::MediaTime;
using mpegts::test::append;
using mpegts::test::ByteVector;
using mpegts::test::EsInfo;
using transcode::test::AudioSpec;
using transcode::test::Feed;
using transcode::test::make_audio;
using transcode::test::make_video;
using transcode::test::merged;
using transcode::test::shifted;
using transcode::test::VideoSpec;

constexpr std::uint16_t kVideoPid = 0x100;
constexpr std::uint16_t kAudioPid = 0x101;
constexpr std::uint16_t kPmtPid = 0x1000;
constexpr MediaTime kSecond{90'000};
constexpr std::int64_t kWrap = std::int64_t{1} << 33;

std::uint8_t stream_type(Codec codec) {
  if (codec == Codec::kHevc) return 0x24;
  return codec == Codec::kH264 ? 0x1b : 0x0f;
}

Feed on_pid(Feed feed, std::uint16_t pid) {
  for (auto& unit : feed) unit.track = pid;
  return feed;
}

Feed video(VideoSpec spec = {}) {
  spec.codec = spec.codec == Codec::kUnsupported ? Codec::kH264 : spec.codec;
  return on_pid(make_video(spec), kVideoPid);
}
// Small pictures of H.264, 30 a second for three seconds, without B-frames.
VideoSpec small() {
  return {.codec = Codec::kH264, .width = 64, .height = 36, .b_frames = 0, .bitrate_bps = 100'000};
}
Feed sound(AudioSpec spec = {}) { return on_pid(make_audio(spec), kAudioPid); }
Feed both(VideoSpec spec = small(), AudioSpec audio = {}) {
  return merged(video(spec), sound(audio));
}

// A multiplexer: access units in order of arrival → transport packets.
class Multiplex {
 public:
  enum class Dts { kSent, kLeftOut };

  explicit Multiplex(std::vector<EsInfo> streams = {{0x1b, kVideoPid}, {0x0f, kAudioPid}})
      : streams_(std::move(streams)) {}

  // Other streams from now on, under a new version.
  void change(std::vector<EsInfo> streams, int pcr_pid = kVideoPid) {
    streams_ = std::move(streams);
    pcr_pid_ = pcr_pid;
    ++version_;
    tables_at_ = {};
  }

  // The bytes of one unit, tables and clock reference before it where they are due.
  ByteVector bytes_of(const media::AccessUnit& unit, Dts dts) {
    ByteVector bytes;
    const bool picture = media::kind_of(unit.codec) == media::TrackKind::kVideo;
    if (!tables_at_ || unit.received.steady - *tables_at_ >= 100ms) {
      tables_at_ = unit.received.steady;
      append(bytes, tables());
    }
    if (picture) append(bytes, clock_reference(unit.dts));
    mpegts::test::PesOptions options{.pts = wrapped(unit.pts)};
    if (picture && dts == Dts::kSent) options.dts = wrapped(unit.dts);
    if (!picture) {
      options.bounded = true;
      options.stream_id = 0xc0;
    }
    const ByteVector data(unit.data.span().begin(), unit.data.span().end());
    append(bytes, mux_.unit(static_cast<int>(unit.track), mpegts::test::pes(options, data)));
    return bytes;
  }

  // Of the second programme, which goes its own way.
  bool second_programme = false;
  int programme = 1;

 private:
  static std::int64_t wrapped(MediaTime time) { return time.count() & (kWrap - 1); }

  ByteVector tables() {
    using mpegts::test::pat;
    using mpegts::test::pmt;
    const int pid = kPmtPid + programme;
    if (!second_programme) {
      return mpegts::test::cat(
          {mux_.section(0, pat({{programme, pid}})),
           mux_.section(pid, pmt(streams_, version_ % 32, true, programme, pcr_pid_))});
    }
    return mpegts::test::cat(
        {mux_.section(0, pat({{0, 0x10}, {programme, pid}, {77, 0x1100}})),
         mux_.section(pid, pmt(streams_, version_ % 32, true, programme, pcr_pid_)),
         mux_.section(0x1100, pmt({{0x24, 0x200}, {0x0f, 0x201}}, 0, true, 77, 0x200))});
  }

  ByteVector clock_reference(MediaTime time) {
    const auto base = static_cast<std::uint64_t>(wrapped(time));
    return mux_.packet(
        pcr_pid_, false, {},
        {0x10, static_cast<std::uint8_t>(base >> 25), static_cast<std::uint8_t>(base >> 17),
         static_cast<std::uint8_t>(base >> 9), static_cast<std::uint8_t>(base >> 1),
         static_cast<std::uint8_t>((base & 1) << 7 | 0x7e), 0});
  }

  mpegts::test::Muxer mux_;
  std::vector<EsInfo> streams_;
  int version_ = 0;
  int pcr_pid_ = kVideoPid;
  std::optional<SteadyTime> tables_at_;
};

// The demuxer and the line behind it, and what viewers saw of it.
class Show final : public media::AccessUnitSink {
 public:
  Show()
      : line_(
            {.video = {.width = 64, .height = 36, .bitrate_bps = 50'000},
             .audio = {},
             .window = 8s,
             .epoch = "e"},
            [this](auto presentation) {
              presentations.push_back(std::move(presentation));
              seen_.clear();
            },
            wake_) {}
  ~Show() override {
    if (begun_) line_.finish();
  }

  Show& send(Multiplex& mux, const Feed& feed, Multiplex::Dts dts = Multiplex::Dts::kSent) {
    for (const auto& unit : feed) send(mux.bytes_of(unit, dts), unit.received);
    return *this;
  }
  void send(const ByteVector& bytes, Instant at) {
    demuxer_.push(bytes, at);
    demuxer_.idle(at);
  }
  // The publisher leaves: all is packaged.
  Show& end() {
    demuxer_.flush();
    line_.end_turn();
    look();
    return *this;
  }

  // --- What came of it.

  // Breaks within the presentations that are; all renditions have the same.
  std::uint64_t breaks() const {
    std::uint64_t all = 0;
    for (const auto& presentation : presentations) {
      std::optional<std::uint64_t> common;
      for (const auto& rendition : presentation->renditions()) {
        const auto view = rendition.window->view();
        std::uint64_t here = view->discontinuity_sequence;
        for (const auto& segment : view->segments) {
          if (segment->number >= view->first_listed) here += segment->discontinuity ? 1 : 0;
        }
        EXPECT_EQ(common.value_or(here), here) << rendition.name;
        common = here;
      }
      all += common.value_or(0);
    }
    return all;
  }
  // How long the newest presentation's rendition is by now, on its own timeline.
  double seconds(std::size_t rendition = 0) const {
    const auto& each = presentations.back()->renditions().at(rendition);
    const auto view = each.window->view();
    const auto& grid = media::grid_of(each.track);
    const auto& last = *view->segments.back();
    return static_cast<double>(last.decode_time) / grid.timescale +
           static_cast<double>(last.samples() * grid.sample_duration) / grid.timescale;
  }
  const Line& line() const { return line_; }
  const mpegts::Demuxer& demuxer() const { return demuxer_; }

  std::vector<std::shared_ptr<const hls::Presentation>> presentations;
  lint::Findings findings;

 private:
  void on_tracks(const std::vector<media::Track>& tracks) override {
    begun_ = true;
    line_.begin_turn(tracks);
    look();
  }
  void on_access_unit(media::AccessUnit unit) override {
    line_.push(unit);
    look();
  }

  // Every version of every playlist, as a strict client sees it.
  void look() {
    if (presentations.empty()) return;
    for (const auto& rendition : presentations.back()->renditions()) {
      auto& seen = seen_[rendition.name];
      const auto view = rendition.window->view();
      if (rendition.window->version() == seen.version || view->playlists.empty()) continue;
      seen.version = rendition.window->version();
      const lint::Playlist playlist = lint::parse_playlist(view->playlists.full.plain->text());
      const lint::Scribe scribe{&findings, rendition.name, lint::Seconds(0)};
      lint::judge_syntax(playlist, scribe);
      lint::judge_media_playlist(playlist, scribe);
      lint::judge_dateranges(playlist, scribe);
      if (seen.last) lint::judge_reload(*seen.last, playlist, scribe);
      seen.last = std::make_shared<lint::Playlist>(playlist);
    }
  }

  struct Seen {
    std::uint64_t version = 0;
    std::shared_ptr<const lint::Playlist> last;
  };
  const WakeList wake_{{}};
  std::map<std::string, Seen> seen_;
  bool begun_ = false;
  Line line_;
  mpegts::Demuxer demuxer_{{}, *this};
};

void expect_clean(const Show& show) {
  EXPECT_EQ(show.line().error(), "");
  EXPECT_FALSE(show.findings.violated());
  for (const auto& finding : show.findings.sorted()) {
    if (finding.rule->severity != lint::Severity::kError &&
        finding.rule->severity != lint::Severity::kWarning) {
      continue;
    }
    ADD_FAILURE() << finding.rendition << ": " << finding.rule->id << ", " << finding.count
                  << " times: " << finding.places.front().what;
  }
}

struct Outcome {
  std::uint64_t breaks = 0;
  double seconds = 3;  // of media, to within `tolerance`
  double tolerance = 0.6;
  std::size_t presentations = 1;
};

void expect_outcome(const Show& show, const Outcome& outcome) {
  expect_clean(show);
  ASSERT_EQ(show.presentations.size(), outcome.presentations);
  EXPECT_EQ(show.breaks(), outcome.breaks);
  const auto renditions = show.presentations.back()->renditions().size();
  for (std::size_t i = 0; i < renditions; ++i) {
    EXPECT_NEAR(show.seconds(i), outcome.seconds, outcome.tolerance) << "rendition " << i;
  }
  if (renditions == 2) {
    EXPECT_NEAR(show.seconds(0), show.seconds(1), 0.05);  // the encoder's delay is two frames
  }
}

class Feeds : public testing::Test {
 protected:
  Show show_;
  Multiplex mux_;
};

TEST_F(Feeds, GoOn) {
  show_.send(mux_, both()).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.demuxer().stats().continuity_errors, 0U);
  EXPECT_EQ(show_.line().video_stats().decode_errors, 0U);
  EXPECT_EQ(show_.line().audio_stats().slots_duplicated, 0U);
}

// --- The 33 bits.

TEST_F(Feeds, GoOnOverTheWrap) {
  show_.send(mux_, shifted(both(), MediaTime(kWrap) - kSecond * 5 / 2, 0s)).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.line().video_stats().slots_duplicated, 0U);
  EXPECT_EQ(show_.line().audio_stats().slots_duplicated, 0U);
}

// DTS before the wrap, PTS behind it.
TEST_F(Feeds, GoOnOverTheWrapWithBFrames) {
  VideoSpec spec = small();
  spec.b_frames = 3;
  show_.send(mux_, shifted(both(spec), MediaTime(kWrap) - kSecond * 5 / 2, 0s)).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.line().video_stats().slots_duplicated, 0U);
}

// --- Jumps: the picture and the sound make them together, or one before the other.

struct Jump {
  const char* name;
  MediaTime by;
  std::uint64_t breaks;
};
std::ostream& operator<<(std::ostream& out, const Jump& jump) { return out << jump.name; }

class JumpingFeeds : public testing::TestWithParam<Jump> {};

TEST_P(JumpingFeeds, BreakOnce) {
  Show show;
  Multiplex mux;
  const Feed first = shifted(both(), kSecond * 20'000, 0s);
  const Feed second = shifted(both(), kSecond * 20'003 + GetParam().by, 3s);
  show.send(mux, first).send(mux, second).end();
  // A new run begins with a segment, behind what either rendition has: sound that jumps by no more
  // than a second has its place at once, with silence before it, and the pictures go on behind it.
  expect_outcome(show, {.breaks = GetParam().breaks, .seconds = 6.5, .tolerance = 1.1});
}

INSTANTIATE_TEST_SUITE_P(
    By, JumpingFeeds,
    testing::Values(Jump{"a_hole_of_400_ms", MediaTime(36'000), 0}, Jump{"a_second", kSecond, 1},
                    Jump{"a_second_back", -kSecond, 1}, Jump{"ten_seconds", kSecond * 10, 1},
                    Jump{"ten_seconds_back", -kSecond * 10, 1}, Jump{"an_hour", kSecond * 3'600, 1},
                    Jump{"an_hour_back", -kSecond * 3'600, 1},
                    // Nearer to go back than forward, by 33 bits.
                    Jump{"fourteen_hours", kSecond * 50'400, 1},
                    Jump{"to_zero", -kSecond * 20'003, 1},
                    Jump{"to_before_the_wrap", MediaTime(kWrap) - kSecond * 20'005, 1}),
    [](const auto& jump) { return std::string(jump.param.name); });

TEST_F(Feeds, BreakOnceWhenTheSoundJumpsAfterThePicture) {
  const Feed picture = merged(video(small()), shifted(video(small()), kSecond * 103, 3s));
  // Half a second longer on the old clock.
  Feed old_sound = sound({.seconds = 3.5});
  Feed new_sound = shifted(sound({.seconds = 2.5}), kSecond * 103 + kSecond / 2, 3'500ms);
  show_.send(mux_, merged(picture, merged(old_sound, new_sound))).end();
  expect_outcome(show_, {.breaks = 1, .seconds = 6, .tolerance = 1.2});
}

// An encoder that sends its last second again and again goes nowhere, and neither do playlists.
TEST_F(Feeds, ThatStandStillBreakAndNeverEndTheLine) {
  const Feed second = both({.codec = Codec::kH264,
                            .width = 64,
                            .height = 36,
                            .frames = 30,
                            .b_frames = 0,
                            .bitrate_bps = 100'000},
                           {.seconds = 1});
  for (int i = 0; i < 8; ++i) show_.send(mux_, shifted(second, {}, std::chrono::seconds(i)));
  show_.end();
  expect_clean(show_);
  EXPECT_LE(show_.breaks(), 7U);
}

// --- Jitter.

TEST_F(Feeds, GoOnThroughJitterOfTheirTimestamps) {
  Feed feed = both();
  std::minstd_rand random(1);
  for (auto& unit : feed) {
    const MediaTime off(static_cast<std::int64_t>(random() % 1'440) - 720);  // 8 ms
    unit.pts += off;
    unit.dts += off;
  }
  show_.send(mux_, feed).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.line().video_stats().slots_duplicated, 0U);
  EXPECT_EQ(show_.line().audio_stats().slots_duplicated, 0U);
}

TEST_F(Feeds, GoOnThroughJitterOfTheirArrival) {
  Feed feed = both();
  std::minstd_rand random(1);
  auto newest = feed.front().received.steady;
  for (auto& unit : feed) {
    const auto late = std::chrono::milliseconds(random() % 200);
    unit.received = {unit.received.steady + late, unit.received.wall + late};
    if (unit.received.steady < newest) {  // but not out of order
      unit.received.wall +=
          newest - unit.received.steady < 1s
              ? std::chrono::duration_cast<std::chrono::microseconds>(newest - unit.received.steady)
              : 0us;
      unit.received.steady = newest;
    }
    newest = unit.received.steady;
  }
  show_.send(mux_, feed).end();
  expect_outcome(show_, {});
}

// --- Clocks that are wrong by 100 ppm, for half a minute here. (Timeline and AudioRun are tested
// with what a day of it adds up to.)

TEST_F(Feeds, GoOnWhileTheirClockDrifts) {
  for (const double ppm : {100.0, -100.0}) {
    Show show;
    Multiplex mux;
    const Feed three = both();
    for (int turn = 0; turn < 10; ++turn) {
      Feed feed = shifted(three, kSecond * 3 * turn, 3s * turn);
      for (auto& unit : feed) {
        const auto drift = [&](MediaTime time) {
          return time + MediaTime(std::llround(static_cast<double>(time.count()) * ppm / 1e6));
        };
        unit.pts = drift(unit.pts);
        unit.dts = drift(unit.dts);
      }
      show.send(mux, feed);
    }
    show.end();
    expect_outcome(show, {.breaks = 0, .seconds = 30, .tolerance = 0.6});
    EXPECT_LE(show.line().video_stats().slots_duplicated, 1U);
  }
}

// --- Orders of pictures.

TEST_F(Feeds, GoOnWithBPyramids) {
  VideoSpec spec = small();
  spec.b_frames = 7;
  spec.pyramid = true;
  show_.send(mux_, both(spec)).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.line().video_stats().slots_duplicated, 0U);
  EXPECT_EQ(show_.line().video_stats().pictures_dropped, 0U);
}

TEST_F(Feeds, GoOnWithoutDecodingTimes) {
  for (const int b_frames : {0, 3}) {
    Show show;
    Multiplex mux;
    VideoSpec spec = small();
    spec.b_frames = b_frames;
    spec.pyramid = b_frames > 0;
    show.send(mux, both(spec), Multiplex::Dts::kLeftOut).end();
    expect_outcome(show, {});
    EXPECT_EQ(show.line().video_stats().slots_duplicated, 0U) << b_frames << " B-frames";
    EXPECT_EQ(show.line().video_stats().pictures_dropped, 0U) << b_frames << " B-frames";
  }
}

// --- Tables.

TEST_F(Feeds, GoOnWhenThePidsChange) {
  show_.send(mux_, both());
  mux_.change({{0x1b, 0x300}, {0x0f, 0x301}}, 0x300);
  const Feed moved = merged(on_pid(video(small()), 0x300), on_pid(sound(), 0x301));
  show_.send(mux_, shifted(moved, kSecond * 3, 3s)).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 6});
}

TEST_F(Feeds, GoOnWhenTheCodecChanges) {
  for (const auto& [from, to] :
       {std::pair(Codec::kHevc, Codec::kH264), {Codec::kH264, Codec::kHevc}}) {
    Show show;
    VideoSpec before = small();
    before.codec = from;
    VideoSpec after = small();
    after.codec = to;
    Multiplex mux({{stream_type(from), kVideoPid}, {0x0f, kAudioPid}});
    show.send(mux, both(before));
    mux.change({{stream_type(to), kVideoPid}, {0x0f, kAudioPid}});
    show.send(mux, shifted(both(after), kSecond * 3, 3s)).end();
    expect_outcome(show, {.breaks = 0, .seconds = 6});
    EXPECT_EQ(show.line().video_stats().decode_errors, 0U);
  }
}

TEST_F(Feeds, BreakOnceWhenTheCodecChangesAndTheTimeWithIt) {
  show_.send(mux_, both());
  mux_.change({{0x24, 0x300}, {0x0f, kAudioPid}}, 0x300);
  VideoSpec after = small();
  after.codec = Codec::kHevc;
  const Feed moved = merged(on_pid(video(after), 0x300), sound());
  show_.send(mux_, shifted(moved, kSecond * 500, 3s)).end();
  expect_outcome(show_, {.breaks = 1, .seconds = 6, .tolerance = 1.2});
}

// Another frame rate has another grid: nobody can go on there.
TEST_F(Feeds, BeginAgainWhenTheCodecChangesAndTheRateWithIt) {
  show_.send(mux_, both());
  mux_.change({{0x24, 0x300}, {0x0f, kAudioPid}}, 0x300);
  VideoSpec after = small();
  after.codec = Codec::kHevc;
  after.rate = {25, 1};
  after.frames = 75;
  const Feed moved = merged(on_pid(video(after), 0x300), sound());
  show_.send(mux_, shifted(moved, kSecond * 3, 3s)).end();
  expect_outcome(show_, {.breaks = 1, .seconds = 6, .tolerance = 1.2, .presentations = 2});
}

TEST_F(Feeds, GoOnWhenADataStreamComesAndGoes) {
  show_.send(mux_, both());
  mux_.change({{0x1b, kVideoPid}, {0x0f, kAudioPid}, {0x86, 0x500}});
  show_.send(mux_, shifted(both(), kSecond * 3, 3s));
  mux_.change({{0x1b, kVideoPid}, {0x0f, kAudioPid}});
  show_.send(mux_, shifted(both(), kSecond * 6, 6s)).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 9});
}

TEST_F(Feeds, OfOneProgrammeOfSeveral) {
  mux_.second_programme = true;
  const Feed other = merged(on_pid(video(small()), 0x200), on_pid(sound(), 0x201));
  show_.send(mux_, merged(both(), shifted(other, kSecond * 7'000, 0s))).end();
  expect_outcome(show_, {});
  EXPECT_EQ(show_.line().video_stats().access_units, 90U);
}

TEST_F(Feeds, BreakOnceWhenTheProgrammeIsAnother) {
  show_.send(mux_, both());
  mux_.programme = 9;
  mux_.change({{0x1b, 0x300}, {0x0f, 0x301}}, 0x300);
  const Feed moved = merged(on_pid(video(small()), 0x300), on_pid(sound(), 0x301));
  show_.send(mux_, shifted(moved, kSecond * 900, 3s)).end();
  expect_outcome(show_, {.breaks = 1, .seconds = 6, .tolerance = 1.2});
}

// --- Pictures and sound.

TEST_F(Feeds, GoOnWhenThePicturesSizeChanges) {
  for (const Codec codec : {Codec::kH264, Codec::kHevc}) {
    Show show;
    Multiplex mux({{stream_type(codec), kVideoPid}, {0x0f, kAudioPid}});
    VideoSpec before = small();
    before.codec = codec;
    VideoSpec after = before;
    after.width = 128;
    after.height = 96;
    show.send(mux, both(before));
    show.send(mux, shifted(both(after), kSecond * 3, 3s)).end();
    expect_outcome(show, {.breaks = 0, .seconds = 6});
    EXPECT_EQ(show.line().video_stats().decode_errors, 0U);
  }
}

// Ten bits a sample where there were eight.
TEST_F(Feeds, GoOnWhenThePicturesDepthChanges) {
  Multiplex mux({{0x1b, kVideoPid}, {0x0f, kAudioPid}});
  VideoSpec after = small();
  after.format = AV_PIX_FMT_YUV420P10LE;
  show_.send(mux, both()).send(mux, shifted(both(after), kSecond * 3, 3s)).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 6});
}

TEST_F(Feeds, GoOnWhenTheSoundFallsSilentAndReturns) {
  Feed feed = merged(video(small()), shifted(video(small()), kSecond * 3, 3s));
  feed = merged(feed, sound({.seconds = 1}));
  feed = merged(feed, shifted(sound({.seconds = 2}), kSecond * 4, 4s));
  show_.send(mux_, feed).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 6});
  EXPECT_GT(show_.line().audio_stats().slots_duplicated, 100U) << "three seconds of silence";
}

TEST_F(Feeds, BreakOnceEachTimeTheSoundLeavesTheTablesOrReturns) {
  show_.send(mux_, both());
  mux_.change({{0x1b, kVideoPid}});
  show_.send(mux_, shifted(video(small()), kSecond * 3, 3s));
  mux_.change({{0x1b, kVideoPid}, {0x0f, kAudioPid}});
  show_.send(mux_, shifted(both(), kSecond * 6, 6s)).end();
  expect_outcome(show_, {.breaks = 2, .seconds = 9, .tolerance = 2.2});
}

TEST_F(Feeds, WhoseSoundComesLaterBeginAgainWithIt) {
  mux_.change({{0x1b, kVideoPid}});
  show_.send(mux_, video(small()));
  mux_.change({{0x1b, kVideoPid}, {0x0f, kAudioPid}});
  show_.send(mux_, shifted(both(), kSecond * 3, 3s)).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 3, .presentations = 2});
}

TEST_F(Feeds, GoOnWhenTheSoundsRateAndChannelsChange) {
  show_.send(mux_, both());
  show_.send(mux_, shifted(both(small(), {.rate = 44'100, .channels = 1}), kSecond * 3, 3s)).end();
  expect_outcome(show_, {.breaks = 0, .seconds = 6});
}

// --- Loss: one packet in so many, anywhere.

struct Loss {
  unsigned one_in;
  int turns;  // of three seconds
};
std::ostream& operator<<(std::ostream& out, const Loss& loss) { return out << loss.one_in; }

class LossyFeeds : public testing::TestWithParam<Loss> {};

// Whatever is lost, the pictures go on to the end, without a break; and once all is whole again,
// what is shown is, too.
TEST_P(LossyFeeds, GoOn) {
  const auto [one_in, turns] = GetParam();
  Show show;
  Multiplex mux;
  VideoSpec spec = small();
  spec.bitrate_bps = 400'000;
  spec.b_frames = 2;
  const Feed feed = both(spec);
  std::minstd_rand random(1);
  std::uint64_t lost = 0;
  for (int turn = 0; turn < turns; ++turn) {
    for (const auto& unit : shifted(feed, kSecond * 3 * turn, 3s * turn)) {
      ByteVector bytes = mux.bytes_of(unit, Multiplex::Dts::kSent);
      ByteVector kept;
      for (std::size_t at = 0; at < bytes.size(); at += 188) {
        if (random() % one_in == 0) {
          ++lost;
          continue;
        }
        kept.insert(kept.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at + 188));
      }
      show.send(kept, unit.received);
    }
  }
  ASSERT_GT(lost, 0U);
  EXPECT_GT(show.demuxer().stats().continuity_errors, 0U);
  const auto damaged = show.line().video_stats().access_units_damaged;
  show.send(mux, shifted(feed, kSecond * 3 * turns, 3s * turns));
  const auto held = show.line().video_stats().pictures_held;
  show.send(mux, shifted(feed, kSecond * 3 * (turns + 1), 3s * (turns + 1))).end();
  expect_outcome(show, {.breaks = 0, .seconds = 3.0 * (turns + 2)});
  const auto& stats = show.line().video_stats();
  EXPECT_GT(damaged, 0U);
  EXPECT_EQ(stats.pictures_held, held) << "nothing is held of a feed that is whole";
  EXPECT_GT(stats.pictures_held, 0U);
  EXPECT_LT(stats.pictures_held, 90U * turns);
}

INSTANTIATE_TEST_SUITE_P(Feeds, LossyFeeds,
                         testing::Values(Loss{10'000, 8}, Loss{1'000, 6}, Loss{100, 3}));

// Timestamps of no sense at all, in every field, for ten seconds: no playlist says anything odd.
TEST_F(Feeds, WithRandomTimestampsBreakAndStayOrderly) {
  std::minstd_rand random(7);
  for (int turn = 0; turn < 3; ++turn) {
    Feed feed = shifted(both(), kSecond * 3 * turn, 3s * turn);
    for (auto& unit : feed) {
      if (random() % 8 != 0) continue;
      unit.pts = MediaTime(static_cast<std::int64_t>(random()) * 4);
      if (random() % 2 == 0) unit.dts = MediaTime(static_cast<std::int64_t>(random()) * 4);
    }
    show_.send(mux_, feed);
  }
  show_.end();
  expect_clean(show_);
}

}  // namespace
}  // namespace mirror::stream
