// The media reader against ffmpeg and ffprobe: what they write and say of H.264, HEVC and AAC.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "mp4.h"

namespace mirror::lint {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = popen((command + " 2>/dev/null </dev/null").c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> chunk;
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe))
    text.append(chunk.data(), size);
  if (pclose(pipe) != 0) text.clear();
  return text;
}

std::vector<std::uint8_t> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Oracle : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "mirror-lint-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Two seconds in segments of one; `codec` is ffmpeg's encoder with its options.
  void make(const std::string& source, const std::string& codec) {
    const std::string command = "cd " + folder_.string() + " && ffmpeg -v error -f lavfi -i " +
                                source + " -t 2 " + codec +
                                " -f hls -hls_segment_type fmp4 -hls_time 1 "
                                "-hls_fmp4_init_filename init.mp4 out.m3u8 && echo made";
    ASSERT_EQ(output_of(command), "made\n");
    init_ = bytes_of(folder_ / "init.mp4");
  }

  // What ffprobe says of the first segment, its stream and packets.
  nlohmann::json probe() {
    const std::string joined = (folder_ / "joined.mp4").string();
    std::ofstream out(joined, std::ios::binary);
    const auto segment = bytes_of(folder_ / "out0.m4s");
    out.write(reinterpret_cast<const char*>(init_.data()),
              static_cast<std::streamsize>(init_.size()));
    out.write(reinterpret_cast<const char*>(segment.data()),
              static_cast<std::streamsize>(segment.size()));
    out.close();
    return nlohmann::json::parse(
        output_of("ffprobe -v error -of json -show_streams -show_packets " + joined));
  }

  void expect_same_packets(const InitSection& init) {
    const auto read = read_fragments(init, bytes_of(folder_ / "out0.m4s"));
    ASSERT_TRUE(read) << read.error().message;
    const TrackSamples& samples = read->tracks.at(init.leading()->id);
    const nlohmann::json said = probe();
    const auto& packets = said.at("packets");
    EXPECT_EQ(samples.samples, packets.size());
    std::uint64_t duration = 0;
    bool all_said = true;  // of the last packet of a sound ffprobe does not know it
    for (const auto& packet : packets) {
      all_said = all_said && packet.contains("duration");
      duration += packet.value("duration", std::uint64_t{0});
    }
    if (all_said) {
      EXPECT_EQ(samples.duration, duration);
    }
    EXPECT_EQ(samples.first_is_sync, packets[0].at("flags").get<std::string>().starts_with('K'));
    EXPECT_NE(samples.sync_is_random_access, false);
  }

  std::filesystem::path folder_;
  std::vector<std::uint8_t> init_;
};

TEST_F(Oracle, H264) {
  make("testsrc=size=322x182:rate=25", "-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p");
  const auto init = read_init_section(init_);
  ASSERT_TRUE(init) << init.error().message;
  const Track& track = *init->leading();
  EXPECT_EQ(track.size, (PictureSize{322, 182}));
  EXPECT_EQ(track.codec, track.configured_codec);
  // As ffmpeg's own multivariant playlists write it: profile_idc 66, flags, level.
  EXPECT_TRUE(track.codec.starts_with("avc1.42C0")) << track.codec;
  expect_same_packets(*init);
}

TEST_F(Oracle, Hevc) {
  make("testsrc=size=322x182:rate=25",
       "-c:v libx265 -x265-params log-level=none -preset ultrafast -g 25 -pix_fmt yuv420p -tag:v "
       "hvc1");
  const auto init = read_init_section(init_);
  ASSERT_TRUE(init) << init.error().message;
  const Track& track = *init->leading();
  EXPECT_EQ(track.size, (PictureSize{322, 182}));
  const nlohmann::json said = probe();
  const int level = said.at("streams")[0].at("level").get<int>();
  // Main: profile 1, compatible with 1 and 2.
  EXPECT_TRUE(track.codec.starts_with("hvc1.1.6.L" + std::to_string(level))) << track.codec;
  expect_same_packets(*init);
}

TEST_F(Oracle, Aac) {
  make("sine=frequency=440:sample_rate=44100", "-c:a aac -ac 2");
  const auto init = read_init_section(init_);
  ASSERT_TRUE(init) << init.error().message;
  const Track& track = *init->leading();
  EXPECT_EQ(track.codec, "mp4a.40.2");
  EXPECT_EQ(track.channels, 2U);
  EXPECT_EQ(track.sample_rate, 44'100U);
  expect_same_packets(*init);
}

}  // namespace
}  // namespace mirror::lint
