// FFmpeg's HLS demuxer reads our files: playlists, init segments and segments, after ENDLIST.
#include <gtest/gtest.h>

#include <algorithm>

#include "cmaf/encoded_fixture.h"
#include "hls/presentation.h"

namespace mirror::hls {
namespace {

// What the stream's server would answer, as files.
void write_presentation(const cmaf::TemporaryFolder& folder, const Presentation& presentation) {
  folder.write("index.m3u8", presentation.multivariant()->low_latency->pieces);
  for (const auto& rendition : presentation.renditions()) {
    const auto view = rendition.window->view();
    const std::string media = rendition.name + "/" + presentation.epoch() + "/";
    folder.write(rendition.name + "/media.m3u8", view->playlists.full.plain->pieces);
    folder.write(media + "init.mp4", {rendition.init});
    for (const auto& segment : view->segments) {
      std::vector<Bytes> parts;
      for (const Part& part : segment->parts) parts.push_back(part.bytes);
      folder.write(media + fmt::format("{}.m4s", segment->number), parts);
    }
  }
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST(Oracle, FfprobeReadsTheEndedPresentation) {
  if (!cmaf::have_ffmpeg()) GTEST_SKIP() << "no ffmpeg";
  const cmaf::TemporaryFolder folder;
  cmaf::EncodedTrack video = cmaf::encode_video(folder, {30'000, 1'001}, 70);
  cmaf::EncodedTrack audio = cmaf::encode_audio(folder, 2.3);
  const WakeList wake({});
  auto made = Presentation::create(
      {.epoch = "e1"}, {{"v360", video.description}, {"audio", audio.description}}, wake);
  ASSERT_TRUE(made) << made.error().message;
  for (const media::Sample& sample : video.samples) (*made)->push(0, sample);
  for (const media::Sample& sample : audio.samples) (*made)->push(1, sample);
  (*made)->finish();
  write_presentation(folder, **made);

  const std::string probe = "ffprobe -v warning -of csv=p=0 ";
  const std::string url = folder.file("index.m3u8");
  const std::string streams = cmaf::output_of(
      probe + "-show_entries program=program_id:stream=codec_name,width,height,channels " + url);
  EXPECT_NE(streams.find("h264,320,180\n"), std::string::npos) << streams;
  EXPECT_NE(streams.find("aac,2\n"), std::string::npos) << streams;
  const std::string pictures =
      cmaf::output_of(probe + "-select_streams v -show_entries packet=pts,duration " +
                      folder.file("v360/media.m3u8"));
  EXPECT_EQ(lines_in(pictures), video.samples.size()) << pictures;
  const std::string frames = cmaf::output_of(probe + "-select_streams a -show_entries packet=pts " +
                                             folder.file("audio/media.m3u8"));
  EXPECT_EQ(lines_in(frames), audio.samples.size()) << frames;
  EXPECT_EQ(cmaf::output_of("ffmpeg -v warning -xerror -i " + url + " -f null -"), "");
}

}  // namespace
}  // namespace mirror::hls
