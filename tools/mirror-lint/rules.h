// The table of rules: what each is called, where it is written, how grave breaking it is.
//
// "something"_rule names a rule; a name that is not in the table does not compile.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace mirror::lint {

// kError breaks a MUST, or makes a player stall; kWarning breaks a SHOULD; kNote is worth knowing.
enum class Severity { kError, kWarning, kNote };

struct Rule {
  std::string_view id;
  Severity severity = Severity::kError;
  std::string_view clause;  // of RFC 8216bis unless it names something else
  std::string_view text;
};

inline constexpr auto kError = Severity::kError;
inline constexpr auto kWarning = Severity::kWarning;
inline constexpr auto kNote = Severity::kNote;

inline constexpr std::array kRules = {
    // Syntax
    Rule{"syntax-not-m3u", kError, "4.4.1.1", "a playlist begins with #EXTM3U"},
    Rule{"syntax-encoding", kError, "4.1", "UTF-8 without byte order mark and control characters"},
    Rule{"syntax-line-end", kNote, "4.1", "every line is terminated"},
    Rule{"syntax-attribute-list", kError, "4.2", "attribute lists follow the grammar"},
    Rule{"syntax-attribute-value", kError, "4.2", "attributes have the type that their tag says"},
    Rule{"syntax-attribute-missing", kError, "4.4", "required attributes are there"},
    Rule{"syntax-tag-value", kError, "4.4", "tags have the value that they are defined with"},
    Rule{"syntax-tag-duplicate", kError, "4.4", "tags that may stand once stand once"},
    Rule{"syntax-tag-misplaced", kError, "4.4", "tags stand where they may"},
    Rule{"syntax-uri", kError, "4.1",
         "EXTINF and EXT-X-STREAM-INF are followed by a URI, and no URI is without"},
    Rule{"syntax-unknown-tag", kNote, "4.1", "tags are known"},
    Rule{"version-too-low", kError, "8",
         "EXT-X-VERSION is as high as what the playlist uses needs"},
    // One Media Playlist
    Rule{"target-duration-missing", kError, "4.4.3.1", "EXT-X-TARGETDURATION is required"},
    Rule{"target-duration-exceeded", kError, "4.4.3.1",
         "EXTINF, rounded, is not above the Target Duration"},
    Rule{"part-inf-missing", kError, "4.4.3.7", "EXT-X-PART needs EXT-X-PART-INF"},
    Rule{"not-low-latency", kWarning, "B.1", "a low-latency stream lists parts"},
    Rule{"part-target-exceeded", kError, "4.4.4.9",
         "no part is longer than the Part Target Duration"},
    Rule{"part-too-short", kError, "4.4.4.9",
         "parts have 85 % of the Part Target Duration, but for the last of a segment, INDEPENDENT "
         "ones and those at gaps"},
    Rule{"parts-sum", kError, "3.2", "the parts of a segment last as long as the segment"},
    Rule{"part-hold-back-missing", kError, "4.4.3.8",
         "PART-HOLD-BACK is required beside EXT-X-PART-INF"},
    Rule{"part-hold-back-too-small", kError, "4.4.3.8",
         "PART-HOLD-BACK is at least twice PART-TARGET"},
    Rule{"part-hold-back-below-recommended", kWarning, "4.4.3.8",
         "PART-HOLD-BACK is at least three times PART-TARGET"},
    Rule{"hold-back-too-small", kError, "4.4.3.8",
         "HOLD-BACK is at least three times the Target Duration"},
    Rule{"can-skip-until-too-small", kError, "4.4.3.8",
         "CAN-SKIP-UNTIL is at least six times the Target Duration"},
    Rule{"can-skip-dateranges-alone", kError, "4.4.3.8",
         "CAN-SKIP-DATERANGES needs CAN-SKIP-UNTIL"},
    Rule{"can-block-reload-missing", kError, "B.1", "a low-latency playlist can be waited for"},
    Rule{"hint-missing", kWarning, "B.1", "a live low-latency playlist hints its next part"},
    Rule{"hint-duplicate", kWarning, "6.2.6", "one EXT-X-PRELOAD-HINT of a TYPE"},
    Rule{"hint-after-endlist", kError, "4.4.5.3", "no EXT-X-PRELOAD-HINT with EXT-X-ENDLIST"},
    Rule{"hint-already-listed", kWarning, "4.4.5.3", "what is hinted is not listed yet"},
    Rule{"parts-removed-early", kWarning, "6.2.2",
         "parts stay listed for three Target Durations from the end"},
    Rule{"parts-kept-long", kNote, "6.2.2",
         "parts further from the end than three Target Durations go"},
    Rule{"pdt-missing", kError, "B.1", "a low-latency playlist tells the time"},
    Rule{"pdt-not-monotonic", kError, "4.4.4.6", "EXT-X-PROGRAM-DATE-TIME goes forward"},
    Rule{"pdt-jump", kWarning, "4.4.4.6",
         "EXT-X-PROGRAM-DATE-TIME goes on by EXTINF where nothing is discontinuous"},
    Rule{"map-missing", kError, "3.1.2", "fragmented MP4 needs EXT-X-MAP"},
    Rule{"uri-reused", kError, "6.2.1", "no two segments or parts have the same URI"},
    Rule{"gap-segment", kWarning, "4.4.4.7", "a segment of nothing but gap parts is a gap itself"},
    Rule{"daterange-form", kError, "4.4.5.1", "date ranges are consistent in themselves"},
    Rule{"daterange-conflict", kError, "4.4.5.1",
         "date ranges of one ID do not contradict each other"},
    Rule{"daterange-without-pdt", kError, "4.4.5.1", "date ranges need EXT-X-PROGRAM-DATE-TIME"},
    // One version after another
    Rule{"target-duration-changed", kError, "6.2.1", "the Target Duration never changes"},
    Rule{"part-target-changed", kError, "6.2.1", "PART-TARGET never changes"},
    Rule{"server-control-changed", kError, "6.2.1", "EXT-X-SERVER-CONTROL never changes"},
    Rule{"version-changed", kWarning, "6.2.1",
         "EXT-X-VERSION does not change, but for delta updates"},
    Rule{"media-sequence", kError, "6.2.2",
         "EXT-X-MEDIA-SEQUENCE grows by one for each segment removed and never goes back"},
    Rule{"discontinuity-sequence", kError, "6.2.2",
         "EXT-X-DISCONTINUITY-SEQUENCE grows by one for each EXT-X-DISCONTINUITY removed"},
    Rule{"segment-changed", kError, "6.2.1", "what is listed does not change"},
    Rule{"playlist-went-back", kError, "6.2.1",
         "a later answer does not end before an earlier one"},
    Rule{"endlist-then-changed", kError, "4.4.3.4", "nothing changes behind EXT-X-ENDLIST"},
    Rule{"event-removed", kError, "4.4.3.5", "nothing is removed from an EVENT playlist"},
    Rule{"live-window-too-short", kError, "6.2.2",
         "no segment is removed that leaves less than three Target Durations"},
    Rule{"update-late", kWarning, "6.2.1", "a new segment comes within 1.5 Target Durations"},
    Rule{"source-interrupted", kNote, "6.2.1",
         "the stream stood still and went on behind an EXT-X-DISCONTINUITY"},
    Rule{"part-late", kWarning, "6.2.1",
         "a new part comes within one Part Target Duration (told when it is a Target Duration "
         "late)"},
    // Delta updates
    Rule{"delta-ignored", kError, "6.2.5.1",
         "_HLS_skip is answered with a delta when there is something to skip"},
    Rule{"delta-unasked", kError, "6.2.5.1", "EXT-X-SKIP comes only to who asked for it"},
    Rule{"delta-skips-too-much", kError, "6.2.5.1", "nothing inside the Skip Boundary is skipped"},
    Rule{"delta-base-missing", kError, "6.2.5.1", "what is skipped was listed before"},
    Rule{"delta-merge", kError, "6.2.5.1", "a merged delta is the full playlist"},
    Rule{"delta-dateranges", kError, "4.4.5.2",
         "RECENTLY-REMOVED-DATERANGES when, and only when, date ranges may be skipped"},
    // Delivery directives
    Rule{"blocking-early", kError, "6.2.5.2",
         "a blocking request is answered with what it waits for"},
    Rule{"blocking-segment-early", kError, "6.2.5.2",
         "_HLS_msn without _HLS_part waits for the whole segment"},
    Rule{"blocking-late", kWarning, "6.2.5.2",
         "a blocking request is answered when what it waits for is there"},
    Rule{"blocking-refused", kError, "6.2.5.2", "a request for what comes next is not refused"},
    Rule{"blocking-timeout", kNote, "6.2.5.2",
         "a blocking request ran into the server's time limit"},
    Rule{"part-without-msn", kError, "6.2.5.2", "_HLS_part without _HLS_msn is refused with 400"},
    Rule{"far-ahead-accepted", kWarning, "6.2.5.2",
         "_HLS_msn more than two ahead is refused with 400 at once"},
    Rule{"past-held", kError, "6.2.5.2",
         "a request for the past is answered at once, with the entire playlist"},
    Rule{"part-past-end", kError, "6.2.5.2",
         "a Part Index past a segment's end means the next segment's first part"},
    Rule{"playlist-unavailable", kError, "6.2.1", "playlists can be fetched"},
    // Hints
    Rule{"hint-mismatch", kError, "4.4.5.3", "the hinted part is the one that is listed next"},
    Rule{"hint-not-honoured", kWarning, "6.2.6",
         "what is hinted comes (more than one hint in ten did not)"},
    Rule{"hint-abandoned", kNote, "6.2.6",
         "a hinted part did not come: the segment or the stream ended before"},
    Rule{"hint-refused", kError, "6.2.6", "what is hinted can be asked for"},
    Rule{"hint-late", kWarning, "6.2.6", "a hinted part is delivered by when it is listed"},
    Rule{"hint-trickles", kNote, "6.2.6", "no byte of a part is sent before all of them can be"},
    // Resources
    Rule{"part-unavailable", kError, "6.2.1", "parts can be fetched the moment they are listed"},
    Rule{"segment-unavailable", kError, "6.2.1",
         "segments can be fetched the moment they are listed"},
    Rule{"init-unavailable", kError, "4.4.4.5", "Media Initialization Sections can be fetched"},
    Rule{"part-removed-too-early", kError, "6.2.2",
         "parts can be fetched for three Target Durations after they were removed"},
    Rule{"segment-removed-too-early", kError, "6.2.2",
         "segments can be fetched for their own and the playlist's duration after they were "
         "removed"},
    Rule{"content-changed", kError, "6.2.1", "the same URI gives the same bytes"},
    // Media
    Rule{"media-structure", kError, "3.1.2",
         "fragmented MP4 that can be read: moof, tfdt, samples inside mdat"},
    Rule{"media-unknown", kNote, "3.1", "media that this linter does not look into"},
    Rule{"segment-bytes", kNote, "3.2", "a segment is its parts, byte for byte"},
    Rule{"segment-samples", kError, "3.2", "a segment and its parts hold the same samples"},
    Rule{"extinf-media", kWarning, "4.4.4.1", "EXTINF is the duration of the media"},
    Rule{"part-duration-media", kWarning, "4.4.4.9",
         "DURATION is the duration of the part's media"},
    Rule{"part-media-exceeds-target", kError, "4.4.4.9",
         "the media of a part is not longer than PART-TARGET"},
    Rule{"independent-false", kError, "4.4.4.9", "an INDEPENDENT part holds an independent frame"},
    Rule{"independent-missing", kWarning, "4.4.4.9",
         "a part with an independent frame says INDEPENDENT=YES"},
    Rule{"sync-not-random-access", kError, "ISO/IEC 14496-15",
         "samples marked as sync are IDR or IRAP pictures"},
    Rule{"independent-segments-false", kError, "4.4.2.1",
         "under EXT-X-INDEPENDENT-SEGMENTS each segment begins with an independent frame"},
    Rule{"tfdt-discontinuous", kError, "3.1.2",
         "decode times go on without gap or overlap where nothing is discontinuous"},
    Rule{"pdt-drift", kWarning, "4.4.4.6", "EXT-X-PROGRAM-DATE-TIME and decode times run alike"},
    Rule{"renditions-misaligned", kError, "6.2.4",
         "renditions have matching timestamps at the same date"},
    // Multivariant Playlist
    Rule{"codecs-missing", kWarning, "4.4.6.2", "EXT-X-STREAM-INF has CODECS"},
    Rule{"codecs-mismatch", kError, "4.4.6.2", "CODECS is what SPS and AudioSpecificConfig say"},
    Rule{"codec-config-mismatch", kError, "ISO/IEC 14496-15", "avcC says what its SPS says"},
    Rule{"resolution-mismatch", kWarning, "4.4.6.2", "RESOLUTION is that of the SPS"},
    Rule{"frame-rate-mismatch", kWarning, "4.4.6.2", "FRAME-RATE is that of the media"},
    Rule{"channels-mismatch", kWarning, "4.4.6.1", "CHANNELS is that of the media"},
    Rule{"bandwidth-exceeded", kError, "4.4.6.2",
         "no segment's bit rate is above BANDWIDTH by more than a tenth"},
    Rule{"average-bandwidth-exceeded", kWarning, "4.4.6.2",
         "the bit rate is not above AVERAGE-BANDWIDTH by more than a tenth"},
    Rule{"group-missing", kError, "4.4.6.2.1", "the groups that EXT-X-STREAM-INF names exist"},
    Rule{"group-form", kError, "4.4.6.1.1",
         "renditions of a group differ in NAME, and one at most is DEFAULT"},
    Rule{"stable-id-form", kError, "4.4.6.1",
         "stable identifiers are of letters, digits and + / = . - _"},
    Rule{"variant-target-duration", kError, "6.2.4",
         "all renditions have the same Target Duration"},
    // Rendition reports
    Rule{"report-missing", kError, "B.1", "there is a report of every other rendition"},
    Rule{"report-unknown", kWarning, "4.4.5.4",
         "reports are of renditions of the Multivariant Playlist"},
    Rule{"report-absolute", kError, "4.4.5.4", "a report's URI is relative"},
    Rule{"report-ahead", kError, "4.4.5.4", "a report names no part that cannot be had"},
    Rule{"report-stale", kWarning, "4.4.5.4", "a report is as up to date as its playlist"},
    // Transport
    Rule{"content-type-playlist", kError, "4",
         "playlists are known by .m3u8 or their content type"},
    Rule{"content-type-media", kWarning, "3.1", "media has a content type of video, audio or text"},
    Rule{"cors-missing", kNote, "Fetch", "browsers of other origins may read the answers"},
    Rule{"gzip-missing", kNote, "B.1", "playlists are offered with gzip"},
    Rule{"cache-plain", kWarning, "6.2.5",
         "a playlist asked for without directives is not kept for longer than a Target Duration"},
    Rule{"cache-directed", kWarning, "6.2.5",
         "a playlist asked for with directives may be kept by caches"},
    Rule{"cache-media", kWarning, "6.2.2", "media may be kept by caches"},
    Rule{"cache-error", kWarning, "6.2.5",
         "refusals are not kept for longer than four Target Durations"},
    Rule{"http2-missing", kError, "B.1", "a low-latency server speaks HTTP/2"},
};

inline constexpr std::size_t kNoRule = kRules.size();

constexpr std::size_t find_rule(std::string_view id) {
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    if (kRules[i].id == id) return i;
  }
  return kNoRule;
}

struct RuleName {
  std::size_t index;
};

consteval RuleName operator""_rule(const char* id, std::size_t size) {
  const std::size_t index = find_rule({id, size});
  if (index == kNoRule) throw "no such rule";  // a compile error
  return RuleName{index};
}

inline std::span<const Rule> rules() { return kRules; }

}  // namespace mirror::lint
