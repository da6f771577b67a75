// For the tests of the depacketizers: one track, fed packet by packet.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rtp/depacketizer.h"

namespace mirror::rtp::test {

using ByteVector = std::vector<std::uint8_t>;

inline Instant at_ms(std::int64_t ms) {
  return {SteadyTime(std::chrono::milliseconds(ms)), WallTime(std::chrono::milliseconds(ms))};
}

inline ByteVector cat(std::initializer_list<ByteVector> parts) {
  ByteVector out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// A byte stream of NAL units, as access units hold them.
inline ByteVector annexb(std::initializer_list<ByteVector> nals) {
  ByteVector out;
  for (const auto& nal : nals) out = cat({out, {0, 0, 0, 1}, nal});
  return out;
}

// `size` bytes that hold no start code.
inline ByteVector filler(std::size_t size, std::uint8_t seed = 7) {
  ByteVector out(size);
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = static_cast<std::uint8_t>(0x80 | (seed + i * 31));
  }
  return out;
}

inline ByteVector bytes_of(const media::AccessUnit& unit) {
  return {unit.data.span().begin(), unit.data.span().end()};
}

struct RecordingSink final : media::AccessUnitSink {
  void on_tracks(const std::vector<media::Track>&) override {
    FAIL() << "tracks are the session's";
  }
  void on_access_unit(media::AccessUnit unit) override { units.push_back(std::move(unit)); }
  std::vector<media::AccessUnit> units;
};

// One tick is one tick.
struct PlainClock final : TrackClock {
  Date date(std::uint32_t timestamp, Instant) override {
    ++dates;
    return {media::MediaTime(timestamp), std::exchange(broken, false)};
  }
  int dates = 0;
  bool broken = false;
};

struct PushOptions {
  bool marker = false;
  bool gap = false;
  std::int64_t ms = 0;
};

class Session {
 public:
  explicit Session(const SdpMedia& medium) {
    auto made = make_depacketizer(medium, 3, sink, clock, stats);
    if (made) {
      depacketizer = std::move(*made);
    } else {
      ADD_FAILURE() << made.error().message;
    }
  }

  void push(std::uint32_t timestamp, const ByteVector& payload, PushOptions options = {}) {
    Packet packet;
    packet.marker = options.marker;
    packet.timestamp = timestamp;
    packet.payload = payload;
    depacketizer->push(packet, options.gap, at_ms(options.ms));
  }

  const std::vector<media::AccessUnit>& units() const { return sink.units; }

  RecordingSink sink;
  PlainClock clock;
  media::DemuxStats stats;
  std::unique_ptr<Depacketizer> depacketizer;
};

inline std::string fault_of(const SdpMedia& medium) {
  RecordingSink sink;
  PlainClock clock;
  media::DemuxStats stats;
  const auto made = make_depacketizer(medium, 1, sink, clock, stats);
  return made ? "" : made.error().message;
}

}  // namespace mirror::rtp::test
