// For tests: hand-made transport streams, and a sink that remembers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "media/access_unit.h"
#include "mpegts/packet.h"
#include "mpegts/section.h"

namespace mirror::mpegts::test {

using ByteVector = std::vector<std::uint8_t>;

inline void append(ByteVector& to, const ByteVector& from) {
  to.insert(to.end(), from.begin(), from.end());
}

inline ByteVector cat(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const auto& part : parts) append(all, part);
  return all;
}

inline Instant at_ms(std::int64_t ms) {
  return {SteadyTime(std::chrono::milliseconds(ms)), WallTime(std::chrono::milliseconds(ms))};
}

struct RecordingSink final : media::AccessUnitSink {
  void on_tracks(const std::vector<media::Track>& t) override { tracks.push_back(t); }
  void on_access_unit(media::AccessUnit unit) override { units.push_back(std::move(unit)); }

  std::vector<std::vector<media::Track>> tracks;
  std::vector<media::AccessUnit> units;
};

struct PesOptions {
  std::optional<std::int64_t> pts{};
  std::optional<std::int64_t> dts{};
  bool bounded = false;
  std::uint8_t stream_id = 0xe0;
};

inline ByteVector timestamp(int prefix, std::int64_t value) {
  const auto v = static_cast<std::uint64_t>(value);
  return {static_cast<std::uint8_t>(prefix << 4 | (v >> 29 & 0x0e) | 1),
          static_cast<std::uint8_t>(v >> 22), static_cast<std::uint8_t>((v >> 14 & 0xfe) | 1),
          static_cast<std::uint8_t>(v >> 7), static_cast<std::uint8_t>(v << 1 | 1)};
}

inline ByteVector pes(const PesOptions& options, const ByteVector& payload) {
  ByteVector stamps;
  if (options.pts) append(stamps, timestamp(options.dts ? 3 : 2, *options.pts));
  if (options.dts) append(stamps, timestamp(1, *options.dts));
  const std::size_t length = options.bounded ? 3 + stamps.size() + payload.size() : 0;
  const int flags = options.dts ? 0xc0 : options.pts ? 0x80 : 0;
  ByteVector out = {0,
                    0,
                    1,
                    options.stream_id,
                    static_cast<std::uint8_t>(length >> 8),
                    static_cast<std::uint8_t>(length),
                    0x80,
                    static_cast<std::uint8_t>(flags),
                    static_cast<std::uint8_t>(stamps.size())};
  append(out, stamps);
  append(out, payload);
  return out;
}

inline ByteVector with_crc(ByteVector section) {
  const std::uint32_t crc = crc32_mpeg(section);
  for (int shift = 24; shift >= 0; shift -= 8) {
    section.push_back(static_cast<std::uint8_t>(crc >> shift));
  }
  return section;
}

inline ByteVector table(std::uint8_t id, std::uint16_t extension, std::uint8_t version,
                        bool current, const ByteVector& body) {
  const std::size_t length = 5 + body.size() + 4;
  ByteVector section = {id,
                        static_cast<std::uint8_t>(0xb0 | length >> 8),
                        static_cast<std::uint8_t>(length),
                        static_cast<std::uint8_t>(extension >> 8),
                        static_cast<std::uint8_t>(extension),
                        static_cast<std::uint8_t>(0xc0 | version << 1 | (current ? 1 : 0)),
                        0,
                        0};
  append(section, body);
  return with_crc(std::move(section));
}

inline ByteVector pat(std::initializer_list<std::pair<int, int>> programmes, int version = 0) {
  ByteVector body;
  for (const auto& [number, pid] : programmes) {
    append(body, {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number),
                  static_cast<std::uint8_t>(0xe0 | pid >> 8), static_cast<std::uint8_t>(pid)});
  }
  return table(0, 1, static_cast<std::uint8_t>(version), true, body);
}

struct EsInfo {
  std::uint8_t type;
  int pid;
  ByteVector descriptors = {};
};

inline ByteVector pmt(const std::vector<EsInfo>& streams, int version = 0, bool current = true,
                      int programme = 1, int pcr_pid = 0x100) {
  ByteVector body = {static_cast<std::uint8_t>(0xe0 | pcr_pid >> 8),
                     static_cast<std::uint8_t>(pcr_pid), 0xf0, 0};
  for (const auto& es : streams) {
    append(body, {es.type, static_cast<std::uint8_t>(0xe0 | es.pid >> 8),
                  static_cast<std::uint8_t>(es.pid), 0xf0,
                  static_cast<std::uint8_t>(es.descriptors.size())});
    append(body, es.descriptors);
  }
  return table(2, static_cast<std::uint16_t>(programme), static_cast<std::uint8_t>(version),
               current, body);
}

// Cuts PES packets and sections into packets, counting per PID.
class Muxer {
 public:
  // One packet; `payload` shorter than the room is stuffed. `adaptation` is the field's content
  // behind its length byte, without stuffing.
  ByteVector packet(int pid, bool start, const ByteVector& payload, ByteVector adaptation = {}) {
    const std::size_t room = kPacketBytes - 4;
    const bool field = !adaptation.empty() || payload.size() < room;
    ByteVector out = {kSyncByte, static_cast<std::uint8_t>((start ? 0x40 : 0) | pid >> 8),
                      static_cast<std::uint8_t>(pid)};
    const int control = (field ? 2 : 0) | (payload.empty() ? 0 : 1);
    auto& counter = counters_[pid];
    if (!payload.empty()) counter = (counter + 1) & 15;
    out.push_back(static_cast<std::uint8_t>(control << 4 | counter));
    if (field) {
      const std::size_t length = room - 1 - payload.size();
      if (adaptation.empty() && length > 0) adaptation = {0};
      adaptation.resize(length, 0xff);
      out.push_back(static_cast<std::uint8_t>(length));
      append(out, adaptation);
    }
    append(out, payload);
    return out;
  }

  // As many packets as `unit` needs; the last is stuffed unless it fits exactly.
  ByteVector unit(int pid, const ByteVector& unit, std::size_t room = kPacketBytes - 4) {
    ByteVector out;
    for (std::size_t at = 0; at < unit.size(); at += room) {
      const auto end = std::min(at + room, unit.size());
      append(out, packet(pid, at == 0,
                         ByteVector(unit.begin() + static_cast<std::ptrdiff_t>(at),
                                    unit.begin() + static_cast<std::ptrdiff_t>(end))));
    }
    return out;
  }

  // As multiplexers do: stuffing bytes of 0xff behind the section.
  ByteVector section(int pid, const ByteVector& section) {
    ByteVector payload = {0};
    append(payload, section);
    while (payload.size() % (kPacketBytes - 4) != 0) payload.push_back(0xff);
    return unit(pid, payload);
  }

  ByteVector tables(const std::vector<EsInfo>& streams, int version = 0) {
    return cat({section(0, pat({{1, 0x1000}})), section(0x1000, pmt(streams, version))});
  }

  int& counter(int pid) { return counters_[pid]; }

 private:
  std::map<int, int> counters_;
};

// H.264 pictures that only look like ones: one AUD and one slice NAL unit with `size` bytes of
// body.
inline ByteVector h264_slice(bool idr, bool first, std::size_t size, std::uint8_t fill = 0x55) {
  ByteVector nal = {0, 0, 1, static_cast<std::uint8_t>(idr ? 0x65 : 0x41),
                    static_cast<std::uint8_t>(first ? 0x88 : 0x44)};
  nal.resize(5 + size, fill);
  return nal;
}
inline ByteVector h264_picture(bool idr, std::size_t size, std::uint8_t fill = 0x55) {
  return cat({{0, 0, 0, 1, 0x09, 0xf0}, h264_slice(idr, true, size, fill)});
}

// HEVC: type 19 is IDR_W_RADL, 1 is TRAIL_R.
inline ByteVector hevc_slice(int type, bool first, std::size_t size) {
  ByteVector nal = {0, 0,
                    1, static_cast<std::uint8_t>(type << 1),
                    1, static_cast<std::uint8_t>(first ? 0x80 : 0x20)};
  nal.resize(6 + size, 0x55);
  return nal;
}

// ADTS, AAC-LC, 48 kHz, stereo.
inline ByteVector adts(std::size_t body, std::uint8_t fill = 0x21) {
  const std::size_t size = body + 7;
  ByteVector frame = {0xff,
                      0xf1,
                      0x4c,
                      static_cast<std::uint8_t>(0x80 | size >> 11),
                      static_cast<std::uint8_t>(size >> 3),
                      static_cast<std::uint8_t>(size << 5 | 0x1f),
                      0xfc};
  frame.resize(size, fill);
  return frame;
}

inline ByteVector bytes_of(const media::AccessUnit& unit) {
  return {unit.data.span().begin(), unit.data.span().end()};
}

}  // namespace mirror::mpegts::test
