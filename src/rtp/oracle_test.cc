// The depacketizers against packetizers that we did not write: libavformat's, and GStreamer's where
// it is installed. What went in comes out, NAL unit for NAL unit and frame for frame.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/annexb.h"
#include "codec/nal.h"
#include "rtp/big_endian.h"
#include "rtp/packet.h"
#include "rtp/parameter_sets.h"
#include "rtp/rtcp.h"
#include "rtp/session_clock.h"
#include "rtp/test_session.h"

extern "C" {
#include <libavformat/avformat.h>
}

namespace mirror::rtp {
namespace {

using namespace test;

constexpr int kDatagramBytes = 1472;

struct Clip {
  std::string name;
  std::string container;  // "mp4" has parameter sets beside the stream, "ts" in it
  std::string arguments;  // for ffmpeg, behind its inputs
};

std::ostream& operator<<(std::ostream& out, const Clip& clip) { return out << clip.name; }

const Clip kClips[] = {
    {"hevc_b_mp4", "mp4",
     "-an -c:v libx265 -x265-params log-level=none:keyint=25:bframes=3 -preset ultrafast -b:v 1M"},
    {"hevc_slices_ts", "ts",
     "-an -c:v libx265 -x265-params log-level=none:keyint=25:bframes=3:slices=3:aud=1 -preset "
     "ultrafast"},
    {"h264_b_mp4", "mp4", "-an -c:v libx264 -preset veryfast -bf 2 -g 25 -b:v 1M"},
    {"h264_slices_ts", "ts", "-an -c:v libx264 -preset veryfast -bf 2 -g 25 -slices 4"},
    {"h264_interlaced_ts", "ts", "-an -c:v libx264 -preset veryfast -flags +ildct+ilme"},
    {"aac_mp4", "mp4", "-vn -c:a aac -b:a 128k"},
    {"aac_44k_mono_mp4", "mp4", "-vn -c:a aac -ar 44100 -ac 1 -b:a 64k"},
    {"aac_fragmented_mp4", "mp4", "-vn -c:a aac -b:a 500k"},
};

struct SourceUnit {
  std::int64_t pts;  // 90 kHz
  bool key;
  ByteVector data;
};

// NAL units without start codes or lengths.
std::vector<ByteVector> split(std::span<const std::uint8_t> data, bool length_prefixed) {
  std::vector<ByteVector> nals;
  if (!length_prefixed) {
    codec::AnnexBReader reader(data);
    while (const auto nal = reader.next()) nals.emplace_back(nal->bytes.begin(), nal->bytes.end());
    return nals;
  }
  while (data.size() > 4) {
    const std::size_t size = read_u32(data);
    if (size > data.size() - 4) break;
    const auto nal = data.subspan(4, size);
    nals.emplace_back(nal.begin(), nal.end());
    data = data.subspan(4 + size);
  }
  return nals;
}

// A clip in a file that goes with the test, its units, and its packets by libavformat.
class Source {
 public:
  explicit Source(const Clip& clip) : clip_(clip) {
    path_ = (std::filesystem::temp_directory_path() /
             ("mirror_rtp_" + std::to_string(getpid()) + "_" + clip.name + "." + clip.container))
                .string();
    const std::string command =
        "ffmpeg -v error -nostdin -y -f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i "
        "anoisesrc=r=48000:d=2 -threads 1 -pix_fmt yuv420p " +
        clip.arguments + " '" + path_ + "'";
    made_ = std::system(command.c_str()) == 0 && read();
  }
  ~Source() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  bool made() const { return made_; }
  bool video() const { return clip_.arguments.starts_with("-an"); }
  bool hevc() const { return clip_.name.starts_with("hevc"); }
  bool length_prefixed() const { return clip_.container == "mp4"; }
  const std::string& path() const { return path_; }
  const std::vector<SourceUnit>& units() const { return units_; }
  const std::vector<ByteVector>& datagrams() const { return datagrams_; }
  const std::string& sdp() const { return sdp_; }
  const ByteVector& extradata() const { return extradata_; }

 private:
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  static int on_write(void* self, const std::uint8_t* data, int size) {
#else
  static int on_write(void* self, std::uint8_t* data, int size) {
#endif
    static_cast<Source*>(self)->datagrams_.emplace_back(data, data + size);
    return size;
  }

  bool read() {
    AVFormatContext* in = nullptr;
    if (avformat_open_input(&in, path_.c_str(), nullptr, nullptr) < 0) return false;
    avformat_find_stream_info(in, nullptr);
    AVStream* const from = in->streams[0];
    extradata_.assign(from->codecpar->extradata,
                      from->codecpar->extradata + from->codecpar->extradata_size);

    AVFormatContext* out = nullptr;
    avformat_alloc_output_context2(&out, nullptr, "rtp", nullptr);
    out->url = av_strdup("rtp://127.0.0.1:5004");
    out->pb = avio_alloc_context(static_cast<unsigned char*>(av_malloc(kDatagramBytes)),
                                 kDatagramBytes, 1, this, nullptr, &Source::on_write, nullptr);
    out->pb->max_packet_size = kDatagramBytes;
    out->flags |= AVFMT_FLAG_CUSTOM_IO;
    AVStream* const to = avformat_new_stream(out, nullptr);
    avcodec_parameters_copy(to->codecpar, from->codecpar);
    to->codecpar->codec_tag = 0;
    to->time_base = from->time_base;
    const bool written = avformat_write_header(out, nullptr) >= 0 && copy(in, out);
    char sdp[4096] = {};
    av_sdp_create(&out, 1, sdp, sizeof sdp);
    sdp_ = sdp;

    avformat_close_input(&in);
    av_freep(&out->pb->buffer);
    avio_context_free(&out->pb);
    avformat_free_context(out);
    return written;
  }

  bool copy(AVFormatContext* in, AVFormatContext* out) {
    const AVRational from = in->streams[0]->time_base;
    AVPacket* packet = av_packet_alloc();
    bool good = true;
    while (good && av_read_frame(in, packet) >= 0) {
      units_.push_back({av_rescale_q(packet->pts, from, {1, 90'000}),
                        (packet->flags & AV_PKT_FLAG_KEY) != 0,
                        ByteVector(packet->data, packet->data + packet->size)});
      av_packet_rescale_ts(packet, from, out->streams[0]->time_base);
      good = av_write_frame(out, packet) >= 0;
      av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return good && av_write_trailer(out) >= 0;
  }

  const Clip clip_;
  std::string path_;
  bool made_ = false;
  ByteVector extradata_;
  std::vector<SourceUnit> units_;
  std::vector<ByteVector> datagrams_;
  std::string sdp_;
};

struct Outcome {
  std::vector<media::AccessUnit> units;
  media::DemuxStats stats;
  std::size_t sender_reports = 0;
};

// `lost(i)`: whether the i-th datagram is. Sender reports are not.
template <class Lost>
Outcome receive(const SdpMedia& medium, const std::vector<ByteVector>& datagrams, Lost lost) {
  Outcome outcome;
  RecordingSink sink;
  SessionClock session;
  SessionClock::Track& clock = session.add_track(medium.clock_rate);
  auto made = make_depacketizer(medium, 1, sink, clock, outcome.stats);
  if (!made) {
    ADD_FAILURE() << made.error().message;
    return outcome;
  }
  std::optional<std::uint16_t> last;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const auto now = at_ms(static_cast<std::int64_t>(i));
    if (is_rtcp(datagrams[i])) {
      const auto compound = parse_rtcp(datagrams[i]);
      EXPECT_TRUE(compound);
      if (!compound) continue;
      for (const auto& report : compound->sender_reports) clock.on_sender_report(report);
      outcome.sender_reports += compound->sender_reports.size();
      continue;
    }
    if (lost(i)) continue;
    const auto packet = parse_packet(datagrams[i]);
    EXPECT_TRUE(packet);
    if (!packet) continue;
    const bool gap = last && packet->sequence != static_cast<std::uint16_t>(*last + 1);
    last = packet->sequence;
    (*made)->push(*packet, gap, now);
  }
  (*made)->flush();
  outcome.units = std::move(sink.units);
  return outcome;
}

constexpr auto kNothingLost = [](std::size_t) { return false; };

ByteVector without_adts_header(const media::AccessUnit& unit) {
  const auto data = unit.data.span().subspan(7);
  return {data.begin(), data.end()};
}

class RtpOracleTest : public testing::TestWithParam<Clip> {
 protected:
  void SetUp() override {
    if (!source_.made()) GTEST_SKIP() << "the ffmpeg program is missing or lacks an encoder";
    const auto description = parse_sdp(source_.sdp());
    ASSERT_TRUE(description) << description.error().message << "\n" << source_.sdp();
    medium_ = description->media.at(0);
  }

  media::Codec codec() const { return source_.hevc() ? media::Codec::kHevc : media::Codec::kH264; }
  std::vector<ByteVector> slices(const std::vector<ByteVector>& nals) const {
    std::vector<ByteVector> out;
    for (const auto& nal : nals) {
      const auto role = codec::role_of(codec(), nal);
      if (role == codec::NalRole::kFirstSlice || role == codec::NalRole::kSlice) out.push_back(nal);
    }
    return out;
  }
  // The NAL units, or the one frame.
  std::vector<ByteVector> parts_of(const SourceUnit& unit) const {
    if (!source_.video()) return {unit.data};
    return split(unit.data, source_.length_prefixed());
  }
  std::vector<ByteVector> parts_of(const media::AccessUnit& unit) const {
    if (!source_.video()) return {without_adts_header(unit)};
    return split(unit.data.span(), false);
  }
  // `skipped`: source units before the first.
  void expect_times(const std::vector<media::AccessUnit>& units, std::size_t skipped = 0) const {
    for (std::size_t i = 0; i < units.size(); ++i) {
      const std::int64_t expected = source_.units()[skipped + i].pts - source_.units()[skipped].pts;
      // A sample of 44.1 kHz is two ticks, and senders round to samples at both ends.
      EXPECT_NEAR(static_cast<double>((units[i].pts - units[0].pts).count()),
                  static_cast<double>(expected), source_.video() ? 0 : 5)
          << i;
    }
  }

  Source source_{GetParam()};
  SdpMedia medium_;
};

TEST_P(RtpOracleTest, WhatLibavformatSendsComesOutAsItWas) {
  const auto outcome = receive(medium_, source_.datagrams(), kNothingLost);
  // The sender keeps the last frame of sound back: it waits for more to put into the packet.
  ASSERT_EQ(outcome.units.size() + (source_.video() ? 0 : 1), source_.units().size());
  EXPECT_GT(outcome.sender_reports, 0U);
  EXPECT_EQ(outcome.stats.dropped_bytes, 0U);
  EXPECT_EQ(outcome.stats.damaged_access_units, 0U);
  for (std::size_t i = 0; i < outcome.units.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "unit " << i);
    const auto& unit = outcome.units[i];
    auto expected = parts_of(source_.units()[i]);
    auto actual = parts_of(unit);
    EXPECT_EQ(unit.random_access, source_.units()[i].key);
    EXPECT_FALSE(unit.damaged);
    EXPECT_FALSE(unit.discontinuity);
    if (unit.random_access && source_.video() && source_.length_prefixed()) {
      // Those of the description, in front; x265 keeps an SEI beside the stream, too.
      const std::size_t more = actual.size() - expected.size();
      ASSERT_GE(actual.size(), expected.size() + (source_.hevc() ? 3 : 2));
      for (std::size_t set = 0; set < more; ++set) {
        EXPECT_TRUE(is_parameter_set(codec(), actual[set]));
      }
      actual.erase(actual.begin(), actual.begin() + static_cast<std::ptrdiff_t>(more));
    }
    ASSERT_EQ(actual, expected);
  }
  expect_times(outcome.units);
}

// The promise behind the damaged flag: what is not flagged has all its picture data.
TEST_P(RtpOracleTest, UnflaggedUnitsAreWholeWhateverIsLost) {
  const auto whole = receive(medium_, source_.datagrams(), kNothingLost);
  std::map<std::int64_t, std::vector<ByteVector>> by_time;
  for (const auto& unit : whole.units) {
    const auto parts = parts_of(unit);
    by_time[unit.pts.count()] = source_.video() ? slices(parts) : parts;
  }
  std::size_t damaged = 0;
  std::size_t kept = 0;
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto lost = [&](std::size_t i) { return i > 1 && random() % 100 < 5; };
    for (const auto& unit : receive(medium_, source_.datagrams(), lost).units) {
      (unit.damaged ? damaged : kept) += 1;
      if (unit.damaged) continue;
      const auto parts = parts_of(unit);
      ASSERT_TRUE(by_time[unit.pts.count()] == (source_.video() ? slices(parts) : parts))
          << "seed " << seed << ", pts " << unit.pts.count();
    }
  }
  if (source_.video()) {
    EXPECT_GT(damaged, 0U);
  } else {
    EXPECT_EQ(damaged, 0U);
  }
  EXPECT_GT(kept, 60 * whole.units.size() / 2);
}

// The same clip by GStreamer's payloader, into a file of packets behind their lengths (RFC 4571).
TEST_P(RtpOracleTest, WhatGStreamerSendsComesOutAsItWas) {
  if (!source_.length_prefixed()) GTEST_SKIP() << "read from mp4";
  const std::string packets = source_.path() + ".rtp";
  const std::string payloader =
      !source_.video() ? "aacparse ! rtpmp4gpay pt=" + std::to_string(medium_.payload_type)
                       : (source_.hevc() ? "h265parse ! rtph265pay config-interval=-1 pt="
                                         : "h264parse ! rtph264pay config-interval=-1 pt=") +
                             std::to_string(medium_.payload_type);
  const std::string command =
      "gst-launch-1.0 -q filesrc location='" + source_.path() + "' ! qtdemux ! " + payloader +
      " ! rtpstreampay ! filesink location='" + packets + "' >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) {
    std::filesystem::remove(packets);
    GTEST_SKIP() << "GStreamer is missing, or one of: qtdemux, " << payloader << ", rtpstreampay";
  }
  std::ifstream in(packets, std::ios::binary);
  const ByteVector bytes(std::istreambuf_iterator<char>(in), {});
  std::filesystem::remove(packets);
  std::vector<ByteVector> datagrams;
  for (std::span<const std::uint8_t> rest(bytes); rest.size() > 2;) {
    const std::size_t size = read_u16(rest);
    ASSERT_LE(size, rest.size() - 2);
    datagrams.emplace_back(rest.begin() + 2, rest.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    rest = rest.subspan(2 + size);
  }

  const auto outcome = receive(medium_, datagrams, kNothingLost);
  // What the edit list of an mp4 says of the sound's first and last frame, GStreamer obeys.
  const std::size_t skipped = source_.video() || outcome.units.empty() ||
                                      parts_of(outcome.units[0]) == parts_of(source_.units()[0])
                                  ? 0
                                  : 1;
  ASSERT_LE(outcome.units.size() + skipped, source_.units().size());
  ASSERT_GE(outcome.units.size() + (source_.video() ? 0 : 5), source_.units().size());
  EXPECT_EQ(outcome.stats.dropped_bytes, 0U);
  EXPECT_EQ(outcome.stats.damaged_access_units, 0U);
  for (std::size_t i = 0; i < outcome.units.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "unit " << i);
    const auto expected = parts_of(source_.units()[skipped + i]);
    const auto actual = parts_of(outcome.units[i]);
    EXPECT_EQ(outcome.units[i].random_access, source_.units()[skipped + i].key);
    if (source_.video()) {
      ASSERT_EQ(slices(actual), slices(expected));
    } else {
      ASSERT_EQ(actual, expected);
    }
  }
  expect_times(outcome.units, skipped);
}

INSTANTIATE_TEST_SUITE_P(Clips, RtpOracleTest, testing::ValuesIn(kClips),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace mirror::rtp
