// What the client asks for, and when: against a fetcher in virtual time.
#include "follower.h"

#include <gmock/gmock.h>

#include "scripted_run.h"

namespace mirror::lint {
namespace {

using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

class FakeFetcher final : public Fetcher {
 public:
  void start(Exchange exchange, Seconds, Done done) override {
    open.push_back({std::move(exchange), std::move(done)});
  }
  Seconds now() const override { return clock; }

  struct Open {
    Exchange exchange;
    Done done;
  };
  std::vector<Open> open;
  Seconds clock{};
};

class FollowerTest : public testing::Test {
 protected:
  // Requests under way, as "purpose name".
  std::vector<std::string> asked() const {
    std::vector<std::string> names;
    for (const auto& each : fetcher.open) {
      const std::string& url = each.exchange.url;
      names.push_back(fmt::format("{} {}", static_cast<int>(each.exchange.purpose),
                                  url.substr(url.rfind('/') + 1)));
    }
    return names;
  }
  static std::string named(Purpose purpose, const std::string& name) {
    return fmt::format("{} {}", static_cast<int>(purpose), name);
  }

  // Answers the first request of a purpose.
  void answer(Purpose purpose, int status, std::string body = {}) {
    for (std::size_t i = 0; i < fetcher.open.size(); ++i) {
      if (fetcher.open[i].exchange.purpose != purpose) continue;
      FakeFetcher::Open each = std::move(fetcher.open[i]);
      fetcher.open.erase(fetcher.open.begin() + static_cast<std::ptrdiff_t>(i));
      each.exchange.status = status;
      each.exchange.body = std::move(body);
      each.done(std::move(each.exchange));
      return;
    }
    FAIL() << "nobody asked for " << static_cast<int>(purpose);
  }

  ScriptedRun server;
  FakeFetcher fetcher;
  std::vector<Exchange> seen;
  Follower follower{"v", ScriptedRun::url("v"), fetcher,
                    [this](const Exchange& exchange) { seen.push_back(exchange); }};
};

TEST_F(FollowerTest, FetchesWhatIsListedAndWaitsForWhatComes) {
  follower.start();
  ASSERT_EQ(asked(), std::vector{named(Purpose::kPlain, "p.m3u8")});
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  EXPECT_THAT(
      asked(),
      IsSupersetOf({named(Purpose::kInit, "init.mp4"), named(Purpose::kPart, "100.0.m4s"),
                    named(Purpose::kPart, "101.1.m4s"), named(Purpose::kSegment, "100.m4s"),
                    named(Purpose::kHint, "101.2.m4s"),
                    named(Purpose::kReload, "p.m3u8?_HLS_msn=101&_HLS_part=2&_HLS_skip=YES")}));
}

TEST_F(FollowerTest, DoesNotFetchAgainWhatItFetchedAsAHint) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  answer(Purpose::kReload, 200, server.playlist("v", 8));
  EXPECT_THAT(asked(), Not(IsSupersetOf({named(Purpose::kPart, "101.2.m4s")})));
  EXPECT_THAT(asked(), IsSupersetOf({named(Purpose::kHint, "101.3.m4s")}));
}

TEST_F(FollowerTest, AsksForAPartWhoseHintWasRefused) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  answer(Purpose::kReload, 200, server.playlist("v", 8));
  answer(Purpose::kHint, 404);
  EXPECT_THAT(asked(), IsSupersetOf({named(Purpose::kPart, "101.2.m4s")}));
}

TEST_F(FollowerTest, LeavesSomePartsUntilTheyAreListed) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  for (int next = 8; next <= 11; ++next) answer(Purpose::kReload, 200, server.playlist("v", next));
  // The fourth hint was 102.0, of part 10.
  EXPECT_THAT(asked(), IsSupersetOf({named(Purpose::kPart, "102.0.m4s")}));
}

TEST_F(FollowerTest, ComparesDeltasWithTheWholeNowAndThen) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  for (int next = 8; next <= 10; ++next) answer(Purpose::kReload, 200, server.playlist("v", next));
  EXPECT_THAT(
      asked(),
      IsSupersetOf({named(Purpose::kReload, "p.m3u8?_HLS_msn=102&_HLS_part=0"),
                    named(Purpose::kReload, "p.m3u8?_HLS_msn=102&_HLS_part=0&_HLS_skip=v2")}));
}

TEST_F(FollowerTest, LeavesGapsAlone) {
  server.text = [](const std::string&, int, std::string text) {
    return replaced(text, "\"101.1.m4s\"", "\"101.1.m4s\",GAP=YES");
  };
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  EXPECT_THAT(asked(), Not(IsSupersetOf({named(Purpose::kPart, "101.1.m4s")})));
}

TEST_F(FollowerTest, AsksAgainWhenTheServerGaveUp) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  answer(Purpose::kReload, 503);
  fetcher.clock += Seconds(0.1);
  follower.tick();
  EXPECT_THAT(
      asked(),
      IsSupersetOf({named(Purpose::kReload, "p.m3u8?_HLS_msn=101&_HLS_part=2&_HLS_skip=v2")}));
}

TEST_F(FollowerTest, PollsAServerThatCannotWait) {
  server.text = [](const std::string&, int, std::string text) {
    return replaced(text, "CAN-BLOCK-RELOAD=YES,", "");
  };
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  EXPECT_THAT(asked(), Not(IsSupersetOf({named(Purpose::kPlain, "p.m3u8")})));
  fetcher.clock += Seconds(0.6);
  follower.tick();
  EXPECT_THAT(asked(), IsSupersetOf({named(Purpose::kPlain, "p.m3u8")}));
}

TEST_F(FollowerTest, AsksForWhatWasRemovedShortlyBeforeItMayGo) {
  follower.start();
  answer(Purpose::kPlain, 200, server.playlist("v", 7));
  fetcher.clock = Seconds(4);
  answer(Purpose::kReload, 200,
         server.playlist("v", 48));  // parts of segment 100 are no longer listed
  EXPECT_THAT(asked(), Not(IsSupersetOf({named(Purpose::kRemovedPart, "100.0.m4s")})));
  fetcher.clock += Seconds(2.8);
  follower.tick();
  EXPECT_THAT(asked(), IsSupersetOf({named(Purpose::kRemovedPart, "100.0.m4s")}));
}

TEST_F(FollowerTest, EndsWithTheStream) {
  follower.start();
  answer(Purpose::kPlain, 200,
         "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n");
  EXPECT_FALSE(follower.finished());
  answer(Purpose::kSegment, 200, "x");
  EXPECT_TRUE(follower.finished());
  EXPECT_THAT(asked(), IsEmpty());
}

}  // namespace
}  // namespace mirror::lint
