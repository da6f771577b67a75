#include "api/status_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/feed_directory.h"
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
  EXPECT_EQ(json["state"], "connecting");
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_TRUE(json["playlist"].is_null());
  EXPECT_EQ(json["renditions"].size(), 0u);
  EXPECT_EQ(json["source"]["packets_undecrypted"], 0);
  EXPECT_EQ(json["transport_stream"]["pat_errors"], 0);
}

TEST_F(StatusJsonTest, SaysWhatOverloadCosts) {
  const auto publication =
      registry_.open({*media::StreamKey::parse("cam1"), "srt", "192.0.2.1:40000"});
  ASSERT_TRUE(publication);
  const auto json = nlohmann::json::parse(stream_json(registry_, "cam1", WallTime{}));
  EXPECT_EQ(json["overload"], nlohmann::json({{"level", "none"},
                                              {"since", nullptr},
                                              {"why", nullptr},
                                              {"skipped_units", 0},
                                              {"catch_ups", 0}}));
}

TEST(OverloadJsonTest, HasALevelAReasonAndATime) {
  const stream::OverloadStatus overload{.level = transcode::Effort::kReferenceOnly,
                                        .since = WallTime{} + 1s,
                                        .why = "transcoding fell 512 ms behind again",
                                        .skipped_units = 71,
                                        .catch_ups = 2};
  EXPECT_EQ(nlohmann::json::parse(overload_json(overload)),
            nlohmann::json({{"level", "reference_only"},
                            {"since", "1970-01-01T00:00:01.000Z"},
                            {"why", "transcoding fell 512 ms behind again"},
                            {"skipped_units", 71},
                            {"catch_ups", 2}}));
}

class TwoFeeds final : public media::FeedReporter {
 public:
  std::vector<media::FeedState> feeds() const override {
    return {{.stream = "cam1",
             .kind = "srt",
             .endpoint = "srt://192.0.2.1:6000",
             .state = media::FeedState::State::kReconnecting,
             .why = "the connection ended",
             .since = WallTime{},
             .attempts = 3},
            {.stream = "cam2",
             .kind = "rtp",
             .endpoint = "*:5004",
             .state = media::FeedState::State::kLive}};
  }
  std::vector<media::TurnedAway> turned_away() const override {
    return {{.at = WallTime{},
             .reason = "conflict",
             .why = "stream 'cam3' is already live",
             .remote = "192.0.2.9:1",
             .asked_for = "cam\xff"}};
  }
};

TEST(SourcesJsonTest, ListsWhatTheConfigurationNames) {
  FeedDirectory directory;
  EXPECT_TRUE(
      nlohmann::json::parse(sources_json(directory.feeds(), WallTime{}))["sources"].empty());
  const TwoFeeds reporter;
  directory.add(reporter);
  const auto json = nlohmann::json::parse(sources_json(directory.feeds(), WallTime{}));
  ASSERT_EQ(json["sources"].size(), 2u);
  EXPECT_EQ(json["sources"][0], nlohmann::json({{"stream", "cam1"},
                                                {"kind", "srt"},
                                                {"endpoint", "srt://192.0.2.1:6000"},
                                                {"state", "reconnecting"},
                                                {"why", "the connection ended"},
                                                {"since", "1970-01-01T00:00:00.000Z"},
                                                {"attempts", 3}}));
  EXPECT_TRUE(json["sources"][1]["why"].is_null());
  const auto refused =
      nlohmann::json::parse(refusals_json(directory.turned_away(), WallTime{}))["refusals"];
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0], nlohmann::json({{"at", "1970-01-01T00:00:00.000Z"},
                                        {"reason", "conflict"},
                                        {"why", "stream 'cam3' is already live"},
                                        {"remote", "192.0.2.9:1"},
                                        {"asked_for", "cam\xEF\xBF\xBD"}}));
  directory.remove(reporter);
  EXPECT_TRUE(directory.feeds().empty());
}

}  // namespace
}  // namespace mirror::api
