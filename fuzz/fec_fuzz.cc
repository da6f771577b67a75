// Parity packets (SMPTE ST 2022-1) beside media, all of it arbitrary. The seeds are matrices with
// losses; see receiver_exercise.h for the format of an input.
#include <cstddef>
#include <cstdint>

#include "rtp/fec.h"
#include "rtp/receiver_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto packet = mirror::rtp::parse_fec({data, size})) {
    mirror::rtp::require(packet->payload.size() + 28 == size);
  }
  mirror::rtp::exercise_receiver({data, size});
  return 0;
}
