#include "push/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

#include "push/frame_reader.h"
#include "push/frames_exercise.h"
#include "push/varint.h"

namespace mirror::push {
namespace {

using namespace std::chrono_literals;

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", static_cast<unsigned char>(byte));
  }
  return text;
}

std::span<const std::uint8_t> span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

WallTime at_us(std::int64_t us) { return WallTime(std::chrono::microseconds(us)); }

PartHead example_part() {
  return {.track = 1,
          .at = {7, 3},
          .independent = true,
          .decode_time = 106'000,
          .duration = 3'000,
          .times = {at_us(1), at_us(2), at_us(3), at_us(4)}};
}

// The frames of the examples in docs/push-protocol.md.
std::map<std::string, std::string> example_frames() {
  using namespace std::chrono;
  const WallTime now = sys_days(year(2026) / 1 / 2) + 3h + 4min + 5'678ms;
  PartHead chunk = example_part();
  chunk.independent = false;
  chunk.chunk = true;
  chunk.last = false;
  chunk.offset = 100;
  const TrackInfo track{.number = 1,
                        .stream = "cam1",
                        .rendition = "v360",
                        .epoch = "e1",
                        .codec = "avc1.64001E",
                        .timescale = 30'000,
                        .sample_duration = 1'000,
                        .format = VideoFormat{640, 360, {30, 1}}};
  const auto text = [](const Bytes& bytes) { return std::string(bytes.text()); };
  return {{"hello", text(encode(Hello{1, "0-5e55", now}))},
          {"track", text(encode(track))},
          {"init", text(encode_head(InitHead{1}, 4)) + "init"},
          {"part", text(encode_head(example_part(), 4)) + "moof"},
          {"chunk", text(encode_head(chunk, 4)) + "moof"},
          {"dropped", text(encode(Dropped{1, {7, 3}, {8, 4}, 7, DropReason::kAge}))},
          {"state", text(encode(StateChange{StreamState::kReconnecting, "cam1", "v360"}))},
          {"error", text(encode(ErrorNotice{ErrorCode::kNoSuchSubscription, "no"}))},
          {"ping", text(encode(Ping{at_us(1)}))}};
}

TEST(Frames, AreAsTheDocumentSays) {
  std::ifstream file("docs/push-protocol.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  const std::regex example("```example (\\w+)\n([0-9a-f \n]*)```");
  std::map<std::string, std::string> documented;
  for (std::sregex_iterator it(document.begin(), document.end(), example), end; it != end; ++it) {
    std::string bytes = (*it)[2];
    std::ranges::replace(bytes, '\n', ' ');
    while (bytes.ends_with(' ')) bytes.pop_back();
    documented[(*it)[1]] = bytes;
  }
  std::map<std::string, std::string> encoded;
  for (const auto& [name, bytes] : example_frames()) encoded[name] = hex(bytes);
  EXPECT_EQ(documented, encoded);
}

TEST(Frames, ComeBackAsTheyWere) {
  const auto read = [](const std::string& name) {
    static FrameReader reader;
    const std::string bytes = example_frames().at(name);
    reader.append(span_of(bytes));
    auto frame = reader.next();
    EXPECT_TRUE(frame && *frame) << name;
    return **frame;
  };
  EXPECT_EQ(std::get<Hello>(read("hello")).session, "0-5e55");
  const auto track = std::get<TrackInfo>(read("track"));
  EXPECT_EQ(track.codec, "avc1.64001E");
  EXPECT_EQ(std::get<VideoFormat>(track.format).height, 360u);
  const auto part = std::get<Part>(read("part"));
  EXPECT_EQ(part.head.at, (hls::PartPosition{7, 3}));
  EXPECT_TRUE(part.head.independent && part.head.last && !part.head.chunk);
  EXPECT_EQ(part.head.times.published, at_us(4));
  EXPECT_EQ(part.body.size(), 4u);
  const auto chunk = std::get<Part>(read("chunk"));
  EXPECT_TRUE(chunk.head.chunk && !chunk.head.last);
  EXPECT_EQ(chunk.head.offset, 100u);
  EXPECT_EQ(std::get<Init>(read("init")).body.size(), 4u);
  EXPECT_EQ(std::get<Dropped>(read("dropped")).to, (hls::PartPosition{8, 4}));
  EXPECT_EQ(std::get<StateChange>(read("state")).rendition, "v360");
  EXPECT_EQ(std::get<ErrorNotice>(read("error")).text, "no");
  EXPECT_EQ(std::get<Ping>(read("ping")).now, at_us(1));
}

TEST(Varint, IsThatOfRfc9000) {
  // The examples of its appendix A.1.
  const std::map<std::uint64_t, std::string> examples = {
      {151'288'809'941'952'652, "c2 19 7c 5e ff 14 e8 8c"},
      {494'878'333, "9d 7f 3e 7d"},
      {15'293, "7b bd"},
      {37, "25"}};
  for (const auto& [value, bytes] : examples) {
    std::string written;
    append_varint(written, value);
    EXPECT_EQ(hex(written), bytes);
    auto rest = span_of(written);
    EXPECT_EQ(take_varint(rest), value);
    EXPECT_TRUE(rest.empty());
  }
  const std::string longer = "\x40\x25";
  auto rest = span_of(longer);
  EXPECT_EQ(take_varint(rest), 37u);
}

TEST(FrameReader, TakesAStreamHoweverItIsCut) {
  std::string stream;
  for (const auto& [name, bytes] : example_frames()) stream += bytes;
  stream += "\x3f\x02xy";  // a type of the future
  for (std::size_t step = 1; step < 40; ++step) {
    FrameReader reader;
    std::size_t frames = 0;
    std::size_t unknown = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.append(span_of(stream).subspan(at, std::min(step, stream.size() - at)));
      for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
        ++frames;
        if (std::holds_alternative<Unknown>(**frame)) ++unknown;
      }
    }
    EXPECT_EQ(frames, example_frames().size() + 1);
    EXPECT_EQ(unknown, 1u);
    EXPECT_EQ(reader.unread(), 0u);
  }
}

TEST(FrameReader, PassesOverFieldsOfTheFuture) {
  std::string ping = example_frames().at("ping") + "more";
  ping[1] = static_cast<char>(ping.size() - 2);
  FrameReader reader;
  reader.append(span_of(ping));
  const auto frame = reader.next();
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ(std::get<Ping>(**frame).now, at_us(1));
}

TEST(FrameReader, StopsAtNonsense) {
  const std::vector<std::string> wrong = {
      std::string("\x08\x00", 2),                              // a ping without its time
      std::string("\x06\x03\x04\x00\x00", 5),                  // a state that is none
      std::string("\x05\x06\x01\x08\x00\x07\x00\x01", 8),      // from behind to, and no reason
      std::string("\x01\x03\x01\x10s", 5),                     // a text longer than its frame
      std::string("\x04\xc0\x00\x00\x00\x10\x00\x00\x00", 9),  // a frame that nobody could hold
  };
  for (const auto& bytes : wrong) {
    FrameReader reader;
    reader.append(span_of(bytes));
    EXPECT_FALSE(reader.next()) << hex(bytes);
    reader.append(span_of(example_frames().at("ping")));
    EXPECT_FALSE(reader.next()) << "what follows means nothing";
    EXPECT_LE(reader.unread(), bytes.size());
  }
}

TEST(FrameReader, SurvivesDamageAnywhere) {
  std::string stream;
  for (const auto& [name, bytes] : example_frames()) stream += bytes;
  for (std::size_t at = 0; at < stream.size(); ++at) {
    for (const int flip : {0x01, 0x40, 0x80, 0xff}) {
      std::string damaged = stream;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      exercise_frames(span_of(damaged));
    }
  }
}

TEST(FramesCorpus, Replays) {
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/push_frames")) {
    std::ifstream file(entry.path(), std::ios::binary);
    exercise_frames(span_of(std::string{std::istreambuf_iterator<char>(file), {}}));
  }
}

}  // namespace
}  // namespace mirror::push
