// RTP packets, and a receiver behind a port on which anything comes. See receiver_exercise.h for
// the format of an input.
#include <cstddef>
#include <cstdint>

#include "rtp/packet.h"
#include "rtp/receiver_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto packet = mirror::rtp::parse_packet({data, size})) {
    mirror::rtp::require(packet->payload.size() + 12 <= size);
  }
  mirror::rtp::exercise_receiver({data, size});
  return 0;
}
