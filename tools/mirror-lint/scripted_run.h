// For tests: a server that breaks no rule, in virtual time, as the exchanges that a client has with
// it; and the ways in which a test makes it break one.
//
// Two renditions, "v" (640x360, 30 frames a second) and "a", in parts of 0.1 s and segments of
// 0.5 s; Target Duration 1 s.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "judge.h"
#include "mp4_fixture.h"
#include "playlist_parser.h"

namespace mirror::lint {

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}
inline std::string replaced_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

inline std::set<std::string> rules_in(const Findings& findings) {
  std::set<std::string> ids;
  for (const Finding& finding : findings.sorted()) ids.emplace(finding.rule->id);
  return ids;
}

// The n-th exchange of a purpose in the video rendition, changed by `change`.
inline auto nth(Purpose purpose, int n, std::function<void(Exchange&)> change) {
  return [purpose, left = n, change](Exchange& exchange) mutable {
    if (exchange.purpose == purpose && exchange.rendition == "v" && --left == 0) change(exchange);
    return true;
  };
}

inline void set_header(Exchange& exchange, std::string_view name, std::string_view value) {
  for (auto& [each, text] : exchange.headers) {
    if (each == name) text = value;
  }
}

inline void refuse(Exchange& exchange, int status = 400) {
  exchange.status = status;
  set_header(exchange, "cache-control", "max-age=1");
}

class ScriptedRun {
 public:
  static constexpr int kPartsPerSegment = 5;
  static constexpr std::uint64_t kFirst = 100;  // Media Sequence Number
  static constexpr int kWindow = 20;            // segments
  static constexpr double kPart = 0.1;

  // ---- What a test changes --------------------------------------------------------------------
  // The text of a Media Playlist that ends before part `next` (counted from 0).
  std::function<std::string(const std::string& rendition, int next, std::string text)> text =
      [](const std::string&, int, std::string same) { return same; };
  // Any exchange before it is judged; false leaves it out.
  std::function<bool(Exchange&)> tamper = [](Exchange&) { return true; };
  std::function<void(FragmentSpec&, const std::string& rendition, int part)> fragment_of =
      [](FragmentSpec&, const std::string&, int) {};
  std::string multivariant =
      "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-INDEPENDENT-SEGMENTS\n"
      "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"sound\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="
      "\"2\","
      "STABLE-RENDITION-ID=\"a\",URI=\"a/p.m3u8\"\n"
      "#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=150000,CODECS=\"avc1.64001E,mp4a.40."
      "2\","
      "RESOLUTION=640x360,FRAME-RATE=30.000,AUDIO=\"g\"\nv/p.m3u8\n";
  std::string video_map = video_init();
  std::string audio_map = audio_init();
  int parts = 60;
  int discontinuity_at = -1;  // the segment, counted from 0, that an EXT-X-DISCONTINUITY precedes
  bool date_ranges = false;

  std::set<std::string> judge() {
    Findings findings;
    Judge judge(findings, http_major);
    judge.add_rendition("v", url("v"));
    judge.add_rendition("a", url("a"));
    judge_ = &judge;
    run();
    return rules_in(findings);
  }
  int http_major = 0;

  static std::string url(const std::string& rendition) {
    return fmt::format("https://x/{}/p.m3u8", rendition);
  }
  static Position position(int part) {
    return {kFirst + static_cast<std::uint64_t>(part / kPartsPerSegment),
            static_cast<std::uint64_t>(part % kPartsPerSegment)};
  }

  // The playlist as the server would send it; `skip` leaves out what a delta may.
  std::string playlist(const std::string& rendition, int next,
                       SkipDirective skip = SkipDirective::kNone) const {
    const int open = next / kPartsPerSegment;
    const int first = std::max(0, open - kWindow);
    const int kept = skip == SkipDirective::kNone ? first : std::max(first, open - 12);  // 6 s
    std::string out =
        "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:1\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.3,HOLD-BACK=3.0,CAN-SKIP-"
        "UNTIL=6.0,"
        "CAN-SKIP-DATERANGES=YES\n#EXT-X-PART-INF:PART-TARGET=0.1\n";
    out += fmt::format("#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
                       kFirst + first, discontinuity_at >= 0 && discontinuity_at < first ? 1 : 0);
    if (skip == SkipDirective::kNone || kept == first) {
      out += "#EXT-X-MAP:URI=\"init.mp4\"\n";
    }
    if (date_ranges && (skip != SkipDirective::kV2 || kept == first)) {
      out += "#EXT-X-DATERANGE:ID=\"old\",START-DATE=\"2026-01-02T03:04:05.000Z\",DURATION=1.0\n";
    }
    if (kept > first) {
      out += fmt::format("#EXT-X-SKIP:SKIPPED-SEGMENTS={}{}\n", kept - first,
                         skip == SkipDirective::kV2 ? ",RECENTLY-REMOVED-DATERANGES=\"\"" : "");
    }
    for (int segment = kept; segment <= open; ++segment)
      out += segment_text(rendition, segment, next);
    out += fmt::format("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"\n", part_name(next));
    const Position last = position(next - 1);
    out += fmt::format("#EXT-X-RENDITION-REPORT:URI=\"../{}/p.m3u8\",LAST-MSN={},LAST-PART={}\n",
                       rendition == "v" ? "a" : "v", last.msn, last.part);
    return text(rendition, next, out);
  }

  std::string part_bytes(const std::string& rendition, int part) const {
    const bool video = rendition == "v";
    FragmentSpec spec;
    spec.sample_duration = video ? 1000 : 1600;
    spec.decode_time = static_cast<std::uint64_t>(part) * 3 * spec.sample_duration;
    spec.sync = !video || part % kPartsPerSegment == 0;
    spec.idr = spec.sync;
    spec.filling = static_cast<char>('a' + part % 26);
    fragment_of(spec, rendition, part);
    return fragment(spec);
  }

  static Headers headers(std::string_view type, std::string_view cache) {
    return {{"content-type", std::string(type)},
            {"cache-control", std::string(cache)},
            {"content-encoding", "gzip"},
            {"access-control-allow-origin", "*"}};
  }

  Exchange playlist_exchange(const std::string& rendition, Purpose purpose, int next,
                             Directives asked = {}) const {
    Exchange exchange;
    exchange.purpose = purpose;
    exchange.rendition = rendition;
    exchange.url = url(rendition);
    exchange.asked = asked;
    exchange.status = 200;
    exchange.http_major = 2;
    exchange.started = Seconds(kPart * (next - 1));
    exchange.finished = exchange.first_byte = Seconds(kPart * next);
    exchange.body = playlist(rendition, next, asked.skip);
    exchange.headers =
        headers("application/vnd.apple.mpegurl", asked.msn ? "max-age=6" : "no-cache");
    return exchange;
  }

  Exchange media_exchange(const std::string& rendition, Purpose purpose, const std::string& name,
                          std::string body, double at) const {
    Exchange exchange;
    exchange.purpose = purpose;
    exchange.rendition = rendition;
    exchange.url = fmt::format("https://x/{}/{}", rendition, name);
    exchange.status = 200;
    exchange.http_major = 2;
    exchange.started = exchange.first_byte = exchange.finished = Seconds(at);
    exchange.body = std::move(body);
    exchange.headers = headers(rendition == "v" ? "video/mp4" : "audio/mp4", "max-age=3600");
    return exchange;
  }

  // Judges one more exchange; what a test adds of its own goes through the same door.
  void give(Exchange exchange) {
    if (!tamper(exchange)) return;
    if (is_playlist(exchange.purpose) && exchange.status == 200) {
      exchange.playlist = std::make_shared<const Playlist>(parse_playlist(exchange.body));
    }
    judge_->take(exchange);
  }
  // Called behind part `next - 1`, for exchanges of a test's own.
  std::function<void(int next)> also = [](int) {};

  static std::string part_name(int part) {
    const Position at = position(part);
    return fmt::format("{}.{}.m4s", at.msn, at.part);
  }

 private:
  std::string segment_text(const std::string& rendition, int segment, int next) const {
    std::string out;
    if (segment == discontinuity_at) out += "#EXT-X-DISCONTINUITY\n";
    const int first_part = segment * kPartsPerSegment;
    if (first_part >= next) return "";
    const int ms = segment * 500;
    out += fmt::format("#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:{:02}.{:03}Z\n", 5 + ms / 1000,
                       ms % 1000);
    const bool recent = (segment + 8) * kPartsPerSegment >= next;
    for (int i = 0; i < kPartsPerSegment && first_part + i < next; ++i) {
      if (!recent) break;
      out += fmt::format("#EXT-X-PART:DURATION=0.1,URI=\"{}\"{}\n", part_name(first_part + i),
                         rendition == "a" || i == 0 ? ",INDEPENDENT=YES" : "");
    }
    if (first_part + kPartsPerSegment <= next) {
      out += fmt::format("#EXTINF:0.5,\n{}.m4s\n", kFirst + static_cast<std::uint64_t>(segment));
    }
    return out;
  }

  void run() {
    Exchange top;
    top.purpose = Purpose::kMultivariant;
    top.url = "https://x/index.m3u8";
    top.status = 200;
    top.http_major = 2;
    top.body = multivariant;
    top.headers = headers("application/vnd.apple.mpegurl", "no-cache");
    give(top);
    for (int next = 1; next <= parts; ++next) {
      for (const std::string rendition : {"v", "a"}) step(rendition, next);
      also(next);
    }
    judge_->finish(Seconds(kPart * parts));
  }

  // Part `next - 1` is there: what waited for it is answered.
  void step(const std::string& rendition, int next) {
    const double at = kPart * next;
    const int part = next - 1;
    if (next == 1) {
      give(playlist_exchange(rendition, Purpose::kPlain, next));
      give(media_exchange(rendition, Purpose::kInit, "init.mp4",
                          rendition == "v" ? video_map : audio_map, at));
    } else {
      Directives asked{.msn = position(part).msn, .part = position(part).part};
      give(playlist_exchange(rendition, Purpose::kReload, next, asked));
      asked.skip = next % 2 == 0 ? SkipDirective::kV2 : SkipDirective::kYes;
      give(playlist_exchange(rendition, Purpose::kReload, next, asked));
    }
    Exchange media = media_exchange(rendition, next > 1 ? Purpose::kHint : Purpose::kPart,
                                    part_name(part), part_bytes(rendition, part), at);
    media.started = Seconds(at - kPart);
    give(media);
    if (next % kPartsPerSegment != 0) return;
    std::string bytes;
    for (int i = next - kPartsPerSegment; i < next; ++i) bytes += part_bytes(rendition, i);
    give(media_exchange(rendition, Purpose::kSegment, fmt::format("{}.m4s", position(part).msn),
                        bytes, at));
  }

  Judge* judge_ = nullptr;
};

}  // namespace mirror::lint
