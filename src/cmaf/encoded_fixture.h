// For tests: real H.264 and AAC, made by the machine's own ffmpeg, as samples for the packager; and
// a folder that is gone when the test ends. Oracles we did not write judge what comes out.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "media/sample.h"

namespace mirror::cmaf {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "mirror-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

  void write(const std::string& name, const std::vector<Bytes>& pieces) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    for (const Bytes& piece : pieces) out << piece.text();
  }

 private:
  std::filesystem::path path_;
};

// Both outputs of a command, in one text.
inline std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::array<char, 4096> chunk;
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    text.append(chunk.data(), size);
  }
  const int status = pclose(pipe);
  if (status != 0) text += fmt::format("exit status {}\n", status);
  return text;
}

inline bool have_ffmpeg() {
  return std::system("ffmpeg -version >/dev/null 2>&1 && ffprobe -version >/dev/null 2>&1") == 0;
}

inline std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::vector<std::uint8_t>(std::istreambuf_iterator<char>(file), {});
}

inline WallTime fixture_start() {
  return std::chrono::sys_days(std::chrono::year(2026) / 1 / 2) + std::chrono::hours(3);
}

inline WallTime fixture_time(const media::SampleGrid& grid, std::int64_t decode_time) {
  return fixture_start() + std::chrono::microseconds(decode_time * 1'000'000 / grid.timescale);
}

struct EncodedTrack {
  media::TrackDescription description;
  std::vector<media::Sample> samples;
};

namespace fixture {

using Nal = std::vector<std::uint8_t>;

// Annex B → NAL units.
inline std::vector<Nal> split_nals(const std::vector<std::uint8_t>& bytes) {
  std::vector<Nal> nals;
  std::size_t begin = 0;
  for (std::size_t i = 0; i + 3 <= bytes.size(); ++i) {
    if (bytes[i] != 0 || bytes[i + 1] != 0 || bytes[i + 2] != 1) continue;
    if (begin != 0) nals.emplace_back(bytes.begin() + begin, bytes.begin() + i);
    begin = i + 3;
    i += 2;
  }
  if (begin != 0) nals.emplace_back(bytes.begin() + begin, bytes.end());
  for (Nal& nal : nals) {
    while (!nal.empty() && nal.back() == 0) nal.pop_back();
  }
  return nals;
}

inline Bytes length_prefixed(const Nal& nal) {
  std::vector<std::uint8_t> bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(nal.size() >> shift));
  }
  bytes.insert(bytes.end(), nal.begin(), nal.end());
  return Bytes::take(std::move(bytes));
}

}  // namespace fixture

// `frames` frames of a test picture, an IDR at each segment's start, one slice a frame.
inline EncodedTrack encode_video(const TemporaryFolder& folder, media::FrameRate rate, int frames) {
  media::VideoDescription video;
  video.frame_rate = rate;
  video.grid = media::SampleGrid::for_video(rate);
  video.width = 320;
  video.height = 180;
  const std::string path = folder.file("video.h264");
  const auto gop = video.grid.samples_per_segment;
  const std::string log = output_of(fmt::format(
      "ffmpeg -y -v error -f lavfi -i testsrc2=size=320x180:rate={}/{} -frames:v {} -pix_fmt "
      "yuv420p "
      "-c:v libx264 -preset superfast -bf 0 -g {} -keyint_min {} -sc_threshold 0 -threads 1 "
      "-x264-params slices=1 -f h264 {}",
      rate.num, rate.den, frames, gop, gop, path));
  if (!log.empty()) std::fputs(log.c_str(), stderr);
  EncodedTrack track;
  std::int64_t decode_time = 0;
  for (const fixture::Nal& nal : fixture::split_nals(read_file(path))) {
    const int type = nal.empty() ? 0 : nal[0] & 0x1F;
    if (type == 7) video.sps = nal;
    if (type == 8) video.pps = nal;
    if (type != 1 && type != 5) continue;
    media::Sample sample;
    sample.decode_time = decode_time;
    sample.sync = type == 5;
    sample.captured = fixture_time(video.grid, decode_time);
    sample.program_date = sample.captured;
    sample.data = fixture::length_prefixed(nal);
    track.samples.push_back(std::move(sample));
    decode_time += video.grid.sample_duration;
  }
  track.description = std::move(video);
  return track;
}

// A tone of AAC-LC, 48 kHz stereo.
inline EncodedTrack encode_audio(const TemporaryFolder& folder, double seconds) {
  constexpr std::size_t kAdtsHeaderBytes = 7;
  media::AudioDescription audio;
  audio.grid = media::SampleGrid::for_aac_48k();
  audio.sample_rate = 48'000;
  audio.channels = 2;
  audio.audio_specific_config = {0x11, 0x90};
  audio.language = "eng";
  const std::string path = folder.file("audio.aac");
  const std::string log = output_of(
      fmt::format("ffmpeg -y -v error -f lavfi -i sine=frequency=440:sample_rate=48000 -t {} -ac 2 "
                  "-c:a aac -b:a 64k -f adts {}",
                  seconds, path));
  if (!log.empty()) std::fputs(log.c_str(), stderr);
  EncodedTrack track;
  std::int64_t decode_time = 0;
  const std::vector<std::uint8_t> bytes = read_file(path);
  for (std::size_t at = 0; at + kAdtsHeaderBytes <= bytes.size();) {
    const std::size_t size = static_cast<std::size_t>((bytes[at + 3] & 3) << 11 |
                                                      bytes[at + 4] << 3 | bytes[at + 5] >> 5);
    if (size < kAdtsHeaderBytes || at + size > bytes.size()) break;
    media::Sample sample;
    sample.decode_time = decode_time;
    sample.sync = true;
    sample.captured = fixture_time(audio.grid, decode_time);
    sample.program_date = sample.captured;
    sample.data =
        Bytes::copy_of(std::span(bytes).subspan(at + kAdtsHeaderBytes, size - kAdtsHeaderBytes));
    track.samples.push_back(std::move(sample));
    decode_time += audio.grid.sample_duration;
    at += size;
  }
  track.description = std::move(audio);
  return track;
}

}  // namespace mirror::cmaf
