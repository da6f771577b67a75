// SectionAssembler: PSI sections out of the packets of one PID (ISO/IEC 13818-1, 2.4.4).
//
// Owned by a Demuxer, on its thread. Holds one section of at most kSectionBytesMax.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mpegts/counters.h"
#include "mpegts/packet.h"

namespace mirror::mpegts {

// A PAT or PMT section, header and CRC included: section_length is at most 1021.
inline constexpr std::size_t kSectionBytesMax = 1024;

// CRC_32 of 13818-1 Annex A; over a section with its CRC it is zero.
std::uint32_t crc32_mpeg(std::span<const std::uint8_t> bytes);

class SectionAssembler {
 public:
  // Counts CRC errors in `counters`, which outlive this.
  explicit SectionAssembler(media::DemuxStats& counters) : counters_(counters) {}

  // Calls `on_section(span)` for each section that this packet completes and whose CRC is right.
  template <class OnSection>
  void push(const Packet& packet, OnSection&& on_section) {
    std::span<const std::uint8_t> rest = packet.payload;
    if (packet.payload_unit_start) {
      if (rest.empty()) return;
      const std::size_t pointer = rest[0];
      rest = rest.subspan(1);
      if (pointer > rest.size()) return reset();
      append(rest.first(pointer), on_section);  // the end of a section begun before
      reset();
      assembling_ = true;
      rest = rest.subspan(pointer);
    }
    while (assembling_ && !rest.empty()) rest = append(rest, on_section);
  }

  void reset() {
    assembling_ = false;
    size_ = 0;
  }

 private:
  // Takes the bytes of the current section; returns what lies behind it.
  template <class OnSection>
  std::span<const std::uint8_t> append(std::span<const std::uint8_t> bytes, OnSection& on_section) {
    const std::size_t used = take(bytes);
    if (size_ >= 3 && size_ == section_bytes()) {
      if (is_intact()) on_section(std::span<const std::uint8_t>(section_.data(), size_));
      size_ = 0;
    }
    return bytes.subspan(used);
  }

  std::size_t take(std::span<const std::uint8_t> bytes);
  bool is_intact();
  std::size_t section_bytes() const { return 3U + ((section_[1] & 0x0fU) << 8 | section_[2]); }

  media::DemuxStats& counters_;
  std::array<std::uint8_t, kSectionBytesMax> section_;
  std::size_t size_ = 0;
  bool assembling_ = false;  // a payload_unit_start was seen and nothing was lost since
};

}  // namespace mirror::mpegts
