// FFmpeg, which we did not write, reads what we wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "cmaf/chunk_writer.h"
#include "cmaf/encoded_fixture.h"
#include "cmaf/init_segment.h"

namespace mirror::cmaf {
namespace {

// The init segment and all chunks, concatenated. Times begin `offset` samples after zero.
void write_track(const TemporaryFolder& folder, EncodedTrack& track, std::int64_t offset) {
  const auto& grid = media::grid_of(track.description);
  for (media::Sample& sample : track.samples) sample.decode_time += offset * grid.sample_duration;
  const auto init = write_init_segment(track.description);
  ASSERT_TRUE(init) << init.error().message;
  std::vector<Bytes> pieces{*init};
  ChunkWriter writer(track.description);
  const std::span<const media::Sample> all(track.samples);
  for (std::size_t at = 0; at < all.size(); at += grid.samples_per_part) {
    const auto count = std::min<std::size_t>(grid.samples_per_part, all.size() - at);
    pieces.push_back(writer.write(all.subspan(at, count)));
  }
  folder.write("track.mp4", pieces);
}

std::string expected_packets(const EncodedTrack& track) {
  std::string text;
  for (const media::Sample& sample : track.samples) {
    text += fmt::format("{},{},{},{}\n", sample.decode_time,
                        media::grid_of(track.description).sample_duration, sample.data.size(),
                        sample.sync ? "K_" : "__");
  }
  return text;
}

void expect_ffmpeg_reads(EncodedTrack track, std::int64_t offset) {
  const TemporaryFolder folder;
  ASSERT_FALSE(track.samples.empty());
  write_track(folder, track, offset);
  std::string packets =
      output_of("ffprobe -v warning -of csv=p=0 -show_entries packet=pts,duration,size,flags " +
                folder.file("track.mp4"));
  // ffprobe 5.1 knows no duration of a file's first AAC packet, not even of its own muxer's.
  constexpr std::string_view kUnknown = "0,N/A,";
  if (packets.starts_with(kUnknown)) packets.replace(0, kUnknown.size(), "0,1024,");
  EXPECT_EQ(packets, expected_packets(track));
  EXPECT_EQ(output_of("ffmpeg -v warning -xerror -i " + folder.file("track.mp4") + " -f null -"),
            "");
}

TEST(Oracle, FfmpegReadsOurVideo) {
  if (!have_ffmpeg()) GTEST_SKIP() << "no ffmpeg";
  for (const media::FrameRate rate : {media::FrameRate{25, 1}, media::FrameRate{30'000, 1'001}}) {
    const TemporaryFolder folder;
    expect_ffmpeg_reads(encode_video(folder, rate, 47), 0);
  }
}

// A stream that has run for days: the decode time needs its 64 bits.
TEST(Oracle, FfmpegReadsLargeDecodeTimes) {
  if (!have_ffmpeg()) GTEST_SKIP() << "no ffmpeg";
  const TemporaryFolder folder;
  expect_ffmpeg_reads(encode_video(folder, {60, 1}, 31), 60 * 86'400 * 90LL);
}

TEST(Oracle, FfmpegReadsOurAudio) {
  if (!have_ffmpeg()) GTEST_SKIP() << "no ffmpeg";
  const TemporaryFolder folder;
  expect_ffmpeg_reads(encode_audio(folder, 1.5), 0);
}

}  // namespace
}  // namespace mirror::cmaf
