// Segments and parts: moof and mdat, sample by sample.
#include <algorithm>
#include <utility>

#include "boxes.h"
#include "codec/nal.h"
#include "mp4.h"

namespace mirror::lint {
namespace {

constexpr std::uint32_t kNonSyncSample = 0x0001'0000;  // ISO/IEC 14496-12, 8.8.3.1

struct Sample {
  std::uint32_t duration = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;
  bool sync() const { return (flags & kNonSyncSample) == 0; }
};

struct FragmentHeader {  // tfhd, 8.8.7
  std::uint32_t track = 0;
  bool base_is_moof = false;
  std::optional<std::uint64_t> base_offset;
  Sample defaults;
};

FragmentHeader read_tfhd(const InitSection& init, ByteView tfhd) {
  ByteReader reader(tfhd);
  const std::uint32_t flags = reader.u32() & 0xff'ffff;
  FragmentHeader header;
  header.track = reader.u32();
  header.base_is_moof = (flags & 0x2'0000) != 0;
  if (const Track* track = init.find(header.track)) {
    header.defaults = {track->default_duration, track->default_size, track->default_flags};
  }
  if ((flags & 0x1) != 0) header.base_offset = reader.u64();
  if ((flags & 0x2) != 0) reader.skip(4);
  if ((flags & 0x8) != 0) header.defaults.duration = reader.u32();
  if ((flags & 0x10) != 0) header.defaults.size = reader.u32();
  if ((flags & 0x20) != 0) header.defaults.flags = reader.u32();
  return header;
}

std::optional<std::uint64_t> read_tfdt(std::optional<ByteView> tfdt) {
  if (!tfdt) return std::nullopt;
  ByteReader reader(*tfdt);
  const bool wide = reader.u8() == 1;
  reader.skip(3);
  const std::uint64_t time = reader.number(wide ? 8 : 4);
  return reader.overrun() ? std::nullopt : std::optional(time);
}

struct Run {  // trun, 8.8.8
  std::optional<std::int32_t> data_offset;
  std::vector<Sample> samples;
};

Result<Run> read_trun(ByteView trun, const Sample& defaults) {
  ByteReader reader(trun);
  const std::uint32_t flags = reader.u32() & 0xff'ffff;
  const std::uint32_t count = reader.u32();
  Run run;
  if ((flags & 0x1) != 0) run.data_offset = static_cast<std::int32_t>(reader.u32());
  std::optional<std::uint32_t> first_flags;
  if ((flags & 0x4) != 0) first_flags = reader.u32();
  constexpr std::uint32_t kSamplesMax = 1'000'000;
  if (count > kSamplesMax) return fail("a trun of {} samples", count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Sample sample = defaults;
    if (i == 0 && first_flags) sample.flags = *first_flags;
    if ((flags & 0x100) != 0) sample.duration = reader.u32();
    if ((flags & 0x200) != 0) sample.size = reader.u32();
    if ((flags & 0x400) != 0) sample.flags = reader.u32();
    if ((flags & 0x800) != 0) reader.skip(4);
    if (reader.overrun()) return fail("a trun that is shorter than its {} samples", count);
    run.samples.push_back(sample);
  }
  return run;
}

// FNV-1a, which is enough to compare what one server sent twice.
class Hash {
 public:
  void add(ByteView bytes) {
    for (const std::uint8_t byte : bytes) value_ = (value_ ^ byte) * 0x100'0000'01b3;
  }
  void add(std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) {
      value_ = (value_ ^ (number >> shift & 0xff)) * 0x100'0000'01b3;
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf2'9ce4'8422'2325;
};

// Whether the access unit holds a random access point, from its NAL units.
bool is_random_access(const Track& track, ByteView sample) {
  ByteReader reader(sample);
  const auto codec = track.hevc ? media::Codec::kHevc : media::Codec::kH264;
  while (reader.left() > 0 && !reader.overrun()) {
    const auto size =
        static_cast<std::size_t>(reader.number(static_cast<std::size_t>(track.nal_length_bytes)));
    const ByteView nal = reader.bytes(size);
    // A recovery point is no independent frame to a player: only IDR and IRAP pictures count here.
    const bool sei = !track.hevc && codec::h264_nal_type(nal) == codec::kH264Sei;
    if (!nal.empty() && !sei && codec::marks_random_access(codec, nal)) return true;
  }
  return false;
}

class FragmentReader {
 public:
  FragmentReader(const InitSection& init, ByteView bytes) : init_(init), bytes_(bytes) {}

  Result<Fragments> read() {
    const auto boxes = read_boxes(bytes_);
    if (!boxes) return std::unexpected(boxes.error());
    for (const Box& box : *boxes) {
      if (box.type == "prft" && !fragments_.prft) read_prft(box.body);
      if (box.type != "moof") continue;
      if (Status status = read_moof(box); !status) return std::unexpected(status.error());
    }
    if (fragments_.fragments == 0) return fail("no moof");
    // Track by track: a segment may interleave its tracks otherwise than its parts do.
    Hash all;
    for (const auto& [track, hash] : hashes_) {
      all.add(track);
      all.add(static_cast<std::uint32_t>(hash.value() >> 32));
      all.add(static_cast<std::uint32_t>(hash.value()));
    }
    fragments_.samples_hash = all.value();
    return std::move(fragments_);
  }

 private:
  void read_prft(ByteView prft) {
    ByteReader reader(prft);
    const bool wide = reader.u8() == 1;
    reader.skip(3);
    Fragments::Prft found;
    found.track = reader.u32();
    found.ntp = reader.u64();
    found.media_time = reader.number(wide ? 8 : 4);
    if (!reader.overrun()) fragments_.prft = found;
  }

  Status read_moof(const Box& moof) {
    ++fragments_.fragments;
    const auto boxes = read_boxes(moof.body);
    if (!boxes) return std::unexpected(boxes.error());
    for (const Box& box : *boxes) {
      if (box.type != "traf") continue;
      if (Status status = read_traf(box.body, moof.offset); !status) return status;
    }
    return {};
  }

  Status read_traf(ByteView traf, std::size_t moof_offset) {
    const auto boxes = read_boxes(traf);
    if (!boxes) return std::unexpected(boxes.error());
    const auto body_of = [&](std::string_view type) -> std::optional<ByteView> {
      const auto it = std::ranges::find(*boxes, type, &Box::type);
      return it == boxes->end() ? std::nullopt : std::optional(it->body);
    };
    const auto tfhd = body_of("tfhd");
    if (!tfhd) return fail("a traf without tfhd");
    const FragmentHeader header = read_tfhd(init_, *tfhd);
    const auto decode_time = read_tfdt(body_of("tfdt"));
    if (!decode_time) return fail("a traf without tfdt");
    const Track* track = init_.find(header.track);
    if (track == nullptr)
      return fail("a traf of track {}, which the map does not have", header.track);
    begin_fragment(header.track, *decode_time);
    std::uint64_t at = header.base_offset.value_or(moof_offset);
    for (const Box& box : *boxes) {
      if (box.type != "trun") continue;
      const auto run = read_trun(box.body, header.defaults);
      if (!run) return std::unexpected(run.error());
      if (run->data_offset) {
        at = header.base_offset.value_or(moof_offset) +
             static_cast<std::uint64_t>(*run->data_offset);
      }
      for (const Sample& sample : run->samples) {
        if (at > bytes_.size() || sample.size > bytes_.size() - at) {
          return fail("a sample of {} bytes lies outside of the resource", sample.size);
        }
        take_sample(*track, sample, bytes_.subspan(static_cast<std::size_t>(at), sample.size));
        at += sample.size;
      }
    }
    return {};
  }

  void begin_fragment(std::uint32_t track, std::uint64_t decode_time) {
    const auto [it, first] = fragments_.tracks.try_emplace(track);
    if (first) {
      it->second.decode_time = decode_time;
    } else if (it->second.decode_time + it->second.duration != decode_time) {
      it->second.gap_inside = true;
    }
  }

  void take_sample(const Track& track, const Sample& sample, ByteView bytes) {
    TrackSamples& samples = fragments_.tracks[track.id];
    if (samples.samples == 0) samples.first_is_sync = sample.sync();
    if (sample.sync()) {
      samples.any_is_sync = true;
      if (track.kind == TrackKind::kVideo && track.nal_length_bytes > 0) {
        samples.sync_is_random_access =
            samples.sync_is_random_access.value_or(true) && is_random_access(track, bytes);
      }
    }
    ++samples.samples;
    samples.duration += sample.duration;
    Hash& hash = hashes_[track.id];
    hash.add(sample.duration);
    hash.add(sample.size);
    hash.add(bytes);
  }

  const InitSection& init_;
  ByteView bytes_;
  Fragments fragments_;
  std::map<std::uint32_t, Hash> hashes_;
};

}  // namespace

Result<Fragments> read_fragments(const InitSection& init, std::span<const std::uint8_t> bytes) {
  return FragmentReader(init, bytes).read();
}

}  // namespace mirror::lint
