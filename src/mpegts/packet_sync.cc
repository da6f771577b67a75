#include "mpegts/packet_sync.h"

namespace mirror::mpegts {
namespace {

// Are there sync bytes at `at` and at the two packets behind it, as far as `bytes` reach?
bool syncs_from(std::span<const std::uint8_t> bytes, std::size_t at) {
  for (int packets = 0; packets < 3 && at < bytes.size(); ++packets, at += kPacketBytes) {
    if (bytes[at] != kSyncByte) return false;
  }
  return true;
}

}  // namespace

std::size_t PacketSync::search(std::span<const std::uint8_t> bytes, Input input) {
  if (locked_) {
    locked_ = false;
    phase_known_ = true;
    ++counters_.sync_byte_errors;
  }
  const bool ends = input == Input::kEnds;
  if (phase_known_) {
    if (bytes.size() < kSearchBytes && !ends) return 0;
    phase_known_ = false;
    if (bytes.size() > kPacketBytes && syncs_from(bytes, kPacketBytes)) {
      locked_ = true;
      counters_.dropped_bytes += kPacketBytes;
      return kPacketBytes;
    }
    ++counters_.sync_losses;
  }
  const std::size_t needed = ends ? kPacketBytes : kSearchBytes;
  std::size_t at = 0;
  for (; at + needed <= bytes.size(); ++at) {
    if (syncs_from(bytes, at)) {
      locked_ = true;
      break;
    }
  }
  counters_.dropped_bytes += at;
  return at;
}

}  // namespace mirror::mpegts
