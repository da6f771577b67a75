// libFuzzer: PES packets of one PID (the input format is in exercises.h).
#include <cstddef>
#include <cstdint>

#include "mpegts/exercises.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::mpegts::test::exercise_pes({data, size});
  return 0;
}
