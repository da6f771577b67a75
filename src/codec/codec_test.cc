#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "codec/annexb.h"
#include "codec/audio_frame.h"
#include "codec/codec_string.h"
#include "codec/exercises.h"
#include "codec/nal.h"
#include "codec/opus.h"
#include "codec/rbsp.h"

namespace mirror::codec {
namespace {

using ByteVector = std::vector<std::uint8_t>;
using media::Codec;

TEST(AnnexB, FindsUnitsBehindBothKindsOfStartCode) {
  const ByteVector stream = {0xff, 0, 0, 0, 1, 0x67, 1, 0,    0, 1,
                             0x68, 2, 0, 0, 0, 0,    1, 0x65, 0, 3};
  AnnexBReader reader(stream);
  const auto sps = reader.next();
  ASSERT_TRUE(sps);
  EXPECT_EQ(sps->offset, 1U);
  EXPECT_EQ(ByteVector(sps->bytes.begin(), sps->bytes.end()), (ByteVector{0x67, 1}));
  const auto pps = reader.next();
  ASSERT_TRUE(pps);
  EXPECT_EQ(pps->offset, 7U);
  EXPECT_EQ(ByteVector(pps->bytes.begin(), pps->bytes.end()), (ByteVector{0x68, 2}));
  const auto slice = reader.next();
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->bytes.size(), 3U);
  EXPECT_FALSE(reader.next());
}

TEST(AnnexB, StartCodeSearchAgreesWithTheObviousOne) {
  std::uint32_t seed = 7;
  for (int round = 0; round < 2000; ++round) {
    ByteVector bytes(static_cast<std::size_t>(round % 40));
    for (auto& b : bytes) {
      seed = seed * 1664525 + 1013904223;
      b = static_cast<std::uint8_t>((seed >> 24) % 3);
    }
    std::size_t expected = bytes.size();
    for (std::size_t i = 0; i + 3 <= bytes.size(); ++i) {
      if (bytes[i] == 0 && bytes[i + 1] == 0 && bytes[i + 2] == 1) {
        expected = i;
        break;
      }
    }
    ASSERT_EQ(find_start_code(bytes, 0), expected);
  }
}

TEST(AnnexB, BecomesLengthPrefixed) {
  const ByteVector stream = {0, 0, 0, 1,    0x09, 0xf0, 0, 0, 0,    1, 0x67, 1,
                             0, 0, 1, 0x68, 2,    0,    0, 1, 0x65, 5, 6,    7};
  EXPECT_EQ(annexb_to_length_prefixed(stream, Keep::kSlices),
            (ByteVector{0, 0, 0, 4, 0x65, 5, 6, 7}));
  EXPECT_EQ(annexb_to_length_prefixed(stream).size(), 6U + 6 + 6 + 8);
  EXPECT_TRUE(annexb_to_length_prefixed({}).empty());
}

TEST(AnnexB, ParameterSetsOfExtradata) {
  const ByteVector extradata = {0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0, 0, 0, 1, 0x68, 0xce};
  const auto sets = h264_parameter_sets(extradata);
  EXPECT_EQ(sets.sps, (ByteVector{0x67, 0x42, 0xc0, 0x1e}));
  EXPECT_EQ(sets.pps, (ByteVector{0x68, 0xce}));
}

TEST(Rbsp, StepsOverEmulationPrevention) {
  const ByteVector bytes = {0, 0, 3, 1, 0x80};
  RbspReader reader(bytes);
  EXPECT_EQ(reader.bits(24), 1U);
  EXPECT_EQ(reader.unsigned_golomb(), 0U);
  EXPECT_FALSE(reader.overrun());
  reader.bits(32);
  EXPECT_TRUE(reader.overrun());
}

TEST(Nal, RandomAccess) {
  EXPECT_TRUE(marks_random_access(Codec::kH264, ByteVector{0x65, 0x88}));
  EXPECT_FALSE(marks_random_access(Codec::kH264, ByteVector{0x41, 0x88}));
  // An SEI NAL unit with user data of two bytes, then a recovery point.
  EXPECT_TRUE(marks_random_access(Codec::kH264, ByteVector{6, 5, 2, 9, 9, 6, 1, 0x84, 0x80}));
  EXPECT_FALSE(marks_random_access(Codec::kH264, ByteVector{6, 5, 2, 9, 9, 0x80}));
  for (int type = 0; type < 48; ++type) {
    const ByteVector nal = {static_cast<std::uint8_t>(type << 1), 1, 0x80};
    EXPECT_EQ(marks_random_access(Codec::kHevc, nal), type >= 16 && type <= 23) << type;
  }
}

TEST(Nal, FactsOfAnAccessUnit) {
  const ByteVector unit = {0,    0, 1, 0x40, 1, 7, 0,    0, 1,    0x42, 1, 7, 0,    0, 1,
                           0x44, 1, 7, 0,    0, 1, 0x26, 1, 0x80, 0,    0, 1, 0x26, 1, 0x20};
  const auto facts = inspect_access_unit(Codec::kHevc, unit);
  EXPECT_TRUE(facts.vps && facts.sps && facts.pps && facts.random_access);
  EXPECT_EQ(facts.first_slices, 1);
}

TEST(Nal, PicturesThatNoOtherRefersTo) {
  const auto h264 = [](std::uint8_t header) {
    return may_be_referred_to(Codec::kH264, ByteVector{0, 0, 1, 9, 0xf0, 0, 0, 1, header, 0x80});
  };
  EXPECT_TRUE(h264(0x65));
  EXPECT_TRUE(h264(0x41));
  EXPECT_TRUE(h264(0x21));
  EXPECT_FALSE(h264(0x01));
  const auto hevc = [](int type) {
    return may_be_referred_to(
        Codec::kHevc,
        ByteVector{0, 0, 1, 0x46, 1, 0, 0, 1, static_cast<std::uint8_t>(type << 1), 1, 0x80});
  };
  for (const int type : {0, 2, 4, 6, 8, 14}) EXPECT_FALSE(hevc(type)) << type;
  for (const int type : {1, 3, 9, 16, 19, 20, 21}) EXPECT_TRUE(hevc(type)) << type;
  EXPECT_TRUE(may_be_referred_to(Codec::kHevc, {})) << "nothing to be seen";
}

TEST(Nal, BeginsAccessUnit) {
  EXPECT_TRUE(begins_access_unit(Codec::kH264, ByteVector{0, 0, 0, 1, 9, 0xf0}));
  EXPECT_TRUE(begins_access_unit(Codec::kH264, ByteVector{0, 0, 1, 0x41, 0x80}));
  EXPECT_FALSE(begins_access_unit(Codec::kH264, ByteVector{0, 0, 1, 0x41, 0x40}));
  EXPECT_FALSE(begins_access_unit(Codec::kH264, ByteVector{5, 0, 0, 1, 9, 0xf0}));
  EXPECT_FALSE(begins_access_unit(Codec::kH264, ByteVector{0, 0, 1}));
}

TEST(Hevc, TellsHowTheSourceWasScanned) {
  // What x265 writes, with its emulation prevention bytes.
  ByteVector sps = {0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5d};
  const auto progressive = parse_hevc_source_scan(sps);
  ASSERT_TRUE(progressive);
  EXPECT_TRUE(progressive->progressive);
  EXPECT_FALSE(progressive->interlaced);
  sps[9] = 0x40;
  const auto interlaced = parse_hevc_source_scan(sps);
  ASSERT_TRUE(interlaced);
  EXPECT_FALSE(interlaced->progressive);
  EXPECT_TRUE(interlaced->interlaced);
  EXPECT_FALSE(parse_hevc_source_scan(std::span(sps).first(9)));
  EXPECT_FALSE(parse_hevc_source_scan({}));
  sps[0] = 0x44;
  EXPECT_FALSE(parse_hevc_source_scan(sps)) << "a PPS";
}

TEST(Nal, SecondFieldOfAFrame) {
  // Baseline, id 0, frame_num of 4 bits, poc type 2, 1 reference, 1x1 macroblocks,
  // frame_mbs_only_flag 0: bits 1 1 011 010 0 1 1 0, then padding.
  const ByteVector sps = {0x67, 0x42, 0, 0x1e, 0b11011010, 0b01101000};
  const auto parsed = parse_h264_sps(sps);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->frame_mbs_only);
  // first_mb 0, slice_type 0, pps 0: 111; frame_num 0101; field_pic 1; bottom.
  const ByteVector top = {0x41, 0b11101011, 0b00000000};
  const ByteVector bottom = {0x41, 0b11101011, 0b10000000};
  H264FieldPairing pairing;
  EXPECT_FALSE(pairing.is_second_field(sps));
  EXPECT_FALSE(pairing.is_second_field(top));
  EXPECT_TRUE(pairing.is_second_field(bottom));
  EXPECT_FALSE(pairing.is_second_field(bottom));
  EXPECT_FALSE(pairing.is_second_field(bottom));
}

TEST(AudioFrame, Adts) {
  ByteVector stream = {0xff, 0xf1, 0x4c, 0x80, 0x01, 0x3f, 0xfc, 1, 2};
  stream.insert(stream.end(), stream.begin(), stream.begin() + 9);
  const auto header = parse_adts(stream);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->frame_size, 9);
  EXPECT_EQ(header->sample_rate(), 48'000U);
  EXPECT_EQ(header->channel_configuration, 2);
  EXPECT_EQ(header->audio_specific_config(), (std::array<std::uint8_t, 2>{0x11, 0x90}));
  AdtsReader reader(stream);
  EXPECT_TRUE(reader.next());
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST(AudioFrame, MpegAudioAndAc3) {
  // MPEG-1 layer II, 192 kbit/s, 48 kHz.
  const auto mp2 = parse_audio_frame(Codec::kMpegAudio, ByteVector{0xff, 0xfd, 0xa4, 0, 0, 0, 0});
  ASSERT_TRUE(mp2);
  EXPECT_EQ(mp2->size, 576U);
  EXPECT_EQ(mp2->samples, 1152U);
  // AC-3, 48 kHz, 192 kbit/s.
  const auto ac3 = parse_audio_frame(Codec::kAc3, ByteVector{0x0b, 0x77, 0, 0, 0x14, 0x40, 0});
  ASSERT_TRUE(ac3);
  EXPECT_EQ(ac3->size, 768U);
  EXPECT_EQ(ac3->samples, 1536U);
  EXPECT_FALSE(parse_audio_frame(Codec::kAc3, ByteVector{0x0b, 0x77, 0, 0, 0xd4, 0x40, 0}));
  EXPECT_FALSE(parse_audio_frame(Codec::kAac, ByteVector{0xff, 0xf1}));
}

// What the fuzzer keeps is tried with every build.
TEST(Opus, ControlHeaderAndTableOfContents) {
  struct Case {
    std::vector<std::uint8_t> bytes;
    std::size_t header, packet;
    std::uint32_t samples;
  };
  const std::vector<Case> cases = {
      {{0x7f, 0xe0, 2, 0xfc, 0x00}, 3, 2, 960},                        // CELT, 20 ms
      {{0x7f, 0xe0, 1, 0xe0}, 3, 1, 120},                              // CELT, 2.5 ms
      {{0x7f, 0xe0, 3, 0x1b, 0x02, 0}, 3, 3, 5760},                    // SILK, two of 60 ms
      {{0x7f, 0xe0, 3, 0x61, 0, 0}, 3, 3, 960},                        // hybrid, two of 10 ms
      {{0x7f, 0xf0, 255, 26, 0x01, 0x38, 0xfc}, 6, 281, 960},          // as ffmpeg begins
      {{0x7f, 0xf8, 2, 0, 1, 0, 1, 0xfc, 0}, 7, 2, 960},               // both trims
      {{0x7f, 0xfc, 2, 0, 1, 0, 1, 3, 9, 9, 9, 0xfc, 0}, 11, 2, 960},  // and an extension
  };
  for (const Case& each : cases) {
    const auto unit = parse_opus_unit(each.bytes);
    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->header_size, each.header);
    EXPECT_EQ(unit->packet_size, each.packet);
    EXPECT_EQ(unit->samples, each.samples);
    // Of less it says that more is needed, or the same, and never reads beyond.
    for (std::size_t size = 0; size < each.bytes.size(); ++size) {
      const auto part = parse_opus_unit(std::span(each.bytes).first(size));
      if (part) continue;
      EXPECT_EQ(part.error(), OpusFault::kIncomplete);
    }
  }
}

TEST(Opus, WhatIsNoAccessUnit) {
  std::vector<std::uint8_t> long_one(40, 255);
  long_one[0] = 0x7f;
  long_one[1] = 0xe0;
  const std::vector<std::vector<std::uint8_t>> cases = {
      {0x7f, 0xc0, 1, 0xfc},        // no prefix
      {0x3f, 0xe0, 1, 0xfc},        //
      {0x7f, 0xe0, 0, 0xfc},        // nothing in it
      {0x7f, 0xe0, 1, 0xff},        // a count of frames is announced and lacking
      {0x7f, 0xe0, 3, 0xff, 0, 0},  // no frame
      {0x7f, 0xe0, 3, 0x1b, 3, 0},  // 180 ms
      long_one};
  for (const auto& bytes : cases) {
    const auto unit = parse_opus_unit(bytes);
    ASSERT_FALSE(unit);
    EXPECT_EQ(unit.error(), OpusFault::kNone);
  }
}

TEST(Opus, IdentificationHeaders) {
  EXPECT_EQ(opus_identification(kOpusStereo),
            (std::vector<std::uint8_t>{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0, 0, 0x80,
                                       0xbb, 0, 0, 0, 0, 0}));
  const auto six = opus_identification(6);
  EXPECT_EQ(six[9], 6);
  EXPECT_EQ(std::vector<std::uint8_t>(six.begin() + 18, six.end()),
            (std::vector<std::uint8_t>{1, 4, 2, 0, 4, 1, 2, 3, 5}));
  const auto dual_mono = opus_identification(kOpusDualMono);
  EXPECT_EQ(std::vector<std::uint8_t>(dual_mono.begin() + 18, dual_mono.end()),
            (std::vector<std::uint8_t>{255, 2, 0, 0, 1}));
}

TEST(FuzzCorpus, NalUnitsAreReadWithoutHarm) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/nal")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const ByteVector bytes(std::istreambuf_iterator<char>(file), {});
    test::exercise_nal(bytes);
    ++files;
  }
  EXPECT_GT(files, 0U);
}

TEST(CodecString, AvcAndAac) {
  EXPECT_EQ(avc_codec_string(ByteVector{0x67, 0x42, 0xc0, 0x1e}).value(), "avc1.42C01E");
  EXPECT_FALSE(avc_codec_string(ByteVector{0x68, 0x42, 0xc0, 0x1e}));
  EXPECT_EQ(aac_codec_string(ByteVector{0x11, 0x90}).value(), "mp4a.40.2");
  EXPECT_FALSE(aac_codec_string(ByteVector{}));
}

}  // namespace
}  // namespace mirror::codec
