#include "media_probe.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mirror::load {
namespace {

std::string number(std::uint64_t value, int width) {
  std::string text;
  for (int i = width - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string box(const std::string& type, const std::string& body) {
  return number(body.size() + 8, 4) + type + body;
}

std::string full(const std::string& type, unsigned version, unsigned flags,
                 const std::string& body) {
  return box(type, number(version << 24 | flags, 4) + body);
}

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

const std::string kPrft =
    full("prft", 1, 24, number(1, 4) + number(0xed01b330'80000000, 8) + number(77, 8));

std::string moof(const std::string& tfhd, const std::string& tfdt, const std::string& trun) {
  return box("moof", full("mfhd", 0, 0, number(1, 4)) + box("traf", tfhd + tfdt + trun));
}

TEST(ProbePart, ReadsCaptureTimeAndPlaceOnTheTimeline) {
  const auto part =
      bytes_of(kPrft +
               moof(full("tfhd", 0, 0x20028, number(1, 4) + number(1001, 4) + number(0, 4)),
                    full("tfdt", 1, 0, number(1ULL << 40, 8)),
                    full("trun", 0, 0x205, number(3, 4) + std::string(20, '\0'))) +
               box("mdat", "media"));
  const auto facts = probe_part(part);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->decode_time, std::optional<std::uint64_t>(1ULL << 40));
  EXPECT_EQ(facts->duration, std::optional<std::uint64_t>(3003));
  // RFC 5905's era 0: 0xed01b330 seconds from 1900 is 2026-01-02, and 0x80000000 half a second.
  ASSERT_TRUE(facts->captured);
  EXPECT_EQ(facts->captured->time_since_epoch().count() % 1'000'000, 500'000);
  EXPECT_EQ(std::chrono::floor<std::chrono::days>(*facts->captured),
            std::chrono::sys_days(std::chrono::year(2026) / 1 / 2));
}

TEST(ProbePart, SumsTheDurationsOfSamples) {
  const auto part = bytes_of(
      box("styp", "msdh") +
      moof(full("tfhd", 0, 1, number(1, 4) + number(0, 8)), full("tfdt", 0, 0, number(9, 4)),
           full("trun", 0, 0x300,
                number(2, 4) + number(10, 4) + number(99, 4) + number(11, 4) + number(99, 4))));
  const auto facts = probe_part(part);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->decode_time, std::optional<std::uint64_t>(9));
  EXPECT_EQ(facts->duration, std::optional<std::uint64_t>(21));
  EXPECT_FALSE(facts->captured);
}

// A server that sends each frame as it is encoded writes a chunk for each.
TEST(ProbePart, AddsUpTheChunksOfAPart) {
  std::string part;
  for (const std::uint64_t time : {300, 400, 500}) {
    part += kPrft +
            moof(full("tfhd", 0, 8, number(1, 4) + number(100, 4)),
                 full("tfdt", 1, 0, number(time, 8)), full("trun", 0, 0, number(1, 4))) +
            box("mdat", "frame");
  }
  const auto facts = probe_part(bytes_of(part));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->decode_time, std::optional<std::uint64_t>(300));
  EXPECT_EQ(facts->duration, std::optional<std::uint64_t>(300));
  EXPECT_FALSE(probe_part(bytes_of(part + "tail")));
}

TEST(ProbePart, DurationsThatOnlyTheInitSegmentKnowsStayUnknown) {
  const auto facts = probe_part(
      bytes_of(moof(full("tfhd", 0, 0, number(1, 4)), "", full("trun", 0, 0, number(2, 4)))));
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->decode_time);
  EXPECT_FALSE(facts->duration);
}

TEST(ProbePart, RefusesWhatIsNoPart) {
  const std::string good = moof(full("tfhd", 0, 0, number(1, 4)), "", "");
  for (const std::string& text :
       {std::string(), std::string("short"), std::string("<html></html>"), box("mdat", "x") + good,
        kPrft, number(7, 4) + "moof", number(100, 4) + "moof", number(1, 4) + "moof"}) {
    EXPECT_FALSE(probe_part(bytes_of(text))) << text;
  }
}

TEST(ProbeInit, IsFtypAndMoov) {
  EXPECT_TRUE(probe_init(bytes_of(box("ftyp", "iso6") + box("moov", ""))));
  EXPECT_FALSE(probe_init(bytes_of(box("ftyp", "iso6"))));
  EXPECT_FALSE(probe_init(bytes_of(box("moov", ""))));
  EXPECT_FALSE(probe_init({}));
}

}  // namespace
}  // namespace mirror::load
