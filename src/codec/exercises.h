// What the fuzzer of NAL units does with an input: for it (fuzz/), and for the unit test that
// replays what it found. Aborts when a parser breaks its promise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "codec/annexb.h"
#include "codec/codec_string.h"
#include "codec/nal.h"

namespace mirror::codec::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

inline void read_stream(media::Codec codec, std::span<const std::uint8_t> stream) {
  const auto facts = inspect_access_unit(codec, stream);
  int first_slices = 0;
  bool random_access = false;
  H264FieldPairing fields;
  AnnexBReader reader(stream);
  std::size_t end = 0;
  while (const auto nal = reader.next()) {
    require(!nal->bytes.empty() && nal->bytes.back() != 0);
    require(nal->offset >= end);  // in order, none within another
    end = nal->offset + nal->bytes.size();
    require(end <= stream.size());
    const auto role = role_of(codec, nal->bytes);
    first_slices += role == NalRole::kFirstSlice ? 1 : 0;
    random_access = marks_random_access(codec, nal->bytes) || random_access;
    if (codec == media::Codec::kH264) {
      const bool second = fields.is_second_field(nal->bytes);
      require(!second || role == NalRole::kFirstSlice);
      if (const auto sps = parse_h264_sps(nal->bytes)) {
        require(sps->frame_num_bits >= 4 && sps->frame_num_bits <= 16);
      }
      (void)avc_codec_string(nal->bytes);
    }
  }
  require(facts.first_slices == first_slices && facts.random_access == random_access);
  (void)begins_access_unit(codec, stream);
}

// An Annex B byte stream, read as that of both codecs.
inline void exercise_nal(std::span<const std::uint8_t> stream) {
  read_stream(media::Codec::kH264, stream);
  read_stream(media::Codec::kHevc, stream);
  // As a NAL unit by itself, too: what a depacketizer hands over has no start code.
  for (const auto codec : {media::Codec::kH264, media::Codec::kHevc}) {
    (void)role_of(codec, stream);
    (void)marks_random_access(codec, stream);
  }
  (void)parse_h264_sps(stream);
  (void)parse_hevc_source_scan(stream);
  (void)aac_codec_string(stream);

  // In samples each NAL unit is there once, behind its size.
  const auto samples = annexb_to_length_prefixed(stream);
  std::size_t at = 0;
  AnnexBReader reader(stream);
  while (const auto nal = reader.next()) {
    require(samples.size() - at >= 4 + nal->bytes.size());
    require(std::equal(nal->bytes.begin(), nal->bytes.end(), samples.begin() + at + 4));
    at += 4 + nal->bytes.size();
  }
  require(at == samples.size());
  const auto sets = h264_parameter_sets(stream);
  require(sets.sps.size() + sets.pps.size() <= stream.size());
}

}  // namespace mirror::codec::test
