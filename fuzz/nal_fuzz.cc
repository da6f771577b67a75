// libFuzzer: NAL units of H.264 and HEVC; the input is an Annex B byte stream.
#include <cstddef>
#include <cstdint>

#include "codec/exercises.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::codec::test::exercise_nal({data, size});
  return 0;
}
