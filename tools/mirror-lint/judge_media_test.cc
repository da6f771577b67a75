// Servers that break one rule each of hints, resources and media.
#include <gmock/gmock.h>

#include "scripted_run.h"

namespace mirror::lint {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

// ---- Hints -------------------------------------------------------------------------------------

TEST(Media, AHintNamesAnotherPartThanComes) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int next, std::string text) {
    return rendition == "v" && next == 33
               ? replaced(text, "URI=\"106.3.m4s\"\n", "URI=\"106.7.m4s\"\n")
               : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("hint-mismatch"));
}

TEST(Media, AHintIsRefusedAndThePartComes) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kHint, 20, [](Exchange& exchange) { refuse(exchange, 404); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("hint-refused"));
}

TEST(Media, AServerMayBreakOffWhatItHeldForLong) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kHint, 20, [](Exchange& exchange) {
    exchange.status = 0;
    exchange.started -= Seconds(3);
  });
  EXPECT_THAT(run.judge(), testing::IsEmpty());
}

TEST(Media, AHintIsAnsweredLongAfterThePartIsListed) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kHint, 20, [](Exchange& exchange) {
    exchange.finished += Seconds(0.8);
    exchange.first_byte = exchange.finished;
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("hint-late"));
}

TEST(Media, APlaylistIsAnsweredLongAfterThePartIsThere) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kHint, 20, [](Exchange& exchange) {
    exchange.finished -= Seconds(0.8);
    exchange.first_byte = exchange.finished;
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("blocking-late"));
}

TEST(Media, APartArrivesInDrops) {
  ScriptedRun run;
  run.tamper =
      nth(Purpose::kHint, 20, [](Exchange& exchange) { exchange.first_byte -= Seconds(0.09); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("hint-trickles"));
}

// A segment that ends before the part that was hinted; `whole` segments before it keep theirs.
std::set<std::string> with_segment_cut_short(int whole) {
  Findings findings;
  HintLedger ledger("https://x/p.m3u8");
  const auto give = [&](const std::string& segments, const std::string& hint) {
    const Playlist playlist = parse_playlist(
        fmt::format("#EXTM3U\n{}#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"\n", segments, hint));
    ledger.take_playlist(playlist, true, {&findings, "v", Seconds(1)});
  };
  std::string listed;
  give(listed, "0.0");
  for (int i = 0; i <= whole; ++i) {
    listed += fmt::format("#EXT-X-PART:DURATION=1,URI=\"{}.0\"\n", i);
    if (i == whole) give(listed, fmt::format("{}.1", i));
    listed += fmt::format("#EXTINF:1,\n{}\n", i);
    give(listed, fmt::format("{}.0", i + 1));
  }
  ledger.finish({&findings, "v", Seconds(2)});
  return rules_in(findings);
}

TEST(Media, HintsThatDoNotComeAreANoteWhenTheyAreFew) {
  EXPECT_THAT(with_segment_cut_short(20), UnorderedElementsAre("hint-abandoned"));
  EXPECT_THAT(with_segment_cut_short(2), UnorderedElementsAre("hint-not-honoured"));
}

// ---- Resources ---------------------------------------------------------------------------------

TEST(Media, APartIsListedBeforeItExists) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kHint, 20, [](Exchange& exchange) {
    exchange.purpose = Purpose::kPart;
    refuse(exchange, 404);
  });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("part-unavailable"));
}

TEST(Media, AMapCannotBeFetched) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kInit, 1, [](Exchange& exchange) { refuse(exchange, 404); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("init-unavailable"));
}

TEST(Media, MediaThatNobodyKnowsIsLeftAlone) {
  ScriptedRun run;
  run.video_map = replaced(video_init(), "avcC", "xxxC");
  EXPECT_THAT(run.judge(), UnorderedElementsAre("media-unknown"));
}

TEST(Media, ASegmentIsListedBeforeItExists) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kSegment, 3, [](Exchange& exchange) { refuse(exchange, 404); });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("segment-unavailable"));
}

TEST(Media, TheSameUriGivesOtherBytes) {
  ScriptedRun run;
  run.also = [&](int next) {
    if (next == 30)
      run.give(run.media_exchange("v", Purpose::kAgain, "103.2.m4s", run.part_bytes("v", 18), 3));
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("content-changed"));
}

TEST(Media, WhatWasRemovedIsGoneTooEarly) {
  ScriptedRun run;
  run.also = [&](int next) {
    if (next != 30) return;
    for (const Purpose purpose : {Purpose::kRemovedPart, Purpose::kRemovedSegment}) {
      Exchange exchange = run.media_exchange("v", purpose, "100.m4s", "", 3);
      refuse(exchange, 404);
      run.give(exchange);
    }
  };
  EXPECT_THAT(run.judge(),
              UnorderedElementsAre("part-removed-too-early", "segment-removed-too-early"));
}

// ---- Media -------------------------------------------------------------------------------------

TEST(Media, ASegmentIsNotItsParts) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kSegment, 3, [](Exchange& exchange) { exchange.body.back() = '!'; });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("segment-samples"));
}

TEST(Media, ASegmentHoldsTheSameSamplesInOtherBoxes) {
  ScriptedRun run;
  run.tamper = nth(Purpose::kSegment, 3,
                   [](Exchange& exchange) { exchange.body = box("styp", "msdh") + exchange.body; });
  EXPECT_THAT(run.judge(), UnorderedElementsAre("segment-bytes"));
}

TEST(Media, APartLastsLongerThanItSays) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    if (rendition != "v") return;
    // Ten per cent more than 0.1 s in one part, made up for in the next.
    if (part == 21) spec.samples = 4;
    if (part == 22) spec.samples = 2;
    if (part == 22) spec.decode_time += 1000;
  };
  EXPECT_THAT(run.judge(),
              UnorderedElementsAre("part-duration-media", "part-media-exceeds-target"));
}

TEST(Media, ExtinfIsNotWhatTheMediaLasts) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int, std::string text) {
    // The parts say it too: only the media tells.
    return rendition == "v" ? replaced(text, "#EXTINF:0.5,\n103.m4s", "#EXTINF:0.505,\n103.m4s")
                            : text;
  };
  run.tamper = [](Exchange& exchange) { return exchange.asked.skip == SkipDirective::kNone; };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("extinf-media"));
}

TEST(Media, DecodeTimesJump) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    if (rendition == "v" && part >= 22) spec.decode_time += 500;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("tfdt-discontinuous"));
}

TEST(Media, DecodeTimesMayJumpBehindADiscontinuity) {
  ScriptedRun run;
  run.discontinuity_at = 5;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    if (part >= 25) spec.decode_time += rendition == "v" ? 3'000'000 : 4'800'000;
  };
  EXPECT_THAT(run.judge(), IsEmpty());
}

TEST(Media, AFragmentWithoutTfdt) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    spec.with_tfdt = rendition != "v" || part != 21;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("media-structure"));
}

TEST(Media, IndependentWithoutAnIndependentFrame) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int, std::string text) {
    return rendition == "v" ? replaced(text, "\"104.2.m4s\"\n", "\"104.2.m4s\",INDEPENDENT=YES\n")
                            : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("independent-false"));
}

TEST(Media, AnIndependentFrameWithoutIndependent) {
  ScriptedRun run;
  run.text = [](const std::string& rendition, int, std::string text) {
    return rendition == "v" ? replaced(text, "\"104.0.m4s\",INDEPENDENT=YES", "\"104.0.m4s\"")
                            : text;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("independent-missing"));
}

TEST(Media, ASyncSampleThatIsNoIdrPicture) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    if (rendition == "v" && part == 20) spec.idr = false;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("sync-not-random-access"));
}

TEST(Media, ASegmentThatDoesNotBeginIndependently) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    if (rendition == "v" && part == 20) spec.sync = spec.idr = false;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("independent-segments-false", "independent-false"));
}

TEST(Media, DatesAndDecodeTimesDriftApart) {
  ScriptedRun run;
  run.discontinuity_at = -1;
  run.text = [](const std::string&, int, std::string text) { return text; };
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int part) {
    // 20 ms a segment: no step is large.
    const auto more = static_cast<std::uint64_t>(part / 5);
    spec.decode_time += more * (rendition == "v" ? 600 : 960);
  };
  run.parts = 80;
  EXPECT_THAT(run.judge(), UnorderedElementsAre("pdt-drift", "tfdt-discontinuous"));
}

TEST(Media, RenditionsHaveOtherDecodeTimesAtTheSameDate) {
  ScriptedRun run;
  run.fragment_of = [](FragmentSpec& spec, const std::string& rendition, int) {
    if (rendition == "v") spec.decode_time += 3000;
  };
  EXPECT_THAT(run.judge(), UnorderedElementsAre("renditions-misaligned"));
}

}  // namespace
}  // namespace mirror::lint
