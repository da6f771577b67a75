// Servers that break one rule each of delivery directives, transport and presentation.
#include <gmock/gmock.h>

#include "scripted_run.h"

namespace mirror::lint {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A run in which one more request is made at 3 s and answered by `change`.
std::set<std::string> with_probe(Purpose purpose, Directives asked,
                                 const std::function<void(Exchange&)>& change) {
  ScriptedRun run;
  run.also = [&](int next) {
    if (next != 30) return;
    Exchange probe = run.playlist_exchange("v", purpose, next, asked);
    probe.started = Seconds(3);
    change(probe);
    run.give(probe);
  };
  return run.judge();
}

void refused(Exchange& exchange) { refuse(exchange); }

// ---- Delivery directives
// -------------------------------------------------------------------------

TEST(Requests, WhatHasToBeRefusedIsRefused) {
  EXPECT_THAT(with_probe(Purpose::kPartAlone, {.part = 0}, refused), IsEmpty());
  EXPECT_THAT(with_probe(Purpose::kFarAhead, {.msn = 1100, .part = 0}, refused), IsEmpty());
}

TEST(Requests, ABlockingReloadIsAnsweredTooEarly) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kReload, 40, [](Exchange& exchange) { ++*exchange.asked.part; });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("blocking-early"));
}

TEST(Requests, MsnAloneIsAnsweredBeforeTheSegmentIsWhole) {
  // Segment 106 has all its parts only at 3.5 s.
  EXPECT_THAT(with_probe(Purpose::kSegmentReload, {.msn = 106}, [](Exchange&) {}),
              UnorderedElementsAre("blocking-segment-early"));
  EXPECT_THAT(with_probe(Purpose::kSegmentReload, {.msn = 105}, [](Exchange&) {}), IsEmpty());
}

TEST(Requests, WhatComesNextIsRefused) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kReload, 40, refused);
  EXPECT_THAT(run.judge(), UnorderedElementsAre("blocking-refused"));
}

TEST(Requests, AServerMayGiveUpWaiting) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kReload, 40, [](Exchange& exchange) { refuse(exchange, 503); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("blocking-timeout"));
}

TEST(Requests, PartWithoutMsnIsAnswered) {
  EXPECT_THAT(with_probe(Purpose::kPartAlone, {.part = 0}, [](Exchange&) {}),
              UnorderedElementsAre("part-without-msn"));
}

TEST(Requests, FarAheadIsAnswered) {
  EXPECT_THAT(with_probe(Purpose::kFarAhead, {.msn = 1100, .part = 0}, [](Exchange&) {}),
              UnorderedElementsAre("far-ahead-accepted"));
}

TEST(Requests, FarAheadIsHeldBeforeItIsRefused) {
  EXPECT_THAT(with_probe(Purpose::kFarAhead, {.msn = 1100, .part = 0},
                         [](Exchange& exchange) {
                           refuse(exchange);
                           exchange.started -= Seconds(2.5);
                         }),
              UnorderedElementsAre("far-ahead-accepted"));
}

TEST(Requests, ThePastIsHeld) {
  EXPECT_THAT(with_probe(Purpose::kPast, {.msn = 100, .part = 0},
                         [](Exchange& exchange) { exchange.started -= Seconds(2.5); }),
              UnorderedElementsAre("past-held"));
}

TEST(Requests, APartIndexBehindTheEndIsRefused) {
  EXPECT_THAT(with_probe(Purpose::kPartPastEnd, {.msn = 104, .part = 5}, [](Exchange&) {}),
              IsEmpty());
  EXPECT_THAT(with_probe(Purpose::kPartPastEnd, {.msn = 105, .part = 5}, [](Exchange&) {}),
              UnorderedElementsAre("part-past-end"));
}

TEST(Requests, APlaylistCannotBeFetched) {
  EXPECT_THAT(with_probe(Purpose::kPlain, {}, refused),
              UnorderedElementsAre("playlist-unavailable"));
}

// ---- Transport
// -----------------------------------------------------------------------------------

struct HeaderCase {
  const char* name;
  Purpose purpose;
  const char* header;
  const char* value;
  const char* rule;
};

class Headers_ : public testing::TestWithParam<HeaderCase> {};

TEST_P(Headers_, NamesTheRule) {
  const HeaderCase& each = GetParam();
  ScriptedRun run;
  run.tamper = nth(each.purpose, 1,
                   [&](Exchange& exchange) { set_header(exchange, each.header, each.value); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre(each.rule));
}

INSTANTIATE_TEST_SUITE_P(
    Transport, Headers_,
    testing::Values(
        HeaderCase{"PlainPlaylistKept", Purpose::kPlain, "cache-control", "max-age=60",
                   "cache-plain"},
        HeaderCase{"DirectedPlaylistNotKept", Purpose::kReload, "cache-control", "no-cache",
                   "cache-directed"},
        HeaderCase{"PartNotKept", Purpose::kHint, "cache-control", "no-store", "cache-media"},
        HeaderCase{"MapWithoutAWord", Purpose::kInit, "cache-control", "", "cache-media"},
        HeaderCase{"PartAsText", Purpose::kHint, "content-type", "text/html", "content-type-media"},
        HeaderCase{"NoCors", Purpose::kHint, "access-control-allow-origin", "", "cors-missing"},
        HeaderCase{"NoGzip", Purpose::kReload, "content-encoding", "", "gzip-missing"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Transport, ARefusalIsKeptForLong) {
  EXPECT_THAT(with_probe(Purpose::kPartAlone, {.part = 0},
                         [](Exchange& exchange) {
                           refuse(exchange);
                           set_header(exchange, "cache-control", "max-age=3600");
                         }),
              UnorderedElementsAre("cache-error"));
}

TEST(Transport, APlaylistThatNobodyKnowsForOne) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kReload, 30, [](Exchange& exchange) {
    exchange.url = "https://x/v/p";
    set_header(exchange, "content-type", "text/plain");
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("content-type-playlist"));
}

TEST(Transport, Http2IsAskedForAndNotSpoken) {
  ScriptedRun run;
  run.http_major = 2;
  run.tamper = [](Exchange& exchange) {
    exchange.http_major = 1;
    return true;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("http2-missing"));
}

// ---- Multivariant Playlist
// -----------------------------------------------------------------------

struct MultivariantCase {
  const char* name;
  const char* from;
  const char* to;
  const char* rule;
};

class Multivariant : public testing::TestWithParam<MultivariantCase> {};

TEST_P(Multivariant, NamesTheRule) {
  const MultivariantCase& each = GetParam();
  ScriptedRun run;
  run.parts = 150;
  const std::string before = run.multivariant;
  run.multivariant = replaced(before, each.from, each.to);
  ASSERT_NE(run.multivariant, before);
  EXPECT_THAT(run.judge(), UnorderedElementsAre(each.rule));
}

INSTANTIATE_TEST_SUITE_P(
    Presentation, Multivariant,
    testing::Values(
        MultivariantCase{"OtherLevel", "avc1.64001E", "avc1.640028", "codecs-mismatch"},
        MultivariantCase{"AudioLeftOut", ",mp4a.40.2", "", "codecs-mismatch"},
        MultivariantCase{"AudioThatIsNotThere", "mp4a.40.2\"", "mp4a.40.2,mp4a.40.5\"",
                         "codecs-mismatch"},
        MultivariantCase{"NoCodecs", "CODECS=\"avc1.64001E,mp4a.40.2\",", "", "codecs-missing"},
        MultivariantCase{"OtherSize", "640x360", "1280x720", "resolution-mismatch"},
        MultivariantCase{"OtherRate", "30.000", "25.000", "frame-rate-mismatch"},
        MultivariantCase{"OtherChannels", "CHANNELS=\"2\"", "CHANNELS=\"6\"", "channels-mismatch"},
        MultivariantCase{"BandwidthTooSmall", "BANDWIDTH=200000", "BANDWIDTH=20000",
                         "bandwidth-exceeded"},
        MultivariantCase{"AverageTooSmall", "AVERAGE-BANDWIDTH=150000", "AVERAGE-BANDWIDTH=10000",
                         "average-bandwidth-exceeded"},
        MultivariantCase{"NoSuchGroup", "AUDIO=\"g\"", "AUDIO=\"h\"", "group-missing"},
        MultivariantCase{"StableIdWithSpaces", "STABLE-RENDITION-ID=\"a\"",
                         "STABLE-RENDITION-ID=\"a b\"", "stable-id-form"},
        MultivariantCase{"TwoOfOneName", "#EXT-X-STREAM-INF",
                         "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"sound\"\n#EXT-X-STREAM-INF",
                         "group-form"},
        MultivariantCase{"NoBandwidth", "#EXT-X-STREAM-INF:BANDWIDTH=200000,",
                         "#EXT-X-STREAM-INF:", "syntax-attribute-missing"},
        MultivariantCase{"QuotedFrameRate", "FRAME-RATE=30.000", "FRAME-RATE=\"30.000\"",
                         "syntax-attribute-value"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Presentation, AvccContradictsItsSps) {
  ScriptedRun run;
  run.video_map = video_init("\x4d");
  EXPECT_THAT(run.judge(), UnorderedElementsAre("codec-config-mismatch"));
}

TEST(Presentation, RenditionsOfOtherTargetDurations) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int, std::string text) {
    text = replaced(text, "HOLD-BACK=3.0,CAN-SKIP-UNTIL=6.0", "HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0");
    return rendition == "a" ? replaced(text, "DURATION:1", "DURATION:2") : text;
  };
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  run.parts = 35;  // with such a target parts would have to stay listed for longer
  EXPECT_THAT(run.judge(), UnorderedElementsAre("variant-target-duration"));
}

// ---- Rendition reports
// -----------------------------------------------------------------------------

std::set<std::string> with_report(const std::function<std::string(std::string text)>& change) {
  ScriptedRun run;
  run.text = [&](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next > 20 ? change(std::move(text)) : text;
  };
  return run.judge();
}

TEST(Reports, OneIsMissing) {
  EXPECT_THAT(with_report([](std::string text) {
                return text.substr(0, text.find("#EXT-X-RENDITION-REPORT"));
              }),
              UnorderedElementsAre("report-missing"));
}

TEST(Reports, OneIsOfNobody) {
  EXPECT_THAT(with_report([](std::string text) {
                return text +
                       "#EXT-X-RENDITION-REPORT:URI=\"../b/p.m3u8\",LAST-MSN=1,LAST-PART=1\n";
              }),
              UnorderedElementsAre("report-unknown"));
}

TEST(Reports, OneIsAbsolute) {
  EXPECT_THAT(with_report([](std::string text) {
                return replaced(std::move(text), "../a/p.m3u8", "https://x/a/p.m3u8");
              }),
              UnorderedElementsAre("report-absolute"));
}

TEST(Reports, OneIsAhead) {
  EXPECT_THAT(with_report([](std::string text) {
                return replaced(std::move(text), "LAST-MSN=10", "LAST-MSN=90");
              }),
              UnorderedElementsAre("report-ahead"));
}

TEST(Reports, OneIsStale) {
  EXPECT_THAT(with_report([](std::string text) {
                const std::size_t at = text.find("LAST-MSN");
                return text.substr(0, at) + "LAST-MSN=101,LAST-PART=0\n";
              }),
              UnorderedElementsAre("report-stale"));
}

TEST(Reports, WhatIsLeftOutIsAsInThePlaylistItself) {
  EXPECT_THAT(
      with_report([](std::string text) { return text.substr(0, text.find(",LAST-MSN")) + "\n"; }),
      IsEmpty());
}

}  // namespace
}  // namespace mirror::lint
