// libFuzzer: an RTCP datagram of a stranger, and what its sender reports do to the time line.
#include "rtp/payload_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::rtp::exercise::rtcp({data, size});
  return 0;
}
