// Whole feeds into a file, judged by libavformat's demuxer and libavcodec's decoders.
#include "feed.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "av.h"

namespace mirror::source {
namespace {

using std::chrono::milliseconds;

struct CloseInput {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};

// What a feed holds once it is decoded.
struct Judged {
  struct Shown {
    std::int64_t pts;
    std::optional<BurnedTime> burned;
    bool flash;
    int width;
  };
  std::vector<Shown> frames;
  std::vector<std::int64_t> audio_pts;
  std::vector<std::int64_t> blips;  // pts at which the sound becomes loud
  int bit_depth = 0;
  bool dts_grow = true;
};

class Judge {
 public:
  explicit Judge(const std::string& path) {
    AVFormatContext* context = nullptr;
    const int opened = avformat_open_input(&context, path.c_str(), nullptr, nullptr);
    if (opened < 0) throw std::runtime_error(path + ": " + av_error(opened));
    input_.reset(context);
    EXPECT_GE(avformat_find_stream_info(context, nullptr), 0);
    for (unsigned i = 0; i < context->nb_streams; ++i) {
      const AVCodecParameters* parameters = context->streams[i]->codecpar;
      decoders_.emplace_back(avcodec_alloc_context3(avcodec_find_decoder(parameters->codec_id)));
      avcodec_parameters_to_context(decoders_.back().get(), parameters);
      EXPECT_EQ(avcodec_open2(decoders_.back().get(), nullptr, nullptr), 0);
    }
  }

  Judged run() {
    const Packet packet(av_packet_alloc());
    std::map<int, std::int64_t> last_dts;
    while (av_read_frame(input_.get(), packet.get()) >= 0) {
      const auto last = last_dts.find(packet->stream_index);
      if (last != last_dts.end() && packet->dts <= last->second) judged_.dts_grow = false;
      last_dts[packet->stream_index] = packet->dts;
      decode(packet->stream_index, packet.get());
      av_packet_unref(packet.get());
    }
    for (unsigned i = 0; i < decoders_.size(); ++i) decode(static_cast<int>(i), nullptr);
    return judged_;
  }

 private:
  void decode(int stream, const AVPacket* packet) {
    AVCodecContext* decoder = decoders_[static_cast<std::size_t>(stream)].get();
    avcodec_send_packet(decoder, packet);
    const Frame frame(av_frame_alloc());
    while (avcodec_receive_frame(decoder, frame.get()) >= 0) {
      decoder->codec_type == AVMEDIA_TYPE_VIDEO ? look(*frame) : listen(*frame);
    }
  }

  void look(const AVFrame& frame) {
    judged_.bit_depth = frame.format == AV_PIX_FMT_YUV420P10LE ? 10 : 8;
    std::vector<std::uint8_t> luma;
    for (int y = 0; y < frame.height; ++y) {
      const std::uint8_t* row = frame.data[0] + std::ptrdiff_t{y} * frame.linesize[0];
      for (int x = 0; x < frame.width; ++x) {
        const auto* wide = reinterpret_cast<const std::uint16_t*>(row);
        luma.push_back(judged_.bit_depth == 10 ? static_cast<std::uint8_t>(wide[x] >> 2) : row[x]);
      }
    }
    const ConstLumaPlane plane{luma.data(), frame.width, frame.height, frame.width};
    judged_.frames.push_back({frame.pts, read_burned_clock(plane), read_flash(plane), frame.width});
  }

  void listen(const AVFrame& frame) {
    judged_.audio_pts.push_back(frame.pts);
    const auto* samples = reinterpret_cast<const float*>(frame.data[0]);
    for (int i = 0; i < frame.nb_samples; ++i) {
      const bool loud = std::abs(samples[i]) > 0.2F;
      quiet_for_ = loud ? 0 : quiet_for_ + 1;
      if (loud && !in_blip_) judged_.blips.push_back(frame.pts + std::int64_t{i} * 90 / 48);
      in_blip_ = loud || (in_blip_ && quiet_for_ < 480);
    }
  }

  std::unique_ptr<AVFormatContext, CloseInput> input_;
  std::vector<CodecContext> decoders_;
  Judged judged_;
  int quiet_for_ = 0;
  bool in_blip_ = false;
};

class FeedTest : public testing::Test {
 protected:
  FeedTest() {
    av_log_set_level(AV_LOG_ERROR);
    path_ = std::filesystem::temp_directory_path() / fmt::format("mirror_feed_{}.ts", getpid());
    settings_.name = "cam1";
    settings_.duration = std::chrono::seconds(2);
  }
  ~FeedTest() override { std::filesystem::remove(path_); }

  Judged write_and_judge() {
    {
      auto output = open_file(path_);
      EXPECT_TRUE(output.has_value());
      Pace pace(Pace::Mode::kUnpaced, stop_);
      const Status status = run_synthetic(settings_, **output, pace);
      EXPECT_TRUE(status.has_value()) << status.error().message;
    }
    return Judge(path_).run();
  }

  // Two seconds, played for seven.
  Judged write_loop_and_judge() {
    settings_.duration = std::chrono::seconds(2);
    write_and_judge();
    const std::string looped = path_ + ".loop.ts";
    settings_.duration = std::chrono::seconds(7);
    {
      auto output = open_file(looped);
      EXPECT_TRUE(output.has_value());
      Pace pace(Pace::Mode::kUnpaced, stop_);
      const Status status = run_loop_file(path_, settings_, **output, pace);
      EXPECT_TRUE(status.has_value()) << status.error().message;
    }
    Judged judged = Judge(looped).run();
    std::filesystem::remove(looped);
    return judged;
  }

  std::string path_;
  std::atomic<bool> stop_{false};
  FeedSettings settings_;
};

// Each frame is there, shows its own time, and pts runs with that time.
void expect_true_clock(const Judged& judged, std::size_t frames, double frame_ms) {
  EXPECT_TRUE(judged.dts_grow);
  ASSERT_EQ(judged.frames.size(), frames);
  const auto& first = judged.frames.front();
  ASSERT_TRUE(first.burned.has_value());
  for (std::size_t i = 0; i < judged.frames.size(); ++i) {
    const auto& frame = judged.frames[i];
    ASSERT_TRUE(frame.burned.has_value()) << "frame " << i;
    const auto burned_ms = static_cast<double>((*frame.burned - *first.burned).count());
    EXPECT_NEAR(burned_ms, static_cast<double>(i) * frame_ms, 1.01);
    EXPECT_NEAR(static_cast<double>(frame.pts - first.pts) / 90, burned_ms, 1.01);
  }
}

TEST_F(FeedTest, HevcShowsItsTime) { expect_true_clock(write_and_judge(), 60, 1000.0 / 30); }

TEST_F(FeedTest, H264ShowsItsTime) {
  settings_.video.codec = VideoCodec::kH264;
  settings_.video.rate = {25, 1};
  expect_true_clock(write_and_judge(), 50, 40);
}

// In a process of its own: once libx265 has encoded 8 bits it refuses 10 in the same process.
TEST_F(FeedTest, TenBits) {
  const std::string command =
      fmt::format("{} --output {} --duration 2 --bit-depth 10", MIRROR_SOURCE_PROGRAM, path_);
  ASSERT_EQ(std::system(command.c_str()), 0);
  const Judged judged = Judge(path_).run();
  expect_true_clock(judged, 60, 1000.0 / 30);
  EXPECT_EQ(judged.bit_depth, 10);
}

TEST_F(FeedTest, FractionalRateAndBFrames) {
  settings_.video.rate = {60'000, 1001};
  settings_.video.b_frames = 2;
  const Judged judged = write_and_judge();
  // What B-frames hold back at the end is not sent, as when a camera is switched off.
  expect_true_clock(judged, judged.frames.size(), 1001.0 / 60);
  EXPECT_GE(judged.frames.size(), 110U);
}

TEST_F(FeedTest, GrainFillsTheRate) {
  settings_.video.bitrate_bps = 6'000'000;
  settings_.video.grain_percent = 50;
  expect_true_clock(write_and_judge(), 60, 1000.0 / 30);
  EXPECT_GT(std::filesystem::file_size(path_), 6'000'000U * 2 / 8 * 8 / 10);
}

TEST_F(FeedTest, BlipAndFlashMeetAtTheFullSecond) {
  const Judged judged = write_and_judge();
  ASSERT_FALSE(judged.blips.empty());
  for (const auto& frame : judged.frames) {
    ASSERT_TRUE(frame.burned.has_value());
    const auto ms = frame.burned->time_since_epoch().count() % 1000;
    EXPECT_EQ(frame.flash, ms < 100);
    if (ms != 0) continue;
    const bool heard = std::ranges::any_of(judged.blips, [&](std::int64_t blip) {
      return std::abs(blip - frame.pts) < 90 * 3;  // 3 ms: the codec rounds the edge off
    });
    EXPECT_TRUE(heard || frame.pts < judged.audio_pts.front() + 9000 ||
                frame.pts > judged.audio_pts.back() - 9000);
  }
}

TEST_F(FeedTest, RunsOverTheWrapOf33Bits) {
  settings_.start_pts = (std::int64_t{1} << 33) - 90'000;
  expect_true_clock(write_and_judge(), 60, 1000.0 / 30);
}

TEST_F(FeedTest, ClockRunsWrong) {
  settings_.mux.drift_ppm = 50'000;
  const Judged judged = write_and_judge();
  ASSERT_EQ(judged.frames.size(), 60U);
  const auto length = judged.frames.back().pts - judged.frames.front().pts;
  EXPECT_NEAR(static_cast<double>(length), 59 * 3000 * 1.05, 2);
  const auto sound = judged.audio_pts.back() - judged.audio_pts.front();
  EXPECT_NEAR(static_cast<double>(sound) / static_cast<double>(judged.audio_pts.size() - 1),
              1920 * 1.05, 1);
}

TEST_F(FeedTest, PictureChangesItsSize) {
  for (const auto codec : {VideoCodec::kHevc, VideoCodec::kH264}) {
    settings_.video.codec = codec;
    settings_.resize_every = milliseconds(500);
    const Judged judged = write_and_judge();
    expect_true_clock(judged, 60, 1000.0 / 30);
    for (std::size_t i = 0; i < judged.frames.size(); ++i) {
      EXPECT_EQ(judged.frames[i].width, i / 15 % 2 == 0 ? 640 : 320) << "frame " << i;
    }
  }
}

TEST_F(FeedTest, WithoutAudio) {
  settings_.audio = false;
  const Judged judged = write_and_judge();
  EXPECT_TRUE(judged.audio_pts.empty());
  EXPECT_EQ(judged.frames.size(), 60U);
}

TEST_F(FeedTest, LoopRunsOn) {
  const Judged judged = write_loop_and_judge();
  EXPECT_TRUE(judged.dts_grow);
  EXPECT_NEAR(static_cast<double>(judged.frames.size()), 210, 4);
  for (std::size_t i = 1; i < judged.frames.size(); ++i) {
    const std::int64_t step = judged.frames[i].pts - judged.frames[i - 1].pts;
    EXPECT_GE(step, 2999);
    EXPECT_LE(step, 3000 + 2100) << "at most an audio frame more where the turns meet";
  }
}

TEST_F(FeedTest, LoopJumps) {
  constexpr std::int64_t kWrap = std::int64_t{1} << 33;
  for (const std::int64_t jump : {std::int64_t{900'000}, kWrap - 900'000}) {
    settings_.start_pts = 9'000'000;
    settings_.loop_jump = jump;
    const Judged judged = write_loop_and_judge();
    EXPECT_NEAR(static_cast<double>(judged.frames.size()), 210, 4);
    int jumps = 0;
    for (std::size_t i = 1; i < judged.frames.size(); ++i) {
      // As 33 bits tell it, whatever the reader made of the wrap.
      const std::int64_t step = judged.frames[i].pts - judged.frames[i - 1].pts;
      const std::int64_t distance = (step + kWrap) % kWrap;
      if (distance <= 6000) continue;
      ++jumps;
      EXPECT_NEAR(static_cast<double>(distance - jump), 3000, 2200);
    }
    EXPECT_EQ(jumps, 3);
  }
}

TEST(FrameGrid, WholeRatesMeetTheFullSecond) {
  for (const int hz : {24, 25, 30, 50, 60}) {
    const FrameRate rate{hz, 1};
    const std::chrono::sys_time<microseconds> now(microseconds(1'767'225'599'937'123));
    const std::int64_t first = first_frame_at(rate, now);
    EXPECT_GE(due_time(rate, first), now);
    EXPECT_LT(due_time(rate, first - 1), now);
    EXPECT_EQ(due_time(rate, std::int64_t{1'767'225'600} * hz).time_since_epoch().count(),
              1'767'225'600'000'000);
  }
}

TEST(SrtUrl, IsReadWhole) {
  const auto target =
      parse_srt_url("srt://[::1]:6000?streamid=#!::r=cam1,m=publish&latency=200&passphrase=a%20b");
  ASSERT_TRUE(target.has_value()) << target.error().message;
  EXPECT_EQ(target->host, "::1");
  EXPECT_EQ(target->port, "6000");
  EXPECT_EQ(target->stream_id, "#!::r=cam1,m=publish");
  EXPECT_EQ(target->latency_ms, 200);
  EXPECT_EQ(target->passphrase, "a b");
}

TEST(SrtUrl, SaysWhatIsWrong) {
  EXPECT_FALSE(parse_srt_url("udp://127.0.0.1:6000").has_value());
  EXPECT_FALSE(parse_srt_url("srt://127.0.0.1").has_value());
  EXPECT_FALSE(parse_srt_url("srt://127.0.0.1:6000?latency=soon").has_value());
  EXPECT_FALSE(parse_srt_url("srt://127.0.0.1:6000?colour=red").has_value());
  EXPECT_FALSE(parse_srt_url("srt://127.0.0.1:6000?streamid").has_value());
}

}  // namespace
}  // namespace mirror::source
