// Whole runs in virtual time: a server that keeps every rule, and servers that break one each.
// Every test asserts that this rule is named and no other.
#include <gmock/gmock.h>

#include "scripted_run.h"

namespace mirror::lint {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(Judge, AServerThatKeepsEveryRuleIsClean) {
  ScriptedRun run;
  run.parts = 200;
  EXPECT_THAT(run.judge(), IsEmpty());
}

TEST(Judge, DiscontinuitiesAndDateRangesInDeltasAreClean) {
  ScriptedRun run;
  run.parts = 200;
  run.discontinuity_at = 8;
  run.date_ranges = true;
  EXPECT_THAT(run.judge(), IsEmpty());
}

// ---- Header ----------------------------------------------------------------------------------

TEST(Judge, PartTargetChangesInMidStream) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next > 30 ? replaced(text, "PART-TARGET=0.1", "PART-TARGET=0.11")
                                         : text;
  };
  EXPECT_THAT(run.judge(),
              UnorderedElementsAre("part-target-changed", "part-hold-back-below-recommended"));
}

TEST(Judge, TargetDurationChangesInMidStream) {
  ScriptedRun run;
  run.text = [](const std::string&, int next, std::string text) {
    text = replaced(text, "HOLD-BACK=3.0,CAN-SKIP-UNTIL=6.0", "HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0");
    return next > 30 ? replaced(text, "DURATION:1", "DURATION:2") : text;
  };
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.parts = 35;
  EXPECT_THAT(run.judge(), UnorderedElementsAre("target-duration-changed"));
}

TEST(Judge, ServerControlChangesInMidStream) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next == 30
               ? replaced(text, "PART-HOLD-BACK=0.3", "PART-HOLD-BACK=0.4")
               : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("server-control-changed"));
}

TEST(Judge, VersionChangesInMidStream) {
  ScriptedRun run;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next == 30 ? replaced(text, "VERSION:10", "VERSION:11") : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("version-changed"));
}

// ---- From one version to the next --------------------------------------------------------------

TEST(Judge, MediaSequenceStandsStillWhileSegmentsGo) {
  ScriptedRun run;
  run.parts = 130;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int next, std::string text) {
    // One segment has gone by then.
    return rendition == "v" && next == 107
               ? replaced(text, "MEDIA-SEQUENCE:101", "MEDIA-SEQUENCE:100")
               : text;
  };
  // By that number the answer ends before what was asked for, too.
  EXPECT_THAT(run.judge(), UnorderedElementsAre("media-sequence", "blocking-early"));
}

TEST(Judge, DiscontinuitySequenceForgetsARemovedDiscontinuity) {
  ScriptedRun run;
  run.parts = 130;
  run.discontinuity_at = 0;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int, std::string text) {
    return rendition == "v" ? replaced(text, "DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0")
                            : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("discontinuity-sequence"));
}

TEST(Judge, AListedSegmentChangesItsDuration) {
  ScriptedRun run;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next == 33
               ? replaced(text, "#EXTINF:0.5,\n102.m4s", "#EXTINF:0.501,\n102.m4s")
               : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("segment-changed"));
}

TEST(Judge, ALaterAnswerEndsBeforeAnEarlierOne) {
  ScriptedRun run;
  run.also = [&](int next) {
    if (next != 30) return;
    Exchange stale = run.playlist_exchange("v", Purpose::kPast, 27, {.msn = 100, .part = 0});
    stale.started = Seconds(3.05);
    stale.finished = Seconds(3.06);
    run.give(stale);
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("playlist-went-back"));
}

TEST(Judge, SomethingIsAddedBehindTheEnd) {
  ScriptedRun run;
  run.parts = 40;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string&, int next, std::string text) {
    if (next < 39) return text;
    text = text.substr(0, text.find("#EXT-X-PRELOAD-HINT"));
    return text + "#EXT-X-ENDLIST\n";
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("endlist-then-changed"));
}

TEST(Judge, TheLiveWindowIsTooShort) {
  ScriptedRun run;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int next, std::string text) {
    if (rendition != "v" || next < 20) return text;
    const std::size_t first = text.find("#EXT-X-PROGRAM");
    const std::size_t second = text.find("#EXT-X-PROGRAM", first + 1);
    text.erase(first, second - first);
    return replaced(text, "MEDIA-SEQUENCE:100", "MEDIA-SEQUENCE:101");
  };
  run.parts = 33;
  EXPECT_THAT(run.judge(), UnorderedElementsAre("live-window-too-short"));
}

TEST(Judge, SomethingIsRemovedFromAnEvent) {
  ScriptedRun run;
  run.parts = 130;
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.text = [](const std::string& rendition, int, std::string text) {
    return rendition == "v"
               ? replaced(text, "#EXT-X-PART-INF", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-PART-INF")
               : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("event-removed"));
}

TEST(Judge, NoSegmentComesForLongerThanOneAndAHalfTargetDurations) {
  ScriptedRun run;
  run.parts = 40;
  double late = 0;
  run.also = [&](int next) {
    if (next == 24) late = 3;
  };
  run.tamper = [&](Exchange& exchange) {
    exchange.started += Seconds(late);
    exchange.first_byte += Seconds(late);
    exchange.finished += Seconds(late);
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("update-late", "part-late"));
}

TEST(Judge, AStreamThatGoesOnBehindADiscontinuityWasInterrupted) {
  ScriptedRun run;
  run.parts = 40;
  run.discontinuity_at = 5;
  double late = 0;
  run.also = [&](int next) {
    if (next == 25) late = 3;
  };
  run.tamper = [&](Exchange& exchange) {
    exchange.started += Seconds(late);
    exchange.first_byte += Seconds(late);
    exchange.finished += Seconds(late);
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("source-interrupted"));
}

TEST(Judge, TheLastSegmentBeforeAnInterruptionMayBeClosedLate) {
  ScriptedRun run;
  run.parts = 40;
  run.discontinuity_at = 5;
  double late = 0;
  run.also = [&](int next) {
    if (next == 24) late = 3;
  };
  run.tamper = [&](Exchange& exchange) {
    exchange.started += Seconds(late);
    exchange.first_byte += Seconds(late);
    exchange.finished += Seconds(late);
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("source-interrupted"));
}

TEST(Judge, AUriIsUsedTwice) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int, std::string text) {
    return rendition == "v" ? replaced(text, "\n104.m4s", "\n103.m4s") : text;
  };
  run.tamper = [](Exchange& exchange) {
    return exchange.purpose != Purpose::kSegment && exchange.asked.skip == SkipDirective::kNone;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("uri-reused"));
}

// ---- Delta updates -----------------------------------------------------------------------------

TEST(Judge, ADeltaThatDoesNotMerge) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = [](Exchange& exchange) {
    const bool delta = exchange.asked.skip != SkipDirective::kNone;
    if (delta && exchange.rendition == "v" && exchange.asked.msn == 116) {
      exchange.body = replaced(exchange.body, "#EXTINF:0.5,", "#EXTINF:0.51,");
    }
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-merge"));
}

TEST(Judge, ADateRangeMayComeWithoutANewPart) {
  ScriptedRun run;
  run.parts = 90;
  run.also = [&](int next) {
    if (next != 85) return;
    run.date_ranges = true;
    Exchange plain = run.playlist_exchange("v", Purpose::kPlain, next);
    plain.started = plain.finished;
    run.give(plain);
  };
  EXPECT_THAT(run.judge(), IsEmpty());
}

TEST(Judge, ADeltaLosesADateRange) {
  ScriptedRun run;
  run.parts = 90;
  run.date_ranges = true;
  run.tamper = [](Exchange& exchange) {
    if (exchange.asked.skip == SkipDirective::kYes && exchange.rendition == "v") {
      const std::size_t at = exchange.body.find("#EXT-X-DATERANGE");
      exchange.body.erase(at, exchange.body.find('\n', at) + 1 - at);
    }
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-merge"));
}

TEST(Judge, ADeltaLosesADiscontinuity) {
  ScriptedRun run;
  run.parts = 90;
  run.discontinuity_at = 14;
  run.tamper = [](Exchange& exchange) {
    const bool delta = exchange.asked.skip != SkipDirective::kNone;
    if (delta && exchange.rendition == "v")
      exchange.body = replaced(exchange.body, "#EXT-X-DISCONTINUITY\n", "");
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-merge"));
}

TEST(Judge, DeltasAreOfferedAndNotGiven) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = [&](Exchange& exchange) {
    if (exchange.asked.skip != SkipDirective::kNone && exchange.rendition == "v") {
      exchange.body = run.playlist("v", static_cast<int>(exchange.finished.count() * 10 + 0.5));
    }
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-ignored"));
}

TEST(Judge, ADeltaSkipsWhatIsRecent) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = [](Exchange& exchange) {
    std::string& body = exchange.body;
    if (exchange.rendition != "v" || body.find("SKIPPED-SEGMENTS=5") == std::string::npos)
      return true;
    const std::size_t first = body.find("#EXT-X-PROGRAM");
    body.erase(first, body.find("#EXT-X-PROGRAM", first + 1) - first);
    body = replaced(body, "SKIPPED-SEGMENTS=5", "SKIPPED-SEGMENTS=6");
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-skips-too-much"));
}

TEST(Judge, ADeltaForWhoDidNotAsk) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = nth(Purpose::kReload, 150, [&](Exchange& exchange) {
    const int next = static_cast<int>(exchange.finished.count() * 10 + 0.5);
    exchange.body = run.playlist("v", next, SkipDirective::kYes);
    exchange.asked.skip = SkipDirective::kNone;
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-unasked"));
}

TEST(Judge, ADeltaSkipsWhatNobodyHas) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = nth(Purpose::kReload, 150, [](Exchange& exchange) {
    exchange.body = replaced(exchange.body, "MEDIA-SEQUENCE:100", "MEDIA-SEQUENCE:90");
    exchange.body = replaced(exchange.body, "SKIPPED-SEGMENTS=3", "SKIPPED-SEGMENTS=13");
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-base-missing"));
}

TEST(Judge, SkippedDateRangesWithoutTheListOfRemovedOnes) {
  ScriptedRun run;
  run.parts = 90;
  run.tamper = [](Exchange& exchange) {
    if (exchange.rendition == "v") {
      exchange.body = replaced(exchange.body, ",RECENTLY-REMOVED-DATERANGES=\"\"", "");
    }
    return exchange.asked.skip != SkipDirective::kYes;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("delta-dateranges"));
}

}  // namespace
}  // namespace mirror::lint
