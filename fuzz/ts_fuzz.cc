// libFuzzer: mpegts::Demuxer over arbitrary bytes in arbitrary chunks.
//
// Input format: repeated [control, bytes…]. Bit 7 of `control`: call idle() first; bits 0 to 6: how
// many bytes the next push takes, times three plus one. The control byte 0x47 is read as "push all
// that is left", so that a plain .ts file is a valid seed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "mpegts/demuxer.h"

namespace {

constexpr std::size_t kUnitBytesMax = 20'000;

void require(bool condition) {
  if (!condition) std::abort();
}

struct CheckingSink final : mirror::media::AccessUnitSink {
  void on_tracks(const std::vector<mirror::media::Track>& t) override {
    require(t.size() <= mirror::mpegts::kElementaryStreamsMax);
    tracks = t;
  }
  void on_access_unit(mirror::media::AccessUnit unit) override {
    require(!unit.data.empty() && unit.data.size() <= kUnitBytesMax);
    bytes += unit.data.size();
    ++units;
    bool known = false;
    for (const auto& track : tracks)
      known = known || (track.id == unit.track && track.codec == unit.codec);
    require(known);
  }
  std::vector<mirror::media::Track> tracks;
  std::size_t bytes = 0;
  std::uint64_t units = 0;
};

mirror::Instant at_ms(std::int64_t ms) {
  return {mirror::SteadyTime(std::chrono::milliseconds(ms)),
          mirror::WallTime(std::chrono::milliseconds(ms))};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  CheckingSink sink;
  mirror::mpegts::DemuxerOptions options;
  options.access_unit_bytes_max = kUnitBytesMax;
  mirror::mpegts::Demuxer demuxer(options, sink);
  std::span<const std::uint8_t> rest(data, size);
  std::int64_t ms = 0;
  while (!rest.empty()) {
    const std::uint8_t control = rest[0];
    std::size_t count = rest.size();
    if (control != mirror::mpegts::kSyncByte) {
      if (control & 0x80) demuxer.idle(at_ms(ms += 20));
      rest = rest.subspan(1);
      count = std::min<std::size_t>(rest.size(), (control & 0x7fU) * 3 + 1);
    }
    demuxer.push(rest.first(count), at_ms(++ms));
    rest = rest.subspan(count);
  }
  demuxer.flush();
  require(sink.units == demuxer.stats().access_units);
  // Mutations seldom get past the CRC, so the tables are read once more without it.
  (void)mirror::mpegts::parse_pat({data, size});
  (void)mirror::mpegts::parse_pmt({data, size});
  // Parameter sets may be kept for the next picture, but no byte is emitted twice.
  require(sink.bytes <= size);
  return 0;
}
