#include "push/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "push/control_exercise.h"

namespace mirror::push {
namespace {

using testing::HasSubstr;

const std::string kTarget = R"("stream":"cam1","rendition":"v360")";

template <class Message>
Message parse(const std::string& line) {
  const auto message = parse_control_line(line);
  EXPECT_TRUE(message) << line << ": " << message.error().message;
  return message ? std::get<Message>(*message) : Message{};
}

TEST(Control, ReadsEachMessage) {
  const auto subscribe =
      parse<Subscribe>("{\"type\":\"subscribe\"," + kTarget + R"(,"priority":7,"chunks":true})");
  EXPECT_EQ(subscribe.target, (Target{"cam1", "v360"}));
  EXPECT_EQ(subscribe.priority, 7);
  EXPECT_TRUE(subscribe.chunks);
  EXPECT_EQ(parse<Subscribe>("{\"type\":\"subscribe\"," + kTarget + "}").priority,
            kPriorityDefault);
  EXPECT_EQ(parse<Unsubscribe>("{\"type\":\"unsubscribe\"," + kTarget + "}").target.stream, "cam1");
  EXPECT_EQ(parse<SetPriority>("{\"type\":\"priority\"," + kTarget + ",\"priority\":255}").priority,
            255);
  EXPECT_EQ(parse<Pause>("{\"type\":\"pause\"," + kTarget + "}").target.rendition, "v360");
  EXPECT_EQ(parse<Resume>("{\"type\":\"resume\"," + kTarget + "}").target.rendition, "v360");
  const auto to =
      parse<Switch>("{\"type\":\"switch\"," + kTarget + ",\"to_rendition\":\"v720\"}").to;
  EXPECT_EQ(to, (Target{"cam1", "v720"}));
  const auto rendered = parse<Rendered>(
      R"({"type":"rendered","track":3,"msn":12,"part":4,"captured_us":1000,"rendered_us":2000})");
  EXPECT_EQ(rendered.track, 3u);
  EXPECT_EQ(rendered.at, (hls::PartPosition{12, 4}));
  EXPECT_EQ(rendered.rendered - rendered.captured, std::chrono::microseconds(1000));
}

TEST(Control, RefusesEverythingElseInWords) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "not a JSON object"},
      {"{", "not a JSON object"},
      {"[]", "an array has no place here"},
      {"7", "a bare value"},
      {"null", "null has no place"},
      {"{}", "type is missing"},
      {"{} {}", "not a JSON object"},
      {R"({"type":7})", "type is not a text"},
      {R"({"type":"fly"})", "type names no message"},
      {R"({"type":"pause","type":"pause"})", "a key comes twice"},
      {R"({"type":"pause","stream":"a"})", "rendition is missing"},
      {R"({"type":"pause","stream":"a","rendition":{}})", "an object has no place"},
      {R"({"type":"pause","stream":"../a","rendition":"b"})", "stream is not a name"},
      {R"({"type":"pause","stream":"a","rendition":""})", "rendition is not a name"},
      {"{\"type\":\"pause\"," + kTarget + ",\"x\":1}", "a key that this message does not have"},
      {"{\"type\":\"priority\"," + kTarget + "}", "priority is missing"},
      {"{\"type\":\"priority\"," + kTarget + ",\"priority\":256}", "priority is above 255"},
      {"{\"type\":\"priority\"," + kTarget + ",\"priority\":-1}", "a negative number"},
      {"{\"type\":\"priority\"," + kTarget + ",\"priority\":1.5}", "a fraction"},
      {"{\"type\":\"priority\"," + kTarget + ",\"priority\":1e300}", "a fraction"},
      {"{\"type\":\"priority\"," + kTarget + ",\"priority\":\"1\"}", "priority is not a whole"},
      {"{\"type\":\"subscribe\"," + kTarget + ",\"chunks\":1}", "chunks is not true or false"},
      {"{\"type\":\"switch\"," + kTarget + "}", "the switch leads nowhere"},
      {"{\"type\":\"switch\"," + kTarget + ",\"to_stream\":\"a b\"}", "to_stream is not a name"},
      {R"({"type":"rendered","track":1,"msn":1,"part":4294967296,"captured_us":1,"rendered_us":2})",
       "part is above"},
      {"{\"type\":\"pause\"," + kTarget + ",\"\xff\":1}", "not a JSON object"},
      {std::string(kControlLineBytesMax + 1, ' '), "longer than"},
      {std::string(1'000, '['), "an array has no place"},
  };
  for (const auto& [line, why] : table) {
    const auto message = parse_control_line(line);
    ASSERT_FALSE(message) << line;
    EXPECT_THAT(message.error().message, HasSubstr(why)) << line;
  }
}

TEST(Control, LinesAreTakenTogetherOrNotAtAll) {
  const std::string line = "{\"type\":\"pause\"," + kTarget + "}";
  EXPECT_EQ(parse_control("")->size(), 0u);
  EXPECT_EQ(parse_control(line + "\r\n\n" + line)->size(), 2u);
  const auto wrong = parse_control(line + "\n{}\n" + line);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("line 2: type is missing"));
  EXPECT_FALSE(parse_control(std::string(kControlLinesMax + 1, '\n')));
}

TEST(SubscribeQuery, NamesPrioritiesAndChunks) {
  const auto two =
      parse_subscribe_query("subscribe=cam1/v360:9&subscribe=cam1%2Faudio%3A200&x=1&chunks=1");
  ASSERT_TRUE(two);
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[0].priority, 9);
  EXPECT_EQ((*two)[1].target, (Target{"cam1", "audio"}));
  EXPECT_EQ((*two)[1].priority, 200);
  EXPECT_TRUE((*two)[0].chunks);
  EXPECT_EQ(parse_subscribe_query("")->size(), 0u);
  for (const auto* wrong :
       {"subscribe=cam1", "subscribe=cam1/v360:256",
        "subscribe=cam1/v360:", "subscribe=cam1/v360:-1", "subscribe=%zz/v360", "subscribe=/v360",
        "subscribe=a/b&subscribe=a/b", "chunks=2", "chunks", "subscribe=a/b/c"}) {
    EXPECT_FALSE(parse_subscribe_query(wrong)) << wrong;
  }
}

TEST(ControlCorpus, Replays) {
  for (const auto& entry :
       std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/push_control")) {
    std::ifstream file(entry.path(), std::ios::binary);
    exercise_control(std::string{std::istreambuf_iterator<char>(file), {}});
  }
}

}  // namespace
}  // namespace mirror::push
