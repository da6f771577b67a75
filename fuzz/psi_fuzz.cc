// libFuzzer: sections of the PAT and the PMT (the input format is in exercises.h).
#include <cstddef>
#include <cstdint>

#include "mpegts/exercises.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::mpegts::test::exercise_psi({data, size});
  return 0;
}
