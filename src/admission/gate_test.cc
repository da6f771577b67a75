#include "admission/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace mirror::admission {
namespace {

using ::testing::HasSubstr;
using Reason = media::PublishRefusal::Reason;

media::PublishRequest request(const std::string& key, const std::string& token = "") {
  return {.key = *media::StreamKey::parse(key),
          .protocol = "test",
          .remote = "192.0.2.1:1",
          .token = token};
}

// The gate behind: lets everybody in who is not to be refused, and remembers what they said.
class OpenGate final : public media::PublisherGate {
 public:
  struct Heard {
    int opened = 0;
    int ended = 0;
    std::vector<std::vector<media::Track>> tracks;
    int units = 0;
    int stats = 0;
    bool displaced = false;
  };

  std::optional<media::PublishRefusal> admit(const media::PublishRequest&) const override {
    return refusal;
  }
  std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> open(
      const media::PublishRequest&) override {
    if (refusal) return std::unexpected(*refusal);
    ++heard.opened;
    return std::make_unique<Ear>(heard);
  }

  std::optional<media::PublishRefusal> refusal;
  Heard heard;

 private:
  class Ear final : public media::Publication {
   public:
    explicit Ear(Heard& heard) : heard_(heard) {}
    ~Ear() override { ++heard_.ended; }
    void on_tracks(const std::vector<media::Track>& tracks) override {
      heard_.tracks.push_back(tracks);
    }
    void on_access_unit(media::AccessUnit) override { ++heard_.units; }
    void on_stats(const media::TransportStats&, const media::DemuxStats&) override {
      ++heard_.stats;
    }
    bool displaced() const override { return heard_.displaced; }

   private:
    Heard& heard_;
  };
};

class SlowJudge final : public Judge {
 public:
  bool ask(Question question, std::shared_ptr<Verdict> verdict) override {
    if (full) return false;
    asked.push_back(std::move(question));
    verdicts.push_back(std::move(verdict));
    return true;
  }
  bool full = false;
  std::vector<Question> asked;
  std::vector<std::shared_ptr<Verdict>> verdicts;
};

class GateTest : public ::testing::Test {
 protected:
  static constexpr auto kNobody = nullptr;

  std::optional<Reason> refused(Gate& gate, const media::PublishRequest& who) {
    const auto in_handshake = gate.admit(who);
    const auto opened = gate.open(who);
    EXPECT_EQ(in_handshake.has_value(), !opened.has_value());
    return in_handshake ? std::optional(in_handshake->reason) : std::nullopt;
  }
  double metric(const std::string& name) {
    const std::string text = "\n" + metrics_.render();
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  static media::AccessUnit unit() {
    return {.track = 1, .codec = media::Codec::kH264, .received = {}, .data = {}};
  }
  static std::vector<media::Track> tracks(media::TrackId id) {
    return {{.id = id, .codec = media::Codec::kH264, .language = "", .description = ""}};
  }

  Metrics metrics_;
  OpenGate behind_;
  SlowJudge judge_;
};

TEST_F(GateTest, WithoutATokenEverybodyIsLetThrough) {
  Gate gate({}, behind_, kNobody, metrics_);
  EXPECT_EQ(refused(gate, request("cam1")), std::nullopt);
  EXPECT_EQ(refused(gate, request("cam1", "whatever")), std::nullopt);
}

TEST_F(GateTest, ATokenMustBeSaidAndRight) {
  Gate gate({.token = "for-all-of-them", .tokens = {{"cam1", "for-cam1"}}}, behind_, kNobody,
            metrics_);
  EXPECT_EQ(refused(gate, request("cam2", "for-all-of-them")), std::nullopt);
  EXPECT_EQ(refused(gate, request("cam2", "for-all-of-theM")), Reason::kUnauthorized);
  EXPECT_EQ(refused(gate, request("cam2", "for-all-of-the")), Reason::kUnauthorized);
  EXPECT_EQ(refused(gate, request("cam2")), Reason::kUnauthorized);
  EXPECT_EQ(refused(gate, request("cam1", "for-cam1")), std::nullopt);
  EXPECT_EQ(refused(gate, request("cam1", "for-all-of-them")), Reason::kUnauthorized)
      << "a stream's own token takes the place of the other one";
  EXPECT_THAT(gate.admit(request("cam1"))->message, HasSubstr("no publish token"));
  EXPECT_THAT(gate.admit(request("cam1", "x"))->message, HasSubstr("wrong"));
}

TEST_F(GateTest, WhatTheConfigurationNamesIsNotAsked) {
  Gate gate({.token = "for-all-of-them"}, behind_, &judge_, metrics_);
  media::PublishRequest ours = request("cam1");
  ours.configured = true;
  EXPECT_EQ(refused(gate, ours), std::nullopt);
  EXPECT_TRUE(judge_.asked.empty());
}

TEST_F(GateTest, TheGateBehindRefusesToo) {
  Gate gate({}, behind_, &judge_, metrics_);
  behind_.refusal = {Reason::kOverload, "full"};
  EXPECT_EQ(refused(gate, request("cam1")), Reason::kOverload);
  EXPECT_TRUE(judge_.asked.empty());
}

TEST_F(GateTest, AWrongTokenIsNotWorthAQuestion) {
  Gate gate({.token = "for-all-of-them"}, behind_, &judge_, metrics_);
  EXPECT_EQ(refused(gate, request("cam1", "wrong-token")), Reason::kUnauthorized);
  EXPECT_TRUE(judge_.asked.empty());
}

TEST_F(GateTest, APublisherWaitsForItsVerdictAndIsThenHeard) {
  Gate gate({}, behind_, &judge_, metrics_);
  auto publication = *gate.open(request("cam1", "to-be-judged"));
  ASSERT_EQ(judge_.asked.size(), 1u);
  EXPECT_TRUE(judge_.asked[0].token_unjudged);
  EXPECT_EQ(judge_.asked[0].request.token, "to-be-judged");
  EXPECT_EQ(metric("mirror_admission_waiting"), 1);

  publication->on_tracks(tracks(1));
  publication->on_tracks(tracks(2));
  publication->on_access_unit(unit());
  publication->on_stats({}, {});
  EXPECT_FALSE(publication->displaced());
  EXPECT_EQ(behind_.heard.opened, 0) << "the key is not taken before the verdict";
  EXPECT_EQ(metric("mirror_admission_dropped_units_total"), 1);

  judge_.verdicts[0]->allow();
  EXPECT_FALSE(publication->displaced());
  publication->on_access_unit(unit());
  EXPECT_EQ(behind_.heard.opened, 1);
  ASSERT_EQ(behind_.heard.tracks.size(), 1u);
  EXPECT_EQ(behind_.heard.tracks[0], tracks(2));
  EXPECT_EQ(behind_.heard.units, 1);
  publication->on_tracks(tracks(3));
  publication->on_stats({}, {});
  EXPECT_EQ(behind_.heard.tracks.back(), tracks(3));
  EXPECT_EQ(behind_.heard.stats, 1);
  EXPECT_EQ(metric("mirror_admission_waiting"), 0);

  behind_.heard.displaced = true;
  EXPECT_TRUE(publication->displaced());
  EXPECT_EQ(publication->displaced_by(), "another publisher took its place");
  publication.reset();
  EXPECT_EQ(behind_.heard.ended, 1);
}

TEST_F(GateTest, WhoIsDeniedIsToldWhy) {
  Gate gate({}, behind_, &judge_, metrics_);
  auto publication = *gate.open(request("cam1"));
  publication->on_tracks(tracks(1));
  judge_.verdicts[0]->deny("not on air today");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(publication->displaced());
    EXPECT_EQ(publication->displaced_by(), "not on air today");
    publication->on_access_unit(unit());  // takes note
  }
  EXPECT_EQ(behind_.heard.opened, 0);
  EXPECT_EQ(metric("mirror_admission_waiting"), 0);
}

// SRT asks why, reports once more, and only then writes the reason to the log.
TEST_F(GateTest, TheReasonOutlivesTheLastReport) {
  Gate gate({}, behind_, &judge_, metrics_);
  auto publication = *gate.open(request("cam1"));
  judge_.verdicts[0]->deny("a reason that is too long to be kept within a std::string itself");
  judge_.verdicts.clear();
  ASSERT_TRUE(publication->displaced());
  const std::string_view why = publication->displaced_by();
  publication->on_stats({}, {});
  EXPECT_EQ(why, "a reason that is too long to be kept within a std::string itself");
}

// The world went on while the judge thought.
TEST_F(GateTest, WhoIsAllowedMayStillBeRefusedBehind) {
  Gate gate({}, behind_, &judge_, metrics_);
  auto publication = *gate.open(request("cam1"));
  behind_.refusal = {Reason::kOverload, "25 streams exist"};
  judge_.verdicts[0]->allow();
  publication->on_stats({}, {});
  EXPECT_TRUE(publication->displaced());
  EXPECT_EQ(publication->displaced_by(), "25 streams exist");
}

TEST_F(GateTest, WhoLeavesBeforeTheVerdictIsForgotten) {
  Gate gate({}, behind_, &judge_, metrics_);
  (*gate.open(request("cam1"))).reset();
  EXPECT_EQ(judge_.verdicts[0].use_count(), 1) << "the judge alone knows of it";
  EXPECT_EQ(metric("mirror_admission_waiting"), 0);
}

TEST_F(GateTest, MoreThanTheJudgeTakesAreRefused) {
  Gate gate({}, behind_, &judge_, metrics_);
  judge_.full = true;
  const auto opened = gate.open(request("cam1"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, Reason::kOverload);
}

}  // namespace
}  // namespace mirror::admission
