// The demuxer against libavformat's, over what the installed ffmpeg program makes; and against
// itself under loss, garbage and odd chunks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>

#include "mpegts/demuxer.h"
#include "mpegts/test_stream.h"

extern "C" {
#include <libavformat/avformat.h>
}

namespace mirror::mpegts {
namespace {

using namespace test;

struct Clip {
  std::string name;
  std::string arguments;  // for ffmpeg, behind its inputs
  // libavformat leaves the time line wrapped or shifts it; then only the bytes are compared.
  bool same_timeline = true;
  int ticks_off = 1;  // libavformat dates frames within a PES packet by adding rounded durations
};

std::ostream& operator<<(std::ostream& out, const Clip& clip) { return out << clip.name; }

const Clip kClips[] = {
    {"hevc_aac",
     "-c:v libx265 -x265-params log-level=none:keyint=25:bframes=3 -preset ultrafast "
     "-c:a aac"},
    {"h264_mp2", "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a mp2"},
    {"h264_ac3", "-c:v libx264 -preset veryfast -bf 2 -g 25 -slices 4 -c:a ac3"},
    {"h264_eac3_44k", "-c:v libx264 -preset ultrafast -c:a eac3 -ar 44100", true, 8},
    {"h264_opus", "-c:v libx264 -preset ultrafast -c:a libopus -b:a 96k"},
    {"h264_opus_small",
     "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a libopus -b:a 24k -frame_duration 2.5"},
    {"h264_opus_six", "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a libopus -ac 6 -b:a 256k"},
    {"h264_aac_cbr", "-c:v libx264 -preset ultrafast -b:v 500k -c:a aac -muxrate 2000000"},
    {"h264_interlaced", "-c:v libx264 -preset veryfast -flags +ildct+ilme -c:a mp2"},
    {"wrap", "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac -output_ts_offset 95442.5", false},
};

// The clip as a transport stream, in a file that goes with the test.
class ClipFile {
 public:
  explicit ClipFile(const Clip& clip) {
    path_ = (std::filesystem::temp_directory_path() /
             ("mirror_mpegts_" + std::to_string(getpid()) + "_" + clip.name + ".ts"))
                .string();
    const std::string command =
        "ffmpeg -v error -nostdin -y -f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i "
        "sine=r=48000:d=2 -threads 1 -pix_fmt yuv420p " +
        clip.arguments + " -f mpegts '" + path_ + "'";
    made_ = std::system(command.c_str()) == 0;
  }
  ~ClipFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ClipFile(const ClipFile&) = delete;
  ClipFile& operator=(const ClipFile&) = delete;

  bool made() const { return made_; }
  const std::string& path() const { return path_; }
  ByteVector bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return ByteVector(std::istreambuf_iterator<char>(in), {});
  }

 private:
  std::string path_;
  bool made_ = false;
};

struct OracleUnit {
  std::int64_t pts;
  std::int64_t dts;
  bool key;
  ByteVector data;
};

std::map<media::TrackId, std::vector<OracleUnit>> read_with_libavformat(const std::string& path) {
  std::map<media::TrackId, std::vector<OracleUnit>> tracks;
  AVFormatContext* context = nullptr;
  if (avformat_open_input(&context, path.c_str(), nullptr, nullptr) < 0) return tracks;
  avformat_find_stream_info(context, nullptr);
  AVPacket* packet = av_packet_alloc();
  while (av_read_frame(context, packet) >= 0) {
    const auto pid = static_cast<media::TrackId>(context->streams[packet->stream_index]->id);
    tracks[pid].push_back({packet->pts, packet->dts, (packet->flags & AV_PKT_FLAG_KEY) != 0,
                           ByteVector(packet->data, packet->data + packet->size)});
    av_packet_unref(packet);
  }
  av_packet_free(&packet);
  avformat_close_input(&context);
  return tracks;
}

std::vector<media::AccessUnit> demux(const ByteVector& bytes, std::size_t chunk = 1316) {
  RecordingSink sink;
  Demuxer demuxer({}, sink);
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    demuxer.push(std::span(bytes).subspan(at, std::min(chunk, bytes.size() - at)), at_ms(0));
  }
  demuxer.flush();
  return std::move(sink.units);
}

// libavformat's HEVC parser leaves the zero_byte of a unit's start code to the unit before.
ByteVector without_outer_zeros(ByteVector bytes) {
  while (!bytes.empty() && bytes.back() == 0) bytes.pop_back();
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](auto b) { return b != 0; });
  return ByteVector(first, bytes.end());
}

// The packet alone of an Opus unit.
ByteVector coded_bytes_of(const media::AccessUnit& unit) {
  ByteVector bytes = bytes_of(unit);
  if (unit.codec == media::Codec::kOpus) bytes.erase(bytes.begin());
  return bytes;
}

using Key = std::tuple<media::TrackId, std::int64_t, ByteVector>;
Key key_of(const media::AccessUnit& unit) { return {unit.track, unit.dts.count(), bytes_of(unit)}; }

class OracleTest : public testing::TestWithParam<Clip> {
 protected:
  void SetUp() override {
    if (!file_.made()) GTEST_SKIP() << "the ffmpeg program is missing or lacks an encoder";
    bytes_ = file_.bytes();
    ASSERT_GT(bytes_.size(), 10'000U);
  }
  ClipFile file_{GetParam()};
  ByteVector bytes_;
};

TEST_P(OracleTest, AgreesWithLibavformat) {
  auto expected = read_with_libavformat(file_.path());
  std::map<media::TrackId, std::vector<media::AccessUnit>> actual;
  for (auto& unit : demux(bytes_)) actual[unit.track].push_back(std::move(unit));
  ASSERT_EQ(actual.size(), 2U);
  for (const auto& [pid, units] : actual) {
    const auto& oracle = expected[pid];
    ASSERT_EQ(units.size(), oracle.size()) << "PID " << pid;
    for (std::size_t i = 0; i < units.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "PID " << pid << ", unit " << i);
      EXPECT_EQ(units[i].random_access, oracle[i].key);
      EXPECT_FALSE(units[i].discontinuity);
      ASSERT_TRUE(without_outer_zeros(coded_bytes_of(units[i])) ==
                  without_outer_zeros(oracle[i].data));
      if (!GetParam().same_timeline) continue;
      EXPECT_NEAR(static_cast<double>(units[i].pts.count()), static_cast<double>(oracle[i].pts),
                  GetParam().ticks_off);
      EXPECT_NEAR(static_cast<double>(units[i].dts.count()), static_cast<double>(oracle[i].dts),
                  GetParam().ticks_off);
    }
  }
}

TEST_P(OracleTest, TimesGrowSteadily) {
  std::map<media::TrackId, std::int64_t> last;
  std::map<media::TrackId, std::int64_t> first;
  for (const auto& unit : demux(bytes_)) {
    const std::int64_t dts = unit.dts.count();
    EXPECT_FALSE(unit.damaged && dts < first[unit.track] + 90'000);
    if (last.contains(unit.track)) {
      EXPECT_GT(dts, last[unit.track]);
      EXPECT_LE(dts - last[unit.track], 3600);
    } else {
      first[unit.track] = dts;
    }
    last[unit.track] = dts;
  }
  for (const auto& [track, dts] : last) EXPECT_NEAR(double(dts - first[track]), 2 * 90'000, 9'000);
}

TEST_P(OracleTest, ChunksDoNotMatter) {
  const auto whole = demux(bytes_, bytes_.size());
  for (const std::size_t chunk : {1U, 7U, 187U, 189U, 1000U}) {
    const auto cut = demux(bytes_, chunk);
    ASSERT_EQ(cut.size(), whole.size()) << chunk;
    for (std::size_t i = 0; i < cut.size(); ++i) ASSERT_EQ(key_of(cut[i]), key_of(whole[i]));
  }
}

TEST_P(OracleTest, GarbageBetweenPacketsDoesNotMatter) {
  const auto whole = demux(bytes_);
  std::mt19937 random(4711);
  for (int round = 0; round < 10; ++round) {
    ByteVector dirty;
    for (std::size_t at = 0; at < bytes_.size(); at += kPacketBytes) {
      // Not closer than a lock takes, three packets in a row.
      if (at / kPacketBytes % 5 == 4 && at + 10 * kPacketBytes < bytes_.size() &&
          random() % 20 == 0) {
        // No 0x47 among it: by chance it could seem to begin a packet, which costs real ones.
        for (auto n = random() % 500; n > 0; --n) dirty.push_back(random() % 0x47 & 0xff);
      }
      dirty.insert(dirty.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes_.begin() + static_cast<std::ptrdiff_t>(at + kPacketBytes));
    }
    const auto units = demux(dirty, 1 + random() % 3000);
    ASSERT_EQ(units.size(), whole.size()) << "round " << round;
    for (std::size_t i = 0; i < units.size(); ++i) ASSERT_EQ(key_of(units[i]), key_of(whole[i]));
  }
}

// The promise behind the damaged flag, and no crash: what is not flagged is whole.
TEST_P(OracleTest, UnflaggedUnitsAreWholeWhateverIsLost) {
  std::multimap<Key, bool> whole;
  for (const auto& unit : demux(bytes_)) whole.emplace(key_of(unit), unit.damaged);
  std::size_t damaged = 0;
  for (const std::size_t burst : {1U, 7U}) {
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
      std::mt19937 random(seed);
      ByteVector lossy;
      bool lost = false;
      for (std::size_t at = 0; at < bytes_.size(); at += kPacketBytes) {
        if (at / kPacketBytes % burst == 0) lost = random() % 100 < 2;
        if (lost) continue;
        lossy.insert(lossy.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at),
                     bytes_.begin() + static_cast<std::ptrdiff_t>(at + kPacketBytes));
      }
      for (const auto& unit : demux(lossy)) {
        damaged += unit.damaged ? 1 : 0;
        if (unit.damaged) continue;
        ASSERT_TRUE(whole.contains(key_of(unit)))
            << "burst " << burst << ", seed " << seed << ", PID " << unit.track << ", dts "
            << unit.dts.count();
      }
    }
  }
  EXPECT_GT(damaged, 0U);
}

// Flipped bits, not lost packets: nothing is promised but to survive and to stay within limits.
TEST_P(OracleTest, CorruptedBytesAreSurvived) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    ByteVector corrupted = bytes_;
    for (std::size_t i = 0; i < corrupted.size() / 500; ++i) {
      corrupted[random() % corrupted.size()] = static_cast<std::uint8_t>(random());
    }
    for (const auto& unit : demux(corrupted)) ASSERT_FALSE(unit.data.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Clips, OracleTest, testing::ValuesIn(kClips),
                         [](const auto& param_info) { return param_info.param.name; });

// What the fuzzer once found, and its seeds (fuzz/ts_fuzz.cc gives the format).
TEST(Corpus, IsSurvived) {
  const std::filesystem::path folder = std::string(MIRROR_FUZZ_CORPUS) + "/ts";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const ByteVector data(std::istreambuf_iterator<char>(in), {});
    RecordingSink sink;
    DemuxerOptions options;
    options.access_unit_bytes_max = 20'000;
    Demuxer demuxer(options, sink);
    std::span<const std::uint8_t> rest(data);
    for (std::int64_t ms = 0; !rest.empty(); ms += 20) {
      std::size_t count = rest.size();
      if (const std::uint8_t control = rest[0]; control != kSyncByte) {
        if (control & 0x80) demuxer.idle(at_ms(ms));
        rest = rest.subspan(1);
        count = std::min<std::size_t>(rest.size(), (control & 0x7fU) * 3 + 1);
      }
      demuxer.push(rest.first(count), at_ms(ms));
      rest = rest.subspan(count);
    }
    demuxer.flush();
    for (const auto& unit : sink.units) EXPECT_LE(unit.data.size(), options.access_unit_bytes_max);
    ++files;
  }
  EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace mirror::mpegts
