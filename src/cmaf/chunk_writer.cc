#include "cmaf/chunk_writer.h"

#include <cassert>
#include <chrono>
#include <variant>

#include "cmaf/box_writer.h"
#include "cmaf/init_segment.h"

namespace mirror::cmaf {

namespace {

// ISO/IEC 14496-12, 8.8.3.1: sample_depends_on 2 (on no other), and 1 (on others) with
// sample_is_non_sync_sample.
constexpr std::uint32_t kSyncSample = 0x0200'0000;
constexpr std::uint32_t kNonSyncSample = 0x0101'0000;

// 8.8.7, 8.8.8: what the flags say is present.
constexpr std::uint32_t kTfhdDefaultSampleDuration = 0x00'0008;
constexpr std::uint32_t kTfhdDefaultSampleFlags = 0x00'0020;
constexpr std::uint32_t kTfhdDefaultBaseIsMoof = 0x02'0000;
constexpr std::uint32_t kTrunDataOffset = 0x00'0001;
constexpr std::uint32_t kTrunFirstSampleFlags = 0x00'0004;
constexpr std::uint32_t kTrunSampleSize = 0x00'0200;

constexpr std::size_t kPrftBytes = 32;
constexpr std::size_t kMfhdBytes = 16;
constexpr std::size_t kTfhdBytes = 24;
constexpr std::size_t kTfdtBytes = 20;
constexpr std::size_t kTrunBytes = 24;  // first_sample_flags included; 4 more for each sample
constexpr std::size_t kBoxHeaderBytes = 8;

constexpr std::size_t moof_bytes(std::size_t samples) {
  return kBoxHeaderBytes + kMfhdBytes + kBoxHeaderBytes + kTfhdBytes + kTfdtBytes + kTrunBytes +
         4 * samples;
}

std::size_t media_bytes(std::span<const media::Sample> samples) {
  std::size_t bytes = 0;
  for (const media::Sample& sample : samples) bytes += sample.data.size();
  return bytes;
}

// RFC 5905, 6: seconds since 1900 and a binary fraction. Wraps into the next era in 2036, as NTP
// does.
std::uint64_t ntp_timestamp(WallTime time) {
  constexpr std::int64_t kSecondsFrom1900To1970 = 2'208'988'800;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto microseconds = static_cast<std::uint64_t>((time - seconds).count());
  const auto whole =
      static_cast<std::uint64_t>(seconds.time_since_epoch().count() + kSecondsFrom1900To1970);
  return whole << 32 | (microseconds << 32) / 1'000'000;
}

// 8.16.5. Flags 24: the UTC time is when the first sample was captured.
void write_prft(BoxWriter& out, const media::Sample& first) {
  constexpr std::uint32_t kCaptured = 24;
  const auto prft = out.full_box("prft", 1, kCaptured);
  out.u32(kTrackId);
  out.u64(ntp_timestamp(first.captured));
  out.u64(static_cast<std::uint64_t>(first.decode_time));
}

void write_mfhd(BoxWriter& out, std::uint32_t sequence_number) {
  const auto mfhd = out.full_box("mfhd", 0, 0);
  out.u32(sequence_number);
}

// Duration and flags stand in each chunk although trex could hold them: some players read only
// these (ISO/IEC 23000-19, 7.5.14 allows both).
void write_tfhd(BoxWriter& out, std::uint32_t sample_duration, std::uint32_t sample_flags) {
  const auto tfhd = out.full_box(
      "tfhd", 0, kTfhdDefaultBaseIsMoof | kTfhdDefaultSampleDuration | kTfhdDefaultSampleFlags);
  out.u32(kTrackId);
  out.u32(sample_duration);
  out.u32(sample_flags);
}

// 8.8.12, with the 64-bit time
void write_tfdt(BoxWriter& out, std::int64_t decode_time) {
  const auto tfdt = out.full_box("tfdt", 1, 0);
  out.u64(static_cast<std::uint64_t>(decode_time));
}

void write_trun(BoxWriter& out, std::span<const media::Sample> samples) {
  const auto trun =
      out.full_box("trun", 0, kTrunDataOffset | kTrunFirstSampleFlags | kTrunSampleSize);
  out.u32(samples.size());
  out.u32(moof_bytes(samples.size()) + kBoxHeaderBytes);  // from the start of moof to the media
  out.u32(samples.front().sync ? kSyncSample : kNonSyncSample);
  for (const media::Sample& sample : samples) out.u32(sample.data.size());
}

void write_mdat(BoxWriter& out, std::span<const media::Sample> samples) {
  const auto mdat = out.box("mdat");
  for (const media::Sample& sample : samples) out.bytes(sample.data.span());
}

}  // namespace

ChunkWriter::ChunkWriter(const media::TrackDescription& track)
    : kind_(std::holds_alternative<media::VideoDescription>(track) ? Kind::kVideo : Kind::kAudio),
      sample_duration_(media::grid_of(track).sample_duration) {}

Bytes ChunkWriter::write(std::span<const media::Sample> samples, Prft prft) {
  assert(!samples.empty() && samples.size() <= kSamplesMax);
  const std::size_t media = media_bytes(samples);
  assert(media <= kMediaBytesMax);
  ++sequence_number_;
  const std::size_t prft_bytes = prft == Prft::kWith ? kPrftBytes : 0;
  const std::size_t size = prft_bytes + moof_bytes(samples.size()) + kBoxHeaderBytes + media;
  return Bytes::build(size, [&](std::span<std::uint8_t> room) {
    BoxWriter out(room);
    if (prft == Prft::kWith) write_prft(out, samples.front());
    {
      const auto moof = out.box("moof");
      write_mfhd(out, sequence_number_);
      const auto traf = out.box("traf");
      write_tfhd(out, sample_duration_, kind_ == Kind::kVideo ? kNonSyncSample : kSyncSample);
      write_tfdt(out, samples.front().decode_time);
      write_trun(out, samples);
    }
    write_mdat(out, samples);
    assert(out.size() == size);
  });
}

}  // namespace mirror::cmaf
