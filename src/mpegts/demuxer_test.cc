#include "mpegts/demuxer.h"

#include <gtest/gtest.h>

#include "mpegts/test_stream.h"

namespace mirror::mpegts {
namespace {

using namespace test;
using media::Codec;

constexpr int kVideo = 0x100;
constexpr int kAudio = 0x101;
const std::vector<EsInfo> kH264AndAac = {{0x1b, kVideo}, {0x0f, kAudio}};

class DemuxerTest : public testing::Test {
 protected:
  void push(const ByteVector& bytes, std::int64_t ms = 0) { demuxer_.push(bytes, at_ms(ms)); }
  ByteVector video(std::int64_t pts, const ByteVector& payload, bool bounded = false) {
    return mux_.unit(kVideo, pes({.pts = pts, .dts = {}, .bounded = bounded}, payload));
  }
  ByteVector undated_video(const ByteVector& payload, bool bounded = false) {
    return mux_.unit(kVideo, pes({.pts = {}, .dts = {}, .bounded = bounded}, payload));
  }
  ByteVector audio(std::int64_t pts, const ByteVector& payload) {
    return mux_.unit(kAudio,
                     pes({.pts = pts, .dts = {}, .bounded = true, .stream_id = 0xc0}, payload));
  }
  const std::vector<media::AccessUnit>& units() const { return sink_.units; }

  RecordingSink sink_;
  DemuxerOptions options_;
  Demuxer demuxer_{options_, sink_};
  Muxer mux_;
};

TEST_F(DemuxerTest, UnitIsEmittedAtTheNextStartWithTheInstantOfItsLastByte) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 1000);
  push(video(9000, picture), 5);
  EXPECT_TRUE(units().empty());
  push(video(12600, h264_picture(false, 10)), 45);
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(bytes_of(units()[0]), picture);
  EXPECT_EQ(units()[0].pts.count(), 9000);
  EXPECT_EQ(units()[0].dts.count(), 9000);
  EXPECT_TRUE(units()[0].random_access);
  EXPECT_FALSE(units()[0].damaged);
  EXPECT_FALSE(units()[0].discontinuity);
  EXPECT_EQ(units()[0].received.steady, at_ms(5).steady);
}

TEST_F(DemuxerTest, BoundedPesPacketCompletesItsUnit) {
  push(mux_.tables(kH264AndAac));
  push(video(9000, h264_picture(true, 1000), true));
  EXPECT_EQ(units().size(), 1U);
}

TEST_F(DemuxerTest, SilenceAndStuffingTogetherCompleteAUnit) {
  push(mux_.tables(kH264AndAac));
  push(video(9000, h264_picture(true, 1000)), 100);
  demuxer_.idle(at_ms(109));
  EXPECT_TRUE(units().empty());
  demuxer_.idle(at_ms(110));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(units()[0].received.steady, at_ms(100).steady);
}

TEST_F(DemuxerTest, SilenceAloneDoesNotCompleteAUnit) {
  push(mux_.tables(kH264AndAac));
  // 14 bytes of PES header and 11 of picture headers: the last packet is exactly full.
  push(video(9000, h264_picture(true, 184 * 3 - 14 - 11)), 100);
  demuxer_.idle(at_ms(1000));
  EXPECT_TRUE(units().empty());
}

TEST_F(DemuxerTest, BytesAfterAnEarlyEndAreDroppedAndTheNextUnitIsWhole) {
  push(mux_.tables(kH264AndAac));
  auto data = pes({.pts = 9000, .dts = {}}, h264_picture(true, 1000));
  const ByteVector head(data.begin(), data.begin() + 400);
  const ByteVector tail(data.begin() + 400, data.end());
  push(mux_.unit(kVideo, head), 0);  // stuffed in mid-unit, as constant rate multiplexers do
  demuxer_.idle(at_ms(50));
  ASSERT_EQ(units().size(), 1U);
  for (std::size_t at = 0; at < tail.size(); at += 184) {
    const auto end = std::min(at + 184, tail.size());
    push(mux_.packet(kVideo, false, ByteVector(tail.begin() + at, tail.begin() + end)), 60);
  }
  EXPECT_EQ(demuxer_.counters().late_bytes, tail.size());
  const auto next = h264_picture(false, 300);
  push(video(12600, next, true), 80);
  ASSERT_EQ(units().size(), 2U);
  EXPECT_EQ(bytes_of(units()[1]), next);
  EXPECT_FALSE(units()[1].damaged);

  // Silence is believed no more for a while.
  push(video(16200, next), 120);
  demuxer_.idle(at_ms(150));
  EXPECT_EQ(units().size(), 2U);
  push(video(19800, next), 160);
  EXPECT_EQ(units().size(), 3U);
}

TEST_F(DemuxerTest, SeveralPicturesInOnePesPacketAreSplitAndDatedByExtrapolation) {
  push(mux_.tables(kH264AndAac));
  push(video(9000, h264_picture(true, 50)));
  const auto first = h264_picture(false, 60);
  const auto second = h264_picture(false, 70);
  push(video(12600, cat({first, second})));
  demuxer_.flush();
  ASSERT_EQ(units().size(), 3U);
  EXPECT_EQ(bytes_of(units()[1]), first);
  EXPECT_EQ(bytes_of(units()[2]), second);
  EXPECT_EQ(units()[2].pts.count(), 12600 + 3600);
}

TEST_F(DemuxerTest, SlicesOfOnePictureStayTogether) {
  push(mux_.tables({{0x24, kVideo}}));
  const auto picture =
      cat({{0, 0, 0, 1, 0x46, 1, 0x10}, hevc_slice(19, true, 300), hevc_slice(19, false, 300)});
  push(video(9000, picture, true));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(units()[0].codec, Codec::kHevc);
  EXPECT_TRUE(units()[0].random_access);
  EXPECT_EQ(bytes_of(units()[0]), picture);
}

TEST_F(DemuxerTest, UndatedPesPacketContinuesTheUnit) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 1000);
  const auto cut = picture.begin() + 500;
  push(video(9000, ByteVector(picture.begin(), cut)));
  push(undated_video(ByteVector(cut, picture.end())));
  push(video(12600, h264_picture(false, 10)));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(bytes_of(units()[0]), picture);
}

TEST_F(DemuxerTest, UndatedPesPacketMayBeginAUnit) {
  push(mux_.tables(kH264AndAac));
  push(video(9000, h264_picture(true, 100)));
  push(video(12600, h264_picture(false, 100)));
  push(undated_video(h264_picture(false, 100)));
  push(undated_video(h264_picture(false, 100)));
  demuxer_.flush();
  ASSERT_EQ(units().size(), 4U);
  EXPECT_EQ(units()[2].pts.count(), 16200);
  EXPECT_EQ(units()[3].pts.count(), 19800);
}

TEST_F(DemuxerTest, StreamWhoseUnitsSpanBoundedPesPacketsIsLearned) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 1000);
  const auto cut = picture.begin() + 500;
  const ByteVector head(picture.begin(), cut);
  const ByteVector tail(cut, picture.end());
  push(cat({video(9000, head, true), undated_video(tail, true)}));
  EXPECT_GT(demuxer_.counters().late_bytes, 0U);
  push(cat({video(12600, head, true), undated_video(tail, true)}));
  push(video(16200, head, true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_EQ(bytes_of(units()[1]), picture);
}

TEST_F(DemuxerTest, ParameterSetsInTheirOwnPesPacketJoinTheNextPicture) {
  push(mux_.tables(kH264AndAac));
  const ByteVector sps = {0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0x99};
  push(video(9000, sps, true));
  EXPECT_TRUE(units().empty());
  const auto picture = h264_picture(true, 100);
  push(video(9000, picture, true));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(bytes_of(units()[0]), cat({sps, picture}));
}

TEST_F(DemuxerTest, LossInsideAUnitDamagesIt) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 1000));
  packets.erase(packets.begin() + 188, packets.begin() + 376);
  push(packets);
  push(video(12600, h264_picture(false, 100), true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_TRUE(units()[0].damaged);
  EXPECT_FALSE(units()[1].damaged);
  EXPECT_EQ(demuxer_.stats().continuity_errors, 1U);
  EXPECT_EQ(demuxer_.stats().damaged_access_units, 1U);
}

TEST_F(DemuxerTest, LossOfAUnitsTailDamagesItToo) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 1000));
  packets.resize(packets.size() - 188);
  push(packets);
  push(video(12600, h264_picture(false, 100), true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_TRUE(units()[0].damaged);
  EXPECT_FALSE(units()[1].damaged);
}

TEST_F(DemuxerTest, ShortBoundedPesPacketIsDamagedEvenWhenSixteenPacketsWereLost) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 188 * 30), true);
  packets.erase(packets.begin() + 188 * 4, packets.begin() + 188 * 20);
  push(packets);
  push(video(12600, h264_picture(false, 100), true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_TRUE(units()[0].damaged);
}

TEST_F(DemuxerTest, ARoundOfTheCounterThatTheTransportMissedDamagesAPicture) {
  for (const bool told : {false, true}) {
    SCOPED_TRACE(told);
    sink_.units.clear();
    push(mux_.tables(kH264AndAac));
    const auto packets = video(9000, h264_picture(true, 188 * 30));
    push({packets.begin(), packets.begin() + 188 * 4});
    if (told) demuxer_.lose(16);
    push({packets.begin() + 188 * 20, packets.end()});
    push(video(12600, h264_picture(false, 100)));
    push(video(16200, h264_picture(false, 100)));
    ASSERT_GE(units().size(), 2U);
    const auto& torn = units()[units().size() - 2];
    EXPECT_EQ(torn.damaged, told) << "nothing else shows it";
    EXPECT_FALSE(units().back().damaged);
    demuxer_.flush();
  }
  EXPECT_EQ(demuxer_.stats().continuity_errors, 0U);
}

TEST_F(DemuxerTest, ALossThatTheCountersMustShowIsLeftToThem) {
  push(mux_.tables(kH264AndAac));
  const auto packets = video(9000, h264_picture(true, 188 * 30));
  push({packets.begin(), packets.begin() + 188 * 4});
  demuxer_.lose(14);
  push({packets.begin() + 188 * 4, packets.end()});
  push(video(12600, h264_picture(false, 100)));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_FALSE(units()[0].damaged) << "it was of another PID";
}

TEST_F(DemuxerTest, PacketWithTransportErrorIsDropped) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 1000));
  packets[188 + 1] |= 0x80;
  push(packets);
  push(video(12600, h264_picture(false, 100)));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_TRUE(units()[0].damaged);
  EXPECT_EQ(demuxer_.counters().transport_errors, 1U);
}

TEST_F(DemuxerTest, DuplicatePacketsAreDropped) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 1000);
  auto packets = video(9000, picture, true);
  const ByteVector again(packets.begin() + 188, packets.begin() + 376);
  packets.insert(packets.begin() + 376, again.begin(), again.end());
  push(packets);
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(bytes_of(units()[0]), picture);
  EXPECT_FALSE(units()[0].damaged);
  EXPECT_EQ(demuxer_.counters().duplicate_packets, 1U);
}

TEST_F(DemuxerTest, AnnouncedDiscontinuityIsNoError) {
  push(mux_.tables(kH264AndAac));
  push(video(9000, h264_picture(true, 100), true));
  mux_.counter(kVideo) = 9;
  push(mux_.packet(kVideo, true,
                   pes({.pts = 9'000'000, .dts = {}, .bounded = true}, h264_picture(true, 50)),
                   {0x80}));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_EQ(demuxer_.stats().continuity_errors, 0U);
  EXPECT_TRUE(units()[1].discontinuity);
}

TEST_F(DemuxerTest, ScrambledPacketsAreCountedAndDropped) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 1000));
  packets[3] |= 0x80;
  push(packets);
  demuxer_.flush();
  EXPECT_EQ(demuxer_.counters().scrambled_packets, 1U);
  EXPECT_TRUE(units().empty());
}

TEST_F(DemuxerTest, GarbageBetweenPacketsCostsNothing) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 1000);
  auto packets = video(9000, picture, true);
  const ByteVector garbage(50, 0x11);
  packets.insert(packets.begin() + 376, garbage.begin(), garbage.end());
  push(packets);
  demuxer_.flush();
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(bytes_of(units()[0]), picture);
  EXPECT_EQ(demuxer_.stats().sync_losses, 1U);
  EXPECT_EQ(demuxer_.stats().sync_byte_errors, 1U);
  EXPECT_EQ(demuxer_.stats().dropped_bytes, 50U);
}

TEST_F(DemuxerTest, CorruptedSyncByteCostsOnePacket) {
  push(mux_.tables(kH264AndAac));
  auto packets = video(9000, h264_picture(true, 2000), true);
  packets[376] = 0;
  push(packets);
  push(video(12600, h264_picture(false, 50), true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_TRUE(units()[0].damaged);
  EXPECT_FALSE(units()[1].damaged);
  EXPECT_EQ(demuxer_.stats().dropped_bytes, 188U);
  // One byte is an error, but no loss of synchronisation.
  EXPECT_EQ(demuxer_.stats().sync_byte_errors, 1U);
  EXPECT_EQ(demuxer_.stats().sync_losses, 0U);
}

TEST_F(DemuxerTest, TimestampsAreUnwrapped) {
  constexpr std::int64_t kWrap = std::int64_t{1} << 33;
  push(mux_.tables(kH264AndAac));
  push(video(kWrap - 1800, h264_picture(true, 100), true));
  push(video(1800, h264_picture(false, 100), true));
  push(audio(kWrap - 900, adts(50)));
  ASSERT_EQ(units().size(), 3U);
  EXPECT_EQ(units()[1].pts.count(), kWrap + 1800);
  EXPECT_FALSE(units()[1].discontinuity);
  EXPECT_EQ(units()[2].pts.count(), kWrap - 900);
}

TEST_F(DemuxerTest, JumpIsADiscontinuity) {
  push(mux_.tables(kH264AndAac));
  push(video(90'000, h264_picture(true, 100), true));
  push(video(90'000 * 10, h264_picture(false, 100), true));
  push(video(90'000 * 10 + 3600, h264_picture(false, 100), true));
  push(video(0, h264_picture(false, 100), true));
  ASSERT_EQ(units().size(), 4U);
  EXPECT_TRUE(units()[1].discontinuity);
  EXPECT_FALSE(units()[2].discontinuity);
  EXPECT_TRUE(units()[3].discontinuity);
  EXPECT_EQ(units()[3].pts.count(), 0);
}

TEST_F(DemuxerTest, PcrIsPlacedBesideTheTimestamps) {
  push(mux_.tables(kH264AndAac));
  push(video((std::int64_t{1} << 33) - 10, h264_picture(true, 100), true));
  // base 5, extension 7: a wrap later than the timestamp
  push(mux_.packet(kVideo, false, {}, {0x10, 0, 0, 0, 2, 0xfe, 7}), 33);
  demuxer_.flush();
  ASSERT_TRUE(demuxer_.pcr());
  EXPECT_EQ(demuxer_.pcr()->ticks_27mhz, ((std::int64_t{1} << 33) + 5) * 300 + 7);
}

TEST_F(DemuxerTest, OversizedUnitIsDroppedAndCounted) {
  DemuxerOptions options;
  options.access_unit_bytes_max = 2000;
  Demuxer demuxer(options, sink_);
  demuxer.push(mux_.tables(kH264AndAac), at_ms(0));
  demuxer.push(video(9000, h264_picture(true, 3000)), at_ms(0));
  demuxer.push(video(12600, h264_picture(false, 100), true), at_ms(0));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(units()[0].pts.count(), 12600);
  EXPECT_EQ(demuxer.counters().oversized_units, 1U);
}

TEST_F(DemuxerTest, TracksAreToldOnceAndAgainWhenTheyChange) {
  push(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio, {0x0a, 4, 'D', 'e', 'u', 0}}}));
  push(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio, {0x0a, 4, 'D', 'e', 'u', 0}}}));
  push(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio, {0x0a, 4, 'D', 'e', 'u', 0}}}, 1));
  ASSERT_EQ(sink_.tracks.size(), 1U);
  EXPECT_EQ(sink_.tracks[0][1].language, "deu");
  push(mux_.tables({{0x1b, kVideo}}, 2));
  ASSERT_EQ(sink_.tracks.size(), 2U);
  EXPECT_EQ(sink_.tracks[1].size(), 1U);
}

// By the registration descriptor, with the channel configuration in the extension descriptor.
TEST_F(DemuxerTest, OpusIsKnownByItsDescriptors) {
  const auto track = [](ByteVector descriptors) { return classify_stream(0x06, descriptors); };
  const ByteVector registration = {5, 4, 'O', 'p', 'u', 's'};
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0, 1, 2, 6, 8}) {
    const auto opus = track(cat({registration, {0x7f, 2, 0x80, code}, {10, 4, 'd', 'e', 'u', 0}}));
    EXPECT_EQ(opus.codec, media::Codec::kOpus);
    EXPECT_EQ(opus.opus_channels, code);
    EXPECT_EQ(opus.language, "deu");
    EXPECT_EQ(opus.description, "");
  }
  EXPECT_EQ(track(registration).opus_channels, 2) << "nothing said: stereo";
  EXPECT_EQ(track(cat({registration, {0x7f, 1, 0x80}})).opus_channels, 2);
  const auto strange = track(cat({registration, {0x7f, 2, 0x80, 0x82}}));
  EXPECT_EQ(strange.codec, media::Codec::kUnsupported);
  EXPECT_EQ(strange.description, "Opus audio of channel configuration 0x82");
  EXPECT_EQ(track({0x7f, 2, 0x80, 2}).codec, media::Codec::kUnsupported) << "not said to be Opus";
}

TEST_F(DemuxerTest, OpusPacketsComeOutOfTheirControlHeaders) {
  push(mux_.tables({{0x1b, kVideo}, {0x06, kAudio, {5, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, 1}}}));
  // 20 ms with a start trim; 2.5 ms of one byte, which is shorter than any other header.
  const ByteVector first = {0x7f, 0xf0, 4, 0x01, 0x38, 0xfc, 1, 2, 3};
  const ByteVector tiny = {0x7f, 0xe0, 1, 0xe0};
  push(audio(9000, cat({first, tiny, tiny})));
  ASSERT_EQ(units().size(), 3U);
  EXPECT_EQ(bytes_of(units()[0]), (ByteVector{1, 0xfc, 1, 2, 3}));
  EXPECT_EQ(bytes_of(units()[1]), (ByteVector{1, 0xe0}));
  EXPECT_EQ(units()[0].pts.count(), 9000);
  EXPECT_EQ(units()[1].pts.count(), 9000 + 1800);
  EXPECT_EQ(units()[2].pts.count(), 9000 + 1800 + 225);
  EXPECT_TRUE(units()[2].random_access);
}

TEST_F(DemuxerTest, TablesThatChangeAllTheTimeAreFollowedAFewTimesPerSecond) {
  for (int i = 0; i < 1000; ++i) {
    const std::uint8_t type = i % 2 == 0 ? 0x1b : 0x24;
    push(mux_.tables({{type, kVideo}}, i % 32), i);
  }
  EXPECT_LE(sink_.tracks.size(), 10U);
  EXPECT_GE(demuxer_.counters().ignored_table_changes, 900U);
  // What they settle at is followed in the end.
  for (int ms = 2000; ms < 3000; ms += 100) push(mux_.tables({{0x0f, kAudio}}, 5), ms);
  EXPECT_EQ(sink_.tracks.back().front().codec, Codec::kAac);
}

TEST_F(DemuxerTest, NextPmtIsNotYetInForce) {
  push(mux_.tables({{0x1b, kVideo}}));
  push(mux_.section(0x1000, pmt({{0x24, kVideo}}, 1, false)));
  EXPECT_EQ(sink_.tracks.size(), 1U);
}

TEST_F(DemuxerTest, NewCodecOnTheSamePidStartsAfresh) {
  push(mux_.tables({{0x24, kVideo}}));
  push(video(9000, hevc_slice(19, true, 300)));
  push(mux_.tables({{0x1b, kVideo}}, 1));
  const auto picture = h264_picture(true, 100);
  push(video(12600, picture, true));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_EQ(units()[0].codec, Codec::kHevc);
  EXPECT_EQ(units()[1].codec, Codec::kH264);
  EXPECT_TRUE(units()[1].discontinuity);
  EXPECT_EQ(bytes_of(units()[1]), picture);
}

TEST_F(DemuxerTest, UnchangedStreamsGoOnThroughANewPmt) {
  push(mux_.tables({{0x1b, kVideo}}));
  const auto data = video(9000, h264_picture(true, 1000), true);
  push(ByteVector(data.begin(), data.begin() + 376));
  push(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio}}, 1));
  push(ByteVector(data.begin() + 376, data.end()));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_FALSE(units()[0].damaged);
}

TEST_F(DemuxerTest, TableWithABadCrcIsCountedAndIgnored) {
  auto section = pmt(kH264AndAac);
  section[14] ^= 1;
  push(cat({mux_.section(0, pat({{1, 0x1000}})), mux_.section(0x1000, section)}));
  demuxer_.flush();
  EXPECT_TRUE(sink_.tracks.empty());
  EXPECT_EQ(demuxer_.stats().section_crc_errors, 1U);
}

TEST_F(DemuxerTest, FirstProgrammeUnlessOneIsAskedFor) {
  const auto tables = cat({mux_.section(0, pat({{0, 0x10}, {5, 0x1000}, {7, 0x1001}})),
                           mux_.section(0x1000, pmt({{0x1b, 0x100}}, 0, true, 5)),
                           mux_.section(0x1001, pmt({{0x24, 0x200}}, 0, true, 7))});
  push(tables);
  ASSERT_EQ(sink_.tracks.size(), 1U);
  EXPECT_EQ(sink_.tracks[0][0].id, 0x100U);
  RecordingSink other;
  DemuxerOptions options;
  options.programme_number = 7;
  Demuxer demuxer(options, other);
  demuxer.push(tables, at_ms(0));
  ASSERT_EQ(other.tracks.size(), 1U);
  EXPECT_EQ(other.tracks[0][0].id, 0x200U);
}

TEST_F(DemuxerTest, StreamsOverTheLimitAreIgnored) {
  std::vector<EsInfo> many;
  for (int i = 0; i < 20; ++i) many.push_back({0x0f, 0x100 + i});
  push(mux_.tables(many));
  demuxer_.flush();
  ASSERT_EQ(sink_.tracks.size(), 1U);
  EXPECT_EQ(sink_.tracks[0].size(), kElementaryStreamsMax);
  EXPECT_EQ(demuxer_.counters().ignored_streams, 4U);
}

TEST_F(DemuxerTest, AudioIsSplitIntoDatedFrames) {
  push(mux_.tables(kH264AndAac));
  const auto a = adts(100);
  const auto b = adts(200);
  const auto c = adts(300);
  push(audio(9000, cat({a, b, c})));
  ASSERT_EQ(units().size(), 3U);
  EXPECT_EQ(bytes_of(units()[1]), b);
  EXPECT_EQ(units()[2].pts.count(), 9000 + 2 * 1920);
  EXPECT_TRUE(units()[2].random_access);
}

TEST_F(DemuxerTest, AudioFramesMaySpanPesPackets) {
  push(mux_.tables(kH264AndAac));
  const auto a = adts(300);
  const auto b = adts(300);
  const auto c = adts(300);
  const auto cut = b.begin() + 100;
  push(audio(9000, cat({a, ByteVector(b.begin(), cut)})));
  push(audio(9000 + 2 * 1920 + 5, cat({ByteVector(cut, b.end()), c})));
  ASSERT_EQ(units().size(), 3U);
  EXPECT_EQ(bytes_of(units()[1]), b);
  EXPECT_EQ(units()[1].pts.count(), 9000 + 1920);
  EXPECT_EQ(units()[2].pts.count(), 9000 + 2 * 1920 + 5);
}

TEST_F(DemuxerTest, LossInAudioDropsFramesUntilTheNextPesPacket) {
  push(mux_.tables(kH264AndAac));
  auto packets = audio(9000, cat({adts(300), adts(300), adts(300)}));
  packets.erase(packets.begin() + 2 * 188, packets.begin() + 3 * 188);
  push(packets);
  push(audio(9000 + 3 * 1920, adts(300)));
  ASSERT_EQ(units().size(), 2U);
  EXPECT_EQ(units()[1].pts.count(), 9000 + 3 * 1920);
}

TEST_F(DemuxerTest, FlushMarksAUnitThatMayLackItsTail) {
  push(mux_.tables(kH264AndAac));
  const auto packets = video(9000, h264_picture(true, 1000));
  push(ByteVector(packets.begin(), packets.begin() + 3 * 188));
  demuxer_.flush();
  ASSERT_EQ(units().size(), 1U);
  EXPECT_TRUE(units()[0].damaged);
}

TEST_F(DemuxerTest, PesHeaderMaySpanPackets) {
  push(mux_.tables(kH264AndAac));
  const auto picture = h264_picture(true, 100);
  push(mux_.unit(kVideo, pes({.pts = 9000, .dts = 5400, .bounded = true}, picture), 5));
  ASSERT_EQ(units().size(), 1U);
  EXPECT_EQ(units()[0].dts.count(), 5400);
  EXPECT_EQ(bytes_of(units()[0]), picture);
}

}  // namespace
}  // namespace mirror::mpegts
