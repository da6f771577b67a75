#include "api/status_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/fake_clock.h"

namespace mirror::api {
namespace {

using namespace std::chrono_literals;

TEST(StatusRoutesTest, WritesTimesInIso8601) {
  using namespace std::chrono;
  const WallTime time = sys_days(2026y / November / 22) + 16h + 20min + 3s + 45'999us;
  EXPECT_EQ(iso8601(time), "2026-11-22T16:20:03.045Z");
}

class StatusJsonTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  Metrics metrics_;
  Log log_{LogLevel::kError, LogFormat::kReadable};
  WakeList wake_list_{{}};
  stream::Registry registry_{25, "e", {}, {wake_list_, clock_, metrics_, log_}};
};

TEST_F(StatusJsonTest, AnEmptyServerHasAnEmptyList) {
  const auto json = nlohmann::json::parse(streams_json(registry_, WallTime{}));
  EXPECT_EQ(json["streams"].size(), 0u);
  EXPECT_EQ(json["now"], "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(stream_json(registry_, "cam1", WallTime{}), "");
}

TEST_F(StatusJsonTest, AStreamWithoutAPictureIsListedWithoutAPlaylist) {
  const auto publication =
      registry_.open({*media::StreamKey::parse("cam1"), "srt", "192.0.2.1:40000"});
  ASSERT_TRUE(publication);
  const auto json = nlohmann::json::parse(stream_json(registry_, "cam1", WallTime{}));
  EXPECT_EQ(json["key"], "cam1");
  EXPECT_EQ(json["state"], "waiting");
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_TRUE(json["playlist"].is_null());
  EXPECT_EQ(json["renditions"].size(), 0u);
}

}  // namespace
}  // namespace mirror::api
