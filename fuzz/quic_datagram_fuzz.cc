// A server endpoint of QUIC against arbitrary datagrams, and arbitrary frames in Initial packets.
#include <cstddef>
#include <cstdint>

#include "quic/datagram_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::quic::exercise_datagrams({data, size});
  return 0;
}
