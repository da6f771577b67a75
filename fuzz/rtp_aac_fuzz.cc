// libFuzzer: RFC 3640 payloads, with losses, jumps and pauses (src/rtp/payload_exercise.h gives the
// format).
#include "rtp/payload_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::rtp::exercise::aac({data, size});
  return 0;
}
