// libFuzzer: a session description, and the depacketizers that it asks for.
#include "rtp/payload_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::rtp::exercise::sdp({data, size});
  return 0;
}
