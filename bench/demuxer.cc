// Google Benchmark of mpegts::Demuxer: bytes a second on one core, over content as a contribution
// feed has it.
//
//   mirror-bench-demuxer [--benchmark_filter=…]
//
// HEVC at 2, 10 and 50 Mbps, 30 pictures a second, with AAC, tables each 100 ms and clock
// references each 33 ms, in messages of seven packets, as SRT and RTP bring them. A fifth of a
// second, again and again: it should lie in the processor's cache, as a message does that was just
// received.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "mpegts/demuxer.h"
#include "mpegts/test_stream.h"

namespace mirror::mpegts {
namespace {

using test::ByteVector;

constexpr int kVideo = 0x100;
constexpr int kAudio = 0x101;
constexpr std::size_t kMessageBytes = 7 * kPacketBytes;
constexpr int kPicturesPerSecond = 30;
constexpr int kPictures = 6;  // the first one is a key picture, four times the mean

// What an arithmetic coder puts out, as far as a demuxer can tell: noise, without start codes.
ByteVector slice(int type, std::size_t size, std::minstd_rand& random) {
  ByteVector nal = test::hevc_slice(type, true, size);
  for (std::size_t at = 6; at < nal.size(); ++at) {
    nal[at] = static_cast<std::uint8_t>(random());
    if (nal[at] <= 3 && nal[at - 1] == 0 && nal[at - 2] == 0) nal[at] = 0x55;
  }
  nal.back() = 0x80;
  return nal;
}

ByteVector clock_reference(test::Muxer& mux, std::int64_t ticks) {
  const auto base = static_cast<std::uint64_t>(ticks);
  return mux.packet(
      kVideo, false, {},
      {0x10, static_cast<std::uint8_t>(base >> 25), static_cast<std::uint8_t>(base >> 17),
       static_cast<std::uint8_t>(base >> 9), static_cast<std::uint8_t>(base >> 1),
       static_cast<std::uint8_t>((base & 1) << 7 | 0x7e), 0});
}

ByteVector make_feed(std::size_t bits_per_second) {
  std::minstd_rand random(1);
  test::Muxer mux;
  ByteVector feed;
  const std::size_t mean = bits_per_second / 8 / kPicturesPerSecond;
  for (int i = 0; i < kPictures; ++i) {
    const bool key = i == 0;
    if (i % 3 == 0) test::append(feed, mux.tables({{0x24, kVideo}, {0x0f, kAudio}}));
    const std::int64_t pts = 90'000 + 3'000 * i;
    test::append(feed, clock_reference(mux, pts - 9'000));
    const std::size_t size = key ? 4 * mean : mean - mean * 3 / (kPictures - 1);
    test::append(feed,
                 mux.unit(kVideo, test::pes({.pts = pts}, slice(key ? 19 : 1, size, random))));
    test::append(feed, mux.unit(kAudio, test::pes({.pts = pts, .bounded = true, .stream_id = 0xc0},
                                                  test::adts(340))));
  }
  return feed;
}

struct CountingSink final : media::AccessUnitSink {
  void on_tracks(const std::vector<media::Track>&) override {}
  void on_access_unit(media::AccessUnit unit) override {
    ++units;
    bytes += unit.data.size();
  }
  std::uint64_t units = 0;
  std::uint64_t bytes = 0;
};

void demux(benchmark::State& state) {
  const ByteVector feed = make_feed(static_cast<std::size_t>(state.range(0)) * 1'000'000);
  std::uint64_t damaged = 0;
  std::uint64_t units = 0;
  std::int64_t ms = 0;
  for (auto _ : state) {
    CountingSink sink;
    Demuxer demuxer({}, sink);
    for (std::size_t at = 0; at < feed.size(); at += kMessageBytes) {
      const auto size = std::min(kMessageBytes, feed.size() - at);
      demuxer.push(std::span(feed).subspan(at, size), test::at_ms(++ms));
    }
    demuxer.flush();
    benchmark::DoNotOptimize(sink.bytes);
    damaged += demuxer.stats().damaged_access_units + demuxer.stats().continuity_errors;
    units = sink.units;
  }
  if (units != 2 * kPictures || damaged != 0) state.SkipWithError("the feed was not read whole");
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * feed.size()));
  state.counters["Gbps"] = benchmark::Counter(
      static_cast<double>(state.iterations() * feed.size()) * 8e-9, benchmark::Counter::kIsRate);
}
BENCHMARK(demux)->Arg(2)->Arg(10)->Arg(50)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mirror::mpegts

BENCHMARK_MAIN();
