#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/golden.h"
#include "cmaf/box_dump.h"
#include "cmaf/chunk_writer.h"
#include "cmaf/init_segment.h"

// Counts what ChunkWriter allocates. The sanitizers bring their own operators.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define MIRROR_COUNTS_ALLOCATIONS 1
namespace {
std::atomic<int> allocations{0};
}  // namespace
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace mirror::cmaf {
namespace {

using media::Sample;

media::VideoDescription video_track() {
  media::VideoDescription video;
  video.frame_rate = {30'000, 1'001};
  video.grid = media::SampleGrid::for_video(video.frame_rate);
  video.width = 640;
  video.height = 360;
  video.sps = {0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9};
  video.pps = {0x68, 0xeb, 0xe3, 0xcb};
  video.bitrate_bps = 400'000;
  return video;
}

media::AudioDescription audio_track() {
  media::AudioDescription audio;
  audio.grid = media::SampleGrid::for_aac_48k();
  audio.sample_rate = 48'000;
  audio.channels = 2;
  audio.audio_specific_config = {0x11, 0x90};
  audio.language = "deu";
  audio.bitrate_bps = 64'000;
  return audio;
}

Sample sample(std::int64_t decode_time, bool sync, std::size_t size) {
  using namespace std::chrono;
  Sample s;
  s.decode_time = decode_time;
  s.sync = sync;
  s.captured = sys_days(year(2026) / 1 / 2) + hours(3) + milliseconds(500);
  s.data = Bytes::take(std::vector<std::uint8_t>(size, 0xAB));
  return s;
}

std::string init_dump(const media::TrackDescription& track) {
  const auto init = write_init_segment(track);
  return init ? BoxDump::of(init->span()) : init.error().message;
}

TEST(InitSegment, OfVideo) { expect_golden("init_video.txt", init_dump(video_track())); }

TEST(InitSegment, OfAudio) { expect_golden("init_audio.txt", init_dump(audio_track())); }

// High profile has four bytes more in its decoder configuration; Baseline must not.
TEST(InitSegment, OfBaselineVideo) {
  auto video = video_track();
  video.sps[1] = 66;
  const auto init = write_init_segment(video);
  ASSERT_TRUE(init);
  const auto high = write_init_segment(video_track());
  ASSERT_TRUE(high);
  EXPECT_EQ(init->size() + 4, high->size());
}

TEST(InitSegment, UnknownLanguageIsUndetermined) {
  auto audio = audio_track();
  audio.language = "\"x\n";
  EXPECT_NE(init_dump(audio).find("language=und"), std::string::npos);
}

TEST(InitSegment, RefusesWhatItCannotWrite) {
  auto video = video_track();
  video.sps.resize(3);
  EXPECT_FALSE(write_init_segment(video));
  EXPECT_EQ(codec_string(video), "");
  video = video_track();
  video.sps.resize(70'000);
  EXPECT_FALSE(write_init_segment(video));
  video = video_track();
  video.pps.clear();
  EXPECT_FALSE(write_init_segment(video));
  video = video_track();
  video.grid = {};
  EXPECT_FALSE(write_init_segment(video));
  auto audio = audio_track();
  audio.audio_specific_config.clear();
  EXPECT_FALSE(write_init_segment(audio));
  EXPECT_EQ(codec_string(audio), "");
  audio = audio_track();
  audio.sample_rate = 96'000;
  EXPECT_FALSE(write_init_segment(audio));
}

TEST(CodecString, FollowsRfc6381) {
  EXPECT_EQ(codec_string(video_track()), "avc1.64001E");
  EXPECT_EQ(codec_string(audio_track()), "mp4a.40.2");
  auto audio = audio_track();
  audio.audio_specific_config = {0xF9, 0x40, 0x00};  // escaped: 32 + 10
  EXPECT_EQ(codec_string(audio), "mp4a.40.42");
}

TEST(ChunkWriter, WritesVideoWithASyncSampleFirst) {
  ChunkWriter writer(video_track());
  const Sample first[] = {sample(0, true, 900), sample(1'001, false, 40), sample(2'002, false, 0)};
  const Sample second[] = {sample(3'003, false, 10)};
  std::string dump = BoxDump::of(writer.write(first).span());
  dump += BoxDump::of(writer.write(second).span());
  expect_golden("chunks_video.txt", dump);
}

TEST(ChunkWriter, WritesAudio) {
  ChunkWriter writer(audio_track());
  const Sample samples[] = {sample(std::int64_t{1} << 40, true, 170),
                            sample((std::int64_t{1} << 40) + 1'024, true, 171)};
  expect_golden("chunks_audio.txt", BoxDump::of(writer.write(samples).span()));
}

TEST(ChunkWriter, CarriesTheSamplesInOrder) {
  ChunkWriter writer(audio_track());
  Sample a = sample(0, true, 0);
  Sample b = sample(1'024, true, 0);
  a.data = Bytes::take(std::string("first "));
  b.data = Bytes::take(std::string("second"));
  const Sample samples[] = {a, b};
  const Bytes chunk = writer.write(samples);
  const auto mdat = BoxDump::find(chunk.span(), "mdat");
  ASSERT_TRUE(mdat);
  EXPECT_EQ(std::string(mdat->begin(), mdat->end()), "first second");
  // data_offset counts from the start of moof, and prft stands before that.
  const auto trun = BoxDump::find(chunk.span(), "trun");
  ASSERT_TRUE(trun);
  const auto prft_bytes = BoxDump::number(chunk.span(), 0, 4);
  EXPECT_EQ(chunk.data() + prft_bytes + BoxDump::number(*trun, 8, 4), mdat->data());
}

TEST(ChunkWriter, MakesOneAllocationPerChunk) {
#ifdef MIRROR_COUNTS_ALLOCATIONS
  ChunkWriter writer(video_track());
  const Sample samples[] = {sample(0, true, 9'000), sample(1'001, false, 4'000)};
  const int before = allocations;
  const Bytes chunk = writer.write(samples);
  EXPECT_EQ(allocations - before, 1);
#else
  GTEST_SKIP() << "this build has another allocator";
#endif
}

}  // namespace
}  // namespace mirror::cmaf
